"""A photo's only face wears the photo's number, or none; the answer's numbers are photos."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor
from tests.browser.test_page_in_browser import give

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def shown(page: Page, index: int) -> np.ndarray:
    """Return the pixels of one of the visible photos as the page shows it, its face boxed."""
    image = page.locator(".photo:visible").nth(index).locator("img[alt*='one face']")
    expect(image).to_be_visible()
    answer = httpx.get(image.get_attribute("src") or "", timeout=60)
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"), dtype=int)


def test_one_person_in_three_photos_wears_three_numbers_and_alone_none(
    visitor: Visitor, examples: Path
) -> None:
    page, person = visitor.open(), examples / "smiling_07.jpg"
    for index in range(3):
        give(page, index, person)
    expect(page.locator("#triplet-answer h2")).to_be_visible()
    numbered = [shown(page, index) for index in range(3)]
    expect(page.get_by_text("The face, as the model sees it")).to_have_count(3)
    expect(page.get_by_text("Face 1")).to_have_count(0)
    page.get_by_role("tab", name="Emotion").click()
    give(page, 0, person)
    expect(page.locator("#emotion-answer h2")).to_be_visible()
    expect(page.locator("#emotion-answer h2")).not_to_contain_text("Face")
    pictures = [*numbered, shown(page, 0)]
    for one in range(4):
        for other in range(one):
            assert np.abs(pictures[one] - pictures[other]).max() > 100
