"""Pictures to try the page with: synthetic people, named by expression and number."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from demo.drawing import thumbnail
from registry.photos import read_photo

FOLDER = Path(__file__).parent.parent / "examples"
MOST_TRIPLETS = 3
TELL_WHICH = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) trigger("click", { which: Number(button.value) });
});
"""


class Examples:
    """A row of buttons with pictures on them.

    Args:
        invitation: What the row says.
        sets: The pictures of each button.
    """

    def __init__(self, invitation: str, sets: Sequence[Sequence[Path]]) -> None:
        self._sets = sets
        buttons = "".join(_button(place, pictures) for place, pictures in enumerate(sets))
        self._row = gr.HTML(
            f'<div class="examples"><span>{escape(invitation)}</span>{buttons}</div>',
            js_on_load=TELL_WHICH,
            apply_default_css=False,
            visible=bool(sets),
        )

    def chosen(
        self, take: Callable[[Sequence[Path]], list[Any]], outputs: Sequence[Any], **how: Any
    ) -> Any:
        """Let `take` answer a click with what fills the outputs; return the event."""

        def taken(event: gr.EventData) -> list[Any]:
            return take(self._sets[event.which])

        return self._row.click(taken, outputs=outputs, **how)


def pictures() -> list[Path]:
    """Return all example pictures, by name."""
    return sorted(FOLDER.glob("*.jpg"))


def triplets() -> list[tuple[Path, Path, Path]]:
    """Return example questions: two pictures of one expression around one of another."""
    kinds = _kinds()
    found: list[tuple[Path, Path, Path]] = []
    for kind, (first, second, *_) in ((k, v) for k, v in kinds.items() if len(v) > 1):
        others = [pictures[-1] for other, pictures in kinds.items() if other != kind]
        if others:
            found.append((first, others[len(found) % len(others)], second))
    return found[:MOST_TRIPLETS]


def pairs() -> list[tuple[Path, Path]]:
    """Return pairs of people with different expressions: each kind's first, the next one's last."""
    kinds = list(_kinds().values())
    return [(one[0], other[-1]) for one, other in zip(kinds, kinds[1:] + kinds[:1], strict=True)]


def expression(picture: Path) -> str:
    """Return the expression that a picture is named after."""
    return picture.stem.partition("_")[0]


def _kinds() -> dict[str, list[Path]]:
    """Return the example pictures by the expression they are named after."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    for picture in pictures():
        kinds[expression(picture)].append(picture)
    return kinds


def _button(place: int, pictures: Sequence[Path]) -> str:
    told = ", ".join(expression(picture) for picture in pictures)
    shown = "".join(f'<img src="{thumbnail(read_photo(path))}" alt="">' for path in pictures)
    return (
        f'<button type="button" value="{place}" aria-label="Example: {escape(told)}">'
        f"{shown}</button>"
    )
