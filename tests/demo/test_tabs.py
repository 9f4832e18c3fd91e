"""What the tabs share: a photo with its faces, and the model card under an answer."""

import base64
import io
from pathlib import Path

import gradio as gr
import pytest
import torch
from PIL import Image
from torch import Tensor

from demo.models import ModelServer
from demo.tabs.context import SHOWN_CROP_PX, PageContext
from demo.tabs.emotion import EmotionTab
from demo.tabs.photo_input import PhotoInput
from demo.tabs.triplet import TripletTab
from registry import versions
from registry.catalog import EMOTION
from tests.demo.fakes import FakeRegistry, answers


def zeros(faces: Tensor) -> dict[str, Tensor]:
    return {"logits": torch.zeros(len(faces), 8)}


@pytest.fixture
def context(registry: FakeRegistry) -> PageContext:
    registry.put("dln", 3, answers(torch.eye(3)))
    registry.put("emotion", 2, zeros)
    return PageContext(server=ModelServer(None), mlflow_url=None)


@pytest.fixture
def photo_input(context: PageContext) -> PhotoInput:
    with gr.Blocks():
        return PhotoInput(context, EMOTION, "Photo")


def test_a_bad_photo_leaves_a_notice_and_no_photo(photo_input: PhotoInput, tmp_path: Path) -> None:
    (tmp_path / "<b>.jpg").write_text("not a picture")
    picture, photo, faces, note = photo_input.load(str(tmp_path / "<b>.jpg"))
    assert picture is None
    assert photo is None
    assert faces.visible is False
    assert "&lt;b&gt;.jpg is not a picture" in note


def test_several_faces_are_numbered_and_one_is_chosen(
    photo_input: PhotoInput, two_people: Path
) -> None:
    picture, photo, faces, note = photo_input.load(str(two_people))
    assert faces.choices == [("1", 0), ("2", 1)]
    assert faces.visible
    assert picture.alt_text == "Photo with 2 faces, boxed and numbered"
    assert 'alt="Face 1 of photo, level and cut out"' in note
    _, second = photo_input.show(photo, 1)
    assert "Face 2, as the model sees it" in second
    crops = [Image.open(io.BytesIO(jpeg_of(html))) for html in (note, second)]
    assert [crop.size for crop in crops] == [(SHOWN_CROP_PX, SHOWN_CROP_PX)] * 2
    assert crops[0].tobytes() != crops[1].tobytes()


def jpeg_of(html: str) -> bytes:
    """Return the first picture that a text holds as a data URL."""
    return base64.b64decode(html.partition("base64,")[2].split('"')[0])


def test_the_model_card_is_that_of_the_version_that_answered(
    people: list[Path],
    context: PageContext,
    registry: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = people[1]
    text = f"<b> `demo/examples/{wrong.name}`, `demo/examples/../gone.jpg`"
    monkeypatch.setattr(versions, "card", lambda reference: f"![card]({reference}) {text}")
    with gr.Blocks():
        triplet, emotion = TripletTab(context), EmotionTab(context)
    photos = [context.reader.read(path) for path in people]
    values = [value for photo in photos for value in (photo, 0)]
    before = triplet.reply(*values)
    registry.put("dln", 4, answers(torch.eye(3)))
    for answer, accordion, card, pictures, _ in (before, triplet.reply(*values)):
        assert "dln, version 3" in answer
        assert (accordion.label, accordion.visible) == ("Model card of dln, version 3", True)
        assert 'href="dln/3"' in card
        assert ">card</a> &lt;b&gt; " in card
        assert "<img" not in card
        assert pictures.count("<img") == 1
        assert wrong.stem in pictures
    _, accordion, card, *_ = emotion.reply(photos[0], 0)
    assert accordion.visible
    assert 'href="emotion/2"' in card
    for _, accordion, card, pictures, *_ in (emotion.reply(None, None), triplet.reply(*[None] * 6)):
        assert (accordion.visible, card, pictures) == (False, "", "")
    assert not triplet.card.accordion.open
