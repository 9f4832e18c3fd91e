"""A run card survives JSON, and errors name missing fields."""

import json

import pytest

from tests.training.cards.test_markdown import card
from training.cards.run_card import RunCard
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
