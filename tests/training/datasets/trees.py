"""Small trees of files in the layout of a published set, as folder and as zip."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from zipfile import ZipFile

from PIL import Image

from training.datasets.synthetic.drawing import draw

Tree = Mapping[str, bytes | str]


def photo(person: int = 0, emotion: int = 0, variant: int = 0) -> bytes:
    """Return a drawn face as JPEG."""
    content = io.BytesIO()
    Image.fromarray(draw(person, emotion, variant, 32)).save(content, "JPEG")
    return content.getvalue()


def plant(tree: Tree, folder: Path) -> Path:
    """Write a tree's files and return their folder."""
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def pack(tree: Tree, path: Path, top: str = "") -> Path:
    """Write a tree's files into a zip, below the folders `top`, and return it."""
    with ZipFile(path, "w") as archive:
        for name, content in tree.items():
            archive.writestr(top + name, content)
        archive.writestr(f"__MACOSX/{top}._{next(iter(tree))}", b"what macOS adds")
    return path


def everywhere(tree: Tree, tmp_path: Path) -> Iterator[Path]:
    """Yield the tree as a folder, in a folder, as a zip and as a zip with a folder around it."""
    yield plant(tree, tmp_path / "bare")
    yield plant({f"a/b/{name}": content for name, content in tree.items()}, tmp_path / "deep")
    yield pack(tree, tmp_path / "bare.zip")
    yield pack(tree, tmp_path / "deep.zip", "download/set/")
