"""Small CSV files in the format that FEC publishes."""

from pathlib import Path

from training.datasets.fec.fec_csv import TYPES
from training.datasets.fec.reader import PARTS

BOX = "0.200000,0.800000,0.200000,0.800000"


def row(
    addresses: tuple[str, str, str],
    answers: str = "333333",
    kind: str = TYPES[0],
    box: str = BOX,
) -> str:
    """Return a line as published: addresses quoted, nothing else."""
    faces = ",".join(f'"{address}",{box}' for address in addresses)
    pairs = ",".join(f"{41207 + rater},{answer}" for rater, answer in enumerate(answers))
    return f"{faces},{kind},{pairs}"


def flickr(*numbers: int) -> tuple[str, str, str]:
    """Return three addresses of photos."""
    a, b, c = (f"http://farm{n % 9 + 1}.staticflickr.com/1/{n:04d}_ab_b.jpg" for n in numbers)
    return a, b, c


def write_parts(folder: Path, **rows: list[str]) -> Path:
    """Write the rows of train, of test or of both into a folder, and return it."""
    folder.mkdir(exist_ok=True)
    for split, lines in rows.items():
        (folder / PARTS[split]).write_text("\n".join(lines) + "\n")
    return folder
