"""What the starters reach, against what was aimed at: writes docs/RESULTS.md.

    python benchmarks/results.py ../shared/data data

Evaluates the versions in production on the test splits of the prepared sets in the second folder
(sets that are missing there are prepared from the first), compares dln with the square root of the
emotion classifier's softmax, asks the ready-made judges, and adds the comparison with FECNet that
docs/fecnet.md keeps (it is a training of hours: see the command there).
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from registry import versions
from training.compare import compare_versions, markdown
from training.datasets.index import Prepared
from training.datasets.prepare import prepare
from training.evaluate import evaluate

SOURCES = {
    "ferplus": "ferplus.zip",
    "lfw-emotion": "lfw_emotion.zip",
    "london": "london",
    "ict": "ict_facekit",
}
DLN, EMOTION = "dln@production", "emotion@production"
PROJECT = Path(__file__).parent.parent
HEAD = "| measure | data | reached (95 % interval) | aimed at |\n|---|---|---|---|"
TRIPLETS = (
    ("one-class", "one_class", 0.66),
    ("two-class", "two_class", 0.86),
    ("three-class", "three_class", 0.84),
)
PEOPLE = ("london", "ict", "lfw-emotion")


def main(shared: Path, data: Path) -> None:
    """Measure all and write the page."""
    torch.set_flush_denormal(True)
    sets = {name: _prepared(name, shared, data) for name in SOURCES}
    dln: dict[str, float] = {}
    emotion: dict[str, float] = {}
    for each in sets.values():
        dln |= evaluate(DLN, each)
        emotion |= evaluate(EMOTION, each)
    lines = [HEAD, *_rows(dln, emotion)]
    lead = markdown(compare_versions(DLN, EMOTION, list(sets.values()), "test"), "dln", "softmax")
    script, folders = PROJECT / "benchmarks" / "judges.py", [str(data / name) for name in SOURCES]
    judges = subprocess.run(
        [sys.executable, str(script), str(shared), *folders, "--markdown"],
        check=True, text=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    fecnet = PROJECT / "docs" / "fecnet.md"
    page = PAGE.format(
        dln=versions.resolve(DLN).title,
        emotion=versions.resolve(EMOTION).title,
        targets="\n".join(lines),
        lead=lead,
        judges=judges.strip(),
        fecnet=fecnet.read_text(encoding="utf-8").strip() if fecnet.exists() else NO_FECNET,
        behaviour="\n".join(_behaviour(dln, emotion)),
    )
    (PROJECT / "docs" / "RESULTS.md").write_text(page, encoding="utf-8")


def _prepared(name: str, shared: Path, data: Path) -> Prepared:
    if not (data / name / "index.parquet").exists():
        prepare(name, shared / SOURCES[name], data / name)
    return Prepared.open(data / name)


def _rows(dln: Mapping[str, float], emotion: Mapping[str, float]) -> Iterator[str]:
    """Yield what was aimed at, row by row."""
    for title, kind, aim in TRIPLETS:
        key = f"test/ferplus/triplet_accuracy_{kind}"
        yield _row(f"dln, {title}", "FER+ test triplets", _told(dln, key), f"at least {aim}")
    protocols = (("", "most votes", 0.85), ("majority/", "over half of the votes", 0.88))
    for prefix, protocol, aim in protocols:
        where = f"FER+ test, {protocol}, {emotion[f'test/ferplus/{prefix}faces']:,.0f} faces"
        key = f"test/ferplus/{prefix}accuracy"
        yield _row("emotion, FER+", where, _told(emotion, key), f"at least {aim}")
        key = f"test/ferplus/{prefix}calibration_error"
        yield _row("emotion, calibration", where, _told(emotion, key), "at most 0.03")
    for name in PEOPLE:
        key = f"test/{name}/leak_auc"
        own = f"the identity vector's own {dln[f'test/{name}/identity_leak_auc']:.3f}"
        told = f"{_told(dln, key)}; {own}"
        yield _row("dln, identity leak", f"{name} test persons", told, "at most 0.60")
    aims = {"london": "0.95", "ict": "0.80", "lfw-emotion": "0.05 above the softmax"}
    for name in PEOPLE:
        told = _told(dln, f"test/{name}/adversarial")
        yield _row("dln, adversarial", f"{name} test persons", told, aims[name])
    auc = f"{dln['test/lfw-emotion/identity_verification_auc']:.3f}"
    yield _row("identity, verification", "lfw-emotion test persons", auc, "0.93")


def _behaviour(dln: Mapping[str, float], emotion: Mapping[str, float]) -> Iterator[str]:
    yield "| change | dln: moves by | emotion: keeps its answer |\n|---|---|---|"
    start = "test/lfw-emotion/behaviour/"
    for key, moved in dln.items():
        if key.startswith(start):
            yield f"| {key.removeprefix(start)} | {moved:.2f} | {emotion[key]:.0%} |"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _told(metrics: Mapping[str, float], key: str) -> str:
    return f"{metrics[key]:.3f} ({metrics[f'{key}_low']:.3f} to {metrics[f'{key}_high']:.3f})"


NO_FECNET = "Not measured yet: `python -m training compare dln-compact fecnet-compact` makes it."
PAGE = """# Results

Made by `make results`: {dln}, {emotion} in production, on the test splits, with faces and persons
that no training saw. Intervals are 95 % by bootstrap over photos, or over persons where a set knows
at least twenty; a triplet is right only if its pair is strictly the nearest. The identity leak is
the AUC of telling one person in two expressions from two people in the same two; 0.5 is perfect.

{targets}

## dln against the square root of the softmax

Differences are paired: both see the same triplets and the same draws.

{lead}

## Ready-made judges

{judges}

## dln against FECNet

{fecnet}

## What changes of a picture that mean nothing do

On 300 test faces of lfw-emotion. For dln, how far a face moves as a share of the distance between
two faces (medians).

{behaviour}
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with the shared data")
    parser.add_argument("data", type=Path, help="folder of prepared sets")
    arguments = parser.parse_args()
    main(arguments.shared, arguments.data)
