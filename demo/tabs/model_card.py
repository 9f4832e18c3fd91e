"""The model card of the version that answered, in an accordion under the answer."""

from html import escape
from typing import Any

import gradio as gr

from demo.drawing import thumbnail_url
from demo.tabs.examples import example_photos
from registry.errors import RegistryError
from registry.photos import read_photo


class ModelCardAccordion:
    """A closed accordion, shown once there is an answer."""

    def __init__(self) -> None:
        with gr.Accordion("Model card", open=False, visible=False) as self.accordion:
            self.text = gr.Markdown(elem_classes="card")
            self.pictures = gr.HTML(apply_default_css=False)

    @property
    def outputs(self) -> list[gr.blocks.Block]:
        """The components that `show_model_card` and `hide_model_card` fill."""
        return [self.accordion, self.text, self.pictures]


def show_model_card(model: str, number: int) -> list[Any]:
    """Return the outputs for the card of one version, in production or not."""
    from registry import versions

    try:
        text = versions.card(f"{model}/{number}")
    except RegistryError as error:
        text = str(error)
    accordion = gr.Accordion(f"Model card of {model}, version {number}", visible=True)
    return [accordion, _without_embeds(text), _failures_html(text)]


def hide_model_card() -> list[Any]:
    """Return the outputs where there is no answer."""
    return [gr.Accordion(visible=False), "", ""]


def _without_embeds(text: str) -> str:
    """Return Markdown without HTML and pictures: anybody may write a description."""
    return text.replace("<", "&lt;").replace("![", "[")


def _failures_html(text: str) -> str:
    """Return the example photos that a card names as answered wrongly."""
    named = [path for path in example_photos() if f"`demo/examples/{path.name}`" in text]
    figures = "".join(
        f'<figure><img src="{thumbnail_url(read_photo(path))}" alt="">'
        f"<figcaption>{escape(path.stem)}</figcaption></figure>"
        for path in named
    )
    return f'<div class="failures">{figures}</div>' if named else ""
