"""python -m demo: what it prints, what it refuses, and with which exit status."""

import json
import subprocess
import sys
from collections.abc import Sequence
from errno import ENOSPC
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from torch import Tensor

from demo.__main__ import main
from demo.transfer_limits import LIMITS
from demo.marking import SOURCE_TYPE
from demo.transfer import CONSENT
from registry.catalog import EMOTIONS
from tests.demo.fakes import FakeRegistry, answers

PROVENANCE_KEYS = ["model", "version", "run_id", "device", "seconds"]
ALIKE = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]]))


@pytest.fixture
def people(examples: Path) -> list[str]:
    return [str(path) for path in sorted(examples.glob("*.jpg"))][:3]


@pytest.fixture
def models(registry: FakeRegistry) -> FakeRegistry:
    def happy(faces: Tensor) -> dict[str, Tensor]:
        return {"logits": (5.0 * torch.eye(8)[EMOTIONS.index("happy")]).expand(len(faces), 8)}

    registry.put("dln", 3, answers(ALIKE))
    registry.put("emotion", 2, happy)
    registry.put_transfer(4)
    return registry


@pytest.fixture
def two_people(people: Sequence[str], tmp_path: Path) -> str:
    """One person beside another who is half as large."""
    first, second = (Image.open(path).convert("RGB").resize((320, 320)) for path in people[:2])
    both = Image.new("RGB", (480, 320))
    both.paste(first, (0, 0))
    both.paste(second.resize((160, 160)), (320, 80))
    both.save(tmp_path / "two.png")
    return str(tmp_path / "two.png")


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "text.jpg").write_text("not a picture")
    return str(tmp_path / "text.jpg")


@pytest.fixture
def nobody(tmp_path: Path) -> str:
    Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(tmp_path / "nobody.png")
    return str(tmp_path / "nobody.png")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.usefixtures("models")
def test_compare_names_the_pair_and_the_odd_one(
    people: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *people]) == 0
    told = capsys.readouterr().out
    assert told.startswith("1 and 3 share an expression; 2 is the odd one.\n")
    assert "1 and 2: expression 1.414" in told
    assert "dln, version 3, run 00000000, cpu" in told


@pytest.mark.usefixtures("models")
def test_compare_as_json(people: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *people, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pair"] == [1, 3]
    assert told["odd"] == 2
    assert told["distances"] == pytest.approx(torch.pdist(ALIKE).tolist(), abs=1e-6)
    assert told["identity_distances"] == pytest.approx(told["distances"])
    assert (told["model"], told["version"]) == ("dln", 3)
    assert [len(box) for box in told["boxes"]] == [4, 4, 4]
    answer = ["pair", "odd", "tie", "distances", "identity_distances", "sentence"]
    assert list(told) == [*answer, *PROVENANCE_KEYS, "boxes"]


@pytest.mark.usefixtures("models")
def test_emotion_prints_every_face_or_the_one_asked_for(
    people: list[str], two_people: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emotion", "--json", two_people, people[2]]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(face["file"], face["face"]) for face in told] == [
        (two_people, 1),
        (two_people, 2),
        (people[2], 1),
    ]
    widths = [face["box"][2] - face["box"][0] for face in told]
    assert widths[0] > 1.5 * widths[1]
    assert {face["label"] for face in told} == {"happy"}
    assert set(told[0]["probabilities"]) == set(EMOTIONS)
    answer = ["file", "face", "box", "label", "probabilities", "sure", "sentence"]
    assert list(told[0]) == [*answer, *PROVENANCE_KEYS]
    assert main(["emotion", "--json", two_people, "--face", "2"]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert only | {"seconds": 0} == told[1] | {"seconds": 0}


@pytest.mark.usefixtures("models")
def test_embed_writes_a_table(people: list[str], two_people: str, tmp_path: Path) -> None:
    table = tmp_path / "faces.parquet"
    assert main(["embed", two_people, people[2], "-o", str(table)]) == 0
    rows = parquet.read_table(table).to_pylist()
    assert [(row["file"], row["face"]) for row in rows] == [
        (two_people, 1),
        (two_people, 2),
        (people[2], 1),
    ]
    assert rows[1]["expression"] == pytest.approx(ALIKE[1].tolist())
    assert rows[1]["identity"] == pytest.approx(ALIKE[1].tolist())
    assert {(row["model"], row["version"], len(row["box"])) for row in rows} == {("dln", 3, 4)}
    assert list(rows[0]) == ["file", "face", "box", "expression", "identity", "model", "version"]
    assert list(tmp_path.glob("faces*")) == [table]


@pytest.mark.usefixtures("models")
def test_transfer_writes_a_marked_picture_and_prints_its_receipts(
    people: list[str], two_people: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made.png"
    made.write_bytes(b"before")
    asked = ["transfer", two_people, people[2], "-o", str(made), "--source-face", "2"]
    assert main([*asked, "--strength", "-0.5", "--json"]) == 0
    told = capsys.readouterr()
    receipts = json.loads(told.out)
    assert told.err == f"{CONSENT}\n{LIMITS}\n"
    assert receipts["limits"] == LIMITS
    assert (receipts["strength"], receipts["file"]) == (-0.5, str(made))
    assert receipts["nearer"] == pytest.approx(1 - receipts["after"] / receipts["before"])
    answer = ["sentence", "warnings", "limits", "strength", "nearer"]
    metrics = ["before", "after", "likeness", "driver_likeness"]
    assert list(receipts) == [*answer, *metrics, *PROVENANCE_KEYS, "file"]
    seen, source = (np.array(Image.open(path).convert("RGB")) for path in (made, two_people))
    assert SOURCE_TYPE in Image.open(made).info["XML:com.adobe.xmp"]
    assert seen.shape == source.shape
    assert np.array_equal(seen[:, :280], source[:, :280])  # the first face and all around it
    assert (seen[100:220, 340:460] != source[100:220, 340:460]).any()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.png", "two.png"]
    assert main(["transfer", people[0], "--neutral", "-o", str(made)]) == 0
    assert "likeness to the person" in capsys.readouterr().out


@pytest.mark.usefixtures("models")
def test_transfer_refuses_what_it_can_not_answer(
    people: list[str], nobody: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made.png"
    assert main(["transfer", people[0], nobody, "-o", str(made)]) == 2
    assert "nobody.png: No face was found" in capsys.readouterr().err
    assert main(["transfer", people[0], people[1], "-o", str(made), "--driver-face", "2"]) == 2
    assert f"{people[1]}: There is no face 2" in capsys.readouterr().err
    assert not made.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--strength", "1.6"], "1.6 is no strength: choose one from -0.5 to 1.5."),
        (["--strength", "nan"], "nan is no strength"),
        (["--strength", "much"], "'much' is no number"),
        (["-o", "made.jpg"], "'made.jpg' is no name that ends with .png"),
        (["--neutral"], "name a DRIVER, or --neutral"),
        (["--source-face", "0"], "'0' is no face"),
    ],
)
def test_a_wrong_transfer_is_refused_in_words(
    people: list[str], given: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["transfer", *people[:2], "-o", "made.png", *given])
    assert refused.value.code == 2
    assert words in capsys.readouterr().err


def test_transfer_never_overwrites_a_photo_of_the_question(
    people: list[str], two_people: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(two_people).read_bytes()
    for photos in ([two_people, people[0]], [people[0], two_people]):
        with pytest.raises(SystemExit):
            main(["transfer", *photos, "-o", two_people])
        assert "is a photo of the question: name another file" in capsys.readouterr().err
    assert Path(two_people).read_bytes() == before


@pytest.mark.usefixtures("models")
def test_what_can_not_be_written_is_said_and_nothing_beside_it_is_lost(
    people: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, made = tmp_path / "made.unfinished", tmp_path / "made.png"
    source.write_bytes(Path(people[0]).read_bytes())
    asked = ["transfer", str(source), people[1], "-o"]
    assert main([*asked, str(made)]) == 0
    before = made.read_bytes()

    def full(path: Path, content: bytes) -> None:
        path.touch()
        raise OSError(ENOSPC, "No space left on device", len(content))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert main([*asked, str(made)]) == 2
    assert "made.png can't be written (No space left on device)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*asked, str(tmp_path / f"{'a' * 300}.png")])
    assert "can't be written: name another file" in capsys.readouterr().err
    assert (source.read_bytes(), made.read_bytes()) == (Path(people[0]).read_bytes(), before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.png", "made.unfinished"]


@pytest.mark.usefixtures("models")
def test_bad_photos_are_all_named_and_the_good_ones_answered(
    people: list[str],
    text: str,
    nobody: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["emotion", "--json", text, people[0], nobody, people[1], "missing.jpg"]) == 2
    told = capsys.readouterr()
    assert [face["file"] for face in json.loads(told.out)] == people[:2]
    complaints = told.err.splitlines()
    assert len(complaints) == 3
    for file in ("text.jpg", "missing.jpg", "nobody.png"):
        assert sum(file in line for line in complaints) == 1


@pytest.mark.usefixtures("models")
def test_bad_photos_leave_the_table_of_before(nobody: str, tmp_path: Path) -> None:
    table = tmp_path / "faces.parquet"
    table.write_bytes(b"before")
    assert main(["embed", nobody, "-o", str(table)]) == 2
    assert table.read_bytes() == b"before"


@pytest.mark.usefixtures("models")
def test_a_face_that_is_not_there_is_refused(
    people: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *people, "--face", "2"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


@pytest.mark.parametrize("bad", ["text", "nobody"])
def test_photos_are_checked_before_the_registry_is_asked(
    registry: FakeRegistry, people: list[str], bad: str, request: pytest.FixtureRequest
) -> None:
    file = request.getfixturevalue(bad)
    assert main(["emotion", file]) == 2
    assert main(["compare", people[0], file, people[1]]) == 2
    assert registry.looks == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["emotion", "a.jpg", "--face", "0"],
        ["embed", "a.jpg", "-o", "table.csv"],
        ["embed", "a.jpg", "-o", "no/such/folder/table.parquet"],
        ["compare", "a.jpg", "b.jpg"],
    ],
)
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, demo.__main__ as m\ntry: m.main(['emotion', '--help'])\n"
    code += "except SystemExit: print({'torch', 'mediapipe', 'mlflow', 'gradio'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_an_empty_registry_is_one_sentence_and_status_3(
    people: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "empty"))
    done = run("emotion", people[0])
    assert done.returncode == 3
    assert done.stdout == ""
    assert "python app.py seed" in done.stderr
    assert len(done.stderr.splitlines()) == 1
