"""Sets of whole photos, in which faces have to be found: lfw-emotion and london."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from registry.catalog import EMOTIONS
from registry.crops import CropSpec
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.datasets.readers import lfw_emotion, london
from training.datasets.splits import person_splits

LEGEND = """user.id,image,emotion
a,Jane_Doe_0001.jpg,HAPPINESS
b,Jane_Doe_0001.jpg,happiness
a,Jane_Doe_0002.jpg,sadness
b,Jane_Doe_0002.jpg,ANGER
a,Van_der_Berg_0001.png,bored
"""


def test_words_of_the_legend_become_emotions_and_contradictions_none() -> None:
    from io import StringIO

    emotions, notes = lfw_emotion.read_labels(pd.read_csv(StringIO(LEGEND)))
    assert emotions == {"Jane_Doe_0001": EMOTIONS.index("happy")}
    assert any("1 pictures with contradicting" in note for note in notes)
    assert any("'bored'" in note for note in notes)


def test_a_person_is_the_name_without_its_number() -> None:
    assert lfw_emotion.person_of("Abdel_Aziz_Al-Hakim_0001") == "Abdel_Aziz_Al-Hakim"
    assert lfw_emotion.person_of("HrithikRoshan_198") == "HrithikRoshan"


def test_fixed_lists_put_each_person_in_one_split(shared_data: Path) -> None:
    for name, dataset in (
        ("lfw_emotion", lfw_emotion.read(shared_data / "lfw_emotion.zip")),
        ("london", london.read(shared_data / "london")),
    ):
        frame = pd.DataFrame([(p.person, p.split) for p in dataset.pictures], columns=["p", "s"])
        assert frame.groupby("p")["s"].nunique().max() == 1
        assert set(person_splits(name)) <= set(frame["p"]), "a name nobody has"


def test_rare_emotions_occur_in_every_split(shared_data: Path) -> None:
    pictures = lfw_emotion.read(shared_data / "lfw_emotion.zip").pictures
    for split in ("train", "validation", "test"):
        emotions = {p.emotion for p in pictures if p.split == split} - {None}
        assert len(emotions) == len(EMOTIONS)
    shares = pd.Series([p.split for p in pictures]).value_counts(normalize=True)
    assert 0.13 < shares["test"] < 0.17
    assert 0.08 < shares["validation"] < 0.12


def test_at_least_twelve_londoners_of_both_sexes_are_in_the_test(shared_data: Path) -> None:
    tested = [p for p in london.read(shared_data / "london").pictures if p.split == "test"]
    women = {p.person for p in tested if p.sex == "female"}
    assert len({p.person for p in tested}) >= 12
    assert len({p.ethnicity for p in tested}) >= 4
    assert 5 <= len(women) <= len({p.person for p in tested}) - 5


@pytest.fixture(scope="module")
def few_londoners(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people, of all splits."""
    folder = tmp_path_factory.mktemp("few") / "london"
    folder.mkdir()
    people = pd.read_csv(shared_data / "london" / "info.csv", dtype=str, keep_default_na=False)
    few = people.groupby(people["face_id"].map(person_splits("london")).fillna("train")).head(2)
    few.to_csv(folder / "info.csv", index=False)
    for person in few["face_id"]:
        for shot in ("03", "08"):
            name = f"{person}_{shot}.jpg"
            (folder / name).write_bytes((shared_data / "london" / name).read_bytes())
    return folder


def test_photos_become_wide_level_crops(few_londoners: Path, tmp_path: Path) -> None:
    report = prepare("london", few_londoners, tmp_path / "data", workers=2)
    data = Prepared.open(tmp_path / "data")
    assert report.faces == 12
    assert (data.index["margin"] == 0.4).all()
    assert (data.index["face_confidence"] > 0.5).all()
    assert set(data.index["split"]) == {"train", "validation", "test"}
    for path, size in zip(data.index["path"], data.index["size_px"], strict=True):
        assert Image.open(tmp_path / "data" / path).size == (size, size)
        assert size <= 320
    faces = data.faces(CropSpec(size_px=112, margin=0.0))
    assert faces.shape == (12, 112, 112, 3)
    assert (faces.std(axis=(1, 2, 3)) > 20).all()


def test_a_photo_without_a_face_is_dropped_and_named(few_londoners: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for file in few_londoners.iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    victim = sorted(source.glob("*.jpg"))[0]
    Image.fromarray(np.full((200, 200, 3), 128, np.uint8)).save(victim)
    report = prepare("london", source, tmp_path / "data", workers=1)
    assert report.dropped == {"no face was found": [victim.name]}
    assert victim.stem not in set(Prepared.open(tmp_path / "data").index["name"])


def test_a_killed_run_leaves_no_process_and_goes_on(shared_data: Path, tmp_path: Path) -> None:
    source, dest = shared_data / "london", tmp_path / "data"
    command = (
        "import sys, pathlib; from training.datasets.prepare import prepare\n"
        "if __name__ == '__main__':\n"
        "    a, b = map(pathlib.Path, sys.argv[1:]); prepare('london', a, b, workers=2)\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", command, str(source), str(dest)], start_new_session=True
    )
    deadline = time.monotonic() + 200
    while len(list(dest.glob("crops/[!.]*.jpg"))) < 20 and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    wait_for_group(running.pid)
    before = {f: f.stat().st_mtime_ns for f in dest.glob("crops/[!.]*.jpg")}
    assert 20 <= len(before) < 164
    report = prepare("london", source, dest, workers=2)
    data = Prepared.open(dest)
    assert len(data.index) == data.index["name"].nunique() == report.faces
    assert sorted(data.index["path"]) == sorted(f"crops/{f.name}" for f in dest.glob("crops/*"))
    assert all(f.stat().st_mtime_ns == then for f, then in before.items())


def wait_for_group(group: int) -> None:
    """Return when no process of the group is left."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("worker processes outlived the run")
