"""Example photos to try the page with: synthetic people, named by expression and number."""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from demo.drawing import thumbnail_url
from demo.transfer import EXAMPLES
from registry.photos import read_photo

TRIPLETS = (
    ("smiling_05", "angry_09", "smiling_07"),
    ("sad_01", "surprised_00", "sad_06"),
    ("angry_02", "smiling_07", "angry_09"),
)
"""Triplets that show what the Triplet tab is for: the starter is right by a clear margin."""
PAIRS = (
    ("sad_06", "smiling_05"),
    ("angry_02", "smiling_07"),
    ("surprised_00", "smiling_05"),
    ("smiling_07", "sad_06"),
)
"""A person and an expression each, for which the starter's pictures are among its better ones."""
SEND_CLICKED_INDEX = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) trigger("click", { index: Number(button.value) });
});
"""


class Examples:
    """A row of buttons with pictures on them; each fills all photos of a tab, which then answers.

    Not gr.Examples: its buttons have no name for screen readers (alt="" and no label), and for
    several photos it draws cells of a table instead of buttons.

    Args:
        invitation: The text in front of the buttons.
        sets: The photos of each button.
    """

    def __init__(self, invitation: str, sets: Sequence[Sequence[Path]]) -> None:
        self._sets = sets
        buttons = "".join(_button(index, photos) for index, photos in enumerate(sets))
        self._row = gr.HTML(
            f'<div class="examples"><span>{escape(invitation)}</span>{buttons}</div>',
            js_on_load=SEND_CLICKED_INDEX,
            apply_default_css=False,
            visible=bool(sets),
        )

    def click(
        self,
        handler: Callable[[Sequence[Path]], list[Any]],
        outputs: Sequence[Any],
        **event_arguments: Any,
    ) -> Any:
        """Call `handler` with the photos of the clicked button; return the event."""

        def handle(event: gr.EventData) -> list[Any]:
            return handler(self._sets[event.index])

        return self._row.click(handle, outputs=outputs, **event_arguments)


def example_photos() -> list[Path]:
    """Return all example photos, by name."""
    return sorted(EXAMPLES.glob("*.jpg"))


def paths(*names: str) -> list[Path]:
    """Return the example photos of these names, "smiling_05"."""
    return [EXAMPLES / f"{name}.jpg" for name in names]


def expression(photo: Path) -> str:
    """Return the expression that an example photo is named after."""
    return photo.stem.partition("_")[0]


def _button(index: int, photos: Sequence[Path]) -> str:
    label = ", ".join(expression(photo) for photo in photos)
    images = "".join(f'<img src="{thumbnail_url(read_photo(path))}" alt="">' for path in photos)
    return (
        f'<button type="button" value="{index}" aria-label="Example: {escape(label)}">'
        f"{images}</button>"
    )
