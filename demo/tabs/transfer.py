"""The Transfer tab: one person's face with another person's expression, or with a neutral one."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from jaxtyping import UInt8

from demo.contact_sheet import contact_sheet
from demo.drawing import shrink
from demo.marking import encode_jpeg
from demo.tabs.clip import ClipSection
from demo.tabs.context import (
    ASK_AGAIN_SECONDS,
    PageContext,
    answer_box,
    code_marked,
    notice,
    placeholder,
    unanswered,
)
from demo.tabs.examples import PAIRS, Examples, example_photos, paths
from demo.tabs.model_card import ModelCardAccordion, hide_model_card, show_model_card
from demo.tabs.photo_input import ASKED_AGAIN, LATEST, PICTURE_LIMIT, QUEUED, PhotoInput
from demo.tabs.transfer_request import (
    ADD_PHOTOS,
    NEUTRAL,
    OTHERS,
    TransferRequest,
    read_request,
)
from demo.tabs.transfer_results import metrics_html, sheet_html, strip_html
from demo.tabs.uploads import cache_file
from demo.transfer import (
    MAX_STRENGTH,
    MIN_STRENGTH,
    BadStrength,
    ExpressionTransfer,
    TransferAnswer,
)
from demo.transfer_limits import LIMITS
from demo.visitor_files import LIFETIME_SECONDS
from registry.catalog import PIX2PIXHD
from registry.errors import RegistryError
from registry.photos import PhotoError

PURPOSE = "Here one person's photo takes on another's expression, once a version is in production."
AGREED = "I use only pictures of people who agree to it."
EXPIRED = "The picture is gone after an hour; make it again."
OFFER = "Strength {:g} comes nearer: show it"
AFTER_SHOWN = 0
"""Where the slider stands at first, in percent of the width: all of the picture after is shown."""
MAX_SHOWN_PX = 2048
"""The page shows a picture at most this long; the file to download has the photo's own size."""
SHEET_SOURCES = ("sad_06", "surprised_00", "angry_02", "smiling_07")
SHEET_DRIVERS = ("smiling_05", "surprised_02", "angry_09", "sad_01")
"""The synthetic people of the contact sheet in the model card."""
DOWNLOAD = """
(file) => {
  const link = document.createElement("a");
  link.href = file.url;
  link.download = file.orig_name;
  document.body.append(link);
  link.click();
  link.remove();
}
"""


class TransferTab:
    """Builds the tab's components and connects their events."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._transfer = ExpressionTransfer(context.server)
        self._cached_sheet: tuple[tuple[int, str], str] = ((0, ""), "")
        self.status = gr.HTML(
            elem_id="transfer-status", elem_classes="status", apply_default_css=False
        )
        with gr.Row(elem_classes="photos"):
            with gr.Column(min_width=240):
                self.person = PhotoInput(context, PIX2PIXHD, "The person")
            with gr.Column(min_width=240) as self._other_column:
                self.other = PhotoInput(context, PIX2PIXHD, "The expression")
        examples = Examples("Or try two synthetic people", [paths(*names) for names in PAIRS])
        self._build_options()
        self._build_answer()
        self._connect(examples)
        options = [self.other.state, self.other.faces, self.target, self.strength, self.agreed]
        ClipSection(context, options, neutral=NEUTRAL)

    def _build_options(self) -> None:
        self.agreed = gr.Checkbox(
            False, label=AGREED, elem_classes="consent", elem_id="transfer-consent"
        )
        with gr.Row():
            self.target = gr.Radio(
                [OTHERS, NEUTRAL], value=OTHERS, label="Expression to take on", min_width=240
            )
            self.strength = gr.Slider(
                MIN_STRENGTH,
                MAX_STRENGTH,
                1.0,
                step=0.05,
                label="Strength",
                info="0 leaves the face, 1 goes all the way, below 0 away from it",
                elem_id="transfer-strength",
                min_width=240,
            )

    def _build_answer(self) -> None:
        self.result = gr.State(None, time_to_live=LIFETIME_SECONDS)
        self.ask_again = gr.Timer(ASK_AGAIN_SECONDS, active=False)
        with gr.Row():
            with gr.Column(min_width=280, scale=3, visible=False) as self._picture_column:
                self.picture = gr.ImageSlider(
                    label="The result; drag for the photo before",
                    slider_position=AFTER_SHOWN,
                    type="filepath",
                    interactive=False,
                    buttons=["fullscreen"],
                    max_height=560,
                    elem_id="transfer-picture",
                )
                with gr.Row():
                    self.download = gr.Button("Download as PNG", min_width=140)
                    self.all_strengths = gr.Button("Show all strengths", min_width=140)
                self.file = gr.DownloadButton(elem_classes="no-display")
            with gr.Column(min_width=280, scale=2):
                self.answer = gr.HTML(
                    placeholder(ADD_PHOTOS), elem_id="transfer-answer", apply_default_css=False
                )
                self.offered = gr.State(None, time_to_live=LIFETIME_SECONDS)
                self.offer = gr.Button(visible=False, elem_id="transfer-offer")
        self.strip = gr.HTML(
            elem_id="transfer-strip", elem_classes="status", apply_default_css=False
        )
        self.card = ModelCardAccordion()
        with self.card.accordion:
            self.sheet = gr.HTML(elem_id="transfer-sheet", apply_default_css=False)

    def _connect(self, examples: Examples) -> None:
        inputs = [self.person.state, self.person.faces, self.other.state, self.other.faces]
        inputs += [self.target, self.strength, self.agreed]
        outputs = [self._picture_column, self.picture, self.result, self.answer, self.strip]
        outputs += [*self.card.outputs, self.ask_again, self.offered, self.offer]
        photo_outputs = [*self.person.outputs, *self.other.outputs]
        events = [
            *self.person.change_events(),
            *self.other.change_events(),
            self.target.input(self.show_other, self.target, self._other_column, **LATEST),
            examples.click(self._load, photo_outputs, **QUEUED),
        ]
        latest = LATEST | PICTURE_LIMIT
        for event in events:
            event.then(self.reply, inputs, outputs, **latest)
        self.strength.release(self.reply, inputs, outputs, **latest)
        self.agreed.input(self.reply, inputs, outputs, **latest)
        self.ask_again.tick(self.reply, inputs, outputs, **ASKED_AGAIN | PICTURE_LIMIT)
        self.all_strengths.click(self.show_strip, inputs, self.strip, **latest)
        quietly = {**ASKED_AGAIN, **PICTURE_LIMIT, "trigger_mode": "always_last"}
        self.result.change(
            self.offer_strength, [self.result, *inputs], [self.offered, self.offer], **quietly
        )
        chosen = self.offer.click(choose, self.offered, self.strength, **QUEUED)
        chosen.then(self.reply, inputs, outputs, **latest)
        self.card.accordion.expand(self.show_sheet, None, self.sheet, **latest)
        written = self.download.click(self.write_file, self.result, self.file, **latest)
        written.success(None, self.file, js=DOWNLOAD)

    def _load(self, photos: Sequence[Path]) -> list[Any]:
        person, other = (str(path) for path in photos)
        return [*self.person.load(person), *self.other.load(other)]

    def status_html(self) -> str:
        """Return why there can be no transfer, or why a newer version doesn't answer."""
        status = self._transfer.status()
        if status is None:
            return self._context.problem_html(PIX2PIXHD)
        return answer_box(PURPOSE, f"<p>{code_marked(status)}</p>")

    def show_other(self, target: str) -> Any:
        """Show the second photo where its expression is taken on."""
        return gr.Column(visible=target == OTHERS)

    def reply(self, *values: Any) -> list[Any]:
        """Return the picture beside the source, its metrics, and the version's model card.

        Args:
            values: The arguments of `read_request`.
        """
        request = read_request(*values)
        if isinstance(request, str):
            return self._without_picture(placeholder(request))
        try:
            answer = self._transfer.transfer(
                request.person, request.driver, request.faces, request.strength
            )
        except (PhotoError, BadStrength) as error:
            return self._without_picture(notice(str(error)))
        except RegistryError as error:
            return self._without_picture(unanswered(error), ask_again=True)
        provenance = answer.provenance
        body = metrics_html(answer) + f'<p class="hint">{LIMITS}</p>'
        html = self._context.answer_html(PIX2PIXHD, answer.sentence, body, provenance)
        before = self._write_jpeg(request.person.pixels, generated=False)
        pair = (before, self._write_jpeg(answer.picture, generated=True))
        card = show_model_card(provenance.model, provenance.version)
        column = gr.Column(visible=True)
        timer = gr.Timer(active=False)
        return [column, pair, answer, html, "", *card, timer, None, gr.Button(visible=False)]

    def _without_picture(self, html: str, *, ask_again: bool = False) -> list[Any]:
        timer = gr.Timer(active=ask_again)
        card, offer = hide_model_card(), gr.Button(visible=False)
        return [gr.Column(visible=False), None, None, html, "", *card, timer, None, offer]

    def offer_strength(self, answer: TransferAnswer | None, *values: Any) -> tuple[Any, Any]:
        """Return the lower strength that comes nearer than a result that is warned of, to offer it.

        Args:
            answer: The result on the page.
            values: The arguments of `read_request`, as they are now.
        """
        request, found = read_request(*values), None
        if answer and isinstance(request, TransferRequest) and request.strength == answer.strength:
            with suppress(PhotoError, RegistryError):
                found = self._transfer.nearer_strength(
                    request.person, request.driver, request.faces, answer
                )
        if found is None:
            return None, gr.Button(visible=False)
        return found, gr.Button(OFFER.format(found), visible=True)

    def show_strip(self, *values: Any) -> str:
        """Return as HTML the face at all strengths of a strip."""
        request = read_request(*values)
        if isinstance(request, str):
            return ""
        try:
            return strip_html(self._transfer.strip(request.person, request.driver, request.faces))
        except (PhotoError, BadStrength, RegistryError) as error:
            return notice(str(error))

    def show_sheet(self) -> str:
        """Return as HTML the contact sheet of the version in production, made once a version."""
        try:
            version = self._context.server.model(PIX2PIXHD.name).version
            identity = (version.number, version.run_id)
            if self._cached_sheet[0] != identity:
                people = {p.stem: self._context.reader.read(p) for p in example_photos()}
                sources = [people[name] for name in SHEET_SOURCES]
                drivers = [people[name] for name in SHEET_DRIVERS]
                sheet = contact_sheet(self._transfer, version.crop, sources, drivers)
                html = sheet_html(sheet, f"{version.name} version {version.number}")
                self._cached_sheet = identity, html
        except RegistryError as error:
            return notice(str(error))
        return self._cached_sheet[1]

    def write_file(self, answer: TransferAnswer | None) -> str:
        """Return the path of the PNG to download; it is deleted with the uploads."""
        if answer is None:
            raise gr.Error(EXPIRED, print_exception=False)
        return cache_file(answer.encode(), answer.file_name, self.file)

    def _write_jpeg(self, pixels: UInt8[np.ndarray, "h w 3"], *, generated: bool) -> str:
        jpeg = encode_jpeg(shrink(pixels, MAX_SHOWN_PX), generated=generated)
        return cache_file(jpeg, "picture.jpg", self.picture)


def choose(offered: float) -> float:
    """Return an offered strength, for the slider."""
    return offered
