"""AnnotatedTriplets that named annotators judged, beside labelled faces."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from registry.catalog import EMOTIONS
from registry.faces import CropSpec
from training.datasets import fixed_triplets
from training.datasets.prepare import READERS, prepare
from training.datasets.prepared import Prepared
from training.datasets.source import RawDataset
from training.datasets.synthetic import toy
from training.loading.batches import WeightedSampler, balanced
from training.models.dln.config import RECIPES
from training.models.dln.task import DLNTask
from training.models.triplets import hierarchy
from training.models.triplets.dataset import NOBODY, TripletDataset, as_triplets

SPEC = CropSpec(size_px=32, margin=0.4)
SAID = {0: {"ann": 1, "bob": 2, "cid": 3}, 1: {"ann": 3, "bob": 3}, 2: {"bob": 1, "cid": 1}}
"""Training triplet -> annotator -> the odd face; on the first nobody agrees."""
AGREED = [None, 3, 1]


def judged() -> RawDataset:
    """Return the drawn set without labels, three of its training faces' triplets judged."""
    reading = toy.read()
    train = [p for p in reading.pictures if p.split == "train"]
    rows = [
        (*(train[7 * t + i].name for i in range(3)), "ONE_CLASS_TRIPLET", None, odd, "train")
        for t, odd in enumerate(AGREED)
    ]
    answers = [(t, who, odd) for t, said in SAID.items() for who, odd in said.items()]
    assert reading.triplets is not None
    return replace(
        reading,
        pictures=[replace(p, emotion=None, votes=None) for p in reading.pictures],
        triplets=pd.DataFrame(rows, columns=list(reading.triplets)),
        answers=pd.DataFrame(answers, columns=["triplet", "annotator", "answer"]),
    )


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setitem(READERS, "toy", lambda _: judged())
    prepare("toy", None, tmp_path / "named")
    return Prepared.open(tmp_path / "named")


@pytest.fixture
def labelled(tmp_path: Path) -> Prepared:
    prepare("toy", None, tmp_path / "labelled")
    return Prepared.open(tmp_path / "labelled")


def all_of(batch: dict[str, Tensor]) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield anchor, positive, negative, annotator and type of every answer, by a plain loop."""
    for three, annotators, answers, kind in zip(
        *(batch[key].tolist() for key in ("three", "annotator", "answer", "kind")), strict=True
    ):
        for annotator, odd in zip(annotators, answers, strict=True):
            if annotator != NOBODY:
                pair = [three[(odd + i) % 3] for i in (0, 1)]
                yield pair[0], pair[1], three[odd - 1], annotator, kind


def test_every_answer_is_a_triplet_of_its_annotator(named: Prepared) -> None:
    material = TripletDataset([named], SPEC, simulated=12)
    batch = material.__getitems__([2, 0, 1])
    keys = ("three", "annotator", "answer", "kind")
    triplets = as_triplets(*(batch[key] for key in keys))
    columns = (
        triplets.anchor, triplets.positive, triplets.negative, triplets.annotator, triplets.type,
    )  # fmt: skip
    found = list(zip(*(each.tolist() for each in columns), strict=True))
    assert found == list(all_of(batch))
    assert len(found) == sum(map(len, SAID.values()))
    assert (triplets.type == 1).all()


def test_the_faces_and_words_are_those_of_the_set(named: Prepared) -> None:
    material = TripletDataset([named], SPEC, simulated=12)
    assert sorted(material.names) == [f"{named.name}/{who}" for who in ("ann", "bob", "cid")]
    assert material.names[0].endswith("bob"), "who answered most comes first, and stays fixed"
    assert named.triplets is not None
    row = pd.Series(range(len(named.index)), index=named.index["name"])
    for number, said in SAID.items():
        batch = material.__getitems__([number])
        names = named.triplets.loc[number, ["name_1", "name_2", "name_3"]]
        expected = named.faces(SPEC)[row[names]]
        np.testing.assert_array_equal(batch["faces"].permute(0, 2, 3, 1).numpy(), expected)
        told = {
            material.names[who].partition("/")[2]: odd
            for who, odd in zip(batch["annotator"][0], batch["answer"][0], strict=True)
            if who != NOBODY
        }
        assert told == said
    fixed, _ = fixed_triplets.fixed(named, "train")
    assert fixed["answer"].tolist() == [odd for odd in AGREED if odd], "no majority, no question"


def test_both_kinds_of_faces_meet_in_a_batch_in_the_stated_share(
    labelled: Prepared, named: Prepared
) -> None:
    material = TripletDataset([labelled, named], SPEC, simulated=5)
    assert material.annotators == 5 + 3
    weights = material.weights(balance=0.5, source_balance=0.5, annotated_share=0.75)
    assert material.items(300, weights) == 150
    items = [item for _ in range(20) for item in WeightedSampler(weights, seed=1)]
    threes = sum(item >= material.labelled for item in items)
    assert 0.7 < 3 * threes / (len(items) + 2 * threes) < 0.8
    batch = material.__getitems__([material.labelled, 0, material.labelled + 2])
    assert len(batch["faces"]) == 7
    assert batch["three"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert set(batch["annotator"].unique().tolist()) <= {NOBODY, 5, 6, 7}
    assert batch["shares"][0].sum() == 1
    assert not batch["shares"][1:].any()


def test_named_annotators_learn_views_of_their_own(
    labelled: Prepared, named: Prepared, tmp_path: Path
) -> None:
    recipe = replace(
        RECIPES["dln-smoke"], toy=False, data=(labelled.folder, named.folder), runs=tmp_path
    )
    task = DLNTask(recipe)
    task.dln.train()
    batch = task.material.__getitems__(
        [*range(20), *(task.material.labelled + i for i in range(3))]
    )
    (update,) = task.step(task.networks, batch)
    update.loss.backward()
    weight = task.crowd.weight
    assert weight is not None
    assert weight.grad is not None
    assert weight.grad[-3:].flatten(1).norm(dim=1).gt(0).all()


def test_equal_weights_draw_each_item_once_an_epoch() -> None:
    sampler = WeightedSampler(np.ones(50), seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_the_hierarchy_asks_within_a_group_and_across_groups() -> None:
    torch.manual_seed(0)
    group = {emotion: i for i, few in enumerate(hierarchy.GROUPS) for emotion in few}
    emotion = torch.arange(64) % len(EMOTIONS)
    shares = torch.eye(len(EMOTIONS))[emotion]
    shares[::9] = 1 / len(EMOTIONS)
    embeddings = torch.nn.functional.normalize(torch.randn(64, 16), dim=1)
    triplets = hierarchy.draw(embeddings, shares)
    threes = torch.stack([triplets.anchor, triplets.positive, triplets.negative], 1)
    assert not (threes % 9 == 0).any(), "nobody knows what these faces show"
    seen = set()
    for (a, p, n), kind in zip(threes.tolist(), triplets.type.tolist(), strict=True):
        words = [EMOTIONS[int(emotion[face])] for face in (a, p, n)]
        assert a != p
        assert group[words[0]] == group[words[1]]
        fine = words[0] == words[1]
        assert (group[words[2]] == group[words[0]]) is fine
        assert words[2] not in words[:2]
        assert kind == (2 if fine else 3)
        seen.add((fine, group[words[0]]))
    assert seen == {(True, 3), (False, 3)}


def test_the_odd_face_of_the_hierarchy_is_a_hard_one() -> None:
    torch.manual_seed(0)
    emotion = torch.arange(200) % len(EMOTIONS)
    embeddings = torch.nn.functional.normalize(torch.randn(200, 16), dim=1)
    triplets = hierarchy.draw(embeddings, torch.eye(len(EMOTIONS))[emotion])
    apart = (embeddings[triplets.anchor] - embeddings[triplets.negative]).norm(dim=1)
    anybody = torch.nn.functional.pdist(embeddings)
    assert apart.mean() < anybody.quantile(0.25)


@pytest.mark.parametrize(("exponent", "share"), [(0.0, 0.1), (0.5, 0.25), (1.0, 0.5)])
def test_the_exponent_leads_from_as_they_come_to_each_equally_often(
    exponent: float, share: float
) -> None:
    classes = np.repeat([0, 1], [10, 90])
    weights = balanced(classes, exponent)
    assert weights[classes == 0].sum() / weights.sum() == pytest.approx(share)


def test_votes_play_no_part_where_nobody_voted(named: Prepared, tmp_path: Path) -> None:
    recipe = replace(
        RECIPES["dln-smoke"],
        toy=False,
        data=(named.folder,),
        runs=tmp_path,
        label_distance_weight=1.0,
    )
    task = DLNTask(recipe)
    (update,) = task.step(task.networks, task.material.__getitems__([0, 1, 2]))
    assert torch.isfinite(update.loss)
