"""Warnings and tracebacks of a program are in its log file."""

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.logs import log_to_file


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Remove the handlers that a test adds to the root logger."""
    logger = logging.getLogger()
    before = list(logger.handlers)
    yield
    for handler in set(logger.handlers) - set(before):
        logger.removeHandler(handler)
        handler.close()
    logging.captureWarnings(False)


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
