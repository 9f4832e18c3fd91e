"""The model card of the version that answered, in an accordion under the answer."""

from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

import gradio as gr
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from demo.drawing import thumbnail_url
from demo.tabs.examples import example_photos
from registry.errors import RegistryError
from registry.photos import read_photo


class ModelCardAccordion:
    """A closed accordion, shown once there is an answer."""

    def __init__(self) -> None:
        with gr.Accordion("Model card", open=False, visible=False) as self.accordion:
            self.text = gr.HTML(elem_classes="card prose", apply_default_css=False)
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
    return [accordion, card_html(text), _failures_html(text)]


def hide_model_card() -> list[Any]:
    """Return the outputs where there is no answer."""
    return [gr.Accordion(visible=False), "", ""]


def card_html(text: str) -> str:
    """Return Markdown as HTML, its own HTML as text, and no pictures: anybody may write a card."""
    return str(_renderer().render(text))


@cache
def _renderer() -> MarkdownIt:
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    renderer.add_render_rule("link_open", _link_open)
    return renderer


def _link_open(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    """Return the tag of a link that opens a page of its own and tells it nothing."""
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer")
    return str(renderer.renderToken(tokens, index, options, env))


def _failures_html(text: str) -> str:
    """Return the example photos that a card names as answered wrongly."""
    named = [path for path in example_photos() if f"`demo/examples/{path.name}`" in text]
    figures = "".join(
        f'<figure><img src="{thumbnail_url(read_photo(path))}" alt="">'
        f"<figcaption>{escape(path.stem)}</figcaption></figure>"
        for path in named
    )
    return f'<div class="failures">{figures}</div>' if named else ""
