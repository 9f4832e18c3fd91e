"""An open page over a registry in memory, and servers and clients of this machine for its tests."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import torch
from torch import Tensor

from demo.access import Access
from demo.metrics import PageMetrics
from demo.models import ModelServer
from demo.page import launch_page
from demo.search.page_search import page_search
from registry import versions
from registry.faces import FaceCropper
from tests.conftest import unused_port
from tests.demo.fakes import ALIKE, FakeRegistry, answers

FILE = {"meta": {"_type": "gradio.FileData"}}


@dataclass
class GatedNetwork:
    """A network that answers only while it is let, and counts for how many triplets it was asked.

    Triplets that wait together are one batch. After `closes_after` triplets it is closed again.
    """

    open: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    closes_after: int = 10**6

    def __call__(self, faces: Tensor) -> Mapping[str, Tensor]:
        self.asked += len(faces) // 3
        assert self.open.wait(200)
        if self.asked >= self.closes_after:
            self.open.clear()
        return answers(ALIKE)(faces)


@dataclass
class Visitor:
    """A program that asks the page, as a browser does: it uploads, joins the queue, listens."""

    url: str
    session: str = field(default_factory=lambda: uuid4().hex)

    def upload(self, photo: Path) -> dict[str, Any]:
        """Return an uploaded photo as events and endpoints take it."""
        with photo.open("rb") as file:
            (path,) = self.post("/gradio_api/upload", files={"files": (photo.name, file)}).json()
        return FILE | {"path": path}

    def post(self, path: str, **options: Any) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", timeout=60, trust_env=False, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=60, trust_env=False, **options)

    def call(self, endpoint: str, data: list[Any]) -> httpx.Response:
        """Call an endpoint without listening for its answer."""
        return self.post(f"/gradio_api/call/{endpoint}", json={"data": data})

    def answer(self, endpoint: str, data: list[Any]) -> Any:
        """Call an endpoint and return its answer, or its error."""
        called = self.call(endpoint, data)
        if called.is_error:
            return called.json()
        return self.listen(endpoint, called.json()["event_id"])

    def listen(self, endpoint: str, event: str) -> Any:
        """Return the answer to a call; its error where it has one."""
        with httpx.stream(
            "GET",
            f"{self.url}/gradio_api/call/{endpoint}/{event}",
            timeout=60,
            trust_env=False,
        ) as stream:
            lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
        return json.loads(lines[-1].removeprefix("data: "))

    def event_index(self, name: str) -> int:
        """Return the index of an endpoint's event, as the page's own scripts use it."""
        events = self.get("/config").json()["dependencies"]
        return next(event["id"] for event in events if event["api_name"] == name)

    def searchable(self) -> str:
        """Return what the page says can be searched, as where its section is opened."""
        event = {"fn_index": self.event_index("opened"), "data": [None] * 3}
        answer = self.post("/gradio_api/run/predict", json=event | {"session_hash": self.session})
        return str(answer.json()["data"][0])

    def join(self, event: int, data: list[Any]) -> httpx.Response:
        """Put an event of the page into the queue."""
        body = {"fn_index": event, "data": data, "session_hash": self.session}
        return self.post("/gradio_api/queue/join", json=body)

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield the messages for the page's events until all have been answered."""
        path = f"{self.url}/gradio_api/queue/data"
        options = {"params": {"session_hash": self.session}, "timeout": 60, "trust_env": False}
        with httpx.stream("GET", path, **options) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


@contextmanager
def opened_page(
    fake: FakeRegistry,
    access: Access | None = None,
    poll_seconds: float | None = None,
    searched: Path | None = None,
    metrics: PageMetrics | None = None,
) -> Iterator[str]:
    """Open a page over versions in memory, and give its URL; it follows aliases if it polls.

    With `searched`, visitors may search this folder or table.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "resolve", fake.resolve)
        patch.setattr(versions, "load", fake.load)
        patch.setattr(versions, "card", lambda reference: f"# {reference}\n")
        server = ModelServer(poll_seconds, observe=metrics.count_call if metrics else None)
        search = page_search(searched, server, FaceCropper()) if searched else None
        page = launch_page(
            server,
            port=unused_port(),
            mlflow_url=None,
            access=access,
            search=search,
            metrics=metrics,
        )
        if search:
            search.start()
        yield page.url
        if search:
            search.close()
        page.close()
        server.close()


def queued(visitor: Visitor) -> int:
    """Return how many requests wait that are not worked on."""
    return int(visitor.get("/gradio_api/queue/status").json()["queue_size"])


@dataclass
class Recorder:
    """A server of this machine that answers nothing and keeps what it was sent first."""

    port: int
    requests: list[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def recording_server() -> Iterator[Recorder]:
    """Listen until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        recorder = Recorder(listening.getsockname()[1], [])
        threading.Thread(target=_record, args=(listening, recorder), daemon=True).start()
        yield recorder
        listening.shutdown(socket.SHUT_RDWR)


def _record(listening: socket.socket, recorder: Recorder) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            recorder.requests.append(connection.recv(1000))


def happy(faces: Tensor) -> dict[str, Tensor]:
    """Return the outputs of a network for which everybody is happy."""
    return {"logits": torch.eye(8)[1].mul(5).expand(len(faces), 8)}
