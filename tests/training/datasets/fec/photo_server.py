"""A web server on this machine that sends photos and misbehaves as told."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class PhotoServer:
    """Answers each path as `answers` says, 404 for others; `hits` counts what was asked for."""

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.hits[asked.path] += 1
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            self.answers.get(asked.path, saying(404))(asked)
        finally:
            with self._lock:
                self._now -= 1
                self.sent[asked.path] += 1


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
    def answer(asked: BaseHTTPRequestHandler) -> None:
        asked.send_response(200)
        asked.send_header("Content-Type", kind)
        asked.send_header("Content-Length", str(len(content) if length is None else length))
        asked.end_headers()
        asked.wfile.write(content)

    return answer


def saying(code: int, **headers: str) -> Answer:
    def answer(asked: BaseHTTPRequestHandler) -> None:
        asked.send_response(code)
        for name, value in headers.items():
            asked.send_header(name.replace("_", "-"), value)
        asked.send_header("Content-Length", "0")
        asked.end_headers()

    return answer


def in_turn(*answers: Answer) -> Answer:
    left = list(answers)

    def answer(asked: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(asked)

    return answer


def held(gate: threading.Event, answer: Answer) -> Answer:
    """Return an answer that waits for the gate to open."""

    def wait(asked: BaseHTTPRequestHandler) -> None:
        gate.wait(200)
        answer(asked)

    return wait


def resetting(asked: BaseHTTPRequestHandler) -> None:
    """Send half a promise, then reset the connection."""
    sending(b"\xff\xd8", length=1000)(asked)
    asked.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    asked.connection.close()


def silent(asked: BaseHTTPRequestHandler) -> None:
    """Answer nothing until the other side goes."""
    asked.connection.settimeout(30)
    asked.connection.recv(1)


def endless(asked: BaseHTTPRequestHandler) -> None:
    asked.send_response(200)
    asked.end_headers()
    while True:
        asked.wfile.write(bytes(10_000))
