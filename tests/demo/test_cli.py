"""python -m demo: the answers it prints and the files it writes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from demo.__main__ import main
from demo.marking import SOURCE_TYPE
from demo.transfer import CONSENT
from demo.transfer_limits import LIMITS
from registry.catalog import EMOTIONS
from tests.demo.fakes import ALIKE

pytestmark = pytest.mark.usefixtures("log_folder")
PROVENANCE_KEYS = ["model", "version", "run_id", "device", "engine", "seconds"]
PROVENANCE_KEYS += ["cached", "validated"]


@pytest.mark.usefixtures("models")
def test_compare_names_the_pair_and_the_odd_one(
    photos: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *photos]) == 0
    text = capsys.readouterr().out
    assert text.startswith("1 and 3 share an expression; 2 is the odd one.\n")
    assert "1 and 2: expression 1.414" in text
    assert "dln, version 3, run 00000000, cpu" in text


@pytest.mark.usefixtures("models")
def test_compare_as_json(photos: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *photos, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["pair"] == [1, 3]
    assert answer["odd"] == 2
    assert answer["distances"] == pytest.approx(torch.pdist(ALIKE).tolist(), abs=1e-6)
    assert answer["identity_distances"] == pytest.approx(answer["distances"])
    assert (answer["model"], answer["version"]) == ("dln", 3)
    assert [len(box) for box in answer["boxes"]] == [4, 4, 4]
    keys = ["pair", "odd", "tie", "close", "distances", "identity_distances", "sentence"]
    assert list(answer) == [*keys, *PROVENANCE_KEYS, "boxes"]


@pytest.mark.usefixtures("models")
def test_emotion_prints_every_face_or_the_one_chosen(
    photos: list[str], group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emotion", "--json", group, photos[2]]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [(face["file"], face["face"]) for face in answers] == [
        (group, 1),
        (group, 2),
        (photos[2], 1),
    ]
    widths = [face["box"][2] - face["box"][0] for face in answers]
    assert widths[0] > 1.5 * widths[1]
    assert {face["label"] for face in answers} == {"happy"}
    assert set(answers[0]["probabilities"]) == set(EMOTIONS)
    keys = ["file", "face", "box", "label", "probabilities", "in_the_wild", "sure", "sentence"]
    assert list(answers[0]) == [*keys, *PROVENANCE_KEYS]
    assert main(["emotion", "--json", group, "--face", "2"]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert only | {"seconds": 0} == answers[1] | {"seconds": 0}


@pytest.mark.usefixtures("models")
def test_embed_writes_a_table(photos: list[str], group: str, tmp_path: Path) -> None:
    table = tmp_path / "faces.parquet"
    assert main(["embed", group, photos[2], "-o", str(table)]) == 0
    rows = parquet.read_table(table).to_pylist()
    assert [(row["file"], row["face"]) for row in rows] == [
        (group, 1),
        (group, 2),
        (photos[2], 1),
    ]
    assert rows[1]["expression"] == pytest.approx(ALIKE[1].tolist())
    assert rows[1]["identity"] == pytest.approx(ALIKE[1].tolist())
    assert {(row["model"], row["version"], len(row["box"])) for row in rows} == {("dln", 3, 4)}
    assert list(rows[0]) == ["file", "face", "box", "expression", "identity", "model", "version"]
    assert list(tmp_path.glob("faces*")) == [table]


@pytest.mark.usefixtures("models")
def test_transfer_writes_a_marked_picture_and_prints_its_metrics(
    photos: list[str], group: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "made.png"
    file.write_bytes(b"before")
    command = ["transfer", group, photos[2], "-o", str(file), "--source-face", "2"]
    assert main([*command, "--strength", "-0.5", "--json"]) == 0
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert printed.err == f"{CONSENT}\n{LIMITS}\n"
    assert answer["limits"] == LIMITS
    assert (answer["strength"], answer["file"]) == (-0.5, str(file))
    assert answer["nearer"] == pytest.approx(1 - answer["after"] / answer["before"])
    keys = ["sentence", "warnings", "limits", "strength", "nearer_strength", "nearer"]
    metrics = ["before", "after", "likeness", "driver_likeness"]
    assert list(answer) == [*keys, *metrics, *PROVENANCE_KEYS, "file"]
    made, source = (np.array(Image.open(path).convert("RGB")) for path in (file, group))
    assert SOURCE_TYPE in Image.open(file).info["XML:com.adobe.xmp"]
    assert made.shape == source.shape
    assert np.array_equal(made[:, :280], source[:, :280])  # the first face and all around it
    assert (made[100:220, 340:460] != source[100:220, 340:460]).any()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.png", "two.png"]
    assert main(["transfer", photos[0], "--neutral", "-o", str(file)]) == 0
    assert "likeness to the person" in capsys.readouterr().out
