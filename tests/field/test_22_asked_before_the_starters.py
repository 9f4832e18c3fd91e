"""Asked before the starters are registered, the page says how far that is, and then answers."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from registry import seeding
from tests.browser.conftest import Site, Visitor
from tests.demo.fakes import ALIKE, FakeRegistry, answers
from tests.field.conftest import opened

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def fake() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def site(fake: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path))
    monkeypatch.setattr("demo.page.REFRESH_SECONDS", 0.5)
    with opened(fake) as site:
        yield site


def test_the_page_reports_the_seeding_and_then_answers_by_itself(
    visitor: Visitor, fake: FakeRegistry
) -> None:
    begun, end = threading.Event(), threading.Event()

    def seed() -> None:
        with seeding.seeding():
            seeding.report(2, 3)
            begun.set()
            end.wait()
            fake.put("dln", 1, answers(ALIKE))

    thread = threading.Thread(target=seed)
    thread.start()
    begun.wait()
    try:
        page = visitor.open()
        page.locator(".examples:visible button").first.click()
        expect(page.locator("#triplet-answer .notice")).to_contain_text(
            "registering starters, 2 of 3"
        )
        page.get_by_role("tab", name="Transfer").click()
        expect(page.locator("#transfer-status")).to_contain_text("registering starters, 2 of 3")
    finally:
        end.set()
        thread.join()
    page.get_by_role("tab", name="Triplet").click()
    expect(page.locator("#triplet-answer h2")).to_contain_text("share an expression")
    expect(page.locator("#triplet-answer .notice")).to_have_count(0)


def test_an_unseeded_page_answers_once_a_version_is_there(
    visitor: Visitor, fake: FakeRegistry
) -> None:
    page = visitor.open()
    page.locator(".examples:visible button").first.click()
    expect(page.locator("#triplet-answer .notice")).to_contain_text("dln is empty")
    fake.put("dln", 1, answers(ALIKE))
    expect(page.locator("#triplet-answer h2")).to_contain_text("share an expression")
