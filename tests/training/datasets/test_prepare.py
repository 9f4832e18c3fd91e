import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from tests.training.datasets.trees import photo, plant
from training import commands
from training.datasets.crop import StoredCrop
from training.datasets.leakage import IN_LATER_SPLIT, check_splits_disjoint
from training.datasets.prepare import READERS, prepare
from training.datasets.prepared import Prepared, PreparedError
from training.datasets.synthetic import toy
from training.models.emotion.config import EmotionRecipe
from training.models.emotion.task import EmotionTask


class Interrupted(toy.DrawnFaces):
    """Reads a hundred pictures, then is stopped by Ctrl-C."""

    left = 100

    def read(self, member: str) -> bytes:
        Interrupted.left -= 1
        if Interrupted.left < 0:
            raise KeyboardInterrupt
        return super().read(member)


def test_a_stopped_run_continues_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    prepare("toy", None, whole)
    with monkeypatch.context() as patch:
        patch.setattr(toy, "DrawnFaces", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare("toy", None, stopped)
    with pytest.raises(PreparedError, match="prepare"):
        Prepared.open(stopped)
    before = {f.name: f.stat().st_mtime_ns for f in (stopped / "crops").glob("*.png")}
    assert 0 < len(before) <= 100
    for name in ("crops/.part-0.png", ".part-1.parquet"):
        (stopped / name).write_bytes(b"half a file")
    prepare("toy", None, stopped)
    after = {f.name: f.stat().st_mtime_ns for f in (stopped / "crops").iterdir()}
    assert before.items() <= after.items()
    assert sorted(after) == sorted(f.name for f in (whole / "crops").iterdir())
    assert {f.name for f in stopped.iterdir()} == {f.name for f in whole.iterdir()}
    assert Prepared.open(stopped).digest == Prepared.open(whole).digest


def test_another_margin_cuts_again_and_deletes_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.crops import CropSpec

    prepare("toy", None, tmp_path / "toy")
    before = Prepared.open(tmp_path / "toy")
    before.faces(CropSpec(size_px=16, margin=0.0))
    dataset = toy.read()
    wider = type(dataset)(**{**vars(dataset), "cropped_margin": dataset.cropped_margin + 0.2})
    monkeypatch.setitem(READERS, "toy", lambda _: wider)
    prepare("toy", None, tmp_path / "toy")
    after = Prepared.open(tmp_path / "toy")
    assert (after.index["margin"] == before.index["margin"] + 0.2).all()
    assert after.digest != before.digest
    assert not (tmp_path / "toy" / "cache").exists()


def test_the_report_counts_faces_and_names_the_command(tmp_path: Path) -> None:
    report = prepare("toy", None, tmp_path / "toy")
    text = (tmp_path / "toy" / "report.md").read_text(encoding="utf-8")
    assert report.faces == 288
    assert "288 faces of 288 pictures" in text
    assert f"python -m training prepare toy - {tmp_path / 'toy'}" in text


def test_a_folder_with_other_files_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(PreparedError, match="holds other files"):
        prepare("toy", None, tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_another_run_prepares_is_refused(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(PreparedError, match="already"):
        prepare("toy", None, tmp_path)


@pytest.mark.parametrize("name", [n for n in READERS if n != "toy"])
def test_a_wrong_source_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no zip")
    for wrong in (None, tmp_path / "nowhere", text, tmp_path):
        with pytest.raises(PreparedError) as error:
            prepare(name, wrong, tmp_path / "dest")
        assert name.removesuffix("-pairs") in str(error.value)
        assert str(error.value).endswith(".")
        assert "\n" not in str(error.value)
    assert not (tmp_path / "dest").exists()


def test_the_help_names_every_set() -> None:
    text = commands.prepare.__doc__ or ""
    assert set(READERS) <= set(re.findall(r"[\w-]+", text))


def test_an_unknown_set_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match=r"affectnet, ckplus, fec, fer2013, .*, toy"):
        prepare("imagenet", None, tmp_path / "dest")


def test_a_test_picture_is_removed_from_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = toy.read()
    tested = next(p for p in dataset.pictures if p.split == "test")
    again = replace(tested, name="again", split="train", person=None)
    more = replace(dataset, pictures=[again, *dataset.pictures])
    monkeypatch.setitem(READERS, "toy", lambda _: more)
    report = prepare("toy", None, tmp_path / "toy")
    assert report.dropped == {IN_LATER_SPLIT: [again.member]}
    names = set(Prepared.open(tmp_path / "toy").index["name"])
    assert tested.name in names
    assert "again" not in names
    assert not list((tmp_path / "toy" / "crops").glob("again*"))


def test_a_person_or_picture_in_two_splits_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = toy.read()
    first, *rest = dataset.pictures
    split_person = replace(dataset, pictures=[replace(first, split="test"), *rest])
    monkeypatch.setitem(READERS, "toy", lambda _: split_person)
    with pytest.raises(PreparedError, match=r"1 persons are in several splits \(person00\)"):
        prepare("toy", None, tmp_path / "toy")
    with pytest.raises(PreparedError, match="prepare"):
        Prepared.open(tmp_path / "toy")
    crop = StoredCrop(path="", digest="d", margin=0.0, size_px=1, box=(), face_confidence=None)
    pair = [replace(first, person=None, split=split) for split in ("train", "test")]
    with pytest.raises(PreparedError, match=rf"1 pictures .* several splits \({first.member}\)"):
        check_splits_disjoint([(picture, crop) for picture in pair])


def test_sets_that_share_a_picture_in_different_splits_are_not_trained_on_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    for name, split in (("one", "train"), ("other", "test"), ("third", "train")):
        dataset = toy.read()
        some = [replace(p, split=split, person=None) for p in dataset.pictures[:3]]
        monkeypatch.setitem(READERS, name, lambda _, r=dataset, s=some: replace(r, pictures=s))
        prepare(name, None, tmp_path / name)
        folders.append(tmp_path / name)
    assert len(EmotionTask(EmotionRecipe(data=(folders[0], folders[2]))).sets) == 2
    sentence = r"^3 pictures are in several splits of these sets \(other: 0-0-0, other: 0-0-1, "
    with pytest.raises(PreparedError, match=sentence):
        _ = EmotionTask(EmotionRecipe(data=(folders[0], folders[1]))).sets


def test_a_folder_inside_the_source_or_below_a_file_is_refused(tmp_path: Path) -> None:
    source = plant({"happy/1.jpg": photo()}, tmp_path / "mine")
    with pytest.raises(PreparedError, match=r"out is inside .*mine, the source of folder; name a"):
        prepare("folder", source, source / "data" / "out")
    with pytest.raises(PreparedError, match=r"can't be written: .*; fix that and run the same"):
        prepare("toy", None, source / "happy" / "1.jpg" / "out")


def test_if_no_picture_can_be_cropped_the_reasons_are_counted(tmp_path: Path) -> None:
    source = plant({"happy/1.jpg": b"-", "happy/2.jpg": b"--"}, tmp_path / "mine")
    with pytest.raises(
        PreparedError, match=r"could be cropped \(2: the picture can't be read\); is"
    ):
        prepare("folder", source, tmp_path / "data", workers=1)


def test_a_full_disk_is_reported_in_one_sentence_with_the_reason(tmp_path: Path) -> None:
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "from training.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    command = ["-c", limited, "prepare", "toy", "-", str(tmp_path / "toy")]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith(
        "toy can't be written: File too large; fix that and run the same command again."
    )
    assert "Traceback" not in done.stderr


class Killing(toy.DrawnFaces):
    """Kills the process that reads."""

    def read(self, member: str) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().read(member)


def test_a_killed_process_is_reported_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = replace(toy.read(), source=Killing(), cropped_margin=None)
    monkeypatch.setitem(READERS, "toy", lambda _: dataset)
    with pytest.raises(PreparedError, match="--workers 1 to continue"):
        prepare("toy", None, tmp_path / "dest", workers=1)
