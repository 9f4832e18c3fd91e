"""The report of `prepare` about a set."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `prepare` did; `text` is written as report.md."""

    name: str
    command: str
    offered: int
    """Number of pictures that the reader found."""
    dropped: dict[str, list[str]]
    """Reason -> pictures that have no crop or are in a later split too."""
    notes: list[str]
    """What the reader used or dropped, one sentence each."""
    seconds: float
    summary: str
    """What the prepared folder holds, in plain text."""

    @property
    def faces(self) -> int:
        """Number of faces in the index."""
        return self.offered - sum(map(len, self.dropped.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it, with the number of pictures dropped by reason."""
        return {
            "set": self.name,
            "pictures": self.offered,
            "faces": self.faces,
            "dropped": {why: len(files) for why, files in self.dropped.items()},
            "notes": self.notes,
            "seconds": self.seconds,
        }

    @property
    def sentences(self) -> list[str]:
        """What was used, what was dropped and why, one sentence each."""
        taken = f"{self.faces:,} faces of {self.offered:,} pictures, in {self.seconds:.0f} s."
        dropped = [f"{len(files):,} dropped: {why}." for why, files in self.dropped.items()]
        return [taken, *dropped, *self.notes]

    @property
    def text(self) -> str:
        """The report as Markdown."""
        listed = [f"- {why}: {', '.join(sorted(files))}" for why, files in self.dropped.items()]
        return "\n".join(
            [f"# Prepared set {self.name}", "", f"    {self.command}", ""]
            + [f"- {sentence}" for sentence in self.sentences]
            + ["", "```", self.summary, "```", ""]
            + (["Left out:", "", *listed, ""] if listed else [])
        )
