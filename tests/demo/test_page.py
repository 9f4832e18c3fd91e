"""The page from outside: its endpoints, its gate, and what it says when something is wrong."""

import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from gradio.route_utils import delete_files_created_by_app
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageFile
from torch import Tensor

from demo.marking import SOURCE_TYPE
from demo.models import ModelServer
from demo.page import Page, launch_page
from demo.predictors import read_photo_with_faces
from demo.tabs import examples
from demo.tabs.emotion import EmotionTab
from demo.tabs.context import PageContext
from demo.tabs.photo_input import PhotoInput
from demo.tabs.triplet import TripletTab
from registry import versions
from registry.catalog import EMOTION, EMOTIONS
from tests.conftest import unused_port
from tests.demo.fakes import FakeRegistry, answers

pytestmark = pytest.mark.xdist_group("page")
PROVENANCE_KEYS = {"model", "version", "run_id", "device", "seconds"}
EXPRESSIONS = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]]))
IDENTITIES = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))


def happy(faces: Tensor) -> dict[str, Tensor]:
    return {"logits": (5.0 * torch.eye(8)[EMOTIONS.index("happy")]).expand(len(faces), 8)}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeRegistry]:
    fake = FakeRegistry()
    fake.put("dln", 3, answers(EXPRESSIONS, IDENTITIES))
    fake.put("emotion", 2, happy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "resolve", fake.resolve)
        patch.setattr(versions, "load", fake.load)
        yield fake


@pytest.fixture(scope="module")
def page(fake: FakeRegistry) -> Iterator[Page]:
    assert fake.production
    server = ModelServer(poll_seconds=0.2)
    page = launch_page(server, port=unused_port(), mlflow_url="http://mlflow")
    yield page
    page.close()
    server.close()


@pytest.fixture(scope="module")
def client(page: Page) -> Client:
    return Client(page.url, verbose=False, analytics_enabled=False)


@pytest.fixture(scope="module")
def people(examples: Path) -> list[Any]:
    return [handle_file(path) for path in sorted(examples.glob("*.jpg"))[:3]]


@pytest.fixture
def two_people(people: list[Any], tmp_path: Path) -> Any:
    """One person beside another who is half as large."""
    first, second = (Image.open(p["path"]).convert("RGB").resize((320, 320)) for p in people[:2])
    both = Image.new("RGB", (480, 320))
    both.paste(first, (0, 0))
    both.paste(second.resize((160, 160)), (320, 80))
    both.save(tmp_path / "two.png")
    return handle_file(tmp_path / "two.png")


def test_programs_see_four_endpoints_and_nothing_else(client: Client) -> None:
    told = client.view_api(return_format="dict", print_info=False)
    assert set(told["named_endpoints"]) == {"/compare", "/emotion", "/embed", "/transfer"}
    assert not told["unnamed_endpoints"]


def test_compare_answers_like_the_terminal(client: Client, people: list[Any]) -> None:
    told = client.predict(*people, api_name="/compare")
    assert (told["pair"], told["odd"], told["tie"]) == ([1, 3], 2, False)
    assert told["distances"] == pytest.approx(torch.pdist(EXPRESSIONS).tolist(), abs=1e-6)
    assert told["identity_distances"] == pytest.approx(torch.pdist(IDENTITIES).tolist(), abs=1e-6)
    assert told["sentence"] == "1 and 3 share an expression; 2 is the odd one."
    assert (told["model"], told["version"], told["device"]) == ("dln", 3, "cpu")
    assert [len(box) for box in told["boxes"]] == [4, 4, 4]
    answer = {"pair", "odd", "tie", "distances", "identity_distances", "sentence", "boxes"}
    assert set(told) == answer | PROVENANCE_KEYS


def test_every_face_or_the_one_asked_for(client: Client, two_people: Any) -> None:
    told = client.predict(two_people, api_name="/emotion")
    widths = [answer["box"][2] - answer["box"][0] for answer in told]
    assert [answer["face"] for answer in told] == [1, 2]
    assert widths[0] > 1.5 * widths[1]
    assert next(iter(told[0]["probabilities"])) == told[0]["label"] == "happy"
    answer = {"face", "box", "label", "probabilities", "sure", "sentence"}
    assert set(told[0]) == answer | PROVENANCE_KEYS
    (second,) = client.predict(two_people, face=2, api_name="/emotion")
    assert second | {"seconds": 0} == told[1] | {"seconds": 0}
    vectors = client.predict(two_people, api_name="/embed")
    assert [face["expression"] for face in vectors] == [
        pytest.approx(row) for row in EXPRESSIONS[:2].tolist()
    ]
    assert set(vectors[0]) == {"face", "box", "expression", "identity"} | PROVENANCE_KEYS
    assert (vectors[0]["model"], len(vectors[0]["identity"])) == ("dln", 2)


def bad_files(folder: Path) -> dict[str, bytes]:
    picture = folder / "grey.png"
    Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(picture)
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.jpg")
    return {
        "is not a picture": b"not a picture",
        "is empty": b"",
        "No face was found": picture.read_bytes(),
        "is damaged or cut off": (folder / "noise.jpg").read_bytes()[:2000],
        "more than 100 megapixels": png_header(12_000, 10_000),
    }


def png_header(width: int, height: int) -> bytes:
    """Return the start of a PNG that would take gigabytes to decode."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = [
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (header, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_bad_files_give_one_sentence(client: Client, people: list[Any], tmp_path: Path) -> None:
    for words, content in bad_files(tmp_path).items():
        (tmp_path / "bad.jpg").write_bytes(content)
        bad = handle_file(tmp_path / "bad.jpg")
        started = time.monotonic()
        for ask in (
            ([bad], "/emotion"),
            ([bad], "/embed"),
            ([people[0], bad, people[1]], "/compare"),
            ([people[0], bad], "/transfer"),
        ):
            with pytest.raises(AppError, match=words) as refusal:
                client.predict(*ask[0], api_name=ask[1])
            assert is_one_sentence(refusal.value)
        assert time.monotonic() - started < 5
    with pytest.raises(AppError, match=r"There is no face 2: only one face was found"):
        client.predict(people[0], face=2, api_name="/emotion")
    with pytest.raises(AppError, match=r"There is no face 0"):
        client.predict(*people, face_2=0, api_name="/compare")


def is_one_sentence(error: Exception) -> bool:
    told = str(error)
    return told.endswith((".", '."', ".'")) and "\n" not in told and "Traceback" not in told


def test_too_many_pixels_are_refused_by_the_header(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda picture: decoded.append(picture.format))
    (tmp_path / "large.png").write_bytes(png_header(12_000, 10_000))
    with pytest.raises(AppError, match="more than 100 megapixels"):
        client.predict(handle_file(tmp_path / "large.png"), api_name="/emotion")
    assert not decoded


@pytest.mark.usefixtures("page")
def test_an_empty_registry_is_told_and_heals(fake: FakeRegistry, examples: Path) -> None:
    kept, photo = fake.production.pop("emotion"), handle_file(sorted(examples.glob("*.jpg"))[0])
    lonely = launch_page(ModelServer(poll_seconds=None), port=unused_port(), mlflow_url=None)
    try:
        other = Client(lonely.url, verbose=False, analytics_enabled=False)
        with pytest.raises(AppError, match="run `python app"):
            other.predict(photo, api_name="/emotion")
        fake.production["emotion"] = kept
        assert other.predict(photo, api_name="/emotion")[0]["version"] == 2
    finally:
        lonely.close()
        fake.production["emotion"] = kept


def test_transfer_gives_a_marked_picture_and_its_receipts(
    client: Client, fake: FakeRegistry, people: list[Any]
) -> None:
    with pytest.raises(AppError, match="No version of pix2pixhd is in production yet") as refusal:
        client.predict(*people[:2], api_name="/transfer")
    assert is_one_sentence(refusal.value)
    fake.put_transfer(5)
    told, path = client.predict(*people[:2], strength=0.5, api_name="/transfer")
    assert (told["model"], told["version"], told["strength"]) == ("pix2pixhd", 5, 0.5)
    assert told["nearer"] == pytest.approx(1 - told["after"] / told["before"])
    assert told["nearer"] > 0
    assert [len(box) for box in told["boxes"]] == [4, 4]
    metrics = {"nearer", "before", "after", "likeness", "driver_likeness"}
    answer = {"sentence", "warnings", "limits", "strength", "boxes"}
    assert set(told) == answer | metrics | PROVENANCE_KEYS
    made = Image.open(path)
    assert (made.format, made.size) == ("PNG", Image.open(people[0]["path"]).size)
    assert SOURCE_TYPE in made.info["XML:com.adobe.xmp"]
    with pytest.raises(AppError, match=r"2 is no strength: choose one from -0\.5 to 1\.5"):
        client.predict(*people[:2], strength=2, api_name="/transfer")
    with pytest.raises(AppError, match=r"There is no face 3"):
        client.predict(*people[:2], driver_face=3, api_name="/transfer")
    for missing in ("strength", "source_face"):
        with pytest.raises(AppError, match=f"A {missing.split('_')[-1]} is missing") as refusal:
            client.predict(*people[:2], **{missing: None}, api_name="/transfer")
        assert is_one_sentence(refusal.value)


def test_a_version_promoted_while_open_answers(
    client: Client, fake: FakeRegistry, people: list[Any]
) -> None:
    before = fake.production["dln"]
    fake.put("dln", 4, answers(EXPRESSIONS.flip(0)))
    until = time.monotonic() + 10
    while client.predict(*people, api_name="/compare")["version"] != 4:
        assert time.monotonic() < until
        time.sleep(0.1)
    fake.production["dln"] = before


def test_pictures_go_after_an_hour(page: Page, client: Client, fake: FakeRegistry) -> None:
    sweep, age = page.blocks.delete_cache
    assert sweep + age <= 1.1 * 3600
    assert not page.blocks.run_history
    assert Path(page.blocks.GRADIO_CACHE) != Path(gettempdir()) / "gradio"  # other pages' too
    states = [b for b in page.blocks.blocks.values() if isinstance(b, gr.State)]
    assert {state.time_to_live for state in states} == {3600}
    fake.put_transfer(5)
    photos = [handle_file(path) for path in examples.pictures()[:2]]
    client.predict(*photos, api_name="/transfer")
    cache = Path(page.blocks.GRADIO_CACHE)
    assert {".jpg", ".png"} <= {path.suffix for path in cache.rglob("*") if path.is_file()}
    delete_files_created_by_app(page.blocks, age=None)
    left = [path for path in cache.rglob("*") if path.is_file()]
    assert not any(path.stat().st_size for path in left)  # Gradio itself leaves some of 0 bytes


@pytest.fixture
def place(page: Page) -> PhotoInput:
    assert page.url
    with gr.Blocks():
        return PhotoInput(PageContext(server=ModelServer(None), mlflow_url=None), EMOTION, "Photo")


def test_a_bad_photo_leaves_its_sentence_and_an_empty_place(
    place: PhotoInput, tmp_path: Path
) -> None:
    (tmp_path / "<b>.jpg").write_text("not a picture")
    photo, seen, faces, note = place.take(str(tmp_path / "<b>.jpg"))
    assert photo is None
    assert seen is None
    assert faces.visible is False
    assert "&lt;b&gt;.jpg is not a picture" in note


def test_several_faces_are_numbered_and_one_is_chosen(place: PhotoInput, two_people: Any) -> None:
    photo, seen, faces, note = place.take(two_people["path"])
    assert faces.choices == [("1", 0), ("2", 1)]
    assert faces.visible
    assert photo.alt_text == "Photo with 2 faces, boxed and numbered"
    assert 'alt="Face 1 of photo, level and cut out"' in note
    _, second = place.show(seen, 1)
    assert "Face 2, as the model sees it" in second
    assert {spec.size_px for _, spec in seen._crops} == {160}


def test_the_card_under_an_answer_is_that_of_the_version_that_gave_it(
    people: list[Any], fake: FakeRegistry, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = sorted(examples.glob("*.jpg"))[1]
    said = f"<b> `demo/examples/{wrong.name}`, `demo/examples/../gone.jpg`"
    monkeypatch.setattr(versions, "card", lambda reference: f"![card]({reference}) {said}")
    context = PageContext(server=ModelServer(None), mlflow_url=None)
    with gr.Blocks():
        triplet, emotion = TripletTab(context), EmotionTab(context)
    photos = [read_photo_with_faces(person["path"], context.cropper) for person in people]
    asked = [part for photo in photos for part in (photo, 0)]
    before = fake.production["dln"]
    first = triplet.reply(*asked)
    fake.put("dln", 4, answers(EXPRESSIONS))
    try:
        told = triplet.reply(*asked)
    finally:
        fake.production["dln"] = before
    for answer, fold, text, shown in (first, told):
        assert "dln, version 3" in answer
        assert (fold.label, fold.visible) == ("Model card of dln, version 3", True)
        assert text.startswith("[card](dln/3) &lt;b> ")
        assert shown.count("<img") == 1
        assert wrong.stem in shown
    _, fold, text, _ = emotion.reply(photos[0], 0)
    assert fold.visible
    assert text.startswith("[card](emotion/2) &lt;b> ")
    for _, fold, text, shown in (emotion.reply(None, None), triplet.reply(*[None] * 6)):
        assert (fold.visible, text, shown) == (False, "", "")
    assert not triplet.card.fold.open
