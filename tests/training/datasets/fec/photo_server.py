"""A web server on this machine that sends photos and makes errors on request."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class PhotoServer:
    """Responds to each path by `answers`, and with 404 to others; `hits` counts the requests."""

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    pause_seconds: float = 0.0
    """How long each request waits for its answer; so many as wait are counted as being at once."""
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.hits[request.path] += 1
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        time.sleep(self.pause_seconds)
        with self._lock:  # before the client has its answer, and may ask for the next
            self._now -= 1
        self.answers.get(request.path, replying(404))(request)


@contextmanager
def serving() -> Iterator[PhotoServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):
                server.answer(self)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        listening.block_on_close = False
        server = PhotoServer(listening.server_port)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield server
        listening.shutdown()
        thread.join()


def sending(content: bytes, kind: str = "image/jpeg", length: int | None = None) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content) if length is None else length))
        request.end_headers()
        request.wfile.write(content)

    return answer


def replying(code: int, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def in_turn(*answers: Answer) -> Answer:
    left = list(answers)

    def answer(request: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer


def delayed(gate: threading.Event, answer: Answer) -> Answer:
    """Return an answer that waits for the gate to open."""

    def wait(request: BaseHTTPRequestHandler) -> None:
        gate.wait(200)
        answer(request)

    return wait


def resetting(request: BaseHTTPRequestHandler) -> None:
    """Send less than announced, then reset the connection."""
    sending(b"\xff\xd8", length=1000)(request)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    request.connection.close()


def silent(request: BaseHTTPRequestHandler) -> None:
    """Answer nothing until the client closes the connection."""
    request.connection.settimeout(30)
    request.connection.recv(1)


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(bytes(10_000))
