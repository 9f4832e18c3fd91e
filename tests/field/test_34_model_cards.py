"""Nobody's text makes a visitor's browser fetch anything from outside."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from demo.tabs.model_card import card_html
from registry import versions
from tests.browser.conftest import new_page
from tests.demo.fakes import ALIKE, FakeRegistry, answers
from tests.field.open_page import Recorder, opened_page, recording_server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
CARD = """# A card

!![doubled]({url}/doubled.png) ![plain]({url}/plain.png) ![named][picture]
[![in a link]({url}/linked.png)]({url}/page)

[picture]: {url}/named.png

<img src="{url}/html.png"> <img src=x onerror="fetch('{url}/script')">
<link rel="stylesheet" href="{url}/style.css">

| a | b |
|---|---|
| ![in a table]({url}/table.png) | <b>bold</b> |

<iframe src="{url}/frame"></iframe>

[run](javascript:fetch('{url}/link')) and [elsewhere]({url}/elsewhere).

The end of the card.
"""
FETCHES = """async address => {
    const image = new Image();
    const shown = new Promise(done => { image.onload = image.onerror = done; });
    image.src = address + "/image.png";
    await shown;
    const style = document.createElement("div");
    style.style.background = `url(${address}/background.png)`;
    document.body.append(style);
    style.getBoundingClientRect();
    return fetch(address + "/fetched").then(() => "fetched", () => "refused");
}"""


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with recording_server() as recorder:
        yield recorder


@pytest.fixture(scope="module")
def url(recorder: Recorder) -> Iterator[str]:
    fake = FakeRegistry()
    fake.put("dln", 1, answers(ALIKE))
    with opened_page(fake) as url, pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "card", lambda _: CARD.format(url=recorder.url))
        yield url


def test_a_card_cannot_make_a_browser_fetch_an_address(
    browser: Browser, url: str, recorder: Recorder
) -> None:
    page = new_page(browser, url)
    page.locator(".examples:visible button").first.click()
    page.get_by_role("button", name="Model card of dln, version 1").click()
    card = page.locator(".card:visible").last
    expect(card).to_contain_text("The end of the card.")
    expect(card.locator("h1")).to_have_text("A card")
    expect(card.locator("td").nth(1)).to_have_text("<b>bold</b>")
    assert card.locator("img, iframe, link, script").count() == 0
    page.evaluate("fetch(location.href).then(() => new Promise(requestAnimationFrame))")
    assert recorder.requests == []


def test_the_page_lets_a_browser_load_from_itself_only(
    browser: Browser, url: str, recorder: Recorder
) -> None:
    page = new_page(browser, url)
    expect(page.locator(".photo input[type=file]").first).to_be_attached()
    assert page.evaluate(FETCHES, recorder.url) == "refused"
    assert recorder.requests == []


def test_links_of_a_card_open_a_page_of_their_own_and_run_nothing() -> None:
    html = card_html("[one](https://a.example) [two](javascript:alert(1)) `<b>`")
    assert html == (
        '<p><a href="https://a.example" target="_blank" rel="noopener noreferrer">one</a> '
        "[two](javascript:alert(1)) <code>&lt;b&gt;</code></p>\n"
    )
