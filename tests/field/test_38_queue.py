"""The queue is bounded, shared, and works nothing out that nobody waits for."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.batching import MOST_FACES
from demo.tabs import visitor_queue
from demo.tabs.photo_input import AT_A_TIME
from tests.demo.fakes import FakeRegistry
from tests.field.open_page import GatedNetwork, Visitor, opened_page, queued
from tests.test_app import until

pytestmark = pytest.mark.xdist_group("page")


@pytest.fixture
def network() -> GatedNetwork:
    return GatedNetwork()


@pytest.fixture
def visitor(network: GatedNetwork) -> Iterator[Visitor]:
    fake = FakeRegistry()
    fake.put("dln", 1, network)
    network.open.set()
    with opened_page(fake) as url:
        yield Visitor(url)
        network.open.set()


@pytest.fixture
def question(visitor: Visitor, examples: Path) -> list[Any]:
    """Return the inputs of `compare`, once the version has given its first answer."""
    photos = [visitor.upload(photo) for photo in sorted(examples.glob("*.jpg"))[:3]]
    question = [*photos, 1, 1, 1]
    assert visitor.answer("compare", question)[0]["model"] == "dln"
    return question


def close_gate(network: GatedNetwork) -> None:
    network.open.clear()
    network.asked = 0


def test_sixty_calls_that_nobody_listens_to_hold_nobody_up(
    visitor: Visitor, network: GatedNetwork, question: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitor_queue, "UNHEARD_SECONDS", 600.0)
    close_gate(network)
    unheard = [visitor.call("compare", question).json()["event_id"] for _ in range(60)]
    with ThreadPoolExecutor() as pool:
        heard = pool.submit(visitor.answer, "compare", question)
        assert until(lambda: queued(visitor) == 61 - AT_A_TIME, 100)
        network.closes_after = 30
        network.open.set()
        assert heard.result()[0]["model"] == "dln"
    assert network.asked <= 30 + 2 * (MOST_FACES // 3)
    monkeypatch.setattr(visitor_queue, "UNHEARD_SECONDS", 0.0)
    network.closes_after = 10**6
    network.open.set()
    visitor.answer("compare", question)
    assert network.asked < 55
    assert visitor.listen("compare", unheard[-1]) == {"error": visitor_queue.UNHEARD}


def test_one_page_has_its_share_and_all_have_theirs(
    visitor: Visitor, network: GatedNetwork, question: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitor_queue, "MOST_WAITING", 20)
    for name in ("UNHEARD_SECONDS", "UNHEARD_SECONDS_WHEN_FULL"):
        monkeypatch.setattr(visitor_queue, name, 600.0)
    close_gate(network)
    event = visitor.event_index("compare")
    taken = visitor_queue.MOST_OF_A_SESSION + AT_A_TIME
    answers = [visitor.join(event, question) for _ in range(taken + 1)]
    assert [answer.status_code for answer in answers] == [200] * taken + [429]
    check_refusal(answers[-1])
    others = [visitor.call("compare", question) for _ in range(10)]
    assert [answer.status_code for answer in others].count(429) == 2
    check_refusal(others[-1])


def check_refusal(answer: httpx.Response) -> None:
    seconds = int(answer.headers["retry-after"])
    assert answer.json()["detail"].endswith(f"; try again in about {seconds} seconds.")
    assert 1 <= seconds < 600


def test_a_client_that_leaves_takes_its_place_in_the_queue_with_it(
    visitor: Visitor, network: GatedNetwork, question: list[Any]
) -> None:
    close_gate(network)
    waiting = [visitor.call("compare", question).json()["event_id"] for _ in range(AT_A_TIME)]
    assert until(lambda: queued(visitor) == 0, 100)
    leaving = visitor.call("compare", question).json()["event_id"]
    leave(visitor, leaving)
    assert until(lambda: queued(visitor) == 0, 100)
    network.open.set()
    for event in waiting:
        visitor.listen("compare", event)
    assert network.asked == AT_A_TIME


def leave(visitor: Visitor, event: str) -> None:
    """Listen for an answer and hang up before it comes."""
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        client.stream("GET", f"{visitor.url}/gradio_api/call/compare/{event}") as stream,
    ):
        assert stream.status_code == 200


def test_each_visitors_first_request_comes_before_anybodys_second(
    visitor: Visitor, network: GatedNetwork, question: list[Any]
) -> None:
    close_gate(network)
    greedy, modest = Visitor(visitor.url), Visitor(visitor.url)
    event = visitor.event_index("compare")
    for _ in range(AT_A_TIME + 6):
        assert greedy.join(event, question).status_code == 200
    with ThreadPoolExecutor() as pool:
        hers = pool.submit(list, greedy.messages())
        assert until(lambda: queued(visitor) == 6, 100)
        modest.join(event, question)
        before = modest.messages()
        last = next(message["rank"] for message in before if message["msg"] == "estimation")
        network.open.set()
        first = next(message["rank"] for message in before if message["msg"] == "estimation")
        assert (last, first) == (6, 0)
        assert [message["success"] for message in before if "success" in message] == [True]
        assert (
            sum(message["msg"] == "process_completed" for message in hers.result()) == AT_A_TIME + 6
        )
