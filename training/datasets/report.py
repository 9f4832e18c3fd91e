"""What `prepare` did with a set, for people."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `prepare` did; `text` is written as report.md."""

    name: str
    command: str
    offered: int
    """Pictures that the reader took from its source."""
    dropped: dict[str, list[str]]
    """Reason -> files of the pictures that gave no crop or stand in a later split too."""
    notes: list[str]
    seconds: float
    summary: str

    @property
    def kept(self) -> int:
        """Faces in the index."""
        return self.offered - sum(map(len, self.dropped.values()))

    @property
    def said(self) -> list[str]:
        """What was taken, what was dropped and why, a sentence each."""
        taken = f"{self.kept:,} faces of {self.offered:,} pictures, in {self.seconds:.0f} s."
        lost = [f"{len(files):,} dropped: {why}." for why, files in self.dropped.items()]
        return [taken, *lost, *self.notes]

    @property
    def text(self) -> str:
        """The report as markdown."""
        listed = [f"- {why}: {', '.join(sorted(files))}" for why, files in self.dropped.items()]
        return "\n".join(
            [f"# Prepared set {self.name}", "", f"    {self.command}", ""]
            + [f"- {note}" for note in self.said]
            + ["", "```", self.summary, "```", ""]
            + (["Left out:", "", *listed, ""] if listed else [])
        )
