"""Whose answers are waited for: the visitors with an open stream of messages."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send


class Listeners:
    """Knows whose answers are waited for: the sessions that have a stream of messages open."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def __contains__(self, session: str) -> bool:
        return self._open[session] > 0

    @contextmanager
    def listening(self, session: str) -> Iterator[None]:
        """Count a stream as open until the block ends."""
        self._open[session] += 1
        try:
            yield
        finally:
            self._open[session] -= 1
            if not self._open[session]:
                del self._open[session]


class ListenerCount:
    """Tells Listeners which streams of messages are open."""

    def __init__(self, app: ASGIApp, *, listeners: Listeners) -> None:
        self._app = app
        self._listeners = listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and count a stream while it is open."""
        session = _session(scope)
        if session is None:
            await self._app(scope, receive, send)
            return
        with self._listeners.listening(session):
            await self._app(scope, receive, send)


def _session(scope: Scope) -> str | None:
    """Return whose messages a request streams: a session's, or those of one call of an endpoint."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    parts = str(scope["path"]).strip("/").split("/")
    if parts[-2:] == ["queue", "data"]:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return next(iter(query.get("session_hash", [])), None)
    return parts[-1] if "call" in parts[-3:-2] else None
