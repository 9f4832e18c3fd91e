"""What the starters reach, against what was aimed at: writes docs/results.md.

    python benchmarks/results.py ../shared/data data

Asks dln and emotion in production and the ready-made judges about the test splits of the prepared
sets in the second folder (sets that are missing there are prepared from the first), and adds the
comparison with FECNet that docs/fecnet.md keeps (it is a training of hours: see the command there).
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from judges import Said, ask, cells, told
from transfer import PAIRED, PIX2PIXHD, table

from registry import versions
from training.compare import Row, markdown
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule
from training.evaluate import evaluate
from training.metrics.robustness import robustness

SOURCES = {
    "ferplus": "ferplus.zip",
    "lfw-emotion": "lfw_emotion.zip",
    "london": "london",
    "ict": "ict_facekit",
    "ict-pairs": "ict_facekit",
}
ASKED = ("ferplus", "lfw-emotion", "london", "ict")
"""Sets about which embedding and classifier are asked."""
DLN, EMOTION = "dln@production", "emotion@production"
PROJECT = Path(__file__).parent.parent
HEAD = "| measure | data | reached (95 % interval) | aimed at |\n|---|---|---|---|"
TRIPLETS = (
    ("one-class", "one_class", 0.66),
    ("two-class", "two_class", 0.86),
    ("three-class", "three_class", 0.84),
)
PEOPLE = {"london": "0.95", "ict": "0.80", "lfw-emotion": "0.05 above the softmax"}
"""Sets that know persons, and what was aimed at for adversarial triplets."""
NEWS = "lfw-emotion"


def main(shared: Path, data: Path) -> None:
    """Measure all and write the page."""
    torch.set_flush_denormal(True)
    sets = {name: _prepared(name, shared, data) for name in SOURCES}
    said = {name: ask(shared, sets[name], "test") for name in ASKED}
    emotion: dict[str, float] = {}
    for name in ASKED:
        emotion |= evaluate(EMOTION, sets[name])
    version = versions.resolve(DLN)
    moved = robustness(
        GraphModule(versions.load(version)), sets[NEWS], sets[NEWS].split("test"), version.crop
    )
    fecnet = PROJECT / "docs" / "fecnet.md"
    compared = fecnet.read_text(encoding="utf-8") if fecnet.exists() else ""
    page = PAGE.format(
        dln=version.title,
        emotion=versions.resolve(EMOTION).title,
        targets="\n".join([HEAD, *_dln(said), *_emotion(emotion), *_fecnet(compared)]),
        lead=markdown(_against(said, "softmax"), "dln", "softmax"),
        judges="\n".join(_table(cells(said))),
        fecnet=compared.strip() or NO_FECNET,
        robustness="\n".join(_behaviour(moved, emotion)),
        pix2pixhd=versions.resolve(PIX2PIXHD).title,
        transfer="\n".join(table(shared, [sets[name] for name in PAIRED])),
    )
    (PROJECT / "docs" / "results.md").write_text(page, encoding="utf-8")


def _prepared(name: str, shared: Path, data: Path) -> Prepared:
    if not (data / name / "index.parquet").exists():
        prepare(name, shared / SOURCES[name], data / name)
    return Prepared.open(data / name)


def _dln(said: Mapping[str, Said]) -> Iterator[str]:
    """Yield what was aimed at with the embedding, row by row."""
    mine = {name: each["dln"] for name, each in said.items()}
    for title, kind, aim in TRIPLETS:
        share = mine["ferplus"].estimates[f"triplet_accuracy_{kind}"]
        yield _row(f"dln, {title}", "FER+ test triplets", told(share), f"at least {aim}")
    leads = {row.metric: row for row in _against(said, "softmax")}
    for title, kind, _ in TRIPLETS:
        lead = leads[f"ferplus triplet_accuracy_{kind}"].cells()[-1]
        yield _row(f"dln less softmax, {title}", "FER+ test triplets", lead, "above 0")
    for name in PEOPLE:
        own = f"the identity vector's own {mine[name].extra['identity_leak_auc']:.3f}"
        leak = f"{told(mine[name].estimates['leak_auc'])}; {own}"
        yield _row("dln, identity leak", f"{name} test persons", leak, "at most 0.60")
    for name, figure in PEOPLE.items():
        share = mine[name].estimates["adversarial"]
        yield _row("dln, adversarial", f"{name} test persons", told(share), figure)
    lead = leads[f"{NEWS} adversarial"].cells()[-1]
    yield _row("dln less softmax, adversarial", f"{NEWS} test persons", lead, "at least 0.05")
    for row in _against(said, "blendshapes"):
        if row.metric in (f"{NEWS} adversarial", f"{NEWS} three_people"):
            what = row.metric.removeprefix(f"{NEWS} ").replace("_", " ")
            title = f"dln less blendshapes, {what}"
            yield _row(title, f"{NEWS} test persons", row.cells()[-1], "at least 0.05")
    auc = f"{mine[NEWS].extra['identity_verification_auc']:.3f}"
    yield _row("identity, verification", f"{NEWS} test persons", auc, "0.93")


def _emotion(found: Mapping[str, float]) -> Iterator[str]:
    protocols = (("", "most votes", 0.85), ("majority/", "over half of the votes", 0.88))
    for prefix, protocol, aim in protocols:
        where = f"FER+ test, {protocol}, {found[f'test/ferplus/{prefix}faces']:,.0f} faces"
        accuracy = _metric(found, f"test/ferplus/{prefix}accuracy")
        yield _row("emotion, FER+", where, accuracy, f"at least {aim}")
        error = _metric(found, f"test/ferplus/{prefix}calibration_error")
        yield _row("emotion, calibration", where, error, "at most 0.03")


def _fecnet(compared: str) -> Iterator[str]:
    """Yield the row of the whole list from the kept comparison's table."""
    for line in compared.splitlines():
        cell = [each.strip() for each in line.split("|")]
        if cell[1:2] == ["ferplus triplet_accuracy"]:
            yield _row("dln less fecnet, all types", "FER+ test triplets", cell[4], "none set")


def _against(said: Mapping[str, Said], peer: str) -> list[Row]:
    """Return dln's estimates beside another judge's."""
    return [
        Row(f"{name} {key}", one, each[peer].estimates[key])
        for name, each in said.items()
        for key, one in each["dln"].estimates.items()
    ]


def _behaviour(dln: Mapping[str, float], emotion: Mapping[str, float]) -> Iterator[str]:
    yield "| change | dln: moves by | emotion: keeps its answer |\n|---|---|---|"
    for key, moved in dln.items():
        yield _row(
            key.removeprefix("robustness/"), f"{moved:.2f}", f"{emotion[f'test/{NEWS}/{key}']:.0%}"
        )


def _table(rows: list[list[str]]) -> Iterator[str]:
    head, *others = rows
    yield from (_row(*line) for line in (head, ["---"] * len(head), *others))


def _row(*columns: str) -> str:
    return f"| {' | '.join(columns)} |"


def _metric(metrics: Mapping[str, float], key: str) -> str:
    return f"{metrics[key]:.3f} ({metrics[f'{key}_low']:.3f} to {metrics[f'{key}_high']:.3f})"


NO_FECNET = "Not measured yet: `python -m training compare dln-compact fecnet-compact` makes it."
PAGE = """# Results

Made by `make results`: {dln}, {emotion}, {pix2pixhd} in production.

Test splits hold faces and persons that no training saw. Intervals are 95 % by bootstrap over
photos, or over persons where a set knows at least twenty; a triplet is right only if its pair is
strictly the nearest. The identity leak is the AUC of telling one person in two expressions from two
people in the same two; 0.5 is perfect.

{targets}

## dln against the square root of the softmax

Differences are paired: both see the same triplets and the same draws.

{lead}

## Ready-made judges

{judges}

## dln against FECNet

{fecnet}

## Expression transfer

Test persons are given the expression of another person; the truth is the same person showing it.
Judges that had no part in training: MediaPipe's 52 blendshapes for the expression, mobilefacenet
for the person. Counted are transfers in which MediaPipe finds all four faces and the truth is at
least 0.35 away from the source.

{transfer}

## What changes of a picture that mean nothing do

On 300 test faces of lfw-emotion. For dln, how far a face moves as a share of the distance between
two faces (medians).

{robustness}
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with the shared data")
    parser.add_argument("data", type=Path, help="folder of prepared sets")
    arguments = parser.parse_args()
    main(arguments.shared, arguments.data)
