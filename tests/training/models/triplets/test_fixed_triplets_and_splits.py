"""Faults of public FECNet copies that spoil the evaluation without an error.

Triplets are shifted by a missing face, answers name the wrong face, ties count as right, one
person's photos lie in two splits.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from tests.training.models.triplets.few_faces import LISTED, NAMES, VALIDATION, picture, source
from training.datasets.fixed_triplets import answered
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.datasets.readers import ferplus, lfw_emotion, london
from training.datasets.splits import person_splits
from training.metrics.triplet_accuracy import outcomes
from training.models.fecnet.task import FECNetTask
from training.recipes import RECIPES

SMOKE = RECIPES["fecnet-smoke"]
FACES = ["name_1", "name_2", "name_3"]


def listed_among(names: set[str]) -> list[tuple[str, ...]]:
    """Return the fixed validation triplets whose faces are all in `names`, in the list's order."""
    listed = ferplus.triplets()
    rows = listed[listed["split"] == "validation"][FACES].itertuples(index=False, name=None)
    return [row for row in rows if names.issuperset(row)]


def face_names(data: Prepared, rows: np.ndarray) -> list[tuple[str, ...]]:
    """Return the names of the triplets' faces, given as rows."""
    return [tuple(names) for names in data.index["name"].to_numpy()[rows]]


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("few")
    prepare("ferplus", source(folder / "source"), folder / "data")
    return Prepared.open(folder / "data")


@pytest.mark.parametrize("which", [0, len(VALIDATION) // 2, len(VALIDATION) - 1])
@pytest.mark.parametrize("how", ["unlisted", "unreadable", "not in the index"])
def test_a_missing_face_removes_only_its_own_triplets(
    complete: Prepared, tmp_path: Path, how: str, which: int
) -> None:
    missing = VALIDATION[which]
    left = [name for name in VALIDATION if name != missing]
    if how == "not in the index":
        index = complete.index[complete.index["name"] != missing].reset_index(drop=True)
        data = Prepared(complete.folder, complete.name, index, complete.triplets)
    else:
        listed = VALIDATION if how == "unreadable" else left
        folder = source(tmp_path / "source", NAMES | {"FER2013Valid": listed})
        if how == "unreadable":
            (folder / "FER2013Valid" / f"{missing}.png").write_bytes(b"no picture")
        prepare("ferplus", folder, tmp_path / "data")
        data = Prepared.open(tmp_path / "data")
    triplets, rows = answered(data, "validation")
    assert face_names(data, rows) == listed_among(set(left))
    assert face_names(data, rows) == list(triplets[FACES].itertuples(index=False, name=None))
    assert set(listed_among(set(VALIDATION))) - set(listed_among(set(left))) == {
        row for row in listed_among(set(VALIDATION)) if missing in row
    }


def test_the_first_and_the_last_line_of_every_list_are_there(complete: Prepared) -> None:
    for split, names in zip(("train", "validation", "test"), NAMES.values(), strict=True):
        assert complete.index["name"][complete.index["split"] == split].tolist() == list(names)
    _, rows = answered(complete, "validation")
    assert face_names(complete, rows)[0] == tuple(LISTED[FACES].iloc[0])


class Lookup(nn.Module):
    """Outputs the vector of each face's name, looked up by its pixels."""

    def __init__(self, vector_of: Callable[[str], list[float]]) -> None:
        super().__init__()
        names = [name for listed in NAMES.values() for name in listed]
        self.vectors = {picture(name).tobytes(): vector_of(name) for name in names}

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        pixels = (faces * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return {"expression": torch.tensor([self.vectors[face.tobytes()] for face in pixels])}


class TaskOf(FECNetTask):
    """FECNet's task on an opened set."""

    def __init__(self, data: Prepared, runs: Path) -> None:
        super().__init__(replace(SMOKE, toy=False, data=(data.folder,), runs=runs))
        self.data = data

    @cached_property
    def sets(self) -> tuple[Prepared, ...]:
        return (self.data,)


def accuracy(data: Prepared, tmp_path: Path, network: nn.Module) -> float:
    """Return the accuracy that a task measures on the fixed validation triplets."""
    measured = TaskOf(data, tmp_path).validate({"fecnet": network.eval()})
    name = f"validation/{data.name}/triplet_accuracy"
    (row,) = (row for row in measured if row.name == name)
    return row.value


def test_the_answer_names_the_odd_face_in_every_order_of_the_faces(
    complete: Prepared, tmp_path: Path
) -> None:
    first, second, odd = VALIDATION[:3]
    vectors = {first: [0.0, 0.0], second: [1.0, 0.0], odd: [3.0, 0.0]}
    network = Lookup(lambda name: vectors.get(name, [9.0, 9.0]))
    for faces in permutations((first, second, odd)):
        for answer in (1, 2, 3):
            row = (*faces, "TWO_CLASS_TRIPLET", answer, "validation")
            triplets = pd.DataFrame([row], columns=[*FACES, "type", "answer", "split"])
            data = Prepared(complete.folder, complete.name, complete.index, triplets)
            assert accuracy(data, tmp_path, network) == float(faces[answer - 1] == odd)


def test_a_tie_is_wrong_on_either_side_and_in_every_order() -> None:
    ties = {
        "odd as near to the first": [[0.0, 0.0], [2.0, 0.0], [-2.0, 0.0]],
        "odd as near to the second": [[2.0, 0.0], [0.0, 0.0], [-2.0, 0.0]],
        "all as near": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        "all the same": [[1.0, 0.0]] * 3,
    }
    for where, vectors in ties.items():
        for order in permutations(range(3)):
            odd = np.array([order.index(2) + 1])
            right = outcomes(np.array(vectors), np.array([order]), odd)
            assert right.tolist() == [False], f"{where}, {order}"


def test_a_network_with_equal_outputs_has_accuracy_zero(complete: Prepared, tmp_path: Path) -> None:
    assert accuracy(complete, tmp_path, Lookup(lambda _: [0.6, 0.8])) == 0.0


def test_identical_news_photos_stay_in_the_last_of_their_splits(tmp_path: Path) -> None:
    split = person_splits("lfw_emotion")
    validated, tested = (next(p for p in split if split[p] == s) for s in ("validation", "test"))
    (tmp_path / "images").mkdir()
    for person, contents in {"Nobody_Listed": "abc", validated: "bcd", tested: "ce"}.items():
        for number, content in enumerate(contents, start=1):
            (tmp_path / "images" / f"{person}_{number:04d}.jpg").write_text(content)
    (tmp_path / "legend.csv").write_text("user.id,image,emotion\n")
    found = {(p.name, p.split) for p in lfw_emotion.read(tmp_path).pictures}
    assert found == {
        ("Nobody_Listed_0001", "train"),
        (f"{validated}_0001", "validation"),
        (f"{validated}_0003", "validation"),
        (f"{tested}_0001", "test"),
        (f"{tested}_0002", "test"),
    }


def test_all_london_photos_of_a_person_are_in_one_split(tmp_path: Path) -> None:
    split = {"001": "train"} | person_splits("london")
    lines = ["face_id,face_age,face_gender,face_eth", *(f"{p},30,female,white" for p in split)]
    (tmp_path / "info.csv").write_text("\n".join(lines) + "\n")
    for person in split:
        for shot in ("03", "08"):
            (tmp_path / f"{person}_{shot}.jpg").write_text(person + shot)
    found = [(p.person, p.split) for p in london.read(tmp_path).pictures]
    assert sorted(found) == sorted(2 * [*split.items()])
