"""The page's endpoints: their answers, and what they return when something is wrong."""

import os
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
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageFile
from torch import Tensor

from demo.guards import UNEXPECTED
from demo.marking import SOURCE_TYPE
from demo.models import ModelServer
from demo.page import Page, launch_page
from demo.predictors import EmotionRecognizer
from demo.visitor_files import LIFETIME_SECONDS, visitor_folder
from registry import versions
from registry.catalog import EMOTIONS
from tests.conftest import unused_port
from tests.demo.fakes import FakeRegistry, answers

pytestmark = pytest.mark.xdist_group("page")
PROVENANCE_KEYS = {"model", "version", "run_id", "device", "engine", "seconds"}
PROVENANCE_KEYS |= {"cached", "validated"}
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
def photos(people: list[Path]) -> list[Any]:
    """Return three photos as the client sends them."""
    return [handle_file(path) for path in people]


def test_programs_see_five_endpoints_and_nothing_else(client: Client) -> None:
    api = client.view_api(return_format="dict", print_info=False)
    names = {"/compare", "/emotion", "/embed", "/transfer", "/models"}
    assert set(api["named_endpoints"]) == names
    assert not api["unnamed_endpoints"]


def test_compare_answers_like_the_terminal(client: Client, photos: list[Any]) -> None:
    answer = client.predict(*photos, api_name="/compare")
    assert (answer["pair"], answer["odd"], answer["tie"]) == ([1, 3], 2, False)
    assert answer["distances"] == pytest.approx(torch.pdist(EXPRESSIONS).tolist(), abs=1e-6)
    assert answer["identity_distances"] == pytest.approx(torch.pdist(IDENTITIES).tolist(), abs=1e-6)
    assert answer["sentence"] == "1 and 3 share an expression; 2 is the odd one."
    assert (answer["model"], answer["version"], answer["device"]) == ("dln", 3, "cpu")
    assert [len(box) for box in answer["boxes"]] == [4, 4, 4]
    keys = {"pair", "odd", "tie", "close", "distances", "identity_distances", "sentence", "boxes"}
    assert set(answer) == keys | PROVENANCE_KEYS


def test_every_face_or_the_one_chosen(client: Client, two_people: Path) -> None:
    photo = handle_file(two_people)
    emotions = client.predict(photo, api_name="/emotion")
    widths = [answer["box"][2] - answer["box"][0] for answer in emotions]
    assert [answer["face"] for answer in emotions] == [1, 2]
    assert widths[0] > 1.5 * widths[1]
    assert next(iter(emotions[0]["probabilities"])) == emotions[0]["label"] == "happy"
    keys = {"face", "box", "label", "probabilities", "in_the_wild", "sure", "sentence"}
    assert set(emotions[0]) == keys | PROVENANCE_KEYS
    (second,) = client.predict(photo, face=2, api_name="/emotion")
    assert second | {"seconds": 0} == emotions[1] | {"seconds": 0}
    vectors = client.predict(photo, api_name="/embed")
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


def test_bad_files_give_one_sentence(client: Client, photos: list[Any], tmp_path: Path) -> None:
    for words, content in bad_files(tmp_path).items():
        (tmp_path / "bad.jpg").write_bytes(content)
        bad = handle_file(tmp_path / "bad.jpg")
        started = time.monotonic()
        for request in (
            ([bad], "/emotion"),
            ([bad], "/embed"),
            ([photos[0], bad, photos[1]], "/compare"),
            ([photos[0], bad], "/transfer"),
        ):
            with pytest.raises(AppError, match=words) as refusal:
                client.predict(*request[0], api_name=request[1])
            assert is_one_sentence(refusal.value)
        assert time.monotonic() - started < 60, "nothing is decoded"
    with pytest.raises(AppError, match=r"There is no face 2: only one face was found"):
        client.predict(photos[0], face=2, api_name="/emotion")
    with pytest.raises(AppError, match=r"There is no face 0"):
        client.predict(*photos, face_2=0, api_name="/compare")


def is_one_sentence(error: Exception) -> bool:
    text = str(error)
    return text.endswith((".", '."', ".'")) and "\n" not in text and "Traceback" not in text


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
def test_an_empty_registry_is_reported_until_a_version_is_promoted(
    fake: FakeRegistry, photos: list[Any]
) -> None:
    version = fake.production.pop("emotion")
    page = launch_page(ModelServer(poll_seconds=None), port=unused_port(), mlflow_url=None)
    try:
        other = Client(page.url, verbose=False, analytics_enabled=False)
        with pytest.raises(AppError, match="run `python app"):
            other.predict(photos[0], api_name="/emotion")
        fake.production["emotion"] = version
        assert other.predict(photos[0], api_name="/emotion")[0]["version"] == 2
    finally:
        page.close()
        fake.production["emotion"] = version


def test_transfer_gives_a_marked_picture_and_its_metrics(
    client: Client, fake: FakeRegistry, photos: list[Any]
) -> None:
    with pytest.raises(AppError, match="No version of pix2pixhd is in production yet") as refusal:
        client.predict(*photos[:2], api_name="/transfer")
    assert is_one_sentence(refusal.value)
    fake.put_transfer(5)
    answer, path = client.predict(*photos[:2], strength=0.5, api_name="/transfer")
    assert (answer["model"], answer["version"], answer["strength"]) == ("pix2pixhd", 5, 0.5)
    assert answer["nearer"] == pytest.approx(1 - answer["after"] / answer["before"])
    assert answer["nearer"] > 0
    assert [len(box) for box in answer["boxes"]] == [4, 4]
    metrics = {"nearer", "before", "after", "likeness", "driver_likeness"}
    keys = {"sentence", "warnings", "limits", "strength", "nearer_strength", "boxes"}
    assert set(answer) == keys | metrics | PROVENANCE_KEYS
    picture = Image.open(path)
    assert (picture.format, picture.size) == ("PNG", Image.open(photos[0]["path"]).size)
    assert SOURCE_TYPE in picture.info["XML:com.adobe.xmp"]
    with pytest.raises(AppError, match=r"2 is no strength: choose one from -0\.5 to 1\.5"):
        client.predict(*photos[:2], strength=2, api_name="/transfer")
    with pytest.raises(AppError, match=r"There is no face 3"):
        client.predict(*photos[:2], driver_face=3, api_name="/transfer")
    for missing in ("strength", "source_face"):
        with pytest.raises(AppError, match=f"A {missing.split('_')[-1]} is missing") as refusal:
            client.predict(*photos[:2], **{missing: None}, api_name="/transfer")
        assert is_one_sentence(refusal.value)


def test_a_version_promoted_while_open_answers(
    client: Client, fake: FakeRegistry, photos: list[Any]
) -> None:
    before = fake.production["dln"]
    fake.put("dln", 4, answers(EXPRESSIONS.flip(0)))
    until = time.monotonic() + 60
    while client.predict(*photos, api_name="/compare")["version"] != 4:
        assert time.monotonic() < until
        time.sleep(0.1)
    fake.production["dln"] = before


def test_pictures_are_deleted_after_an_hour(
    page: Page, client: Client, fake: FakeRegistry, photos: list[Any]
) -> None:
    assert not page.blocks.run_history
    assert Path(page.blocks.GRADIO_CACHE) != Path(gettempdir()) / "gradio"  # other pages' too
    states = [b for b in page.blocks.blocks.values() if isinstance(b, gr.State)]
    assert {state.time_to_live for state in states} == {3600}
    fake.put_transfer(5)
    client.predict(*photos[:2], api_name="/transfer")
    cache = Path(page.blocks.GRADIO_CACHE)
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert {".jpg", ".png"} <= {path.suffix for path in files}
    for path in files[1:]:
        os.utime(path, (0, time.time() - LIFETIME_SECONDS - 60))
    visitor_folder().remove_older(LIFETIME_SECONDS)
    assert [path for path in cache.rglob("*") if path.is_file()] == files[:1]


def test_an_unexpected_failure_is_logged_and_shown_as_one_sentence(
    client: Client,
    photos: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(EmotionRecognizer, "recognise", fail)
    with pytest.raises(AppError) as failure:
        client.predict(photos[0], api_name="/emotion")
    assert str(failure.value) == UNEXPECTED
    assert "RuntimeError: CUDA out of memory" in caplog.text
    assert "Traceback" not in capfd.readouterr().out
