"""Versions change places under visitors who keep asking, and no request fails."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.demo.fakes import ALIKE, FakeRegistry, answers
from tests.field.open_page import Visitor, opened_page
from tests.test_app import until

MOVES, VISITORS = 12, 8


def test_twelve_moves_of_the_alias_under_eight_visitors_fail_no_request(examples: Path) -> None:
    fake = FakeRegistry()
    fake.put("dln", 1, answers(ALIKE))
    answered_by: list[int] = []

    def ask(url: str, question: list[Any]) -> None:
        while not answered_by or answered_by[-1] <= MOVES:
            (answer,) = Visitor(url).answer("compare", question)
            assert answer["sentence"] == "1 and 3 share an expression; 2 is the odd one."
            answered_by.append(answer["version"])

    with opened_page(fake, poll_seconds=0.01) as url, ThreadPoolExecutor(VISITORS) as pool:
        photos = [Visitor(url).upload(photo) for photo in sorted(examples.glob("*.jpg"))[:3]]
        asking = [pool.submit(ask, url, [*photos, 1, 1, 1]) for _ in range(VISITORS)]
        for number in range(2, MOVES + 2):
            fake.put("dln", number, answers(ALIKE))
            assert until(lambda number=number: number in answered_by or asking[0].done(), 30)
        for each in asking:
            each.result(30)
    assert set(range(2, MOVES + 2)) <= set(answered_by)
