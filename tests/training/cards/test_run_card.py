"""The model card: one form for every model, every number once, at a length MLflow keeps."""

from pathlib import Path
from typing import Any

import pytest

from registry import store, versions
from registry.catalog import CATALOG
from tests.registry.conftest import CROP, SPEC, Tiny
from training.cards import run_card
from training.recipes import TASKS
from training.starters import files

TRAINED = [task.spec.name for task in TASKS.values() if task.spec]  # type: ignore[attr-defined]
ACCURACY = "test/ferplus/triplet_accuracy"


def said(model: str = "dln", **changes: Any) -> dict[str, Any]:
    return {
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
        "machine": "CPU, 2 threads",
        "metrics": {ACCURACY: 0.64},
        "config": {"network": {"backbone": {"name": "compact"}, "flip_average": True}},
    } | changes


def section(text: str, heading: str) -> str:
    return text.partition(f"## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("model", TRAINED)
def test_every_model_that_trains_has_every_heading_filled_in_order(model: str) -> None:
    text = run_card.markdown(said(model))
    found = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert tuple(found) == run_card.HEADINGS
    assert text.startswith(f"{CATALOG[model].title}, trained by recipe `{model}-compact`\n")
    assert all(len(section(text, heading).strip()) > 20 for heading in run_card.HEADINGS)
    assert "docs/ethics.md" in section(text, "Misuse")
    assert "python -m training train" in section(text, "How it was made")


def test_the_trainings_before_this_one_are_told_first() -> None:
    earlier = {"command": "train first", "seed": 3, "minutes": 9.0, "epochs": 4, "machine": "GPU"}
    made = section(run_card.markdown(said(before=[earlier])), "How it was made")
    assert "`train first`: seed 3, 4 epochs, 9.0 minutes, GPU." in made
    known = section(
        run_card.markdown(said(before=[earlier | {"revision": "abc"}])), "How it was made"
    )
    assert "`train first`: commit abc, seed 3" in known
    assert made.index("`python -m training train`") < made.index("GPU") < made.index("`dln-compact")
    assert "on CPU, 2 threads" in section(run_card.markdown(said()), "How it was made")


def test_an_interval_stands_in_the_cell_of_its_metric() -> None:
    ends = {f"{ACCURACY}_low": 0.594, f"{ACCURACY}_high": 0.686}
    text = run_card.markdown(
        said(metrics={ACCURACY: 0.64, "test/london/triplet_accuracy": 0.8} | ends)
    )
    results = section(text, "Results")
    assert "| test | ferplus | london |" in results
    assert "| triplet accuracy | 0.640 (0.59 to 0.69) | 0.800 |" in results
    assert "0.594" not in text
    assert "low" not in results


def test_a_metric_that_only_sounds_like_an_end_has_its_own_row() -> None:
    results = section(run_card.markdown(said(metrics={"test/london/share_low": 0.25})), "Results")
    assert "| share low | 0.250 |" in results


def test_what_was_measured_of_a_set_split_or_machine_is_told_apart() -> None:
    metrics = {
        "validation/triplet_accuracy": 0.61,
        "train/loss": 0.123,
        "test/ferplus/faces": 3545.0,
        "latency_ms/batch_1": 4.5,
    }
    results = section(run_card.markdown(said(metrics=metrics)), "Results")
    assert "| validation | all sets |\n|---|---|\n| triplet accuracy | 0.610 |" in results
    assert "| faces | 3,545 |" in results
    assert "| batch 1 | 4.500 |" in results
    assert "0.123" not in results


@pytest.mark.parametrize("sign", ":=")
def test_groups_stand_by_themselves(sign: str) -> None:
    leak = "test/london/leak_auc"
    metrics = {
        leak: 0.7,
        f"{leak}/sex{sign}female": 0.71,
        f"{leak}/sex{sign}female_low": 0.66,
        f"{leak}/sex{sign}female_high": 0.76,
        f"{leak}/ethnicity{sign}east_asian": 0.72,
        "test/ferplus/recall_sad": 0.58,
        "test/ferplus/mean_recall": 0.54,
    }
    text = run_card.markdown(said(metrics=metrics))
    everybody, groups = section(text, "Results"), section(text, "Results by group")
    assert "| leak auc, sex female |  | 0.710 (0.66 to 0.76) |" in groups
    assert "| leak auc, ethnicity east_asian |  | 0.720 |" in groups
    assert "| recall, sad | 0.580 |  |" in groups
    assert "| leak auc |  | 0.700 |" in everybody
    assert "| mean recall | 0.540 |  |" in everybody
    assert "female" not in everybody
    assert "sad" not in everybody


def test_licences_decisions_and_failures_are_those_of_this_version() -> None:
    shown = {"picture": "sad_01.jpg", "credit": "SFHQ", "answer": "neutral", "truth": "sad"}
    text = run_card.markdown(said(failures=[shown]))
    data = section(text, "Data")
    assert "ferplus, 27,866 training faces: FER2013 pictures" in data
    assert "mine, 3 training faces: a set of your own" in data
    assert "luminance only" in text
    assert "mirror image" in text
    assert "`sad_01.jpg` (SFHQ): answered neutral, the truth is sad." in text
    papers = run_card.markdown(
        said(config={"network": {"backbone": {"name": "inception_resnet_v1"}}})
    )
    assert "luminance" not in papers


def test_a_long_card_keeps_the_test_and_a_length_that_databases_take() -> None:
    tests = {f"test/ferplus/metric_{n}": n / 100 for n in range(70)}
    text = run_card.markdown(
        said(metrics=tests | {k.replace("test", "validation"): 0.95 for k in tests})
    )
    assert len(text) <= run_card.LONGEST
    assert "| metric 69 | 0.690 |" in text
    assert "0.950" not in text
    assert run_card.ELSEWHERE in text
    endless = {f"test/ferplus/metric_{n}": n / 1000 for n in range(900)}
    assert len(run_card.markdown(said(metrics=endless))) <= run_card.LONGEST


@pytest.mark.parametrize("name", files.STARTERS)
def test_the_shipped_starters_fit_their_cards_whole(name: str) -> None:
    text = run_card.markdown(files.Starter.open(name).card)
    assert run_card.ELSEWHERE not in text
    assert "Our decisions" in text
    assert len(text) <= run_card.LONGEST


def register(description: str) -> versions.Version:
    client = store.connect()
    run = client.create_run(store.experiment("dln"))
    client.log_metric(run.info.run_id, ACCURACY, 0.64)
    return versions.register(
        SPEC, Tiny(), crop=CROP, run_id=run.info.run_id, config={}, description=description
    )


def test_what_is_measured_later_enters_the_card_and_nothing_else_changes(fresh_store: Path) -> None:
    assert fresh_store.is_dir()
    before = run_card.markdown(said())
    version = register(before)
    for key, value in {ACCURACY: 0.65, "test/london/leak_auc/sex:male": 0.73}.items():
        store.connect().log_metric(version.run_id, key, value)
    run_card.refresh(version)
    after = versions.card(version)
    assert "| triplet accuracy | 0.650 |" in after
    assert "| leak auc, sex male | 0.730 |" in after
    for heading in set(run_card.HEADINGS) - {"Results", "Results by group"}:
        assert section(after, heading) == section(before, heading)
    run_card.refresh(version)
    assert versions.card(version) == after


def test_words_of_somebodys_own_stay(fresh_store: Path) -> None:
    assert fresh_store.is_dir()
    version = register("My own.\n\n## Results\n\nGood.")
    run_card.refresh(version)
    assert versions.card(version) == "My own.\n\n## Results\n\nGood."
