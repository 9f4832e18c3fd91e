"""The fenced code blocks of our documents."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[2]
DOCUMENTS = sorted([PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")])
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONTINUED = re.compile(r"\\\n\s*")


class Block(NamedTuple):
    """A code block, its language, and whether it is marked as too long to be run."""

    document: Path
    language: str
    is_long: bool
    text: str

    @property
    def commands(self) -> list[str]:
        """The command lines, without comments."""
        lines = CONTINUED.sub(" ", self.text).splitlines()
        return [line.split(" # ")[0].strip() for line in lines if line.split("#")[0].strip()]


def blocks(document: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a document, from the first to the last."""
    for info, text in FENCE.findall(document.read_text(encoding="utf-8")):
        language, _, mark = info.strip().partition(" ")
        assert mark in ("", "long"), f"{document.name}: a block marked {mark!r}"
        yield Block(document, language, mark == "long", text)
