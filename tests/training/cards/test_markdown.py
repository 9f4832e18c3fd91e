"""The model card: one form for every model, every number once, in a length MLflow stores."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from registry import entries, measurements, signature, versions
from registry.catalog import CATALOG
from registry.errors import Unreachable
from registry.graphs.export import number
from registry.measurements import Measurement
from tests.registry.conftest import CROP, SPEC, Tiny
from training.cards.markdown import LONGEST, WITHOUT_EARLIER, WITHOUT_VALIDATION, markdown, refresh
from training.cards.run_card import RunCard
from training.cards.text import TEXTS
from training.engine.tracking import Tracker
from training.recipes import TASKS
from training.starters import files

TRAINED = [task.spec.name for task in TASKS.values() if task.spec]  # type: ignore[attr-defined]
HEADINGS = (
    "Results",
    "Results by group",
    "Known failures",
    "What it is",
    "Intended use",
    "Misuse",
    "Our decisions",
    "Data",
    "How it was made",
)
ACCURACY = Measurement(split="test", set="ferplus", metric="triplet_accuracy", value=0.64)
LEAK = Measurement(split="test", set="london", metric="leak_auc", group="sex: male", value=0.73)


def card(model: str = "dln", **changes: Any) -> RunCard:
    values = {
        "model": model,
        "recipe": f"{model}-compact",
        "command": f"python -m training train {model}-compact --data data/ferplus",
        "data": [
            {"name": "ferplus", "digest": "d" * 64, "training_faces": 27866},
            {"name": "mine", "digest": "e" * 64, "training_faces": 3},
        ],
        "seed": 7,
        "minutes": 1.5,
        "epochs": 2,
        "steps": 40,
        "machine": "CPU, 2 threads",
        "torch": "2.15.0",
        "crop": {"size_px": 32, "margin": 0.1, "roll": True},
        "config": {"network": {"backbone": {"name": "compact"}, "flip_average": True}},
    } | changes
    return RunCard.read(values)


def section(text: str, heading: str) -> str:
    return text.partition(f"## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("model", TRAINED)
def test_every_model_that_trains_has_every_heading_filled_in_order(model: str) -> None:
    text = markdown(card(model), [])
    found = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert tuple(found) == HEADINGS
    assert text.startswith(f"{CATALOG[model].title}, trained by recipe `{model}-compact`\n")
    assert all(len(section(text, heading).strip()) > 20 for heading in HEADINGS)
    assert "docs/ethics.md" in section(text, "Misuse")
    assert "python -m training train" in section(text, "How it was made")


def test_earlier_trainings_are_listed_first() -> None:
    earlier = {"command": "train first", "seed": 3, "minutes": 9.0, "epochs": 4, "machine": "GPU"}
    made = section(markdown(card(before=[earlier]), []), "How it was made")
    assert "`train first`: seed 3, 4 epochs, 9.0 minutes, GPU." in made
    known = section(markdown(card(before=[earlier | {"revision": "abc"}]), []), "How it was made")
    assert "`train first`: commit abc, seed 3" in known
    assert made.index("`python -m training train`") < made.index("GPU") < made.index("`dln-compact")
    assert "on CPU, 2 threads" in section(markdown(card(), []), "How it was made")


def test_earlier_trainings_are_left_out_if_results_need_the_space() -> None:
    earlier = {"command": "first " * 500, "seed": 3, "minutes": 9.0, "epochs": 4, "machine": "GPU"}
    text = markdown(card(before=[earlier]), rows("test", range(30)))
    assert "first first" not in text
    assert WITHOUT_EARLIER in section(text, "How it was made")
    assert "| metric 29 | 0.029 |" in text


def test_licences_decisions_and_failures_are_those_of_this_version() -> None:
    failure = {"picture": "sad_01.jpg", "credit": "SFHQ", "answer": "neutral", "truth": "sad"}
    text = markdown(card(failures=[failure]), [])
    data = section(text, "Data")
    assert "ferplus, 27,866 training faces: FER2013 pictures" in data
    assert "mine, 3 training faces: a set of your own" in data
    assert "luminance only" in text
    assert "mirror image" in text
    assert "`sad_01.jpg` (SFHQ): answered neutral, it is sad." in text
    published = {"network": {"backbone": {"name": "inception_resnet_v1"}}}
    assert "luminance" not in markdown(card(config=published), [])


def test_a_long_card_shows_the_test_split_and_where_to_see_the_rest() -> None:
    tests = rows("test", range(70))
    text = markdown(card(), [*tests, *rows("validation", range(900, 970))])
    assert len(text) <= LONGEST
    assert "| metric 69 | 0.069 |" in text
    assert "0.950" not in text
    assert WITHOUT_VALIDATION in text
    assert "registry show VERSION --measurements" in text
    assert len(markdown(card(), rows("test", range(900)))) <= LONGEST


def rows(split: str, numbers: Any) -> list[Measurement]:
    return [
        Measurement(split=split, set="ferplus", metric=f"metric_{n}", value=n / 1000)
        for n in numbers
    ]


@pytest.mark.parametrize("name", files.STARTERS)
def test_the_cards_of_shipped_starters_hold_every_decision_and_test_result(name: str) -> None:
    starter = files.Starter.open(name)
    text = markdown(RunCard.read(starter.card), starter.measurements)
    assert "…" not in text
    assert len(text) <= LONGEST
    assert TEXTS[starter.card["model"]].decisions[-1] in section(text, "Our decisions")
    for row in starter.measurements:
        if row.split == "test":
            assert f"| {number(row.value)} " in text, row.name


def register(description: str, run: Tracker) -> versions.Version:
    return versions.register(
        SPEC, Tiny(), crop=CROP, run_id=run.run_id, config={}, description=description
    )


@pytest.fixture
def run(fresh_store: Path) -> Tracker:
    """A finished run with a card and a measurement."""
    assert fresh_store.is_dir()
    run = Tracker("dln", "dln-compact")
    run.card(card().to_dict(), markdown(card(), [ACCURACY]))
    run.measurements([ACCURACY])
    run.close()
    return run


def test_later_measurements_are_added_to_the_card_and_nothing_else_changes(run: Tracker) -> None:
    before = markdown(card(), [ACCURACY])
    version = register(before, run)
    refresh(version)
    assert versions.card(version) == before
    measurements.write(run.run_id, [replace(ACCURACY, value=0.65), LEAK])
    refresh(version)
    after = versions.card(version)
    assert "| triplet accuracy | 0.650 |" in after
    assert "| leak auc, sex: male | 0.730 |" in after
    for heading in set(HEADINGS) - {"Results", "Results by group"}:
        assert section(after, heading) == section(before, heading)
    refresh(version)
    assert versions.card(version) == after
    assert signature.is_signed(versions.resolve("dln/1"))


@pytest.mark.parametrize("edit", [lambda _: "My own.", lambda text: text + "Beware.\n"])
def test_a_description_that_a_person_wrote_or_changed_stays(
    run: Tracker, edit: Callable[[str], str]
) -> None:
    text = markdown(card(), [ACCURACY])
    version = register(text, run)
    entries.describe(version, edit(text))
    measurements.write(run.run_id, [LEAK])
    refresh(version)
    assert versions.card(version) == edit(text)


def test_a_stop_after_the_card_was_written_leaves_it_signed(
    run: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe_and_stop(*arguments: Any) -> None:
        describe(*arguments)
        raise KeyboardInterrupt

    version = register(markdown(card(), [ACCURACY]), run)
    measurements.write(run.run_id, [replace(ACCURACY, value=0.65)])
    describe = entries.describe
    with monkeypatch.context() as patch:
        patch.setattr(entries, "describe", describe_and_stop)
        with pytest.raises(KeyboardInterrupt):
            refresh(version)
    measurements.write(run.run_id, [LEAK])
    refresh(version)
    assert "| leak auc, sex: male | 0.730 |" in versions.card(version)


def test_a_stop_before_the_card_is_written_leaves_the_earlier_one_signed(
    run: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    version = register(markdown(card(), [ACCURACY]), run)
    measurements.write(run.run_id, [LEAK])
    with monkeypatch.context() as patch:
        patch.setattr(entries, "describe", stop)
        with pytest.raises(KeyboardInterrupt):
            refresh(version)
    refresh(version)
    assert "| leak auc, sex: male | 0.730 |" in versions.card(version)


def test_of_two_evaluations_at_once_both_enter_the_card(
    run: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(markdown(card(), [ACCURACY]), run)
    describe, first_describes, goes_on = entries.describe, Event(), Event()

    def describe_slowly(*arguments: Any) -> None:
        if not first_describes.is_set():
            first_describes.set()
            goes_on.wait(100)
        describe(*arguments)

    def evaluate(row: Measurement) -> None:
        measurements.write(run.run_id, [row])
        refresh(version)

    monkeypatch.setattr(entries, "describe", describe_slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(evaluate, replace(ACCURACY, value=0.65))
        assert first_describes.wait(100)
        second = pool.submit(evaluate, LEAK)
        wait([second], timeout=3)
        goes_on.set()
        first.result()
        second.result()
    text = versions.card(version)
    assert "| triplet accuracy | 0.650 |" in text
    assert "| leak auc, sex: male | 0.730 |" in text


def test_a_damaged_run_card_is_an_error(run: Tracker, fresh_store: Path) -> None:
    version = register(markdown(card(), [ACCURACY]), run)
    (path,) = fresh_store.rglob("card.json")
    path.write_text('{"model": "dl')
    with pytest.raises(Unreachable, match=r"card\.json of run"):
        refresh(version)


def test_a_version_without_a_card_keeps_its_description(fresh_store: Path) -> None:
    assert fresh_store.is_dir()
    bare = Tracker("dln", "by hand")
    bare.close()
    version = register("My own.\n\n## Results\n\nGood.", bare)
    refresh(version)
    assert versions.card(version) == "My own.\n\n## Results\n\nGood."
