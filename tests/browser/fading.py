"""What is measured on a page is measured once nothing fades: Gradio fades what waits."""

from typing import Any

from playwright.sync_api import Page

NOTHING_FADES = """() =>
  [...document.querySelectorAll(".pending")].every(each => getComputedStyle(each).opacity === "1")
  && document.getAnimations().every(each => each.playState !== "running"
    || each.effect.getKeyframes().every(frame => !("opacity" in frame || "color" in frame)))"""


def wait_until_nothing_fades(page: Page) -> None:
    page.wait_for_function(NOTHING_FADES)


def measured(page: Page, script: str) -> Any:
    """Return what a function of JavaScript returns, called at a moment when nothing fades."""
    found = page.wait_for_function(f"() => ({NOTHING_FADES})() && {{ found: ({script})() }}")
    return found.json_value()["found"]
