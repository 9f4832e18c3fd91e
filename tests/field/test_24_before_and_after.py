"""A transfer opens on the picture after it, not half hidden by the one before."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor

HANDLE_AT_THE_LEFT = """() => {
  const box = name => document.querySelector(`#transfer-picture ${name}`)?.getBoundingClientRect();
  const [picture, handle] = [box("img"), box(".icon-wrap")];
  if (!picture?.width || !handle?.width) return false;
  return Math.abs(handle.x + handle.width / 2 - picture.x) < 0.05 * picture.width;
}"""
"""The slider's handle stands where the picture before the transfer is hidden."""

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_the_result_is_shown_whole_at_first(visitor: Visitor) -> None:
    page = visitor.open()
    page.get_by_role("tab", name="Transfer").click()
    page.get_by_role("checkbox", name="people who agree").check()
    page.locator(".examples:visible button").first.click()
    expect(page.locator("#transfer-answer h2")).to_be_visible()
    page.wait_for_function(HANDLE_AT_THE_LEFT)
