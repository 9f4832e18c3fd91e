from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ImageColor

from demo.access import BadSetting
from demo.prepared_photos import PreparedPhotos
from demo.triplet_outcomes import DifferentData, TripletOutcomes, VersionAnswer
from registry import outcomes, versions
from registry.errors import BadVersion
from registry.outcomes import Outcomes
from tests.demo import evaluated

BOTH = ("dln/1", "dln/2")


@pytest.fixture
def known(fresh_store: Path) -> TripletOutcomes:
    assert fresh_store.is_dir()
    evaluated.fill(1)
    evaluated.fill(2)
    return TripletOutcomes()


def test_an_outcome_says_what_people_and_versions_found(known: TripletOutcomes) -> None:
    assert known.evaluations() == {"test-toy": ["dln/2", "dln/1"]}
    found = known.select("test-toy", BOTH)
    assert [outcome.names for outcome in found] == [names for _, names, *_ in evaluated.TRIPLETS]
    second = found[1]
    assert (second.set, second.type, second.odd) == ("toy", "two class", 2)
    assert second.votes == (0, 6, 4)
    assert second.answers == (
        VersionAnswer(version="dln/1", found=2, right=True, margin=0.125),
        VersionAnswer(version="dln/2", found=1, right=False, margin=-0.25),
    )


@pytest.mark.parametrize(
    ("types", "shown", "rows"),
    [
        (["two class"], "all", [1, 2]),
        (["one class", "three class"], "all", [0, 3]),
        (["one class", "two class", "three class"], "wrong", [2, 3]),
        (["one class", "two class", "three class"], "only first right", [1]),
        (["one class", "two class", "three class"], "only second right", [2]),
        (["three class"], "only second right", []),
    ],
)
def test_types_and_disagreements_are_chosen(
    types: list[str], shown: str, rows: list[int], known: TripletOutcomes
) -> None:
    found = known.select("test-toy", BOTH, types, shown)
    assert [outcome.names for outcome in found] == [evaluated.TRIPLETS[row][1] for row in rows]


def test_outcomes_on_other_data_are_not_put_side_by_side(known: TripletOutcomes) -> None:
    evaluated.fill(3, replace(evaluated.SOURCE, digest="6" * 64))
    with pytest.raises(DifferentData, match="dln/1 and dln/3 were measured on different data"):
        known.select("test-toy", ("dln/1", "dln/3"))


def test_a_version_without_such_outcomes_is_named_with_the_command(known: TripletOutcomes) -> None:
    version = versions.resolve("dln/1")
    faces = pd.DataFrame({"name": ["anna"], "emotion": ["happy"], "answer": ["sad"]})
    other = replace(evaluated.SOURCE, set="faces")
    outcomes.log(version, Outcomes(source=other, items=faces))
    for name in ("test-faces", "test-absent", "../../mlflow"):
        with pytest.raises(BadVersion, match=r"has no outcomes of triplets .*evaluate dln/1"):
            known.select(name, ["dln/1"])


def test_faces_are_read_from_the_sets_alone(tmp_path: Path) -> None:
    photos = PreparedPhotos([evaluated.prepare(tmp_path / "toy")])
    for name, colour in evaluated.COLOURS.items():
        pixels = photos.read("toy", name)
        assert pixels is not None
        assert pixels.shape == (320, 320, 3)
        assert np.all(pixels == ImageColor.getrgb(colour))
    for name in ("gone", "secret", "linked", "text", "../secret.png", "crops/0.png"):
        assert photos.read("toy", name) is None
    assert photos.read("other", "anna") is None
    (tmp_path / "toy" / "crops" / "0.png").unlink()
    assert photos.read("toy", "anna") is None


def test_a_folder_that_is_no_prepared_set_is_refused(tmp_path: Path) -> None:
    sentences = {"absent": "holds no prepared data set", "broken": "is broken"}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "index.parquet").write_text("PAR1")
    for name, sentence in sentences.items():
        with pytest.raises(BadSetting, match=sentence) as refused:
            PreparedPhotos([tmp_path / name])
        assert "\n" not in str(refused.value)
