"""The table of gates: our own, a team's, and a wrong one."""

import json
from pathlib import Path

import pytest

from registry.__main__ import main
from registry.errors import BadVersion
from registry.promotion import gates
from registry.promotion.gates import BadGates
from tests.registry.promotion.test_gates import TABLE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[dln", "can't be read"),
        (TABLE.replace("margin = 0.05", "margn = 0.05"), "unknown key margn"),
        (TABLE.replace("margin = 0.05", "margin = -1"), "no number from 0"),
        (TABLE.replace("margin = 0.05", "margin = true"), "margin of dln.metrics"),
        (TABLE.replace("margin = 0.05, ", ""), "primary metric triplet_accuracy"),
        (TABLE.replace("latency_ms", "leak_auc"), "margins and no most_times"),
        (TABLE.replace("most_times = 1.5", "margin = 5"), "most_times alone"),
        (TABLE + "adversaril = { margin = 1, greater_is_better = true }", "adversaril; known are"),
        (TABLE.replace('["triplet_accuracy"]', "3"), "must be a list"),
        (TABLE.replace(", greater_is_better = true", ""), "greater_is_better"),
    ],
)
def test_a_wrong_table_is_a_sentence(fresh_store: Path, text: str, reason: str) -> None:
    (fresh_store / gates.FILE).write_text(text)
    with pytest.raises(BadGates) as raised:
        gates.read("dln")
    assert reason in str(raised.value)
    assert isinstance(raised.value, BadVersion)


def test_a_table_of_one_model_leaves_the_others_to_ours(fresh_store: Path) -> None:
    (fresh_store / gates.FILE).write_text(TABLE)
    assert gates.read("emotion").primary == ("macro_f1",)
    with pytest.raises(BadGates, match=r"no table \[emotion\]"):
        gates.read("emotion", fresh_store / gates.FILE)


def test_our_own_table_is_whole(fresh_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fresh_store / gates.FILE).touch()  # as the shell does for > gates.toml
    assert main(["gates"]) == 0
    (fresh_store / gates.FILE).write_text(capsys.readouterr().out)
    assert main(["gates", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert set(read) == {"dln", "fecnet", "emotion", "pix2pixhd"}
    assert read["emotion"]["primary"] == ["macro_f1"]
