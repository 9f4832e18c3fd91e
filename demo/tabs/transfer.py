"""One person's expression for another: what is lacking until a version is in production."""

from typing import Any

import gradio as gr

from demo.predictors import ExpressionTransfer
from demo.tabs.card import CardFold, card_of, no_card
from demo.tabs.house import House, prose, told
from registry.catalog import PIX2PIXHD
from registry.errors import RegistryError

PURPOSE = (
    "Here one person's photo will take on another person's expression, as soon as a version can."
)
PLACES = (
    '<div class="places">'
    '<p class="empty"><b>The person</b>whose face it stays</p>'
    '<p class="empty"><b>The expression</b>taken from another person</p>'
    '<p class="empty"><b>The picture</b>once a version is in production</p>'
    "</div>"
)


class TransferTab:
    """The tab; built where it is made."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._transfer = ExpressionTransfer(house.served)
        gr.HTML(PLACES, apply_default_css=False)
        self.status = gr.HTML(elem_id="transfer-status", apply_default_css=False)
        self.card = CardFold()

    @property
    def outputs(self) -> list[gr.blocks.Block]:
        """What `told_status` fills."""
        return [self.status, *self.card.outputs]

    def told_status(self) -> list[Any]:
        """Return as HTML whether there is a version and how to get one, and the version's card."""
        status = told(PURPOSE, f"<p>{prose(self._transfer.status())}</p>")
        try:
            version = self._house.served.model(PIX2PIXHD.name).version
        except RegistryError:
            return [status, *no_card()]
        return [status, *card_of(version.name, version.number)]
