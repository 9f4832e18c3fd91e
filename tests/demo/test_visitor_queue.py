"""The queue of an open page, asked by programs."""

import json
from pathlib import Path

import httpx
import pytest

from demo.tabs import visitor_queue
from demo.tabs.photo_input import AT_A_TIME
from tests.demo.fakes import FakeRegistry
from tests.field.open_page import GatedNetwork, Visitor, opened_page, queued
from tests.test_app import until

pytestmark = pytest.mark.xdist_group("page")


def test_a_call_that_names_its_session_counts_as_heard_while_its_client_listens(
    examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, fake = GatedNetwork(), FakeRegistry()
    network.open.set()
    fake.put("dln", 1, network)
    with opened_page(fake) as url:
        visitor = Visitor(url)
        photos = [visitor.upload(photo) for photo in sorted(examples.glob("*.jpg"))[:3]]
        question = [*photos, 1, 1, 1]
        assert visitor.answer("compare", question)[0]["model"] == "dln"
        network.open.clear()
        for _ in range(AT_A_TIME):
            visitor.call("compare", question)
        assert until(lambda: queued(visitor) == 0, 100)
        body = {"data": question, "session_hash": visitor.session}
        event = visitor.post("/gradio_api/call/compare", json=body).json()["event_id"]
        path = f"{url}/gradio_api/call/compare/{event}"
        with httpx.stream("GET", path, timeout=60, trust_env=False) as stream:
            monkeypatch.setattr(visitor_queue, "UNHEARD_SECONDS", 0.0)
            Visitor(url).call("compare", question)  # the queue drops what nobody listens for
            network.open.set()
            answered = [line for line in stream.iter_lines() if line.startswith("data: [")]
        assert json.loads(answered[-1].removeprefix("data: "))[0]["model"] == "dln"
