import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry import measurements, signature, store, versions
from registry.__main__ import main
from registry.measurements import Measurement
from registry.promotion import promote
from tests.registry.conftest import ACCURACY, Register

LATER = Measurement(
    split="test",
    set="lfw-emotion",
    metric="triplet_accuracy",
    group="three class",
    value=0.3125,
    low=0.301,
    high=0.329,
)


pytestmark = pytest.mark.usefixtures("restored_logging")


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
    printed = capsys.readouterr()
    second, first = printed.out.split("dln 2")[1].split("dln 1")
    for fact in ("production", "accuracy 0.75 validation", f"{version.created:%Y-}"):
        assert fact in first
    assert "production" not in second
    assert printed.err.startswith("Version 3 of dln is incomplete")


def test_every_command_prints_json(register: Register, capsys: pytest.CaptureFixture[str]) -> None:
    version = register(starter="fedc")
    measurements.write(version.run_id, [LATER])
    assert main(["promote", "dln", "1", "--json"]) == 0
    promoted = json.loads(capsys.readouterr().out)
    assert main(["show", "dln", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert main(["list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    for values in (promoted, shown, listed):
        assert (values["model"], values["version"], values["aliases"]) == ("dln", 1, ["production"])
    assert (shown["starter"], shown["crop"]["size_px"]) == ("fedc", 32)
    assert {row["value"] for row in shown["measurements"]} == {0.3125, 0.75}
    assert listed["headline"]["value"] == 0.75


def test_all_that_is_known_of_a_version_is_shown(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    version = register(
        labels=("happy", "sad"), temperature=1.25, data={"toy": "0123abcd"}, starter="fedc"
    )
    promote("dln", 1)
    assert main(["show", "dln"]) == 0
    shown = capsys.readouterr().out
    facts = ("production", version.run_id, "32 px, margin 0.1, eyes level", "happy, sad", "1.25")
    for fact in (*facts, "0123abcd", "fedc", "batch 4, unit length", "0.75", "Knows nothing [real"):
        assert fact in shown


def test_a_card_is_shown_as_text_and_its_results_once(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    card = "Tiny.\n\n## Results\n\n| test | toy |\n|---|---|\n| accuracy | 0.640 (0.59 to 0.69) |\n"
    version = register(description=card)
    measurements.write(version.run_id, [LATER])
    signature.sign(version.run_id, card)
    assert main(["show", "dln/1"]) == 0
    shown = capsys.readouterr().out
    assert "## Results" not in shown
    assert "|---" not in shown
    assert shown.count("0.640 (0.59 to 0.69)") == 1
    assert LATER.name not in shown
    assert main(["show", "dln/1", "--measurements"]) == 0
    assert "0.3125 (0.30 to 0.33)" in capsys.readouterr().out.split(LATER.name)[1]


def test_measurements_are_shown_beside_a_description_by_a_person(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    version = register()
    signature.sign(version.run_id, "Tiny and quick, and so on.")
    measurements.write(version.run_id, [LATER])
    assert main(["show", "dln/1"]) == 0
    shown = capsys.readouterr().out
    assert "Tiny and quick." in shown
    assert "0.3125" in shown.split(LATER.name)[1]
    assert "0.75" in shown.split(ACCURACY.name)[1]


def test_a_narrow_terminal_loses_no_word(
    register: Register, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    version = register(starter="f" * 64)
    measurements.write(version.run_id, [LATER])
    for command, fact in (("list", "accuracy 0.75 validation"), ("show dln/1", LATER.name)):
        assert main(command.split()) == 0
        shown = capsys.readouterr().out
        assert "…" not in shown
        assert fact in shown
        assert max(map(len, shown.splitlines())) <= 80


def test_a_promotion_says_what_it_did(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    measurements.write(register().run_id, [LATER])
    assert main(["promote", "dln", "1"]) == 0
    assert capsys.readouterr().out.endswith("Version 1 of dln is in production.\n")
    assert versions.resolve("dln").number == 1


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
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
    fresh_store: Path, capsys: pytest.CaptureFixture[str], command: str, code: int, sentence: str
) -> None:
    assert fresh_store.is_dir()
    assert main(command.split()) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert printed.err.count("\n") == 1


def test_a_version_must_be_a_number(capsys: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.parametrize("command", [[], ["list"], ["show"], ["promote"]])
def test_help_gives_an_example_and_imports_no_heavy_library(command: list[str]) -> None:
    code = (
        "import sys; from registry.__main__ import main\n"
        f"try: main([*{command}, '--help'])\n"
        "finally: assert not {'torch', 'mlflow'} & set(sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=store.PROJECT, capture_output=True, text=True, check=True
    )
    assert f"python -m registry {(command or ['show'])[0]}" in ended.stdout


def test_an_unexpected_failure_is_one_sentence_and_leaves_its_traceback_in_the_log(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(versions, "list_versions", fail)
    assert main(["list"]) == 1
    log = fresh_store / "logs" / "registry.log"
    assert capsys.readouterr().err == (
        f"The command failed: by nothing. The traceback is in {log}.\n"
    )
    assert "Traceback" in log.read_text()
