"""The web server of the page: who may ask, how long sockets stay open, how it starts and ends."""

import asyncio
import threading
import time
from collections.abc import Collection
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from demo.access import Access
from demo.guards import BODY_BYTES, Failures, Refusals, SafeHeaders, Uploads
from demo.listeners import ListenerCount, Listeners
from demo.metrics import PageMetrics, ResponseCount
from demo.visitor_files import VisitorFolder

REQUEST_WITHIN_SECONDS = 30
"""How long a socket may be open without a whole request head."""
IDLE_SECONDS = 15
"""How long a socket stays open after an answer."""
MOST_SOCKETS = 512
"""How many sockets may be open at once; further requests are answered by 503."""
STARTS_WITHIN_SECONDS = 30
ENDS_WITHIN_SECONDS = 1


class TimedProtocol(H11Protocol):
    """HTTP that closes a socket on which no whole request arrives in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request from now on."""
        super().connection_made(transport)
        self._close_later(None)

    def on_response_complete(self) -> None:
        """Wait for the next request from now on."""
        answered = self.cycle
        super().on_response_complete()
        self._close_later(answered)

    def _close_later(self, answered: object) -> None:
        self.loop.call_later(REQUEST_WITHIN_SECONDS, self._close_unless_asked, answered)

    def _close_unless_asked(self, answered: object) -> None:
        if self.cycle is answered and not self.transport.is_closing():
            self.transport.close()


def guarded_app(
    access: Access,
    folder: VisitorFolder,
    listeners: Listeners,
    endpoints: Collection[str],
    metrics: PageMetrics,
) -> FastAPI:
    """Return an application without routes that checks requests before they reach any.

    Args:
        access: To whom it answers.
        folder: Where uploads arrive; only its files are given out.
        listeners: Is kept up to date with the open streams.
        endpoints: The names of the API endpoints; others are answered by 404.
        metrics: Counts the responses.
    """
    refusals: dict[str, Any] = {
        "allowed_hosts": access.hosts(),
        "trusted_origins": access.named_hosts(),
        "endpoints": endpoints,
        "folder": folder,
    }
    return FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[
            Middleware(ResponseCount, metrics=metrics),
            Middleware(SafeHeaders),
            Middleware(Refusals, **refusals),
            Middleware(CORSMiddleware, allow_origins=()),  # Gradio's own would mirror any origin
            Middleware(Failures),
            Middleware(RequestBodyLimitMiddleware, max_body_size=BODY_BYTES),
            Middleware(Uploads, folder=folder),
            Middleware(ListenerCount, listeners=listeners),
        ],
    )


class WebServer:
    """Serves an application in a thread of its own.

    Args:
        app: The application.
        host: The address to listen at.
        port: A free one.
    """

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http=TimedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=IDLE_SECONDS,
            limit_concurrency=MOST_SOCKETS,
            timeout_graceful_shutdown=ENDS_WITHIN_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web-server", daemon=True)

    def start(self) -> None:
        """Return when it answers.

        Raises:
            OSError: It can't listen at this address.
        """
        self._thread.start()
        until = time.monotonic() + STARTS_WITHIN_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                config = self._server.config
                raise OSError(f"The page can't listen at {config.host}, port {config.port}.")
            time.sleep(0.01)

    def close(self) -> None:
        """Close all sockets and return."""
        self._server.should_exit = True
        self._thread.join(ENDS_WITHIN_SECONDS + 1)

    def _run(self) -> None:
        try:
            self._server.run()
        except SystemExit:  # uvicorn's way to end when it can't listen; start() reports it
            return
