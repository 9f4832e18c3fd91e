"""Whatever a program sends is answered by a sentence, and sockets that ask nothing are closed."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from demo import guards, server
from demo.predictors import EmotionRecognizer
from tests.demo.fakes import FakeRegistry
from tests.field.open_page import FILE, Visitor, happy, opened_page
from tests.test_app import until

pytestmark = pytest.mark.xdist_group("page")
BAD_DATA: tuple[list[Any], ...] = (
    [],
    [None],
    [None, None, None, None, None, None, None, None],
    ["a photo"],
    [FILE | {"path": "/nowhere.jpg"}],
    [FILE],
    [FILE | {"path": None}],
    [FILE | {"path": "\0"}],
    ["UPLOADED", "two"],
    ["UPLOADED", {"a": 1}],
    ["UPLOADED", 1e300],
    ["UPLOADED", [1]],
    ["UPLOADED", 99],
    ["UPLOADED", True],
)
BODIES: tuple[Any, ...] = (
    "text",
    7,
    None,
    [],
    {},
    {"data": None},
    {"data": "text"},
    {"data": [], "fn_index": 10**6, "session_hash": "a"},
    {"data": [], "fn_index": "one", "session_hash": "a"},
    {"data": [], "session_hash": {"a": 1}},
    {"face": "two"},
)
PATHS = ("call/emotion", "call/v2/emotion", "run/emotion", "api/emotion", "run/predict")


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    fake = FakeRegistry()
    fake.put("emotion", 1, happy)
    with opened_page(fake) as url:
        yield Visitor(url)


@pytest.fixture(scope="module")
def uploaded(visitor: Visitor, examples: Path) -> dict[str, Any]:
    return visitor.upload(next(examples.glob("*.jpg")))


@pytest.mark.parametrize("data", BAD_DATA, ids=str)
def test_bad_values_get_a_sentence(
    visitor: Visitor, uploaded: dict[str, Any], data: list[Any]
) -> None:
    sent = [uploaded if value == "UPLOADED" else value for value in data]
    answer = visitor.answer("emotion", sent)
    assert "error" in answer or isinstance(answer[0], list)
    if "error" in answer:
        assert answer["error"].endswith(".")


@pytest.mark.parametrize("path", [*PATHS, "queue/join", "cancel", "component_server", "upload"])
def test_bad_bodies_are_the_clients_fault_and_never_an_empty_error(
    visitor: Visitor, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for body in BODIES:
        answer = visitor.post(f"/gradio_api/{path}", json=body)
        if answer.status_code == 200:  # taken, to be answered by an error
            assert "event_id" in answer.json()
            continue
        answered = answer.json()
        assert (answered.get("detail") or answered["error"]).endswith("."), body
        assert answer.status_code < 500 or answered.get("error")
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "path", ["call/nothing", "call/v2/nothing", "run/nothing", "api/nothing", "nothing", "call/"]
)
def test_an_unknown_endpoint_is_not_found(visitor: Visitor, path: str) -> None:
    answer = visitor.post(f"/gradio_api/{path}", json={"data": []})
    assert answer.status_code == 404
    assert visitor.post("/nothing").status_code == 404


def test_events_of_the_page_are_no_endpoints(visitor: Visitor) -> None:
    answer = visitor.post("/gradio_api/call/load_upload", json={"data": []})
    assert answer.json()["detail"].endswith("there are compare, embed, emotion, models, transfer.")


def test_a_failure_nobody_expected_is_no_empty_error(
    visitor: Visitor, uploaded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(EmotionRecognizer, "recognise", fail)
    assert visitor.answer("emotion", [uploaded, None])["error"] == guards.UNEXPECTED


def test_a_client_that_hangs_up_leaves_one_line_in_the_log(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        with connected(visitor) as upload:
            upload.sendall(upload_head(visitor, 10**6) + b"0" * 1000)
        assert until(lambda: caplog.records, 100)
        assert visitor.get("/gradio_api/call/emotion/unknown-event").status_code == 200
        visitor.get("/config")
    hung_up = [record for record in caplog.records if "hung up" in record.getMessage()]
    assert len(hung_up) == 1
    assert not any(record.exc_info for record in caplog.records)
    assert "Traceback" not in caplog.text + "".join(capfd.readouterr())


def connected(visitor: Visitor) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(visitor.url.rpartition(":")[2])))
    connection.settimeout(20)
    return connection


def upload_head(visitor: Visitor, length: int) -> bytes:
    """Return the start of an upload that will be `length` bytes long."""
    head = (
        "POST /gradio_api/upload HTTP/1.1",
        f"Host: {visitor.url.removeprefix('http://')}",
        "Content-Type: multipart/form-data; boundary=b",
        f"Content-Length: {length}",
        "",
        "--b",
        'Content-Disposition: form-data; name="files"; filename="a.jpg"',
        "",
        "",
    )
    return "\r\n".join(head).encode()


def test_sockets_on_which_nothing_comes_are_closed(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_WITHIN_SECONDS", 0.5)
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(visitor)) for _ in range(120)]
        slow = [stack.enter_context(connected(visitor)) for _ in range(3)]
        for connection in slow:
            with suppress(OSError):  # closed already, where this thread had to wait
                connection.sendall(b"GET /config HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        assert all(is_closed(connection) for connection in silent)
        assert all(trickles_until_closed(connection) for connection in slow)


def is_closed(connection: socket.socket) -> bool:
    """Return whether the other side closes the connection, without a word."""
    return connection.recv(1) == b""


def trickles_until_closed(connection: socket.socket) -> bool:
    """Send a header that never ends; return whether the other side closes the connection."""
    until_then = time.monotonic() + 20
    while time.monotonic() < until_then:
        try:
            connection.sendall(b"a")
        except OSError:
            return True
    return False


def test_an_upload_that_stops_is_answered_and_its_socket_closed(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "BODY_WITHIN_SECONDS", 0.5)
    with connected(visitor) as connection:
        connection.sendall(upload_head(visitor, 10**6) + b"0" * 1000)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"send it once more." in answer


def test_an_answer_that_takes_longer_than_a_request_may_is_not_cut_off(
    visitor: Visitor, uploaded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_WITHIN_SECONDS", 1.0)
    monkeypatch.setattr(guards, "BODY_WITHIN_SECONDS", 1.0)
    recognise = EmotionRecognizer.recognise

    def slowly(*arguments: Any) -> Any:
        time.sleep(2.5)
        return recognise(*arguments)

    monkeypatch.setattr(EmotionRecognizer, "recognise", slowly)
    assert visitor.answer("emotion", [uploaded, None])[0][0]["label"] == "happy"
