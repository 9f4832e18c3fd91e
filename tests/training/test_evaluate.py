"""Evaluating a version: rows of its table, outcomes of each face, data without labels."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from registry import measurements, promotion, store, versions
from registry.__main__ import main
from registry.artifacts import fetch
from registry.catalog import EMOTION
from registry.crops import CropSpec
from registry.promotion import gates
from training.datasets.prepared import Prepared
from training.engine.inference import GraphModule, outputs
from training.engine.recipe import RecipeError
from training.evaluate import evaluate
from training.metrics.robustness import CHANGES

LABELS = EMOTION.labels
MAIN = {
    f"test/toy/{metric}" for metric in ("accuracy", "calibration_error", "macro_f1", "mean_recall")
}
WITHOUT_LATENCY = """
[emotion]
primary = ["macro_f1"]
metrics = { macro_f1 = { margin = 0.02, greater_is_better = true } }
"""


class Brightness(nn.Module):
    """Predicts an emotion from the mean of the picture."""

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        bright = faces.mean((1, 2, 3))[:, None]
        return {"logits": 20 * bright * torch.linspace(-1, 1, len(LABELS))}


@pytest.fixture
def toy(drawn: Path, tmp_path: Path) -> Prepared:
    shutil.copytree(drawn, tmp_path / "toy")
    return Prepared.open(tmp_path / "toy")


@pytest.fixture
def version(fresh_store: Path) -> versions.Version:
    assert fresh_store.is_dir()
    return registered(Brightness())


def registered(
    network: nn.Module, class_prior: Mapping[str, float] | None = None
) -> versions.Version:
    run = store.connect().create_run(store.experiment(EMOTION.name))
    return versions.register(
        EMOTION,
        network,
        crop=CropSpec(size_px=48, margin=0.05),
        run_id=run.info.run_id,
        config={},
        description="Knows bright from dark.",
        labels=LABELS,
        class_prior=class_prior,
    )


def test_each_number_is_a_row_of_the_table_and_the_main_ones_are_metrics_and_tags(
    version: versions.Version, toy: Prepared, tmp_path: Path
) -> None:
    rows = evaluate("emotion/1", toy)
    assert versions.measurements(version) == measurements.merged([], rows)
    client = store.connect()
    logged = client.get_run(version.run_id).data.metrics
    value = {row.name: row.value for row in rows}
    assert logged == {name: value[name] for name in MAIN}
    tags = client.get_model_version("emotion", "1").tags
    assert {name: tags.get(name) for name in value} == {
        name: f"{value[name]:.4f}" if name in MAIN else None for name in value
    }
    path = fetch(version.run_id, "evaluation/test-toy-version-1.parquet", tmp_path)
    assert path is not None
    faces = pd.read_parquet(path)
    right = faces["answer"] == faces["emotion"]
    assert value["test/toy/accuracy"] == pytest.approx(right.mean())
    for emotion, of_emotion in right.groupby(faces["emotion"]):
        assert value[f"test/toy/recall/emotion:{emotion}"] == of_emotion.mean()
    assert value["test/toy/faces"] == len(faces)
    assert 0 < value["test/toy/majority/faces"] <= len(faces)
    assert {row.group for row in rows if row.metric == "robustness"} == set(CHANGES)
    assert {"latency_ms/batch 1", "latency_ms/batch 32"} <= value.keys()
    (accuracy,) = (row for row in rows if row.name == "test/toy/accuracy")
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert accuracy.low < accuracy.value < accuracy.high


@pytest.mark.usefixtures("fresh_store")
def test_answers_without_the_class_prior_have_rows_of_their_own(toy: Prepared) -> None:
    prior = dict(zip(LABELS, torch.linspace(-10, 10, 8).softmax(0).tolist(), strict=True))
    version = registered(Brightness(), class_prior=prior)
    rows = {(row.protocol, row.metric): row.value for row in evaluate("emotion/1", toy)}
    faces = toy.split("test")
    model = GraphModule(versions.load(version))
    right = []
    for face in faces:
        (logits,) = outputs(model, toy, np.array([face]), version.crop)["logits"].tolist()
        shares = {k: math.exp(x) / prior[k] for k, x in zip(LABELS, logits, strict=True)}
        answer = max(shares, key=shares.__getitem__)
        right.append(LABELS.index(answer) == toy.index["emotion"].iloc[face])
    assert rows["balanced", "accuracy"] == pytest.approx(np.mean(right))
    assert rows["balanced", "accuracy"] != rows["", "accuracy"]


def test_splits_have_separate_rows_and_measuring_again_replaces_a_split(
    version: versions.Version, toy: Prepared
) -> None:
    first = evaluate("emotion/1", toy)
    evaluate("emotion/1", toy, "validation")
    evaluate("emotion/1", toy)
    table = versions.measurements(version)
    assert len({row.key for row in table}) == len(table)
    assert {row.split for row in table} == {"", "test", "validation"}
    assert [row for row in first if row.split and row not in table] == []


@pytest.mark.usefixtures("version")
def test_a_set_without_labels_is_refused_and_nothing_is_logged(toy: Prepared) -> None:
    nameless = Prepared(toy.folder, "no labels", toy.index.assign(emotion=None), None)
    with pytest.raises(RecipeError, match="holds nothing in split test"):
        evaluate("emotion/1", nameless)
    assert versions.measurements(versions.resolve("emotion/1")) == []


def test_a_promotion_measures_what_is_missing_and_compares_both(
    version: versions.Version, toy: Prepared, fresh_store: Path
) -> None:
    registered(Brightness())
    evaluate("emotion/1", toy)
    promotion.promote("emotion", version.number)
    (fresh_store / gates.FILE).write_text(WITHOUT_LATENCY)
    assert main(["promote", "emotion", "2", "--evaluate"]) == 0
    promoted = versions.resolve("emotion")
    assert (promoted.number, promoted.validation) == (2, "passed")
    assert "macro f1 on toy, test" in promoted.validation_reason
    assert "difference +0.000 (+0.000 to +0.000)" in promoted.validation_reason
