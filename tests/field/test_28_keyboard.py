"""Every control by keyboard, with a visible focus, large enough, and no serious finding of axe."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor
from tests.browser.fading import wait_until_nothing_fades
from tests.browser.test_page_in_browser import give

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

LEAST_TARGET_PX = 24
THEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
FOCUSED = """() => {
  const element = document.activeElement, style = getComputedStyle(element);
  return {
    name: element.ariaLabel || element.innerText || element.type || element.tagName,
    tag: element.tagName,
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
  };
}"""
SMALL = """(least) => [...document.querySelectorAll("button, input, a, [role=tab]")]
  .filter(each => each.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
  .filter(each => each.tabIndex >= 0 && !each.closest("[aria-hidden=true]") && !each.disabled)
  .map(each => {
    const box = (each.closest("label") ?? each).getBoundingClientRect();
    const name = each.ariaLabel || each.innerText || each.type;
    return { name, width: box.width, height: box.height };
  })
  .filter(({ width, height }) => height > 1 && Math.min(width, height) < least)"""


def answered(page: Page, group: Path) -> list[str]:
    """Give every tab its photos; return the tabs' names."""
    tabs = ["Triplet", "Emotion", "Transfer"]
    for tab in tabs:
        page.get_by_role("tab", name=tab).click()
        if tab == "Emotion":
            give(page, 0, group)
            expect(page.locator("#emotion-table")).to_be_visible()
            continue
        if tab == "Transfer":
            page.get_by_role("checkbox", name="people who agree").check()
        page.locator(".examples:visible button").first.click()
        expect(page.locator(f"#{tab.lower()}-answer h2")).to_be_visible()
    return tabs


@THEMES
def test_focus_is_seen_targets_are_large_and_axe_finds_nothing_serious(
    visitor: Visitor, group: Path, dark: bool
) -> None:
    page = visitor.open(dark=dark)
    for tab in answered(page, group):
        page.get_by_role("tab", name=tab).click()
        page.get_by_role("button", name="Model card of").click()
        if tab == "Transfer":
            expect(page.locator(".sheet img")).to_be_visible()
        assert serious(page) == []
        assert page.evaluate(SMALL, LEAST_TARGET_PX) == []
        reached = walk(page)
        assert len(reached) > 10
        assert [each["name"] for each in reached if not each["outlined"]] == []


def serious(page: Page) -> list[str]:
    """Return what axe finds serious twice: while it looks, something may begin to fade."""
    first = found_once(page)
    return [each for each in found_once(page) if each in first] if first else []


def found_once(page: Page) -> list[str]:
    wait_until_nothing_fades(page)
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html']}"
        for each in found
        for node in each["nodes"]
        if each["impact"] in ("serious", "critical")
    ]


def walk(page: Page) -> list[dict[str, Any]]:
    """Press Tab from the first tab on until it has gone round; return what had the focus."""
    page.get_by_role("tab", name="Triplet").focus()
    reached: list[dict[str, Any]] = []
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["tag"] == "BODY" and reached:
            break
        reached.append(focused)
    return reached


def test_radio_buttons_of_one_group_move_by_arrows(visitor: Visitor, group: Path) -> None:
    page = visitor.open()
    page.get_by_role("tab", name="Emotion").click()
    give(page, 0, group)
    heading = page.locator("#emotion-answer h2")
    expect(heading).to_contain_text("Face 2")
    page.get_by_role("radio", name="2").focus()
    page.keyboard.press("ArrowRight")
    expect(heading).to_contain_text("Face 3")
    expect(page.get_by_role("radio", name="3")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(heading).to_contain_text("Face 2")
    page.keyboard.press("ArrowLeft")
    expect(heading).to_contain_text("Face 1")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") != "radio"


def test_enter_takes_a_typed_strength(visitor: Visitor) -> None:
    page = visitor.open()
    page.get_by_role("tab", name="Transfer").click()
    page.get_by_role("checkbox", name="people who agree").check()
    page.locator(".examples:visible button").first.click()
    answer = page.locator("#transfer-answer")
    expect(answer.locator("h2")).to_be_visible()
    field = page.get_by_label("number input for Strength")
    for typed, strength in (("0.5", "0.5"), ("7", "1.5")):
        before = answer.locator(".share").nth(1).inner_text()
        field.fill(typed)
        field.press("Enter")
        expect(answer.locator(".share").nth(1)).not_to_have_text(before)
        expect(field).to_have_value(strength)
        expect(answer.locator(".notice")).to_have_count(0)
