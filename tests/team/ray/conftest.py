"""What the tests of Ray share: a registry with a small network, and photos of people."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.networks import fill_registry

pytest.importorskip("ray", reason="needs Ray: install the extra [ray]")

PHOTOS = 12


@pytest.fixture(scope="session")
def registry(store: Path) -> Iterator[Path]:
    """Put a small dln into production, for this process and for those of Ray; one thread each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        fill_registry()
        yield store


@pytest.fixture(scope="session")
def album(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos of many sizes, a zip of two more, and a file that is no photo."""
    place = tmp_path_factory.mktemp("album")
    people = [Image.open(path).convert("RGB") for path in sorted(examples.glob("*.jpg"))]
    names = ["größe 100%.jpg", "a#b?c.jpg", *(f"{number:02}.jpg" for number in range(PHOTOS - 2))]
    (place / "photos").mkdir()
    for number, name in enumerate(names):
        side = 200 + 10 * number
        people[number % len(people)].resize((side, side)).save(place / "photos" / name)
    (place / "photos" / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    (place / "more").mkdir()
    for name in names[:2]:
        shutil.copy(place / "photos" / name, place / "more" / f"copy of {name}")
    shutil.make_archive(str(place / "more"), "zip", place / "more")
    return place


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a command in a process of its own."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])} | more
