"""The model card of the version that answered, in a fold under the answer."""

from html import escape
from typing import Any

import gradio as gr

from demo.drawing import thumbnail
from demo.tabs.examples import pictures
from registry.errors import RegistryError
from registry.photos import read_photo


class CardFold:
    """A closed fold, shown once there is an answer; built where it is made."""

    def __init__(self) -> None:
        with gr.Accordion("Model card", open=False, visible=False) as self.fold:
            self.text = gr.Markdown()
            self.pictures = gr.HTML(apply_default_css=False)

    @property
    def outputs(self) -> list[gr.blocks.Block]:
        """What `card_of` and `no_card` fill."""
        return [self.fold, self.text, self.pictures]


def card_of(model: str, number: int) -> list[Any]:
    """Return the fold with the card of one version, whichever is in production by now."""
    from registry import versions

    try:
        text = versions.card(f"{model}/{number}")
    except RegistryError as error:
        text = str(error)
    fold = gr.Accordion(f"Model card of {model}, version {number}", visible=True)
    return [fold, _inert(text), _named(text)]


def no_card() -> list[Any]:
    """Return the fold hidden, where nothing answered."""
    return [gr.Accordion(visible=False), "", ""]


def _inert(text: str) -> str:
    """Return Markdown that fetches nothing: a description can be anybody's."""
    return text.replace("<", "&lt;").replace("![", "[")


def _named(text: str) -> str:
    """Return as HTML the example pictures that a card names as answered wrongly."""
    named = [path for path in pictures() if f"`demo/examples/{path.name}`" in text]
    figures = "".join(
        f'<figure><img src="{thumbnail(read_photo(path))}" alt="">'
        f"<figcaption>{escape(path.stem)}</figcaption></figure>"
        for path in named
    )
    return f'<div class="failures">{figures}</div>' if named else ""
