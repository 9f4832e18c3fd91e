"""A transfer opens on the picture after it, not half hidden by the one before."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_the_result_is_shown_whole_at_first(visitor: Visitor) -> None:
    page = visitor.open()
    page.get_by_role("tab", name="Transfer").click()
    page.get_by_role("checkbox", name="people who agree").check()
    page.locator(".examples:visible button").first.click()
    expect(page.locator("#transfer-answer h2")).to_be_visible()
    picture = page.locator("#transfer-picture img").first
    expect(picture).to_be_visible()
    shown = picture.bounding_box()
    handle = page.locator("#transfer-picture .icon-wrap").bounding_box()
    assert shown
    assert handle
    share = (handle["x"] + handle["width"] / 2 - shown["x"]) / shown["width"]
    assert share == pytest.approx(0, abs=0.05)
