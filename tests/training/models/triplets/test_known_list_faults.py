"""Faults of public FECNet copies that spoil what is asked: triplets, answers, ties, splits."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from tests.training.models.triplets.few_faces import LISTED, NAMES, VALIDATION, picture, source
from training.datasets.fixed_triplets import fixed
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.datasets.readers import ferplus, lfw_emotion, london
from training.datasets.splits import person_splits
from training.metrics.triplet_accuracy import outcomes
from training.models.fecnet.task import FECNetTask
from training.recipes import RECIPES

FACES = ["name_1", "name_2", "name_3"]


def among(names: set[str]) -> list[tuple[str, ...]]:
    """Return the fixed validation triplets of these faces alone, in the list's order."""
    listed = ferplus.triplets()
    rows = listed[listed["split"] == "validation"][FACES].itertuples(index=False, name=None)
    return [row for row in rows if names.issuperset(row)]


def named(data: Prepared, rows: np.ndarray) -> list[tuple[str, ...]]:
    """Return the names of the faces at these rows."""
    return [tuple(three) for three in data.index["name"].to_numpy()[rows]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("few")
    prepare("ferplus", source(folder / "source"), folder / "data")
    return Prepared.open(folder / "data")


@pytest.mark.parametrize("which", [0, len(VALIDATION) // 2, len(VALIDATION) - 1])
@pytest.mark.parametrize("how", ["unlisted", "unreadable", "not in the index"])
def test_a_missing_face_takes_its_own_triplets_along_and_no_other(
    whole: Prepared, tmp_path: Path, how: str, which: int
) -> None:
    missing = VALIDATION[which]
    left = [name for name in VALIDATION if name != missing]
    if how == "not in the index":
        index = whole.index[whole.index["name"] != missing].reset_index(drop=True)
        data = Prepared(whole.folder, whole.name, index, whole.triplets)
    else:
        listed = VALIDATION if how == "unreadable" else left
        folder = source(tmp_path / "source", NAMES | {"FER2013Valid": listed})
        if how == "unreadable":
            (folder / "FER2013Valid" / f"{missing}.png").write_bytes(b"no picture")
        prepare("ferplus", folder, tmp_path / "data")
        data = Prepared.open(tmp_path / "data")
    triplets, rows = fixed(data, "validation")
    assert named(data, rows) == among(set(left))
    assert named(data, rows) == list(triplets[FACES].itertuples(index=False, name=None))
    assert set(among(set(VALIDATION))) - set(among(set(left))) == {
        row for row in among(set(VALIDATION)) if missing in row
    }


def test_the_first_and_the_last_line_of_every_list_are_there(whole: Prepared) -> None:
    for split, names in zip(("train", "validation", "test"), NAMES.values(), strict=True):
        assert whole.index["name"][whole.index["split"] == split].tolist() == list(names)
    _, rows = fixed(whole, "validation")
    assert named(whole, rows)[0] == tuple(LISTED[FACES].iloc[0])


class Knowing(nn.Module):
    """Embeds a face by its name, found by its very pixels."""

    def __init__(self, answer: Callable[[str], list[float]]) -> None:
        super().__init__()
        names = [name for listed in NAMES.values() for name in listed]
        self.known = {picture(name).tobytes(): answer(name) for name in names}

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        pixels = (faces * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return {"expression": torch.tensor([self.known[face.tobytes()] for face in pixels])}


def asked(data: Prepared, tmp_path: Path, network: nn.Module) -> float:
    """Return the accuracy that a task finds on its fixed validation triplets."""
    recipe = replace(RECIPES["fecnet-smoke"], toy=False, data=(data.folder,), runs=tmp_path)
    task = FECNetTask(recipe)
    vars(task)["sets"] = (data,)
    found = task.validate({"fecnet": network.eval()})
    (share,) = (value for key, value in found.items() if key.endswith("triplet_accuracy"))
    return share


def test_the_answer_names_the_odd_face_in_whatever_place_it_stands(
    whole: Prepared, tmp_path: Path
) -> None:
    near, too, odd = VALIDATION[:3]
    places = {near: [0.0, 0.0], too: [1.0, 0.0], odd: [3.0, 0.0]}
    network = Knowing(lambda name: places.get(name, [9.0, 9.0]))
    for three in permutations((near, too, odd)):
        for answer in (1, 2, 3):
            said = (*three, "TWO_CLASS_TRIPLET", answer, "validation")
            triplets = pd.DataFrame([said], columns=[*FACES, "type", "answer", "split"])
            data = Prepared(whole.folder, whole.name, whole.index, triplets)
            assert asked(data, tmp_path, network) == float(three[answer - 1] == odd)


def test_a_tie_is_wrong_on_either_side_and_in_every_order() -> None:
    pair_and_tie = {
        "odd as near to the first": [[0.0, 0.0], [2.0, 0.0], [-2.0, 0.0]],
        "odd as near to the second": [[2.0, 0.0], [0.0, 0.0], [-2.0, 0.0]],
        "all as near": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        "all the same": [[1.0, 0.0]] * 3,
    }
    for where, vectors in pair_and_tie.items():
        for order in permutations(range(3)):
            odd = np.array([order.index(2) + 1])
            right = outcomes(np.array(vectors), np.array([order]), odd)
            assert right.tolist() == [False], f"{where}, {order}"


def test_a_collapsed_network_has_nothing_right(whole: Prepared, tmp_path: Path) -> None:
    assert asked(whole, tmp_path, Knowing(lambda _: [0.6, 0.8])) == 0.0


def test_identical_photos_of_the_news_stay_in_the_last_of_their_splits(tmp_path: Path) -> None:
    split = person_splits("lfw_emotion")
    judged, tested = (next(p for p in split if split[p] == s) for s in ("validation", "test"))
    (tmp_path / "images").mkdir()
    for person, contents in {"Nobody_Listed": "abc", judged: "bcd", tested: "ce"}.items():
        for number, content in enumerate(contents, start=1):
            (tmp_path / "images" / f"{person}_{number:04d}.jpg").write_text(content)
    (tmp_path / "legend.csv").write_text("user.id,image,emotion\n")
    kept = {(p.name, p.split) for p in lfw_emotion.read(tmp_path).pictures}
    assert kept == {
        ("Nobody_Listed_0001", "train"),
        (f"{judged}_0001", "validation"),
        (f"{judged}_0003", "validation"),
        (f"{tested}_0001", "test"),
        (f"{tested}_0002", "test"),
    }


def test_all_photos_of_a_londoner_stand_in_the_split_of_the_person(tmp_path: Path) -> None:
    split = {"001": "train"} | person_splits("london")
    lines = ["face_id,face_age,face_gender,face_eth", *(f"{p},30,female,white" for p in split)]
    (tmp_path / "info.csv").write_text("\n".join(lines) + "\n")
    for person in split:
        for shot in ("03", "08"):
            (tmp_path / f"{person}_{shot}.jpg").write_text(person + shot)
    kept = [(p.person, p.split) for p in london.read(tmp_path).pictures]
    assert sorted(kept) == sorted(2 * [*split.items()])
