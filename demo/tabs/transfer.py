"""One person's expression for another: what is lacking until a version is in production."""

import gradio as gr

from demo.predictors import ExpressionTransfer
from demo.tabs.house import House, prose, told

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
        self._transfer = ExpressionTransfer(house.served)
        gr.HTML(PLACES, apply_default_css=False)
        self.status = gr.HTML(elem_id="transfer-status", apply_default_css=False)

    def told_status(self) -> str:
        """Return as HTML whether there is a version, and how to get one."""
        return told(PURPOSE, f"<p>{prose(self._transfer.status())}</p>")
