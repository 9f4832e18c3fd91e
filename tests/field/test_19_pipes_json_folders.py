"""Item 19: closed pipes, JSON everywhere, folders and zips, progress."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

import demo.__main__
import registry.__main__
import training.__main__
from registry import console

pytestmark = pytest.mark.usefixtures("terminal")
COMMANDS: dict[str, tuple[Callable[[list[str]], int], tuple[str, ...]]] = {
    "demo": (demo.__main__.main, ("compare", "emotion", "embed", "transfer")),
    "registry": (
        registry.__main__.main,
        ("list", "show", "promote", "export", "import", "upgrade", "doctor"),
    ),
    "training": (
        training.__main__.main,
        ("train", "evaluate", "compare", "summary", "prepare", "show", "reexport"),
    ),
}


@pytest.mark.parametrize("program", COMMANDS)
def test_a_closed_pipe_ends_quietly(program: str) -> None:
    command = [sys.executable, "-m", program, "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        printed = process.stderr.read()
        assert (process.wait(100), printed) == (console.CLOSED_PIPE, b"")


@pytest.mark.parametrize("program", COMMANDS)
def test_every_command_takes_json(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    main, commands = COMMANDS[program]
    for command in commands:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "--json" in capsys.readouterr().out, command


def test_training_prints_nothing_but_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert training.__main__.main(["summary", "dln-smoke", "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)
    assert all(part["parameters"] > 0 for part in parts)


def test_a_folder_or_a_zip_stands_for_its_pictures(
    examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = sorted(examples.glob("*.jpg"))[:2]
    folder, archive = tmp_path / "folder", tmp_path / "photos.zip"
    (folder / "inner").mkdir(parents=True)
    shutil.copy(first, folder / "b.jpg")
    shutil.copy(second, folder / "inner" / "a.JPEG")
    (folder / "notes.txt").write_text("no picture")
    with ZipFile(archive, "w") as written:
        written.write(second, "people/c.jpg")
        written.writestr("__MACOSX/people/._c.jpg", "hidden")
    out = tmp_path / "faces.parquet"
    assert demo.__main__.main(["embed", str(folder), str(archive), "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(out), "faces": 3, "photos": 3}
    assert demo.__main__.main(["emotion", str(folder), str(archive), "--json"]) == 0
    files = [row["file"] for row in json.loads(capsys.readouterr().out)]
    expected = [folder / "b.jpg", folder / "inner" / "a.JPEG", archive / "people" / "c.jpg"]
    assert files == [str(path) for path in expected]
    assert demo.__main__.main(["compare", str(folder), str(archive)]) == 0
    assert "share an expression" in capsys.readouterr().out


def test_what_holds_no_picture_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    for name, words in (("empty", "holds no picture"), ("broken.zip", "is no zip that can be")):
        assert demo.__main__.main(["emotion", str(tmp_path / name)]) == 2
        sentence = capsys.readouterr().err
        assert words in sentence
        assert sentence.count("\n") == 1


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    examples: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_SECONDS", 0.0)
    photos = [str(path) for path in sorted(examples.glob("*.jpg"))[:2]]
    assert demo.__main__.main(["emotion", *photos]) == 0
    assert "photos answered: 1 of 2\n" in capsys.readouterr().err
