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
    """Reason -> names of the pictures that gave no crop or stand in a later split too."""
    notes: list[str]
    seconds: float
    summary: str

    @property
    def kept(self) -> int:
        """Faces in the index."""
        return self.offered - sum(map(len, self.dropped.values()))

    @property
    def text(self) -> str:
        """The report as markdown."""
        lost = [f"{len(names):,} dropped: {why}." for why, names in self.dropped.items()]
        taken = f"{self.kept:,} faces of {self.offered:,} pictures, in {self.seconds:.0f} s."
        listed = [f"- {why}: {', '.join(sorted(names))}" for why, names in self.dropped.items()]
        return "\n".join(
            [f"# Prepared set {self.name}", "", f"    {self.command}", ""]
            + [f"- {note}" for note in [taken, *lost, *self.notes]]
            + ["", "```", self.summary, "```", ""]
            + (["Left out:", "", *listed, ""] if listed else [])
        )
