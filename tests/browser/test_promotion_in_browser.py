"""Promotions by hand in MLflow's own UI, while a program asks the page without a pause."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from registry import entries, measurements, promotion, versions
from registry.catalog import DLN
from registry.graphs.file_names import ONNX_GRAPH
from registry.measurements import Measurement
from registry.promotion import journal
from tests.browser import networks
from tests.browser.conftest import Visitor
from tests.browser.test_page_in_browser import ANSWER, PHONE_PX, check, give
from tests.field.open_page import Visitor as Program
from tests.field.test_28_keyboard import serious

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(900),
]
HARM = "<img src=x onerror='window.harmed=1'>"
ACCURACY = Measurement(
    split="test", set="toy", metric="triplet_accuracy", value=0.75, low=0.7, high=0.8
)
FOLLOWS_WITHIN_SECONDS = 240


def test_promotions_in_mlflow_change_the_answers_and_no_request_fails(
    visitor: Visitor, examples: Path
) -> None:
    people = sorted(examples.glob("*.jpg"))[:3]
    promotion.promote("dln", 1)  # an earlier attempt may have ended with another
    visitor.site.wait_for_version("dln", 1)
    page = visitor.open()
    for index, photo in enumerate(people):
        give(page, index, photo)
    expect(page.locator(ANSWER)).to_contain_text("the odd one")
    expect(provenance(page)).to_contain_text("dln, version 1")
    expect(page.get_by_role("img", name="distances as a triangle")).to_have_count(2)
    run_in_mlflow(visitor, provenance(page))
    with asking(visitor.site.page_url, people) as answers:
        mlflow = model_in_mlflow(visitor)
        promote_in_mlflow(mlflow, 2)
        until(lambda: version(answers) == 2)
        give(page, 2, people[2])
        expect(provenance(page)).to_contain_text("dln, version 2")

        broken = register_broken()
        promote_in_mlflow(mlflow, broken)
        problem = page.locator("#triplet-answer .notice, .problem .notice").first
        expect(problem).to_contain_text(f"Version {broken} of dln can't be used")
        expect(problem).to_contain_text("Until then version 2 answers.")
        mlflow.reload()
        expect(mlflow.get_by_text("validation_status")).to_be_visible()

        promotion.roll_back("dln", "it is broken")
        expect(page.locator(".problem .notice")).to_have_count(0)
        promotion.roll_back("dln")
        until(lambda: version(answers) == 1)
    assert [number for number, _ in groupby(map(version_of, answers))] == [1, 2, 1]
    moves = [(entry.kind, entry.after) for entry in journal.read("dln")]
    assert moves[-4:] == [("moved", 2), ("moved", broken), ("rolled back", 2), ("rolled back", 1)]
    assert versions.resolve(f"dln/{broken}").validation == "failed"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_models_tab_by_keyboard_on_a_phone(visitor: Visitor, dark: bool) -> None:
    promotion.promote("dln", 2, HARM)
    run = versions.resolve("dln").run_id
    measurements.write(run, [ACCURACY, replace(ACCURACY, group=f"sex: {HARM}", value=0.5)])
    page = visitor.open(width=PHONE_PX, dark=dark)
    page.get_by_role("tab", name="Models").click()
    report = page.locator("#models-report")
    expect(report.locator("h2")).to_contain_text("version 2, since")
    expect(report).to_contain_text(HARM)
    report.get_by_text("By group").focus()
    page.keyboard.press("Enter")
    expect(report).to_contain_text(f"sex: {HARM}")
    page.get_by_role("button", name="Model card of dln, version 2").click()
    expect(page.locator(".card:visible").first).to_contain_text(
        "with random numbers: for tests only"
    )
    check(page)
    assert serious(page) == []
    assert page.evaluate("window.harmed") is None
    promotion.promote("dln", 1, "back")
    expect(report.locator("h2")).to_contain_text("version 1, since")
    page.get_by_role("radio", name="Deviation Learning Network").focus()
    page.keyboard.press("ArrowRight")
    expect(report.locator("h2")).to_contain_text("Emotion")


def provenance(page: Page) -> Locator:
    return page.locator("#triplet-answer .provenance")


def run_in_mlflow(visitor: Visitor, signature: Locator) -> None:
    """Follow the link to the run that made the version."""
    visitor.site.mlflow_url()
    link = signature.get_by_role("link", name="run")
    run_id = (link.get_attribute("href") or "").rpartition("/")[2]
    with visitor.context.expect_page() as opened:
        link.click()
    expect(opened.value).to_have_url(re.compile(f"/experiments/[0-9]+/runs/{run_id}"))
    expect(opened.value.get_by_text("Logged models (1)")).to_be_visible()
    opened.value.close()


def model_in_mlflow(visitor: Visitor) -> Page:
    """Open the list of the model's versions as a person does, by clicks in MLflow's own UI."""
    page = visitor.context.new_page()
    page.goto(visitor.site.mlflow_url())
    page.get_by_text("Model training", exact=True).first.click()
    page.get_by_role("link", name="Model registry").first.click()
    page.get_by_role("button", name="Try it now").click()  # MLflow's news, shown once
    page.get_by_role("link", name="dln", exact=True).first.click()
    return page


def promote_in_mlflow(page: Page, number: int) -> None:
    """Move the alias `production` to a version, in MLflow's own UI."""
    url = re.sub("#.*", f"#/models/dln/versions/{number}", page.url)
    page.goto("about:blank")  # so that nothing of the page before can be clicked
    page.goto(url)
    page.get_by_role("button", name="Add", exact=True).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox").fill("production")
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Save aliases").click()
    expect(dialog).to_be_hidden()


def register_broken() -> int:
    """Register a version whose graph is replaced by that of another one; return its number."""
    version = networks.register(DLN, networks.Tiny(5, {"expression": 16, "identity": 32}))
    with entries.files(versions.resolve("dln/1")) as whole, entries.files(version) as broken:
        shutil.copy(whole / ONNX_GRAPH, broken / ONNX_GRAPH)
    return version.number


@contextmanager
def asking(url: str, photos: list[Path]) -> Iterator[list[Any]]:
    """Ask the page about three photos until the block ends; give the answers so far."""
    program, answers, ended = Program(url), list[Any](), threading.Event()
    files = [program.upload(photo) for photo in photos]

    def ask() -> None:
        while not ended.is_set():
            answers.append(program.answer("compare", [*files, 1, 1, 1]))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join()


def version_of(answer: Any) -> int:
    """Return which version gave an answer; an error that the page gave is no answer."""
    assert isinstance(answer, list), answer
    return int(answer[0]["version"])


def version(answers: list[Any]) -> int:
    return version_of(answers[-1]) if answers else 0


def until(condition: Callable[[], bool]) -> None:
    """Wait until the page has followed the alias."""
    pause = threading.Event()
    for _ in range(20 * FOLLOWS_WITHIN_SECONDS):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail(f"The page did not follow within {FOLLOWS_WITHIN_SECONDS} s.")
