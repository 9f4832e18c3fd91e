"""A run card survives JSON, and errors name missing fields."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from registry import versions
from tests.training.cards.test_markdown import card
from training.cards.run_card import RunCard, trainings_before
from training.engine import tracking
from training.models.emotion.config import SMOKE
from training.starters import files


def test_a_card_survives_json() -> None:
    written = card(labels=["happy"], temperature=1.25, thresholds={"nearer": 0.1})
    assert RunCard.read(json.loads(json.dumps(written.to_dict()))) == written


def test_unknown_keys_are_left_out() -> None:
    assert RunCard.read(card().to_dict() | {"metrics": {"test/accuracy": 0.5}}) == card()


def test_the_error_about_an_incomplete_card_names_the_missing_field() -> None:
    values = card().to_dict()
    del values["command"]
    with pytest.raises(TypeError, match="command"):
        RunCard.read(values)


@pytest.mark.parametrize("name", [files.IDENTITY, *files.STARTERS])
def test_the_cards_of_shipped_starters_are_complete(name: str) -> None:
    starter = files.Starter.open(name)
    assert RunCard.read(starter.card).to_dict().items() >= starter.card.items()


def test_the_trainings_before_are_those_of_the_start_and_of_every_teacher_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, third = (card(command=f"train {name}").to_dict() for name in ("a", "b", "c"))
    cards = {"emotion/1": first, "emotion/2": second | {"before": [first]}, "emotion/3": third}
    monkeypatch.setattr(versions, "resolve", lambda name: SimpleNamespace(run_id=name))
    monkeypatch.setattr(tracking, "card_of", cards.get)
    recipe = replace(SMOKE, start="emotion/2", teachers=("emotion/1", "emotion/3", "emotion/4"))
    before = trainings_before(recipe)
    assert [each["command"] for each in before] == ["train a", "train b", "train c"]
    assert trainings_before(replace(recipe, start=None, teachers=())) == []
