"""Thirty-two visitors at once: each sees how many wait before, and gets an answer or a sentence."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from demo.tabs.photo_input import AT_A_TIME
from tests.browser.conftest import new_page
from tests.demo.fakes import FakeRegistry
from tests.field.open_page import GatedNetwork, Visitor, opened_page, queued
from tests.test_app import until

pytestmark = pytest.mark.xdist_group("browser")
VISITORS = 32


@pytest.fixture
def network() -> GatedNetwork:
    return GatedNetwork()


@pytest.fixture
def url(network: GatedNetwork) -> Iterator[str]:
    fake = FakeRegistry()
    fake.put("dln", 1, network)
    network.open.set()
    with opened_page(fake) as url:
        yield url
        network.open.set()


@pytest.fixture
def question(url: str, examples: Path) -> list[Any]:
    visitor = Visitor(url)
    photos = [visitor.upload(photo) for photo in sorted(examples.glob("*.jpg"))[:3]]
    question = [*photos, 1, 1, 1]
    assert visitor.answer("compare", question)[0]["model"] == "dln"
    return question


def test_each_learns_how_many_wait_before_and_gets_an_answer(
    url: str, network: GatedNetwork, question: list[Any]
) -> None:
    network.open.clear()
    network.asked = 0
    visitors = [Visitor(url) for _ in range(VISITORS)]
    event = visitors[0].event_index("compare")
    with ThreadPoolExecutor(VISITORS) as pool:
        heard = []
        for visitor in visitors:
            assert visitor.join(event, question).status_code == 200
            heard.append(pool.submit(list, visitor.messages()))
        assert until(lambda: queued(visitors[0]) == VISITORS - AT_A_TIME, 100)
        network.open.set()
        messages = [each.result() for each in heard]
    for each in messages:
        done = next(message for message in each if message["msg"] == "process_completed")
        assert done["success"]
        assert done["output"]["data"][0]["sentence"].endswith("is the odd one.")
    ranks = [[m["rank"] for m in each if m["msg"] == "estimation"] for each in messages]
    waited = [each for each in ranks if each]
    assert len(waited) >= VISITORS - AT_A_TIME
    assert max(max(each) for each in waited) >= VISITORS - AT_A_TIME - 1
    assert all(each[-1] <= 1 for each in waited)


@pytest.mark.browser
def test_the_page_shows_how_many_wait_before_a_visitor(
    browser: Browser, url: str, network: GatedNetwork, question: list[Any]
) -> None:
    network.open.clear()
    network.asked = 0
    first = [Visitor(url) for _ in range(AT_A_TIME + 3)]
    event = first[0].event_index("compare")
    with ThreadPoolExecutor(len(first)) as pool:
        heard = []
        for visitor in first:
            visitor.join(event, question)
            heard.append(pool.submit(list, visitor.messages()))
        assert until(lambda: queued(first[0]) == 3, 100)
        page = new_page(browser, url)
        page.locator(".examples:visible button").first.click()
        expect(page.get_by_text("queue: 4/4").first).to_be_visible()
        network.open.set()
        expect(page.locator("#triplet-answer h2")).to_contain_text("is the odd one.")
        assert all(each.result()[-1]["msg"] == "close_stream" for each in heard)
