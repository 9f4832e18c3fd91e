"""The model card of the version that answered, in a fold under the answer."""

from typing import Any

import gradio as gr

from registry.errors import RegistryError


class CardFold:
    """A closed fold, shown once there is an answer; built where it is made."""

    def __init__(self) -> None:
        with gr.Accordion("Model card", open=False, visible=False) as self.fold:
            self.text = gr.Markdown()

    @property
    def outputs(self) -> list[gr.blocks.Block]:
        """What `card_of` and `no_card` fill."""
        return [self.fold, self.text]


def card_of(model: str, number: int) -> list[Any]:
    """Return the fold with the card of one version, whichever is in production by now."""
    from registry import versions

    try:
        text = versions.card(f"{model}/{number}")
    except RegistryError as error:
        text = str(error)
    return [gr.Accordion(f"Model card of {model}, version {number}", visible=True), _inert(text)]


def no_card() -> list[Any]:
    """Return the fold hidden, where nothing answered."""
    return [gr.Accordion(visible=False), ""]


def _inert(text: str) -> str:
    """Return Markdown that fetches nothing: a description can be anybody's."""
    return text.replace("<", "&lt;").replace("![", "[")
