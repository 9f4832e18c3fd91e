"""Pictures to try the page with: synthetic people, named by expression and number."""

from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "examples"
MOST_TRIPLETS = 3


def pictures() -> list[Path]:
    """Return all example pictures, by name."""
    return sorted(FOLDER.glob("*.jpg"))


def triplets() -> list[tuple[Path, Path, Path]]:
    """Return example questions: two pictures of one expression around one of another."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    for picture in pictures():
        kinds[expression(picture)].append(picture)
    found = []
    for kind, (first, second, *_) in ((k, v) for k, v in kinds.items() if len(v) > 1):
        others = [pictures[-1] for other, pictures in kinds.items() if other != kind]
        if others:
            found.append((first, others[len(found) % len(others)], second))
    return found[:MOST_TRIPLETS]


def expression(picture: Path) -> str:
    """Return the expression that a picture is named after."""
    return picture.stem.partition("_")[0]
