"""python -m demo video: the table and the plot of the emotions over time."""

import json
from pathlib import Path

import pyarrow.csv
import pytest
from PIL import Image

from demo.__main__ import main
from registry.catalog import EMOTIONS
from tests.demo.fakes import FakeRegistry
from tests.demo.video.clips import write_clip
from tests.field.conftest import emotions

pytestmark = pytest.mark.usefixtures("log_folder")


@pytest.fixture
def clip(examples: Path, registry: FakeRegistry, tmp_path: Path) -> Path:
    """Return a video of a person who is bright at first and dark later, and of one who comes then.

    Bright faces are happy and dark ones sad.
    """
    registry.put("emotion", 2, emotions)
    person, other = (
        Image.open(examples / name).convert("RGB").resize((240, 240))
        for name in ("smiling_07.jpg", "sad_06.jpg")
    )
    pictures = []
    for index in range(8):
        picture = Image.new("RGB", (560, 240), "grey")
        shade = 1.4 if index < 4 else 0.4
        picture.paste(person.point(lambda level, shade=shade: int(level * shade)), (4 * index, 0))
        if index >= 4:
            picture.paste(other.point(lambda level: int(level * 0.4)), (310, 0))
        pictures.append(picture)
    return write_clip(tmp_path / "clip.mp4", pictures, [index / 5 for index in range(8)])


def test_the_table_has_a_row_for_each_face_of_each_frame(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "over time.csv"
    assert main(["video", str(clip), str(table), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["frames"], answer["faces"], answer["version"]) == (8, 2, 2)
    rows = pyarrow.csv.read_csv(table).to_pylist()
    assert list(rows[0]) == ["time", "face", *EMOTIONS]
    assert [(row["time"], row["face"]) for row in rows if row["face"] == 1] == [
        (pytest.approx(index / 5), 1) for index in range(8)
    ]
    likeliest = [max(EMOTIONS, key=row.__getitem__) for row in rows if row["face"] == 1]
    assert likeliest == ["happy"] * 4 + ["sad"] * 4
    assert [row["time"] for row in rows if row["face"] == 2] == pytest.approx([0.8, 1, 1.2, 1.4])
    assert all(sum(row[label] for label in EMOTIONS) == pytest.approx(1, abs=1e-3) for row in rows)
    with Image.open(table.with_suffix(".png")) as plot:
        assert min(plot.size) > 300


def test_what_can_not_be_answered_gets_a_sentence_and_writes_nothing(
    clip: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = write_clip(tmp_path / "grey.mp4", [Image.new("RGB", (64, 64), "grey")] * 3)
    table = tmp_path / "out.csv"
    for video, sentence in ((text, "is no video"), (grey, "shows no face")):
        assert main(["video", str(video), str(table)]) == 2
        assert sentence in capsys.readouterr().err
    assert main(["video", str(clip), str(tmp_path / "out.txt")]) == 2
    assert "does not end with .csv" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))
