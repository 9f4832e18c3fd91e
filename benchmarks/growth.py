"""How time grows with what is given: megapixels, faces, versions, rows of a prepared set.

    python benchmarks/growth.py [--json FILE] [--picture FILE]

For each, the seconds at several sizes and the exponent of the steepest step between two of them: 1
means that twice as much takes twice as long, less than 1 that a fixed part dominates.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rows
from PIL import Image
from rows import Row
from torch import Tensor, nn

from demo.predictors import EmotionRecognizer, read_photo_with_faces
from registry import promotion, store, versions
from registry.catalog import EMOTION
from registry.faces import FaceCropper
from training.datasets.prepared import SCHEMA, Prepared

EXAMPLES = sorted((Path(__file__).parents[1] / "demo" / "examples").glob("*.jpg"))
MEGAPIXELS, FACES = (0.1, 1, 2, 12, 50, 100), (1, 2, 5, 10, 20, 50)
VERSIONS, ROWS = (1, 10, 100, 1000), (1_000, 10_000, 100_000, 1_000_000)
TILE_PX, ROUNDS = 320, 3
LINEAR = 1.2
"""Exponents up to this one count as linear growth: times differ from call to call."""
LABELS = ("happy", "sad")
Curve = dict[float, float]


def photos(cropper: FaceCropper) -> Curve:
    """Return the seconds of reading a JPEG and detecting its face, by megapixels."""
    photo = Image.open(EXAMPLES[0]).convert("RGB")
    curve: Curve = {}
    for size in MEGAPIXELS:
        content = _jpeg(photo, size)
        curve[size] = _seconds(partial(read_photo_with_faces, content, cropper))
    return curve


def faces(cropper: FaceCropper) -> Curve:
    """Return the seconds from a photo to the emotions in it, by the number of faces."""
    recognizer = EmotionRecognizer(_Fixed(versions.load(EMOTION.name)))
    curve: Curve = {}
    for count in FACES:
        pixels = _group(count)
        found = len(cropper.faces(pixels))
        assert found == count, f"{found} of {count} faces were found"
        curve[count] = _seconds(partial(_recognise, recognizer, cropper, pixels))
    return curve


def _recognise(recognizer: EmotionRecognizer, cropper: FaceCropper, pixels: np.ndarray) -> None:
    recognizer.recognise(read_photo_with_faces(pixels, cropper))


class _Fixed:
    """Gives one version."""

    def __init__(self, model: versions.ProductionModel) -> None:
        self._model = model

    def model(self, _name: str) -> versions.ProductionModel:
        return self._model


def registered() -> Curve:
    """Return the seconds of listing the versions of a model, by their number."""
    curve: Curve = {}
    with _own_store():
        for count in VERSIONS:
            _register_until(count)
            curve[count] = _seconds(versions.list_versions)
    return curve


@contextmanager
def _own_store() -> Iterator[None]:
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EXPRESSION_STUDIO_STORE"] = folder
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _register_until(count: int) -> None:
    """Register copies of one version of a small network, until there are so many."""
    client = store.connect(create=True)
    known = versions.list_versions(EMOTION.name)
    first = known[0] if known else _register_first()
    for _ in range(count - max(1, len(known))):
        stored = client.get_model_version(first.name, str(first.number))
        client.create_model_version(
            first.name, stored.source, first.run_id, stored.tags, model_id=stored.model_id
        )


def _register_first() -> versions.Version:
    run = store.connect().create_run(store.experiment(EMOTION.name)).info.run_id
    version = versions.register(
        EMOTION,
        _Small(),
        crop=EMOTION.crop,
        run_id=run,
        config={},
        description="A network of a few numbers.",
        labels=LABELS,
        temperature=1.0,
    )
    promotion.promote(version.name, version.number)
    return version


class _Small(nn.Module):
    """Logits from the mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, len(LABELS))

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        logits: Tensor = self.linear(faces.mean((2, 3)))
        return {"logits": logits}


def prepared() -> Curve:
    """Return the seconds of opening a prepared set, by the rows of its index."""
    curve: Curve = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in ROWS:
            _write_index(Path(folder), count)
            curve[count] = _seconds(lambda: Prepared.open(Path(folder)))
    return curve


def _write_index(folder: Path, count: int) -> None:
    one = pa.table({"person": [str(n % 1000) for n in range(count)]})
    ready = {
        "path": [f"crops/{n:08}.png" for n in range(count)],
        "person": one["person"],
        "split": pa.array(np.resize(["train", "validation", "test"], count)),
        "digest": [f"{n:064x}" for n in range(count)],
        "box": pa.array([[0.0, 0.0, 1.0, 1.0]] * count),
        "emotion": pa.array(np.arange(count) % 7, pa.int32()),
    }
    columns = [ready.get(field.name, pa.nulls(count, field.type)) for field in SCHEMA]
    pq.write_table(pa.table(columns, SCHEMA), folder / "index.parquet")


CURVES: Mapping[str, Callable[[FaceCropper], Curve]] = {
    "photo of megapixels, read and detected": photos,
    "faces in a photo, to their emotions": faces,
    "versions, listed": lambda _: registered(),
    "rows of a prepared set, opened": lambda _: prepared(),
}


def main(output: Path | None, picture: Path | None) -> None:
    """Measure every curve, print the table, and draw the picture."""
    cropper = FaceCropper()
    curves = {what: curve(cropper) for what, curve in CURVES.items()}
    for what, curve in curves.items():
        print(what, ", ".join(f"{n:g}: {seconds:.3f} s" for n, seconds in curve.items()))
    found = [_row(what, curve) for what, curve in curves.items()]
    print(rows.table(found))
    if output:
        rows.write(output, found)
    if picture:
        _draw(curves, picture)


def _row(what: str, curve: Curve) -> Row:
    steps = ", ".join(f"{n:g}: {seconds:.3g} s" for n, seconds in curve.items())
    slopes = np.diff(np.log(list(curve.values()))) / np.diff(np.log(list(curve)))
    return Row(what=f"{what} ({steps})", value=float(slopes.max()), unit="exponent", target=LINEAR)


def _seconds(call: Callable[[], object]) -> float:
    """Return the shortest of a few calls."""
    shortest = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        shortest = min(shortest, time.perf_counter() - started)
    return shortest


def _jpeg(photo: Image.Image, megapixels: float) -> bytes:
    side, content = round((megapixels * 1e6) ** 0.5), BytesIO()
    photo.resize((side, side)).save(content, "JPEG", quality=90)
    return content.getvalue()


def _group(count: int) -> np.ndarray:
    """Return the example photos side by side, as many as there shall be faces."""
    width = min(count, 10)
    group = Image.new("RGB", (width * TILE_PX, -(-count // width) * TILE_PX), "grey")
    for number in range(count):
        one = Image.open(EXAMPLES[number % len(EXAMPLES)]).convert("RGB")
        place = (number % width * TILE_PX, number // width * TILE_PX)
        group.paste(one.resize((TILE_PX, TILE_PX)), place)
    return np.array(group)


def _draw(curves: Mapping[str, Curve], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(4 * len(curves), 3.2), layout="tight")
    for axis, (what, curve) in zip(axes, curves.items(), strict=True):
        axis.loglog(list(curve), list(curve.values()), marker="o")
        axis.set(title=what, ylabel="seconds")
        axis.grid(which="both", alpha=0.3)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    parser.add_argument("--picture", type=Path, help="where to draw the curves")
    given = parser.parse_args()
    main(given.json, given.picture)
