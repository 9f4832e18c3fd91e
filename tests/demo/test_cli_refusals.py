"""python -m demo: bad input is refused in one sentence, with its exit status."""

import json
import subprocess
import sys
from errno import ENOSPC
from pathlib import Path

import pytest

from demo.__main__ import main
from demo.predictors import EmotionRecognizer
from tests.demo.fakes import FakeRegistry

pytestmark = pytest.mark.usefixtures("log_folder")


def status(arguments: list[str]) -> int:
    """Return the exit status of a command, from our checks or from tyro's."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.usefixtures("models")
def test_transfer_refuses_what_it_cannot_answer(
    photos: list[str], nobody: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made.png"
    assert main(["transfer", photos[0], nobody, "-o", str(made)]) == 2
    assert "nobody.png: No face was found" in capsys.readouterr().err
    assert main(["transfer", photos[0], photos[1], "-o", str(made), "--driver-face", "2"]) == 2
    assert f"{photos[1]}: There is no face 2" in capsys.readouterr().err
    assert not made.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--strength", "1.6"], "1.6 is no strength: choose one from -0.5 to 1.5."),
        (["--strength", "nan"], "nan is no strength"),
        (["--strength", "much"], "'much'"),
        (["-o", "made.jpg"], "'made.jpg' does not end with .png"),
        (["--neutral"], "Name a DRIVER, or --neutral"),
        (["--source-face", "0"], "0 is no face"),
    ],
)
def test_a_wrong_transfer_is_refused_in_words(
    photos: list[str], given: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["transfer", *photos[:2], "-o", "made.png", *given]) == 2
    assert words in capsys.readouterr().err


def test_transfer_never_overwrites_a_photo_given(
    photos: list[str], group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(group).read_bytes()
    for given in ([group, photos[0]], [photos[0], group]):
        assert main(["transfer", *given, "-o", group]) == 2
        assert "is one of the photos given: name another file" in capsys.readouterr().err
    assert Path(group).read_bytes() == before


@pytest.mark.usefixtures("models")
def test_a_failed_write_is_one_sentence_and_loses_no_other_file(
    photos: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, made = tmp_path / "made.unfinished", tmp_path / "made.png"
    source.write_bytes(Path(photos[0]).read_bytes())
    command = ["transfer", str(source), photos[1], "-o"]
    assert main([*command, str(made)]) == 0
    before = made.read_bytes()

    def full(path: Path, content: bytes) -> None:
        path.touch()
        raise OSError(ENOSPC, "No space left on device", len(content))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert main([*command, str(made)]) == 2
    assert "made.png can't be written (No space left on device)" in capsys.readouterr().err
    assert main([*command, str(tmp_path / f"{'a' * 300}.png")]) == 2
    assert "can't be written: name another file" in capsys.readouterr().err
    assert (source.read_bytes(), made.read_bytes()) == (Path(photos[0]).read_bytes(), before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.png", "made.unfinished"]


@pytest.mark.usefixtures("models")
def test_bad_photos_are_all_named_and_the_good_ones_answered(
    photos: list[str],
    text: str,
    nobody: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["emotion", "--json", text, photos[0], nobody, photos[1], "missing.jpg"]) == 2
    printed = capsys.readouterr()
    assert [face["file"] for face in json.loads(printed.out)] == photos[:2]
    sentences = printed.err.splitlines()
    assert len(sentences) == 3
    for file in ("text.jpg", "missing.jpg", "nobody.png"):
        assert sum(file in line for line in sentences) == 1


@pytest.mark.usefixtures("models")
def test_bad_photos_leave_the_earlier_table_as_it_was(nobody: str, tmp_path: Path) -> None:
    table = tmp_path / "faces.parquet"
    table.write_bytes(b"before")
    assert main(["embed", nobody, "-o", str(table)]) == 2
    assert table.read_bytes() == b"before"


@pytest.mark.usefixtures("models")
def test_a_face_that_is_not_there_is_refused(
    photos: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *photos, "--face", "2"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


@pytest.mark.parametrize("bad", ["text", "nobody"])
def test_photos_are_checked_before_the_registry_is_read(
    registry: FakeRegistry, photos: list[str], bad: str, request: pytest.FixtureRequest
) -> None:
    file = request.getfixturevalue(bad)
    assert main(["emotion", file]) == 2
    assert main(["compare", photos[0], file, photos[1]]) == 2
    assert registry.resolved == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["emotion", "a.jpg", "--face", "0"],
        ["embed", "a.jpg", "-o", "table.csv"],
        ["embed", "a.jpg", "-o", "no/such/folder/table.parquet"],
        ["compare", "a.jpg", "b.jpg"],
        ["compare", "a.jpg", "b.jpg", "c.jpg", "d.jpg"],
        ["emotion"],
        ["embed", "a.jpg"],
        [],
    ],
)
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    assert status(arguments) == 2


@pytest.mark.parametrize("arguments", [["--help"], ["transfer", "--help"], ["--version"]])
def test_help_imports_no_heavy_library(arguments: list[str]) -> None:
    code = f"import sys, demo.__main__ as m\ntry: m.main({arguments})\n"
    code += "except SystemExit: print({'torch', 'mediapipe', 'mlflow', 'gradio'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_an_empty_registry_is_one_sentence_and_status_3(
    photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "empty"))
    done = run("emotion", photos[0])
    assert done.returncode == 3
    assert done.stdout == ""
    assert "python app.py seed" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["compare", "emotion", "embed", "transfer"])
def test_help_shows_defaults_and_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"python -m demo {command} a.jpg" in text
    assert "(default: " in text


@pytest.mark.usefixtures("registry")
def test_an_unexpected_failure_is_one_sentence_and_leaves_its_traceback_in_the_log(
    photos: list[str],
    log_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(EmotionRecognizer, "recognise", fail)
    assert main(["emotion", photos[0]]) == 1
    shown = capsys.readouterr().err
    assert "The command failed: CUDA out of memory. The traceback is in" in shown
    assert "Traceback" not in shown
    log = (log_folder / "demo.log").read_text()
    assert "Traceback" in log
    assert "RuntimeError: CUDA out of memory" in log
