"""Item 21: lists and help that tell things apart, and numbers nobody should believe."""

import re

import numpy as np
import pytest

from registry.metrics.estimates import Quantity, TripletAccuracy
from training import train
from training.__main__ import main
from training.compare import Row, markdown
from training.datasets.prepare import READERS
from training.datasets.prepared import Prepared
from training.recipes import RECIPES, SUMMARIES


def shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the help of a command, its lines joined and without the frames."""
    with pytest.raises(SystemExit):
        main([*arguments, "--help"])
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_help_tells_the_recipes_apart(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(["train"], capsys)
    assert SUMMARIES.keys() == RECIPES.keys()
    for name, summary in SUMMARIES.items():
        assert f"• {name} {summary}" in text
    models = {name: name.partition("-")[0] for name in SUMMARIES}
    assert len({(models[name], summary) for name, summary in SUMMARIES.items()}) == len(RECIPES)


def test_help_names_every_set_and_its_layout(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(["prepare"], capsys).partition("Examples")[0]
    assert set(READERS) <= set(re.findall(r"[\w-]+", text))
    assert "PERSON/EXPRESSION/FILE" in text


def test_one_seed_has_no_interval() -> None:
    def accuracy(right: list[int]) -> TripletAccuracy:
        clusters = np.arange(3 * len(right)).reshape(-1, 3)
        return TripletAccuracy(right=np.array(right, float), clusters=clusters)

    row = Row("toy", Quantity("triplet_accuracy"), accuracy([1, 1, 0, 1]), accuracy([1, 0, 0, 1]))
    line = "| toy triplet_accuracy | 0.750 | 0.500 | +0.250 |"
    assert markdown([row], "one", "other", intervals=False).splitlines()[-1] == line
    assert " to " in markdown([row], "one", "other")
    assert not any("interval" in key for key in row.to_dict(intervals=False))


def test_a_validation_too_small_to_believe_is_reported(
    toy: Prepared, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = len(toy.split("validation"))
    monkeypatch.setattr(train, "FEWEST_FACES", faces)
    train.report_small_validation([toy])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(train, "FEWEST_FACES", faces + 1)
    train.report_small_validation([toy])
    expected = f"The validation of toy has {faces} faces, too few to believe its numbers"
    assert capsys.readouterr().err.startswith(expected)
