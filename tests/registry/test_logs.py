"""Warnings and tracebacks of a program are in its log file."""

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import app
from registry.logs import log_to_file
from training.__main__ import main as training_main
from training.commands import COMMANDS

pytestmark = pytest.mark.usefixtures("restored_logging")


def test_a_failure_leaves_its_traceback_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path))
    path = log_to_file("app")
    assert path == tmp_path / "logs" / "app.log"
    assert not path.exists()
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError:
        logging.getLogger("demo.models").exception("Version 3 of dln can't be loaded.")
    text = path.read_text()
    assert "ERROR demo.models: Version 3 of dln can't be loaded." in text
    assert "Traceback" in text
    assert "ZeroDivisionError: by nothing" in text


def test_information_stays_out_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path))
    path = log_to_file("training")
    logging.getLogger("training").info("All is well.")
    assert not path.exists()


def test_a_folder_that_cannot_be_made_stops_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").write_text("a file")
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path))
    log_to_file("app")
    logging.getLogger("demo").error("Still running.")
    with pytest.warns(UserWarning, match=r"Still running\."):
        warnings.warn("Still running.", stacklevel=1)
    assert (tmp_path / "logs").read_text() == "a file"


def test_a_program_that_begins_twice_logs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path))
    path = log_to_file("training")
    assert log_to_file("training") == path
    logging.getLogger("training").error("Once.")
    assert path.read_text().count("Once.") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_on_a_full_disk_logging_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "app.log").symlink_to("/dev/full")
    program = (
        "import logging; from registry.logs import log_to_file, traceback_note; "
        "path = log_to_file('app'); logging.error('Lost.'); print(traceback_note(path))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"EXPRESSION_STUDIO_STORE": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_a_program_names_its_log_file_only_if_it_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setitem(COMMANDS, "summary", fail)
    monkeypatch.setattr(app, "serve", lambda *_: 0)
    closed, ready = tmp_path / "closed", tmp_path / "ready"
    closed.mkdir()
    (closed / "logs").write_text("a file")
    for store, named in ((closed, False), (ready, True)):
        monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(store))
        assert training_main(["summary"]) == 1
        assert app.main([]) == 0
        printed = capsys.readouterr()
        assert "failed: by nothing." in printed.err
        assert (str(store / "logs" / "training.log") in printed.err) == named
        assert (str(store / "logs" / "app.log") in printed.out) == named
