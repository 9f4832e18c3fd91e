"""The page says since when the registry gives no answer, until it answers again."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from registry.errors import Unreachable
from tests.browser.conftest import Site, Visitor, browser, visitor
from tests.demo.fakes import ALIKE, FakeRegistry, answers
from tests.field.conftest import opened

__all__ = ["browser", "visitor"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def fake() -> FakeRegistry:
    fake = FakeRegistry()
    fake.put("dln", 3, answers(ALIKE))
    return fake


@pytest.fixture(scope="module")
def site(fake: FakeRegistry) -> Iterator[Site]:
    with opened(fake) as site:
        yield site


def test_a_line_says_since_when_nothing_is_heard_and_leaves(
    visitor: Visitor, fake: FakeRegistry
) -> None:
    page = visitor.open()
    line = page.locator(".problem .notice", has_text="No answer from the registry since")
    expect(page.get_by_role("tab").first).to_be_visible()
    expect(line).to_have_count(0)
    version = fake.production["dln"]
    fake.production["dln"] = Unreachable("The MLflow server is down.")
    expect(line).to_have_text(
        re.compile(r"since \d\d:\d\d; serving dln, version 3\. The MLflow server is down\.$")
    )
    fake.production["dln"] = version
    expect(line).to_have_count(0)
