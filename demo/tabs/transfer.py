"""Two photos: one person's face with the other's expression, or with none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from jaxtyping import UInt8

from demo import marking
from demo.drawing import shown
from demo.limits import OPEN_FACES
from demo.predictors import Photo, look
from demo.sheet import sheet
from demo.tabs import examples
from demo.tabs.card import CardFold, card_of, no_card
from demo.tabs.house import PageContext, empty, notice, prose, told
from demo.tabs.photo import KEPT_SECONDS, LATEST, QUEUED, PhotoPlace, held
from demo.tabs.receipts import receipts, sheet_shown, strip
from demo.transfer import LEAST, MOST, ExpressionTransfer, TransferAnswer
from registry.catalog import PIX2PIXHD
from registry.errors import RegistryError
from registry.photos import PhotoError

PURPOSE = (
    "Here one person's photo will take on another person's expression, as soon as a version can."
)
ASK = "Add a photo of a person, and one whose expression the person takes on."
ASK_PERSON = "Add a photo of a person, whose face becomes neutral."
ASK_CONSENT = "Tick that the people in the pictures agree, and the picture appears here."
AGREED = "I use only pictures of people who agree to it."
OTHERS, NEUTRAL = "the other person's", "neutral"
SHOWN_PX = 2048
"""The page shows a picture at most this long; the file to keep has the photo's own size."""
SHOWN = ("sad_06", "surprised_00", "angry_02", "smiling_07")
ASKING = ("smiling_05", "surprised_02", "angry_09", "sad_01")
"""The synthetic people of the sheet in the model card: whose faces, and whose expressions."""
FILE = "expression-transfer.png"
SAVE = """
(file) => {
  const link = document.createElement("a");
  link.href = file.url;
  link.download = file.orig_name;
  document.body.append(link);
  link.click();
  link.remove();
}
"""
ARROWS_RELEASE = """
element.closest("#transfer-strength-place").addEventListener("keyup", (event) => {
  if (event.target.type === "range" && event.key !== "Tab")
    event.target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
});
"""
"""Gradio calls a slider released only by a pointer; so is it now by the keyboard."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """What a visitor asks for: whose face, whose expression (None: neutral), and how far."""

    person: Photo
    driver: Photo | None
    which: tuple[int, int]
    strength: float


class TransferTab:
    """The tab; built where it is made."""

    def __init__(self, house: PageContext) -> None:
        self._house = house
        self._transfer = ExpressionTransfer(house.served)
        self._sheet = ((0, ""), "")
        self.status = gr.HTML(
            elem_id="transfer-status", elem_classes="status", apply_default_css=False
        )
        with gr.Row(elem_classes="photos"):
            with gr.Column(min_width=240):
                self.person = PhotoPlace(house, PIX2PIXHD, "The person")
            with gr.Column(min_width=240) as self._other_place:
                self.other = PhotoPlace(house, PIX2PIXHD, "The expression")
        tried = examples.Examples("Or try two synthetic people", examples.pairs())
        self._build_questions()
        self._build_answer()
        self._connect(tried)

    def _build_questions(self) -> None:
        self.agreed = gr.Checkbox(
            False, label=AGREED, elem_classes="consent", elem_id="transfer-consent"
        )
        with gr.Row():
            self.wanted = gr.Radio(
                [OTHERS, NEUTRAL], value=OTHERS, label="Expression to take on", min_width=240
            )
            with gr.Column(min_width=240, elem_id="transfer-strength-place"):
                self.strength = gr.Slider(
                    LEAST,
                    MOST,
                    1.0,
                    step=0.05,
                    label="Strength",
                    info="0 leaves the face, 1 goes all the way, below 0 away from it",
                    elem_id="transfer-strength",
                )
                gr.HTML(js_on_load=ARROWS_RELEASE, elem_classes="unseen", apply_default_css=False)

    def _build_answer(self) -> None:
        self.kept = gr.State(None, time_to_live=KEPT_SECONDS)
        with gr.Row():
            with gr.Column(min_width=280, scale=3, visible=False) as self._seen:
                self.picture = gr.ImageSlider(
                    label="The picture: before and after",
                    type="filepath",
                    interactive=False,
                    buttons=["fullscreen"],
                    max_height=560,
                    elem_id="transfer-picture",
                )
                with gr.Row():
                    self.save = gr.Button("Download as PNG", min_width=140)
                    self.steps = gr.Button("Show all strengths", min_width=140)
                self.file = gr.DownloadButton(elem_classes="unseen")
            with gr.Column(min_width=280, scale=2):
                self.answer = gr.HTML(
                    empty(ASK), elem_id="transfer-answer", apply_default_css=False
                )
        self.strip = gr.HTML(
            elem_id="transfer-strip", elem_classes="status", apply_default_css=False
        )
        self.card = CardFold()
        with self.card.fold:
            self.sheet = gr.HTML(elem_id="transfer-sheet", apply_default_css=False)

    def _connect(self, tried: examples.Examples) -> None:
        places = [*self.person.outputs, *self.other.outputs]
        asked = [self.person.state, self.person.faces, self.other.state, self.other.faces]
        asked += [self.wanted, self.strength, self.agreed]
        outputs = [self._seen, self.picture, self.kept, self.answer, self.strip]
        outputs += self.card.outputs
        chosen = self.wanted.input(self.choose, self.wanted, self._other_place, **LATEST)
        events = [*self.person.follow(), *self.other.follow(), chosen]
        events.append(tried.chosen(self._take, places, **QUEUED))
        for event in events:
            event.then(self.reply, asked, outputs, **QUEUED)
        self.strength.release(self.reply, asked, outputs, **LATEST)
        self.agreed.input(self.reply, asked, outputs, **LATEST)
        self.steps.click(self.show_strip, asked, self.strip, **LATEST)
        self.card.fold.expand(self.show_sheet, None, self.sheet, **LATEST)
        written = self.save.click(self.write, self.kept, self.file, **LATEST)
        written.success(None, self.file, js=SAVE)

    def _take(self, pictures: Sequence[Path]) -> list[Any]:
        person, other = (str(path) for path in pictures)
        return [*self.person.take(person), *self.other.take(other)]

    def told_status(self) -> str:
        """Return as HTML why there is no transfer, or why a newer version doesn't answer."""
        status = self._transfer.status()
        if status is None:
            return self._house.problem(PIX2PIXHD)
        return told(PURPOSE, f"<p>{prose(status)}</p>")

    def choose(self, wanted: str) -> Any:
        """Show the second photo's place where its expression is wanted."""
        return gr.Column(visible=wanted == OTHERS)

    def reply(self, *given: Any) -> list[Any]:
        """Return the picture beside the source, what it is worth, and the card of who answered."""
        asked = question(*given)
        if isinstance(asked, str):
            return self._no_picture(empty(asked))
        try:
            answer = self._transfer.transfer(
                asked.person, asked.driver, asked.which, asked.strength
            )
        except (PhotoError, RegistryError) as error:
            return self._no_picture(notice(str(error)))
        stamp = answer.stamp
        parts = receipts(answer) + f'<p class="hint">{OPEN_FACES}</p>'
        text = self._house.answer(PIX2PIXHD, answer.sentence, parts, stamp)
        before = self._jpeg(asked.person.pixels, generated=False)
        pair = (before, self._jpeg(answer.picture, generated=True))
        card = card_of(stamp.model, stamp.version)
        return [gr.Column(visible=True), pair, answer, text, "", *card]

    def _no_picture(self, text: str) -> list[Any]:
        return [gr.Column(visible=False), None, None, text, "", *no_card()]

    def show_strip(self, *given: Any) -> str:
        """Return as HTML the face at all strengths of a strip."""
        asked = question(*given)
        if isinstance(asked, str):
            return ""
        try:
            return strip(self._transfer.strip(asked.person, asked.driver, asked.which))
        except (PhotoError, RegistryError) as error:
            return notice(str(error))

    def show_sheet(self) -> str:
        """Return as HTML what the version in production makes of the synthetic people."""
        try:
            version = self._house.served.model(PIX2PIXHD.name).version
            identity = (version.number, version.run_id)
            if self._sheet[0] != identity:
                people = {
                    path.stem: look(path, self._house.cropper) for path in examples.pictures()
                }
                sources, drivers = ([people[name] for name in names] for names in (SHOWN, ASKING))
                made = sheet(self._transfer, version.crop, sources, drivers)
                who = f"{version.name} version {version.number}"
                self._sheet = identity, sheet_shown(made, who)
        except RegistryError as error:
            return notice(str(error))
        return self._sheet[1]

    def write(self, answer: TransferAnswer | None) -> str:
        """Return the file to keep: it goes when uploads go."""
        if answer is None:
            raise gr.Error(
                "The picture is gone after an hour; make it anew.", print_exception=False
            )
        return held(marking.png(answer.picture), FILE, self.file)

    def _jpeg(self, pixels: UInt8[np.ndarray, "h w 3"], *, generated: bool) -> str:
        seen = shown(pixels, SHOWN_PX)
        return held(marking.jpeg(seen, generated=generated), "picture.jpg", self.picture)


def question(
    person: Photo | None,
    face: int | None,
    other: Photo | None,
    other_face: int | None,
    wanted: str,
    strength: int | float,
    agreed: bool,
) -> Question | str:
    """Return what the visitor asks for, or what to do before there can be a picture."""
    if person is None or (other is None and wanted == OTHERS):
        return ASK if wanted == OTHERS else ASK_PERSON
    if not agreed:
        return ASK_CONSENT
    return Question(
        person=person,
        driver=other if wanted == OTHERS else None,
        which=(int(face or 0), int(other_face or 0)),
        strength=float(strength),
    )
