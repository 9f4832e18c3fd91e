"""The page below /studio/ in a real browser, through nginx and TLS."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from demo.mlflow_ui import MlflowUI
from tests.browser.conftest import TIMEOUT_MS, Site, Visitor, browser
from tests.team.installation import Installation
from tests.team.people import PHOTOS

__all__ = ["browser"]
pytestmark = [pytest.mark.xdist_group("team"), pytest.mark.browser, pytest.mark.timeout(1800)]


@pytest.fixture
def visitor(browser: Browser, team: Installation) -> Iterator[Visitor]:
    site = Site(f"{team.url}/studio/", MlflowUI(None, taken=0))
    with browser.new_context(ignore_https_errors=True) as context:
        context.set_default_timeout(TIMEOUT_MS)
        yield Visitor(context, site)


def test_photos_get_an_answer_and_everything_is_asked_for_below_the_path(
    visitor: Visitor, team: Installation, examples: Path
) -> None:
    asked: list[str] = []
    visitor.context.on("request", lambda request: asked.append(request.url))
    page = visitor.open()
    for index, name in enumerate(PHOTOS):
        photo = page.locator(".photo:visible").nth(index)
        photo.locator("input[type=file]").set_input_files(examples / f"{name}.jpg")
        expect(page.locator(".crop")).to_have_count(index + 1)
    expect(page.locator("#triplet-answer h2")).to_be_visible()
    provenance = page.locator("#triplet-answer .provenance")
    expect(provenance).to_contain_text("dln, version")
    links = provenance.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert links
    assert all(link.startswith(f"{team.url}/mlflow/#/") for link in links)
    web = [urlsplit(url) for url in asked if url.startswith("http")]
    assert {url.netloc for url in web} == {f"127.0.0.1:{team.https_port}"}
    assert all(url.path.startswith("/studio") for url in web)
    assert not visitor.reported()
    (cookie,) = (c for c in visitor.context.cookies() if c["name"] == "replica")
    assert cookie["secure"]
    assert cookie["httpOnly"]


def test_mlflow_asks_for_a_password_and_shows_the_model_below_its_path(
    browser: Browser, team: Installation
) -> None:
    login = {"username": "anna", "password": team.passwords["anna"]}
    with browser.new_context(ignore_https_errors=True, http_credentials=login) as context:
        page = context.new_page()
        page.goto(f"{team.url}/mlflow/#/models/dln", timeout=TIMEOUT_MS)
        expect(page.get_by_text("Version 1").first).to_be_visible()
