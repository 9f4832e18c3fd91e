"""Whether the starters are being registered, and how far that is, for every thread and process."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry import seeding


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def elsewhere(function: Callable[[], str | None]) -> str | None:
    """Call a function in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_progress_is_known_to_others_while_it_lasts() -> None:
    assert seeding.progress() is None
    with seeding.seeding():
        assert elsewhere(seeding.progress) == "registering starters"
        with seeding.seeding():
            seeding.report(2, 3)
        assert elsewhere(seeding.progress) == "registering starters, 2 of 3"
    assert seeding.progress() is None


def test_a_killed_process_leaves_no_progress_behind(folder: Path) -> None:
    code = (
        "import os\nfrom registry import seeding\nwith seeding.seeding():\n"
        "    seeding.report(1, 3)\n    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert json.loads((folder / "seeding.json").read_text()) == [1, 3]
    assert seeding.progress() is None
    with seeding.seeding():
        assert elsewhere(seeding.progress) == "registering starters"


def test_those_who_only_ask_do_not_take_each_other_for_seeding() -> None:
    with seeding.seeding():
        pass

    def ask(_: int) -> list[str | None]:
        return [seeding.progress() for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        answers = [each for found in pool.map(ask, range(4)) for each in found]
    assert answers == [None] * 200


def test_asking_creates_nothing(folder: Path) -> None:
    assert seeding.progress() is None
    assert not folder.exists()
