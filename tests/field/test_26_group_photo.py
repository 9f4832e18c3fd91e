"""A group photo: all faces labelled at once, chosen by a click, and their table to take away."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from demo.answers import EmotionAnswer, Provenance
from demo.face_table import face_table
from registry.catalog import EMOTIONS
from registry.faces import Face
from tests.browser.conftest import Visitor
from tests.browser.test_page_in_browser import give


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_every_face_is_labelled_and_a_click_chooses_one(
    visitor: Visitor, group: Path, tmp_path: Path
) -> None:
    page = visitor.open()
    page.get_by_role("tab", name="Emotion").click()
    give(page, 0, group)
    heading = page.locator("#emotion-answer h2")
    expect(heading).to_contain_text("Face 2: happy")  # the largest, the second from the left
    expect(page.get_by_text("3 faces found, numbered from left to right")).to_be_visible()
    expect(page.locator("#emotion-table")).to_contain_text("sad")
    click_on_face(page, across=(2 * 400 + 120) / 1200, down=(20 + 120) / 480)
    expect(heading).to_contain_text("Face 3: happy")
    expect(page.get_by_role("radio", name="3")).to_be_checked()
    click_on_face(page, across=150 / 1200, down=(20 + 150) / 480)
    expect(heading).to_contain_text("Face 1: sad")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the table as CSV").click()
    download.value.save_as(tmp_path / "emotions.csv")
    rows = list(csv.DictReader((tmp_path / "emotions.csv").open(encoding="utf-8")))
    assert [(row["face"], row["emotion"]) for row in rows] == [
        ("1", "sad"),
        ("2", "happy"),
        ("3", "happy"),
    ]
    assert [set(EMOTIONS) <= set(row) for row in rows] == [True] * 3


def click_on_face(page: Page, *, across: float, down: float) -> None:
    """Click on a place of the photo, given as shares of its width and height."""
    # read at once, and only where it is loaded: the page sets the picture anew with each answer
    loaded = page.wait_for_function(
        """() => {
            const image = [...document.querySelectorAll(".photo img")].find(
                (image) => image.offsetParent && image.naturalWidth);
            if (!image) return null;
            const box = image.getBoundingClientRect();
            return [box.x, box.y, box.width, box.height, image.naturalWidth, image.naturalHeight];
        }"""
    )
    x, y, box_width, box_height, width, height = loaded.json_value()
    scale = min(box_width / width, box_height / height)
    left = x + (box_width - width * scale) / 2
    top = y + (box_height - height * scale) / 2
    page.mouse.click(left + across * width * scale, top + down * height * scale)


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_of_the_table_is_a_formula(label: str) -> None:
    """A version's labels may be any text; a spreadsheet would run one that begins so."""
    answer = EmotionAnswer(
        face_index=0,
        face=Face(box=(0.0, 0.0, 9.0, 9.0), keypoints=np.zeros((6, 2)), confidence=1.0),
        label=label,
        probabilities={label: 1.0},
        sure=True,
        sentence=label,
        provenance=Provenance(
            model="emotion", version=1, run_id="1", device="cpu", engine="torch", seconds=0.1
        ),
    )
    rows = csv.reader(io.StringIO(face_table([answer], ["1"]).to_csv(index=False)))
    cells = [cell for row in rows for cell in row]
    assert cells.count(f"'{label}") == 2
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
