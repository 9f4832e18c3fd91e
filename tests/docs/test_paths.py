"""What the documents point to is there."""

import re
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, PROJECT

LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
QUOTED = re.compile(r"`((?:registry|training|demo|tests|benchmarks|docs|mlruns)/[\w./-]*)`")
MADE_BY_USE = re.compile(r"mlruns/(logs|artifacts|mlflow)|NAME")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_every_quoted_path_of_a_document_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    linked = [document.parent / target for target in LINK.findall(text)]
    quoted = [PROJECT / path for path in QUOTED.findall(text) if not MADE_BY_USE.search(path)]
    missing = [str(path) for path in linked + quoted if not path.exists()]
    assert not missing


def test_the_readme_is_short_and_shows_each_tab() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert re.findall(r"!\[[^]]+\]\((docs/[a-z]+\.png)\)", text) == [
        "docs/triplet.png",
        "docs/emotion.png",
        "docs/transfer.png",
    ]
