import subprocess
import sys
from pathlib import Path

import pytest

from registry import store, versions
from registry.__main__ import main
from registry.promotion import promote
from tests.registry.conftest import Register


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_versions_are_listed_with_what_tells_them_apart(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    version = register()
    register(description="[bold]second[/bold]")
    promote("dln", 1)
    store.connect().create_model_version("dln", "file:///nothing")
    assert main(["list"]) == 0
    said = capsys.readouterr()
    second, first = said.out.split("dln 2")[1].split("dln 1")
    for fact in (version.run_id[:8], "production", "validation/accuracy 0.75", "Tiny and quick."):
        assert fact in first
    assert "production" not in second
    assert "[bold]second[/bold]" in second
    assert said.err.startswith("Version 3 of dln is incomplete")


def test_all_that_is_known_of_a_version_is_shown(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    version = register(
        labels=("happy", "sad"), temperature=1.25, data={"toy": "0123abcd"}, starter="fedc"
    )
    promote("dln", 1)
    assert main(["show", "dln"]) == 0
    said = capsys.readouterr().out
    facts = ("production", version.run_id, "32 px, margin 0.1, eyes level", "happy, sad", "1.25")
    for fact in (*facts, "0123abcd", "fedc", "batch 4, unit length", "0.75", "Knows nothing [real"):
        assert fact in said


def test_a_card_is_shown_as_text_and_what_it_tells_is_told_once(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "| test | toy |\n|---|---|\n| accuracy | 0.640 (0.59 to 0.69) |"
    version = register(description=f"Tiny.\n\n## Results\n\n{table}\n")
    measured = {"accuracy": 0.64, "accuracy_low": 0.594, "accuracy_high": 0.686, "later": 0.3125}
    for key, value in measured.items():
        store.connect().log_metric(version.run_id, f"test/toy/{key}", value)
    assert main(["show", "dln/1"]) == 0
    said = capsys.readouterr().out
    assert "## Results" not in said
    assert "|---" not in said
    assert said.count("0.640 (0.59 to 0.69)") == 1
    assert "test/toy/accuracy" not in said
    assert "0.3125" in said.split("test/toy/later")[1]
    assert "validation/accuracy" in said


def test_a_narrow_terminal_loses_no_word(
    register: Register, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    version, long = register(starter="f" * 64), "test/lfw-emotion/triplet_accuracy_three_class_high"
    store.connect().log_metric(version.run_id, long, 0.75)
    for command in ("list", "show dln/1"):
        assert main(command.split()) == 0
        told = capsys.readouterr().out
        assert "…" not in told
        assert long in told


def test_a_promotion_says_what_it_did(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    register()
    assert main(["promote", "dln", "1"]) == 0
    assert capsys.readouterr().out == "Version 1 of dln is in production.\n"
    assert versions.resolve("dln").number == 1


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("list", 3, "python app.py seed"),
        ("list emotion", 3, "python app.py seed"),
        ("list dnl", 2, "There is no model dnl"),
        ("list d'n", 2, "names no version"),
        ("show dln", 3, "python app.py seed"),
        ("show dln@", 2, "names no version"),
        ("promote dln 1", 3, "python app.py seed"),
        ("promote dln -1", 2, "names no version"),
    ],
)
def test_a_problem_is_one_sentence_and_an_exit_code(
    fresh_store: Path, capsys: pytest.CaptureFixture[str], command: str, code: int, said: str
) -> None:
    assert fresh_store.is_dir()
    assert main(command.split()) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert told.err.count("\n") == 1


def test_a_number_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["promote", "dln", "first"])
    assert stopped.value.code == 2
    assert "first" in capsys.readouterr().err


def test_a_dead_server_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert main(["list"]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_help_waits_for_nothing_heavy() -> None:
    code = (
        "import sys; from registry.__main__ import main\n"
        "try: main(['--help'])\n"
        "finally: assert not {'torch', 'mlflow', 'rich'} & set(sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=store.PROJECT, capture_output=True, text=True, check=True
    )
    assert "promote" in told.stdout
