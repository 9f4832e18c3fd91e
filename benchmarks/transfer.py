"""Expression transfer, measured on test persons by networks that the generator isn't made of.

    python benchmarks/transfer.py ../shared/data data/london data/ict-pairs [--sheet sheet.png]

pix2pixhd in production gives test persons another person's expression where the truth is known: the
same person showing it. Expressions are compared by MediaPipe's 52 blendshapes (plain Euclidean
distance), persons by mobilefacenet, the teacher of the encoder's identity branch. Only transfers
count in which MediaPipe finds all four faces and the truth's expression is at least FLOOR away from
the source's. 95 % intervals by bootstrap over persons.

Lips and teeth are the blendshapes LIPS: the share of the truth's change that the result shows is
the change along it, over its length, where that is at least LIPS_FLOOR. Fine detail at the mouth is
the energy of luminance less its blurred copy in the box around the truth's lips.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter
from reference_embeddings import LANDMARKER, TEACHER
from rich.progress import track

from registry import versions
from registry.crops import to_tensor
from registry.landmarks import LANDMARKER_PX, Landmarker, MeasureBlendshapes, blendshapes
from registry.metrics.bootstrap import interval
from registry.versions import ProductionModel
from training.datasets.alignment import aligned
from training.datasets.prepared import Prepared
from training.metrics.transfer import ssim
from training.models.identity.teacher import FRAME, LEFT, TEACHER_PX, TOP, OnnxTeacher
from training.models.pix2pixhd.validation import TransferCase, TransferValidation

PIX2PIXHD = "pix2pixhd@production"
FLOOR = 0.35
"""Least distance of blendshapes between a source and its truth; our decision. London's
neutral photos are 0.06 (95 % of them up to 0.12) from their copies of 0.8 times the brightness, and
0.94 in the median from the smiling ones."""
LIPS = (25, 34, 35, 48, 49)
"""Of the 52: jawOpen, mouthLowerDownLeft and Right, mouthUpperUpLeft and Right."""
LIPS_FLOOR = 0.2
LIP_POINTS = (61, 291, 0, 17)
"""Landmarks: both corners of the mouth, the upper lip's top, the lower lip's bottom."""
BLUR_PX, AROUND_LIPS = 1.5, 0.15
"""Std of the blur at 128 px, and what is added on each side of the box, as a share of its width."""
EACH = 400
SHOWN = 10
REPEATS = 20
PAIRED = ("london", "ict-pairs")
"""Sets whose test persons have a truth."""
OF_LONDON = (
    "identity kept, over two real photos'",
    "nearer to the source than to the driver",
)
"""Measures with an aim for real people alone."""
HEAD = "| measure | data | reached (95 % interval) | aimed at |\n|---|---|---|---|"


@dataclass(frozen=True, kw_only=True, eq=False)
class Transfers:
    """Measurements of one set's transfers; a row each."""

    name: str
    count: int
    """Transfers, also those that are left out."""
    people: np.ndarray
    shapes: Mapping[str, Float[np.ndarray, "transfers 52"]]
    persons: Mapping[str, Float[np.ndarray, "transfers d"]]
    detail: Float[np.ndarray, "transfers"]
    """Fine detail at the mouth, over the truth's; NaN where no lips are found in the truth."""
    ssim: Float[np.ndarray, "transfers"]
    ssim_untouched: Float[np.ndarray, "transfers"]

    def estimate(self, values: Float[np.ndarray, "transfers"]) -> str:
        """Return the mean of a number with its interval; transfers with NaN are left out."""
        known = ~np.isnan(values)
        people = np.unique(self.people[known], return_inverse=True)[1]
        low, high = interval(values[known], people[:, None])
        return f"{values[known].mean():.3f} ({low:.3f} to {high:.3f})"

    def apart(self, one: str, other: str) -> Float[np.ndarray, "transfers"]:
        """Return how far apart the expressions of two pictures are."""
        return np.asarray(np.linalg.norm(self.shapes[one] - self.shapes[other], axis=1))

    def alike(self, one: str, other: str) -> Float[np.ndarray, "transfers"]:
        """Return how alike two pictures' persons are."""
        return np.asarray((self.persons[one] * self.persons[other]).sum(1))

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Yield measure, what was reached, what was aimed at."""
        untouched = self.apart("source", "truth")
        yield "transfers", f"{len(untouched)} of {self.count}", "none set"
        near = self.estimate(self.apart("result", "truth") / untouched)
        yield "distance to the truth, over the untouched source's", near, "at most 0.75"
        driver = self.apart("driver", "truth") / untouched
        yield "the same of the driver's own face", self.estimate(driver), "none set"
        change = self.shapes["result"] - self.shapes["source"]
        true = self.shapes["truth"] - self.shapes["source"]
        lengths = np.linalg.norm(change, axis=1), np.linalg.norm(true, axis=1)
        cosine = (change * true).sum(1) / np.maximum(lengths[0] * lengths[1], 1e-9)
        yield "cosine of the change to the truth's", self.estimate(cosine), "at least 0.55"
        yield "its length over the truth's", self.estimate(lengths[0] / lengths[1]), "0.5 to 1.3"
        yield "lips and teeth, share of the truth's change", self.estimate(self.lips()), "0.60"
        yield "fine detail at the mouth, over the truth's", self.estimate(self.detail), "0.80"
        likeness = self.alike("result", "source") / self.alike("truth", "source")
        yield "identity kept, over two real photos'", self.estimate(likeness), "at least 0.9"
        nearer = self.alike("result", "source") > self.alike("result", "driver")
        yield "nearer to the source than to the driver", self.estimate(nearer.astype(float)), "0.97"
        gain = self.estimate(self.ssim - self.ssim_untouched)
        yield "SSIM to the truth, less the untouched source's", gain, "at least 0"

    def lips(self) -> Float[np.ndarray, "transfers"]:
        """Return the share of the truth's change of lips and teeth; NaN where that is small."""
        source, result, truth = (self.shapes[n][:, LIPS] for n in ("source", "result", "truth"))
        change, true = result - source, truth - source
        length = np.linalg.norm(true, axis=1)
        share = (change * true).sum(1) / np.maximum(length, LIPS_FLOOR) ** 2
        return np.where(length >= LIPS_FLOOR, share, np.nan)


def measure(shared: Path, data: Prepared, model: ProductionModel) -> Transfers:
    """Generate the set's test transfers and measure them."""
    (cases,) = TransferValidation.of([data], "test", model.version.crop, each=EACH).cases
    pictures = _pictures(cases, data, model)
    teacher = OnnxTeacher(shared / TEACHER)
    with blendshapes(shared / LANDMARKER) as measure_face:
        shapes = {name: _shapes(measure_face, faces, name) for name, faces in pictures.items()}
    distance = np.linalg.norm(shapes["truth"] - shapes["source"], axis=1)
    counted = np.flatnonzero(~np.isnan(sum(shapes.values())).any(1) & (distance >= FLOOR))
    person = data.index["person"].to_numpy()[[case.source for case in cases]]
    faces = {name: to_tensor(list(shown[counted])) for name, shown in pictures.items()}
    return Transfers(
        name=data.name,
        count=len(person),
        people=np.unique(person[counted], return_inverse=True)[1],
        shapes={name: values[counted] for name, values in shapes.items()},
        persons={name: _identities(teacher, shown[counted]) for name, shown in pictures.items()},
        detail=_detail(pictures["result"][counted], pictures["truth"][counted]),
        ssim=ssim(faces["result"], faces["truth"]).numpy(),
        ssim_untouched=ssim(faces["source"], faces["truth"]).numpy(),
    )


def table(shared: Path, sets: Sequence[Prepared]) -> Iterator[str]:
    """Yield the lines of the table, Markdown."""
    model = versions.load(PIX2PIXHD)
    yield from HEAD.splitlines()
    for data in sets:
        found = measure(shared, data, model)
        for what, reached, aim in found.rows():
            of_set = "none set" if what in OF_LONDON and data.name != "london" else aim
            yield f"| transfer, {what} | {data.name} test persons | {reached} | {of_set} |"
    yield f"| transfer, one on this machine | after the crop | {latency(model):.0f} ms | 150 ms |"


def latency(model: ProductionModel) -> float:
    """Return milliseconds of one transfer: both faces encoded, one picture made; median of 20."""
    side, times = model.version.crop.size_px, []
    faces = torch.rand(2, 3, side, side)
    for _ in range(REPEATS + 2):
        began = time.perf_counter()
        source, driver = model.encode(faces)["condition"]
        model(faces[:1], (driver - source)[None])
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times[2:])


def sheet(sets: Sequence[Prepared], model: ProductionModel, path: Path) -> None:
    """Write source, driver, result and truth of some transfers, a row each, set below set."""
    lines = []
    for data in sets:
        (cases,) = TransferValidation.of([data], "test", model.version.crop, each=SHOWN).cases
        lines.append(
            np.hstack([np.vstack(list(f)) for f in _pictures(cases, data, model).values()])
        )
    Image.fromarray(np.vstack(lines)).save(path)


def _pictures(
    cases: Sequence[TransferCase], data: Prepared, model: ProductionModel
) -> dict[str, UInt8[np.ndarray, "transfers size size 3"]]:
    crop = model.version.crop
    level, plain = aligned(data, crop), data.faces(crop)
    source = np.stack([level[case.source] for case in cases])
    driver = np.stack([plain[case.driver] for case in cases])
    truth = np.stack([level[case.source if case.truth is None else case.truth] for case in cases])
    results = []
    for i in track(range(len(cases)), description=f"Transfers of {data.name}"):
        faces = to_tensor([source[i], driver[i]])
        own, wanted = model.encode(faces)["condition"]
        results.append(model(faces[:1], (wanted - own)[None])["picture"][0])
    result = (torch.stack(results).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return {"source": source, "driver": driver, "result": result, "truth": truth}


def _shapes(
    measure_face: MeasureBlendshapes,
    faces: UInt8[np.ndarray, "transfers size size 3"],
    name: str,
) -> Float[np.ndarray, "transfers 52"]:
    shapes = np.full((len(faces), 52), np.nan)
    for i in track(range(len(faces)), description=f"Blendshapes of each {name}"):
        shapes[i] = measure_face(Image.fromarray(faces[i]))
    return shapes


def _detail(
    results: UInt8[np.ndarray, "transfers size size 3"],
    truths: UInt8[np.ndarray, "transfers size size 3"],
) -> Float[np.ndarray, "transfers"]:
    """Return the energy of fine detail in the truth's mouth box: the result's over the truth's."""
    landmarker, ratios = Landmarker(), np.full(len(results), np.nan)
    for i, (result, truth) in enumerate(zip(results, truths, strict=True)):
        side = max(truth.shape[0], LANDMARKER_PX)
        points = landmarker.landmarks(np.asarray(Image.fromarray(truth).resize((side, side))))
        if points is None:
            continue
        lips = points[list(LIP_POINTS)] * truth.shape[0] / side
        more = AROUND_LIPS * np.ptp(lips[:, 0])
        (left, top), (right, bottom) = lips.min(0) - more, lips.max(0) + more
        box = slice(max(0, int(top)), int(bottom) + 1), slice(max(0, int(left)), int(right) + 1)
        energy = [(_fine(each)[box] ** 2).mean() for each in (result, truth)]
        ratios[i] = energy[0] / energy[1]
    return ratios


def _fine(face: UInt8[np.ndarray, "size size 3"]) -> Float[np.ndarray, "size size"]:
    grey = Image.fromarray(face).convert("L")
    blurred = grey.filter(ImageFilter.GaussianBlur(BLUR_PX * grey.width / 128))
    return np.asarray(grey, np.float64) - np.asarray(blurred, np.float64)


def _identities(
    teacher: OnnxTeacher, faces: UInt8[np.ndarray, "transfers size size 3"]
) -> Float[np.ndarray, "transfers d"]:
    side = (FRAME.size_px, FRAME.size_px)
    framed = [np.asarray(Image.fromarray(f).resize(side, Image.Resampling.BICUBIC)) for f in faces]
    vectors = teacher(np.stack(framed)[:, TOP : TOP + TEACHER_PX, LEFT : LEFT + TEACHER_PX])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with weights/")
    parser.add_argument("folders", type=Path, nargs="+", help="prepared sets with a truth")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="write some of the transfers")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)
    opened = [Prepared.open(folder) for folder in arguments.folders]
    if arguments.sheet:
        sheet(opened, versions.load(PIX2PIXHD), arguments.sheet)
    print("\n".join(table(arguments.shared, opened)))
