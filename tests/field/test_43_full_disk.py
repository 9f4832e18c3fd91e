"""A disk that fills is answered by a sentence at each write, and nothing is lost by it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import demo.__main__
from demo.guards import DISK_FULL
from registry import versions
from tests.demo.fakes import ALIKE, FakeRegistry, answers
from tests.field.file_sizes import largest_file
from tests.field.open_page import Visitor, opened_page
from tests.field.running_app import inherited
from tests.test_app import PROJECT

pytestmark = [
    pytest.mark.xdist_group("page"),
    pytest.mark.skipif(os.name != "posix", reason="limits the size of files"),
]


@pytest.fixture(scope="module")
def fake() -> FakeRegistry:
    fake = FakeRegistry()
    fake.put("dln", 1, answers(ALIKE))
    fake.put_transfer(1)
    return fake


@pytest.fixture(scope="module")
def visitor(fake: FakeRegistry) -> Iterator[Visitor]:
    with opened_page(fake) as url:
        yield Visitor(url)


@pytest.fixture(scope="module")
def photo(examples: Path) -> Path:
    return next(examples.glob("*.jpg"))


def test_an_upload_for_which_there_is_no_room_is_refused(visitor: Visitor, photo: Path) -> None:
    with largest_file(1000):
        answer = visitor.post("/gradio_api/upload", files={"files": photo.read_bytes()})
    assert (answer.status_code, answer.json()) == (507, {"detail": DISK_FULL})
    assert Path(visitor.upload(photo)["path"]).read_bytes() == photo.read_bytes()


def test_a_picture_for_which_there_is_no_room_is_not_half_given(
    visitor: Visitor, photo: Path
) -> None:
    uploaded = visitor.upload(photo)
    question = [uploaded, uploaded, 1.0, 1, 1]
    with largest_file(1000):
        assert visitor.answer("transfer", question)["error"] == DISK_FULL
        visitor.join(visitor.event_index("load_upload"), [uploaded])
        done = next(m for m in visitor.messages() if m["msg"] == "process_completed")
        assert done["output"]["error"] == DISK_FULL
    answer, _ = visitor.answer("transfer", question)
    assert answer["model"] == "pix2pixhd"


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("command", ["embed", "transfer"])
def test_a_file_that_does_not_fit_leaves_the_one_before(
    command: str,
    fake: FakeRegistry,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(versions, "resolve", fake.resolve)
    monkeypatch.setattr(versions, "load", fake.load)
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "store"))
    output = tmp_path / ("faces.parquet" if command == "embed" else "made.png")
    arguments = [command, str(photo), "-o", str(output)]
    arguments[2:2] = [str(photo)] if command == "transfer" else []
    assert demo.__main__.main(arguments) == 0
    before = output.read_bytes()
    with largest_file(500):
        assert demo.__main__.main(arguments) == 2
    assert "can't be written" in capsys.readouterr().err
    assert output.read_bytes() == before
    left = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert left <= {output.name, f"{output.name}.unfinished"}


def test_a_page_that_can_store_no_picture_does_not_open_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = inherited() | {
        "EXPRESSION_STUDIO_STORE": str(tmp_path / "store"),
        "GRADIO_TEMP_DIR": str(tmp_path / "file" / "folder"),
    }
    command = [sys.executable, "app.py", "--no-mlflow"]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "The page does not open: Not a directory.\n"
