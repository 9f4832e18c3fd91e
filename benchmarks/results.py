"""What the starters reach, against what was aimed at: writes docs/results.md.

    python benchmarks/results.py ../shared/data data

Measures dln and emotion in production and the reference embeddings on the test splits of the
prepared sets in the second folder (sets that are missing there are prepared from the first), and
adds what took hours, by the commands there: docs/fecnet.md, docs/paper_claims.md and
docs/rare_emotions.md.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import emotion_threshold
import self_check
import tight_faces
import torch
from reference_embeddings import MetricsByName, cells, estimated, measure_embeddings
from transfer import PAIRED, PIX2PIXHD, table

from registry import versions
from registry.measurements import Measurement
from registry.metrics.estimates import Quantity
from training.compare import Row, markdown, with_interval
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule
from training.evaluate import evaluate
from training.metrics.identity_leak import LEAK
from training.metrics.robustness import robustness
from training.starters.files import MOBILEFACENET, Starter

SOURCES = {
    "ferplus": "ferplus.zip",
    "lfw-emotion": "lfw_emotion.zip",
    "london": "london",
    "ict": "ict_facekit",
    "ict-pairs": "ict_facekit",
}
MEASURED = ("ferplus", "lfw-emotion", "london", "ict")
"""Sets on which embedding and classifier are measured."""
DLN, EMOTION = "dln@production", "emotion@production"
PROJECT = Path(__file__).parent.parent
CHECKED, CHECK_CACHE = 600, Path("data/bench/self-check")
HEAD = "| measure | data | reached (95 % interval) | aimed at |\n|---|---|---|---|"
TRIPLETS = (
    ("one-class", Quantity("triplet_accuracy", "one class"), 0.66),
    ("two-class", Quantity("triplet_accuracy", "two class"), 0.86),
    ("three-class", Quantity("triplet_accuracy", "three class"), 0.84),
)
ADVERSARIAL, THREE_PEOPLE = Quantity("adversarial"), Quantity("three_people")
WITHIN = Quantity("leak_auc_same_expression")
PEOPLE = {"london": "0.95", "ict": "0.80", "lfw-emotion": "0.05 above the softmax"}
"""Sets that know persons, and what was aimed at for adversarial triplets."""
NEWS = "lfw-emotion"
PAGE = (Path(__file__).parent / "results_page.md").read_text(encoding="utf-8")
"""The page, with names in braces for what is measured."""
FECNET = with_interval(0.029, (0.002, 0.053), "+")
"""Difference of triplet accuracies on the whole FER+ list, from the table in docs/fecnet.md."""


def main(shared: Path, data: Path) -> None:
    """Measure all and write the page."""
    torch.set_flush_denormal(True)
    sets = {name: _prepared(name, shared, data) for name in SOURCES}
    measured = {name: measure_embeddings(shared, sets[name], "test") for name in MEASURED}
    emotion = [row for name in MEASURED for row in evaluate(EMOTION, sets[name])]
    known = [sets[name] for name in MEASURED]
    sources = emotion_threshold.Sources.measured(shared, known, EMOTION)
    version = versions.resolve(DLN)
    moved = robustness(GraphModule(versions.load(version)), sets[NEWS], "test", version.crop)
    page = PAGE.format(
        dln=version.title,
        emotion=versions.resolve(EMOTION).title,
        targets="\n".join([HEAD, *_dln(measured), *_emotion(emotion), _fecnet()]),
        sure="\n\n".join(_sure(sources)),
        synthetic=len(sources.synthetic),
        neutral=sources.synthetic_neutral(),
        cropper="\n".join(_table(tight_faces.cells(shared, tight_faces.PHOTOS))),
        softmax=markdown(_against(measured, "softmax"), "dln", "softmax"),
        references="\n".join(_table(cells(measured))),
        fecnet=_page("fecnet"),
        paper_claims=_page("paper_claims"),
        rare_emotions=_page("rare_emotions"),
        robustness="\n".join(_robustness(moved, emotion)),
        pix2pixhd=versions.resolve(PIX2PIXHD).title,
        transfer="\n".join(table(shared, [sets[name] for name in PAIRED])),
        warned="\n".join(self_check.tables(shared, sets, CHECKED, CHECK_CACHE)),
    )
    (PROJECT / "docs" / "results.md").write_text(page, encoding="utf-8")


def _page(name: str) -> str:
    """Return a page of docs/ without its title."""
    title, _, text = (PROJECT / "docs" / f"{name}.md").read_text(encoding="utf-8").partition("\n")
    assert title.startswith("# "), name
    return text.strip()


def _prepared(name: str, shared: Path, data: Path) -> Prepared:
    if not (data / name / "index.parquet").exists():
        prepare(name, shared / SOURCES[name], data / name)
    return Prepared.open(data / name)


def _dln(measured: Mapping[str, MetricsByName]) -> Iterator[str]:
    """Yield the rows about the embedding: what was reached and aimed at."""
    dln = {name: embeddings["dln"] for name, embeddings in measured.items()}
    softmax = {(row.set, row.quantity): row for row in _against(measured, "softmax")}
    for title, quantity, aim in TRIPLETS:
        reached = estimated(dln["ferplus"].estimates[quantity])
        yield _row(f"dln, {title}", "FER+ test triplets", reached, f"at least {aim}")
    for title, quantity, _ in TRIPLETS:
        difference = softmax["ferplus", quantity].cells()[-1]
        yield _row(f"dln less softmax, {title}", "FER+ test triplets", difference, "above 0")
    yield from _leaks(dln)
    for name, adversarial_aim in PEOPLE.items():
        reached = estimated(dln[name].estimates[ADVERSARIAL])
        yield _row("dln, adversarial", f"{name} test persons", reached, adversarial_aim)
    difference = softmax[NEWS, ADVERSARIAL].cells()[-1]
    yield _row("dln less softmax, adversarial", f"{NEWS} test persons", difference, "at least 0.05")
    yield from _blendshapes(measured)
    yield from _identity(dln[NEWS].identity)


def _leaks(dln: MetricsByName) -> Iterator[str]:
    for name in PEOPLE:
        own = f"the identity vector's own {dln[name].identity['identity_leak_auc']:.3f}"
        leak = f"{estimated(dln[name].estimates[LEAK])}; {own}"
        yield _row("dln, identity leak", f"{name} test persons", leak, "at most 0.60")
        if WITHIN in dln[name].estimates:
            within = estimated(dln[name].estimates[WITHIN])
            yield _row("dln, leak in one expression", f"{name} test persons", within, "none set")


def _identity(own: Mapping[str, float]) -> Iterator[str]:
    """Yield the rows of the dln's identity branch and of mobilefacenet."""
    of_card = {
        row.metric: row
        for row in Starter.open(MOBILEFACENET).measurements
        if (row.split, row.set) == ("test", NEWS)
    }
    for metric, own_aim, aim in (
        ("verification_auc", "0.93", "at least 0.96"),
        ("adversarial", "none set", "below 0.03"),
    ):
        what, data, known = metric.replace("_", " "), f"{NEWS} test persons", of_card[metric]
        reached = f"{known.value:.3f}" if known.low is None else _with_interval(known)
        yield _row(f"dln's identity, {what}", data, f"{own[f'identity_{metric}']:.3f}", own_aim)
        yield _row(f"mobilefacenet, {what}", f"{data}, from its card", reached, aim)


def _blendshapes(measured: Mapping[str, MetricsByName]) -> Iterator[str]:
    for row in _against(measured, "blendshapes"):
        if row.set == NEWS and row.quantity in (ADVERSARIAL, THREE_PEOPLE):
            title = f"dln less blendshapes, {row.quantity.metric.replace('_', ' ')}"
            yield _row(title, f"{NEWS} test persons", row.cells()[-1], "at least 0.05")


def _emotion(measured: list[Measurement]) -> Iterator[str]:
    of_ferplus = {(r.protocol, r.metric): r for r in measured if r.set == "ferplus" and not r.group}
    protocols = (("", "most votes", 0.85), ("majority", "over half of the votes", 0.88))
    for protocol, title, aim in protocols:
        faces = of_ferplus[protocol, "faces"].value
        where = f"FER+ test, {title}, {faces:,.0f} faces"
        accuracy = _with_interval(of_ferplus[protocol, "accuracy"])
        yield _row("emotion, FER+", where, accuracy, f"at least {aim}")
        error = _with_interval(of_ferplus[protocol, "calibration_error"])
        yield _row("emotion, calibration", where, error, "at most 0.03")
    for protocol, metric, aimed_at in (
        ("", "mean_recall", "none set"),
        ("balanced", "accuracy", "none set"),
        ("balanced", "mean_recall", "at least 0.70"),
    ):
        prior = "all emotions equally likely" if protocol else "prior of the training faces"
        reached = _with_interval(of_ferplus[protocol, metric])
        title = f"emotion, {metric.replace('_', ' ')}"
        yield _row(title, f"FER+ test, most votes, {prior}", reached, aimed_at)


def _sure(sources: emotion_threshold.Sources) -> Iterator[str]:
    """Yield the tables of what the classifier answers, and how often it is sure and wrong."""
    for rows in (
        emotion_threshold.accuracies(sources),
        emotion_threshold.recalls_by_emotion(sources),
        emotion_threshold.left_out(sources),
    ):
        yield "\n".join(_table(rows))


def _fecnet() -> str:
    return _row("dln less fecnet, all types", "FER+ test triplets", FECNET, "none set")


def _against(measured: Mapping[str, MetricsByName], other: str) -> list[Row]:
    """Return dln's estimates beside another embedding's."""
    return [
        Row(name, quantity, estimate, embeddings[other].estimates[quantity])
        for name, embeddings in measured.items()
        for quantity, estimate in embeddings["dln"].estimates.items()
    ]


def _robustness(dln: list[Measurement], emotion: list[Measurement]) -> Iterator[str]:
    yield "| change | dln: moves by | emotion: keeps its answer |\n|---|---|---|"
    same = {r.group: r.value for r in emotion if r.set == NEWS and r.metric == "robustness"}
    for row in dln:
        yield _row(row.group, f"{row.value:.2f}", f"{same[row.group]:.0%}")


def _table(rows: list[list[str]]) -> Iterator[str]:
    head, *others = rows
    yield from (_row(*line) for line in (head, ["---"] * len(head), *others))


def _row(*columns: str) -> str:
    return f"| {' | '.join(columns)} |"


def _with_interval(row: Measurement) -> str:
    assert row.low is not None
    assert row.high is not None
    return with_interval(row.value, (row.low, row.high))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder with the shared data")
    parser.add_argument("data", type=Path, help="folder of prepared sets")
    arguments = parser.parse_args()
    main(arguments.shared, arguments.data)
