"""The paper's recipes on drawn faces, in the exact layouts of the data sets it used."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from registry import store, versions
from registry.artifacts import fetch
from tests.training.datasets.trees import Tree, pack, photo, plant
from training.__main__ import main
from training.datasets.prepared import Prepared
from training.datasets.readers.label_maps import RAFDB

Run = Callable[..., str]
PEOPLE = 6
SMALL = ("--network.backbone.name", "compact", "--size-px", "32", "--epochs", "1")


def affectnet() -> Tree:
    """Return drawn faces as AffectNet came in 2021; person 5 is the validation set."""
    tree: dict[str, bytes | str] = {}
    for person in range(PEOPLE):
        for emotion in range(8):
            folder = "val_set" if person == PEOPLE - 1 else "train_set"
            content = io.BytesIO()
            np.save(content, np.array(str(emotion)))
            number = 8 * person + emotion
            tree[f"{folder}/images/{number}.jpg"] = photo(person, emotion)
            tree[f"{folder}/annotations/{number}_exp.npy"] = content.getvalue()
    return tree


def rafdb() -> Tree:
    """Return drawn faces as RAF-DB's aligned pictures; person 5 is the test set."""
    tree: dict[str, bytes | str] = {}
    lines = []
    for person in range(PEOPLE):
        for code, emotion in RAFDB.items():
            part = "test" if person == PEOPLE - 1 else "train"
            name = f"{part}_{7 * person + int(code):05d}"
            tree[f"basic/Image/aligned/{name}_aligned.jpg"] = photo(person, emotion, 1)
            lines.append(f"{name}.jpg {code}")
    return tree | {"basic/EmoLabel/list_patition_label.txt": "\n".join(lines)}


def fec(folder: Path, photos: Path) -> Path:
    """Write drawn photos, and answers of six people about triplets of them, as FEC publishes them.

    Five people answer by the drawn emotion, one never does; a photo of the last triplet is missing.
    """
    photos.mkdir()
    for part, people in (("train", range(8)), ("test", range(8, 10))):
        lines = []
        for first, second in zip(people, [*people[1:], people[0]], strict=True):
            for emotion in range(3):
                faces = [(first, emotion), (second, emotion), (first, emotion + 3)]
                for person, shown in faces:
                    (photos / f"{person}_{shown}.jpg").write_bytes(photo(person, shown))
                lines.append(fec_row(faces, "TWO_CLASS_TRIPLET", (3, 3, 3, 3, 3, 1)))
        lines.append(fec_row([(people[0], 0), (people[1], 0), (99, 9)], "ONE_CLASS_TRIPLET", (3,)))
        (folder / f"faceexp-comparison-data-{part}-public.csv").write_text("\n".join(lines))
    return folder


def fec_row(faces: list[tuple[int, int]], kind: str, answers: tuple[int, ...]) -> str:
    box = "0.1,0.9,0.1,0.9"
    shown = ",".join(f'"http://127.0.0.1:9/{person}_{word}.jpg",{box}' for person, word in faces)
    return f"{shown},{kind}," + ",".join(f"{41207 + i},{odd}" for i, odd in enumerate(answers))


@pytest.fixture
def run(
    fresh_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    assert fresh_store.is_dir()
    monkeypatch.chdir(tmp_path)

    def run(*command: str) -> str:
        status, printed = main(list(command)), capsys.readouterr()
        assert status == 0, f"{command}\n{printed.out}\n{printed.err}"
        return printed.out

    return run


@pytest.mark.timeout(600)
def test_emotions_are_learned_from_affectnet_and_rafdb_together(run: Run, tmp_path: Path) -> None:
    run("prepare", "affectnet", str(plant(affectnet(), tmp_path / "AffectNet")), "data/affectnet")
    run("prepare", "rafdb", str(pack(rafdb(), tmp_path / "RAF-DB.zip")), "data/rafdb")
    output = run("train", "emotion", "--data", "data/affectnet", "data/rafdb", *SMALL)
    assert "Registered emotion version 1." in output
    version = versions.resolve("emotion/1")
    sets = {name: Prepared.open(tmp_path / "data" / name) for name in ("affectnet", "rafdb")}
    assert version.data == {name: data.digest for name, data in sets.items()}
    assert version.labels == ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger")
    recipe = json.loads(fetch(version.run_id, "config.json", tmp_path).read_text())
    supplement = {"optimiser": "sgd", "learning_rate": 0.001, "batch_size": 30, "class_weight": 1.0}
    assert supplement.items() <= recipe.items()
    given = store.connect().get_run(version.run_id).inputs.dataset_inputs
    assert {"affectnet train", "affectnet test", "rafdb test"} <= {i.dataset.name for i in given}
    for name, faces in (("affectnet", 7), ("rafdb", 7)):
        measured = run("evaluate", "emotion/1", f"data/{name}")
        assert f"test/{name}/faces  {faces}.0000" in measured
        assert f"test, {name}: accuracy " in measured
        assert "mean class accuracy " in measured


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", ["dln", "fecnet"])
def test_triplets_are_learned_from_fec_with_its_annotators(
    run: Run, tmp_path: Path, model: str
) -> None:
    (tmp_path / "FEC").mkdir()
    source = fec(tmp_path / "FEC", tmp_path / "photos")
    output = run("prepare", "fec", str(source), "data/fec", "--photos", "photos")
    data = Prepared.open(tmp_path / "data" / "fec")
    assert data.answers is not None
    assert data.triplets is not None
    assert set(data.answers["annotator"]) == {str(41207 + i) for i in range(6)}
    report = (tmp_path / "data" / "fec" / "report.md").read_text()
    assert "Found of test: 12 of 13 photos" in report, output
    trained = run("train", model, "--data", "data/fec", *SMALL)
    assert f"Registered {model} version 1." in trained
    version = versions.resolve(f"{model}/1")
    assert version.data == {"fec": data.digest}
    given = store.connect().get_run(version.run_id).inputs.dataset_inputs
    (train,) = (each for each in given if each.dataset.name == "fec train")
    answers = json.loads({tag.key: tag.value for tag in train.tags}["answers"])
    assert answers.keys() == set(data.answers["annotator"])
    measured = run("evaluate", f"{model}/1", "data/fec")
    assert "of 6, all " in measured
    assert "test, fec: two class " in measured
