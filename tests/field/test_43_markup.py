"""Markup in names, labels and messages is shown as text."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from demo.predictors import EmotionRecognizer
from registry.catalog import CATALOG
from registry.errors import RegistryError
from tests.browser.conftest import new_page
from tests.demo.fakes import FakeRegistry
from tests.field.open_page import Recorder, happy, opened_page, recording_server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
HARM = '"><img src=x onerror="window.harmed=1"><script>window.harmed=1</script>'


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with recording_server() as recorder:
        yield recorder


@pytest.fixture
def url(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    fake = FakeRegistry()
    fake.put("emotion", 1, happy)
    version = fake.production["emotion"]
    assert not isinstance(version, Exception)
    labels = (HARM, f"<img src='{recorder.url}/label'>", *version.labels[2:])
    fake.production["emotion"] = replace(version, labels=labels, run_id=HARM)
    monkeypatch.setitem(CATALOG, "emotion", replace(CATALOG["emotion"], labels=labels))
    with opened_page(fake) as url:
        yield url


def test_markup_in_names_and_labels_is_text(
    browser: Browser,
    url: str,
    recorder: Recorder,
    examples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = new_page(browser, url)
    page.get_by_role("tab", name="Emotion").click()
    photo = page.locator(".photo:visible input[type=file]")
    photo.set_input_files(next(examples.glob("*.jpg")))
    expect(page.locator("#emotion-answer .bars")).to_contain_text(HARM)
    expect(page.locator("#emotion-answer .provenance")).to_contain_text(HARM[:8])
    named = tmp_path / "<img src=x onerror=window.harmed=1>.jpg"
    named.write_text("not a picture")
    page.locator(".photo:visible").get_by_label("Remove Image").click()
    expect(page.locator("#emotion-answer")).to_contain_text("Add a photo of one or more faces")
    photo.set_input_files(named)
    expect(page.get_by_role("alert")).to_contain_text("is not a picture")
    monkeypatch.setattr(EmotionRecognizer, "recognise", refuse)
    page.locator(".examples:visible button").first.click()
    expect(page.locator("#emotion-answer .notice")).to_contain_text(HARM)
    assert page.evaluate("window.harmed") is None
    assert page.locator("img[src=x]").count() == 0
    assert recorder.requests == []


def refuse(*_: Any) -> None:
    raise RegistryError(HARM)
