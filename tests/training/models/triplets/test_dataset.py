"""Triplets that named annotators answered, beside labelled faces."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from registry.catalog import EMOTIONS
from registry.crops import CropSpec
from training.datasets import fixed_triplets
from training.datasets.prepare import READERS, prepare
from training.datasets.prepared import Prepared
from training.datasets.source import RawDataset
from training.datasets.synthetic import toy
from training.loading.batches import WeightedSampler, balanced
from training.models.dln.config import RECIPES
from training.models.dln.task import DLNTask
from training.models.triplets import hierarchy
from training.models.triplets.dataset import NO_ANNOTATOR, TripletDataset, as_triplets

SPEC = CropSpec(size_px=32, margin=0.4)
ANSWERS = {0: {"ann": 1, "bob": 2, "cid": 3}, 1: {"ann": 3, "bob": 3}, 2: {"bob": 1, "cid": 1}}
"""Training triplet -> annotator -> the odd face; the first has no majority."""
MAJORITY = [None, 3, 1]


def annotated() -> RawDataset:
    """Return the toy set without labels, with three annotated training triplets."""
    reading = toy.read()
    train = [p for p in reading.pictures if p.split == "train"]
    rows = [
        (*(train[7 * t + i].name for i in range(3)), "ONE_CLASS_TRIPLET", None, odd, "train")
        for t, odd in enumerate(MAJORITY)
    ]
    answers = [(t, who, odd) for t, given in ANSWERS.items() for who, odd in given.items()]
    assert reading.triplets is not None
    return replace(
        reading,
        pictures=[replace(p, emotion=None, votes=None) for p in reading.pictures],
        triplets=pd.DataFrame(rows, columns=list(reading.triplets)),
        answers=pd.DataFrame(answers, columns=["triplet", "annotator", "answer"]),
    )


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setitem(READERS, "toy", lambda _: annotated())
    prepare("toy", None, tmp_path / "named")
    return Prepared.open(tmp_path / "named")


@pytest.fixture
def labelled(drawn: Path, tmp_path: Path) -> Prepared:
    shutil.copytree(drawn, tmp_path / "labelled")
    return Prepared.open(tmp_path / "labelled")


def every_answer(batch: dict[str, Tensor]) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield anchor, positive, negative, annotator and type of every answer, by a plain loop."""
    keys = ("triplet", "annotator", "answer", "type")
    for faces, annotators, answers, number in zip(
        *(batch[key].tolist() for key in keys), strict=True
    ):
        for annotator, odd in zip(annotators, answers, strict=True):
            if annotator != NO_ANNOTATOR:
                pair = [faces[(odd + i) % 3] for i in (0, 1)]
                yield pair[0], pair[1], faces[odd - 1], annotator, number


def test_every_answer_is_a_triplet_of_its_annotator(named: Prepared) -> None:
    batch = TripletDataset([named], SPEC, simulated=12).__getitems__([2, 0, 1])
    triplets = as_triplets(batch)
    columns = (
        triplets.anchor, triplets.positive, triplets.negative, triplets.annotator, triplets.type,
    )  # fmt: skip
    found = list(zip(*(each.tolist() for each in columns), strict=True))
    assert found == list(every_answer(batch))
    assert len(found) == sum(map(len, ANSWERS.values()))
    assert (triplets.type == 1).all()


def test_faces_and_answers_are_those_of_the_set(named: Prepared) -> None:
    dataset = TripletDataset([named], SPEC, simulated=12)
    assert sorted(dataset.annotator_names) == [
        f"{named.name}/{who}" for who in ("ann", "bob", "cid")
    ]
    assert dataset.annotator_names[0].endswith("bob"), "most answers first"
    assert named.triplets is not None
    row = pd.Series(range(len(named.index)), index=named.index["name"])
    for number, given in ANSWERS.items():
        batch = dataset.__getitems__([number])
        names = named.triplets.loc[number, ["name_1", "name_2", "name_3"]]
        expected = named.faces(SPEC)[row[names]]
        np.testing.assert_array_equal(batch["faces"].permute(0, 2, 3, 1).numpy(), expected)
        found = {
            dataset.annotator_names[who].partition("/")[2]: odd
            for who, odd in zip(batch["annotator"][0], batch["answer"][0], strict=True)
            if who != NO_ANNOTATOR
        }
        assert found == given
    fixed, _ = fixed_triplets.answered(named, "train")
    assert fixed["answer"].tolist() == [odd for odd in MAJORITY if odd]


def test_labelled_faces_and_annotated_triplets_share_a_batch_as_configured(
    labelled: Prepared, named: Prepared
) -> None:
    dataset = TripletDataset([labelled, named], SPEC, simulated=5)
    assert dataset.annotators == 5 + 3
    weights = dataset.weights(balance=0.5, source_balance=0.5, annotated_share=0.75)
    assert dataset.items_per_batch(300, weights) == 150
    items = [item for _ in range(20) for item in WeightedSampler(weights, seed=1)]
    triplets = sum(item >= dataset.labelled_count for item in items)
    assert 0.7 < 3 * triplets / (len(items) + 2 * triplets) < 0.8
    batch = dataset.__getitems__([dataset.labelled_count, 0, dataset.labelled_count + 2])
    assert len(batch["faces"]) == 7
    assert batch["triplet"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert set(batch["annotator"].unique().tolist()) <= {NO_ANNOTATOR, 5, 6, 7}
    assert batch["shares"][0].sum() == 1
    assert not batch["shares"][1:].any()


def test_each_named_annotator_learns_its_own_bias(
    labelled: Prepared, named: Prepared, tmp_path: Path
) -> None:
    recipe = replace(
        RECIPES["dln-smoke"], toy=False, data=(labelled.folder, named.folder), runs=tmp_path
    )
    task = DLNTask(recipe)
    task.dln.train()
    first = task.dataset.labelled_count
    batch = task.dataset.__getitems__([*range(20), *(first + i for i in range(3))])
    (update,) = task.step(task.networks, batch)
    update.loss.backward()
    change = task.crowd.weight_change
    assert change is not None
    assert change.grad is not None
    assert change.grad[-3:].flatten(1).norm(dim=1).gt(0).all()


def test_equal_weights_draw_each_item_once_an_epoch() -> None:
    sampler = WeightedSampler(np.ones(50), seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_hierarchical_triplets_are_fine_within_a_group_and_coarse_across_groups() -> None:
    torch.manual_seed(0)
    group = {emotion: i for i, few in enumerate(hierarchy.GROUPS) for emotion in few}
    emotion = torch.arange(64) % len(EMOTIONS)
    shares = torch.eye(len(EMOTIONS))[emotion]
    shares[::9] = 1 / len(EMOTIONS)
    embeddings = torch.nn.functional.normalize(torch.randn(64, 16), dim=1)
    triplets = hierarchy.draw(embeddings, shares)
    faces = torch.stack([triplets.anchor, triplets.positive, triplets.negative], 1)
    assert not (faces % 9 == 0).any(), "these faces have no majority"
    found = set()
    for (a, p, n), number in zip(faces.tolist(), triplets.type.tolist(), strict=True):
        names = [EMOTIONS[int(emotion[face])] for face in (a, p, n)]
        assert a != p
        assert group[names[0]] == group[names[1]]
        fine = names[0] == names[1]
        assert (group[names[2]] == group[names[0]]) is fine
        assert names[2] not in names[:2]
        assert number == (2 if fine else 3)
        found.add((fine, group[names[0]]))
    assert found == {(True, 3), (False, 3)}


def test_the_odd_face_of_a_hierarchical_triplet_is_a_hard_negative() -> None:
    torch.manual_seed(0)
    emotion = torch.arange(200) % len(EMOTIONS)
    embeddings = torch.nn.functional.normalize(torch.randn(200, 16), dim=1)
    triplets = hierarchy.draw(embeddings, torch.eye(len(EMOTIONS))[emotion])
    negatives = (embeddings[triplets.anchor] - embeddings[triplets.negative]).norm(dim=1)
    all_pairs = torch.nn.functional.pdist(embeddings)
    assert negatives.mean() < all_pairs.quantile(0.25)


@pytest.mark.parametrize(("exponent", "share"), [(0.0, 0.1), (0.5, 0.25), (1.0, 0.5)])
def test_the_exponent_balances_classes(exponent: float, share: float) -> None:
    classes = np.repeat([0, 1], [10, 90])
    weights = balanced(classes, exponent)
    assert weights[classes == 0].sum() / weights.sum() == pytest.approx(share)


def test_the_label_distance_loss_is_left_out_if_no_face_has_votes(
    named: Prepared, tmp_path: Path
) -> None:
    recipe = replace(
        RECIPES["dln-smoke"],
        toy=False,
        data=(named.folder,),
        runs=tmp_path,
        label_distance_weight=1.0,
    )
    task = DLNTask(recipe)
    (update,) = task.step(task.networks, task.dataset.__getitems__([0, 1, 2]))
    assert torch.isfinite(update.loss)
