"""Cards: results first, lineage last, whole words, tables inside a phone, toys called toys."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from registry import versions
from registry.measurements import Measurement
from tests.browser.conftest import Visitor
from tests.browser.test_page_in_browser import give
from training.cards.markdown import LONGEST, markdown
from training.cards.run_card import RunCard
from training.cards.text import TEXTS
from training.starters import files

PHONE_PX = 390


def run_card(**changes: object) -> RunCard:
    return RunCard.read({**files.Starter.open(files.DLN).card, **changes})


@pytest.mark.parametrize("name", files.STARTERS)
def test_results_come_first_and_lineage_last(name: str) -> None:
    starter = files.Starter.open(name)
    text = markdown(RunCard.read(starter.card), starter.measurements)
    headings = re.findall("^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "Results"
    assert headings[-2:] == ["Data", "How it was made"]


def test_a_card_that_is_too_long_ends_with_a_whole_line() -> None:
    rows = [
        Measurement(split="test", set="ferplus", metric=f"a_long_name_of_a_metric_{n}", value=0.5)
        for n in range(900)
    ]
    whole = {f"| a long name of a metric {n} | 0.500 |" for n in range(900)}
    text = markdown(run_card(), rows)
    assert len(text) <= LONGEST
    shown = [line for line in text.splitlines() if line.startswith("| a long")]
    assert set(shown) <= whole
    assert text.rstrip().endswith("see card.json in its run.")


def test_the_card_of_a_smoke_model_is_that_of_a_toy() -> None:
    text = markdown(run_card(recipe="dln-smoke"), [])
    assert "a toy" in text.splitlines()[0]
    assert "Its answers mean nothing" in text
    starter = TEXTS["dln"]
    for line in (starter.what, *starter.uses, *starter.failures, *starter.decisions):
        assert line not in text
    assert "luminance" not in text


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_its_tables_are_read_on_a_phone(
    visitor: Visitor, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter = files.Starter.open(files.EMOTION)
    text = markdown(RunCard.read(starter.card), starter.measurements)
    monkeypatch.setattr(versions, "card", lambda _: text)
    page = visitor.open(width=PHONE_PX)
    page.get_by_role("tab", name="Emotion").click()
    give(page, 0, examples / "smiling_07.jpg")
    page.get_by_role("button", name="Model card of emotion").click()
    table = page.locator(".card table").first
    expect(table).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE_PX
    assert cut_words(page) == []
    wide = table.evaluate("table => [table.scrollWidth, table.clientWidth]")
    assert wide[0] > wide[1], "the table is expected to scroll inside its own box"


def cut_words(page: Page) -> list[str]:
    """Return the cells of tables whose words are broken into several lines."""
    cells: list[str] = page.locator(".card td").evaluate_all(
        """cells => cells.filter(cell => {
          const line = parseFloat(getComputedStyle(cell).lineHeight) || 24;
          const range = document.createRange();
          range.selectNodeContents(cell);
          return range.getBoundingClientRect().height > 1.6 * line;
        }).map(cell => cell.textContent)"""
    )
    return cells
