"""A picture of one tab, for the README: python -m tests.browser.screenshot triplet docs/triplet.png

Opens the page over the registry in use, clicks an example and takes the tab with the answer. Of the
models, `--example` chooses which.
"""

import argparse
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from demo.models import ModelServer
from demo.page import launch_page
from tests.browser import chromium
from tests.conftest import unused_port

WIDTH_PX, HEIGHT_PX = 1280, 900
COLOURS = 256
"""Of the file; fewer bytes, and the eye sees no difference."""
TABS = ("triplet", "emotion", "transfer", "models")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tab", choices=TABS)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--width", type=int, default=WIDTH_PX, help="of the window, in pixels")
    parser.add_argument("--example", type=int, default=0, help="counted from 0")
    options = parser.parse_args()
    server = ModelServer()
    page = launch_page(server, port=unused_port(), mlflow_url="http://127.0.0.1:5000")
    with chromium.opened() as browser:
        view = browser.new_page(
            viewport={"width": options.width, "height": HEIGHT_PX},
            color_scheme="dark" if options.dark else "light",
        )
        view.goto(page.url)
        view.get_by_role("tab", name=options.tab.title()).click()
        if options.tab == "models":
            choice = view.locator("#models-choice label").nth(options.example)
            choice.click()
            heading = view.locator("#models-report h2", has_text=choice.inner_text())
            heading.wait_for(timeout=60_000)
        else:
            ask(view, options.tab, options.example)
        view.mouse.move(0, 0)
        view.wait_for_timeout(1000)
        view.screenshot(path=options.picture, full_page=True)
    Image.open(options.picture).quantize(COLOURS).save(options.picture, optimize=True)
    page.close()
    server.close()


def ask(view: Page, tab: str, example: int) -> None:
    if tab == "transfer":
        view.get_by_role("checkbox", name="people who agree").check()
    view.locator(".examples:visible button").nth(example).click()
    view.locator(f"#{tab}-answer h2").wait_for(timeout=60_000)


if __name__ == "__main__":
    main()
