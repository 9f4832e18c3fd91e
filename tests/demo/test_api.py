"""demo.load(): the answers in Python, from photos of every kind, without a page."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import demo
from demo.api import ExpressionModels
from demo.marking import SOURCE_TYPE
from demo.transfer import BadStrength
from registry.errors import EmptyRegistry
from registry.faces import NoFace
from registry.photos import PhotoError
from tests.demo.fakes import ALIKE, FakeRegistry


@pytest.fixture
def loaded(models: FakeRegistry) -> ExpressionModels:
    assert models.production
    return demo.load()


def test_three_photos_are_compared(loaded: ExpressionModels, people: list[Path]) -> None:
    answer = loaded.compare(*people)
    assert answer.sentence == "1 and 3 share an expression; 2 is the odd one."
    assert answer.distances == pytest.approx(torch.pdist(ALIKE).tolist(), abs=1e-6)
    row = answer.to_dict()
    assert json.loads(json.dumps(row)) == row
    assert (row["pair"], row["model"], row["version"]) == ([1, 3], "dln", 3)


def test_a_photo_may_be_a_path_bytes_a_file_an_array_or_an_image(
    loaded: ExpressionModels, people: list[Path]
) -> None:
    path = people[0]
    image = Image.open(path).convert("RGB")
    with path.open("rb") as file:
        sources = [str(path), path, path.read_bytes(), file, np.asarray(image), image]
        answers = [loaded.recognise(source)[0] for source in sources]
    assert {answer.label for answer in answers} == {"happy"}
    assert len({answer.face.box for answer in answers}) == 1


def test_faces_count_from_1(loaded: ExpressionModels, two_people: Path) -> None:
    first, second = loaded.recognise(two_people)
    (chosen,) = loaded.recognise(two_people, face=2)
    assert chosen.to_dict() | {"seconds": 0} == second.to_dict() | {"seconds": 0}
    assert (first.to_dict()["face"], chosen.to_dict()["face"]) == (1, 2)
    vectors = loaded.embed(two_people)
    assert [v.expression.tolist() for v in vectors] == [
        pytest.approx(r) for r in ALIKE[:2].tolist()
    ]
    assert len(loaded.embed(two_people, face=1)) == 1
    for bad in (0, 3):
        with pytest.raises(NoFace, match=f"There is no face {bad}"):
            loaded.embed(two_people, face=bad)
    boxes = loaded.compare(two_people, two_people, two_people, faces=(1, 2, 1)).boxes
    assert boxes == (first.face.box, second.face.box, first.face.box)


def test_a_transfer_is_saved_as_a_marked_png(
    loaded: ExpressionModels, people: list[Path], tmp_path: Path
) -> None:
    answer = loaded.transfer(people[0], people[1], strength=0.5)
    assert answer.metrics.after < answer.metrics.before
    answer.save(tmp_path / "made.png")
    made = Image.open(tmp_path / "made.png")
    assert made.size == Image.open(people[0]).size
    assert SOURCE_TYPE in made.info["XML:com.adobe.xmp"]
    assert loaded.transfer(people[0]).metrics.driver_likeness is None
    with pytest.raises(ValueError, match=r"made\.jpg' does not end with \.png"):
        answer.save(tmp_path / "made.jpg")
    with pytest.raises(BadStrength):
        loaded.transfer(people[0], strength=2)


def test_bad_input_and_an_empty_registry_are_one_sentence(
    registry: FakeRegistry, people: list[Path], nobody: str
) -> None:
    models = demo.load()
    with pytest.raises(PhotoError, match=r"There is no file gone\.jpg"):
        models.recognise("gone.jpg")
    with pytest.raises(NoFace, match="No face was found"):
        models.recognise(nobody)
    assert registry.resolved == 0
    with pytest.raises(EmptyRegistry, match=r"python app\.py seed"):
        models.recognise(people[0])


def test_importing_demo_loads_nothing() -> None:
    code = "import sys, demo; print({'torch', 'mediapipe', 'mlflow', 'gradio'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
