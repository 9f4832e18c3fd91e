"""Which requests the page answers: checks around the whole web application, as ASGI middleware."""

import asyncio
import errno
import logging
import re
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.visitor_files import UPLOAD_BYTES, FolderFull, VisitorFolder

logger = logging.getLogger(__name__)

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
API = "/gradio_api"
PAGE_EVENTS = "run/predict"
"""Where the page itself sends the events that don't wait in the queue."""
BODY_WITHIN_SECONDS = 30.0
"""How long a client may send nothing while its request isn't whole."""
BODY_BYTES = UPLOAD_BYTES + 2**20
"""Largest body of a request: a file, and what a form adds to it."""
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""What a browser may load for the page: Gradio needs inline scripts, styles and data URLs."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
UNUSED = (
    *("proxy=", "process_recording", "vibe-", "undo-vibe-", "run-history", "deep_link"),
    *("dev/", "startup-events", "profiling/"),
)
"""Endpoints of Gradio that fetch addresses, start programs or write files, and no tab uses."""
FRAMES = re.compile("[0-9a-f]{32}(/close)?")
"""Where a camera's frames go after the first one, below stream/: to the event that takes them."""
UNEXPECTED = "Something went wrong here; the log file names the cause. Try once more."
UNFIT = "What was sent is not what this endpoint takes; its parameters are under Use via API."
DISK_FULL = "The disk of the machine that runs this page is full; make room and try again."
BAD_INPUT = (KeyError, ValueError, TypeError, AttributeError)
"""What Gradio's routes raise where a request has other fields than they expect."""


class SlowRequest(RuntimeError):
    """A client stopped in the middle of its request."""


class Refusals:
    """Refuses requests of other hosts' pages and for endpoints and files that nobody may have.

    Args:
        app: What answers the others.
        allowed_hosts: Names and addresses that the page answers to, ports left out.
        trusted_origins: Hosts whose pages may send requests though they aren't this page.
        endpoints: The names of the endpoints for programs.
        folder: Only its files are given out.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Collection[str],
        trusted_origins: Collection[str],
        endpoints: Collection[str],
        folder: VisitorFolder,
    ) -> None:
        self._app = app
        self._hosts = {host.lower() for host in allowed_hosts}
        self._trusted = {host.lower() for host in trusted_origins}
        self._endpoints = endpoints
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a refusal, or let the application answer."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await _answer(*refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _hostname(f"http://{host}") not in self._hosts:
            return HTTPStatus.FORBIDDEN, (
                f"This page doesn't answer to the host {host!r}; "
                "start it with --allowed-hosts and this name if it should."
            )
        if scope["method"] not in SAFE_METHODS and not self._is_own(headers):
            return HTTPStatus.FORBIDDEN, "Only the page itself may send this, not another site's."
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.startswith(f"{API}/"):
            return self._api_refusal(path.removeprefix(f"{API}/"))
        return None

    def _is_own(self, headers: Headers) -> bool:
        """Return whether a request comes from the page or a program, not from another site."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") not in ("cross-site", "same-site")
        return origin.partition("://")[2] == headers["host"] or _hostname(origin) in self._trusted

    def _api_refusal(self, path: str) -> tuple[HTTPStatus, str] | None:
        if path.startswith(("file=", "file/")):
            allowed = self._folder.holds(path[len("file=") :])
            sentence = "Only the files of this page's visitors are given out."
            return None if allowed else (HTTPStatus.FORBIDDEN, sentence)
        first, _, rest = path.partition("/")
        name = rest.removeprefix("v2/").partition("/")[0]
        known = name in self._endpoints or path == PAGE_EVENTS
        unknown = first in ("call", "run", "api") and not known
        unknown |= first == "stream" and FRAMES.fullmatch(rest) is None
        if unknown or path.startswith(UNUSED):
            names = ", ".join(sorted(self._endpoints))
            return HTTPStatus.NOT_FOUND, f"There is no such endpoint; there are {names}."
        return None


def _hostname(url: str) -> str | None:
    """Return the host of an address in lower case, or None where there is none to be made out."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


class SafeHeaders:
    """Adds HEADERS to each answer: a browser loads nothing from elsewhere for the page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and add the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Failures:
    """Turns what the application raises into an answer and one line in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer; answer in its place where it fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = ended = False

        async def noted_send(message: Message) -> None:
            nonlocal started, ended
            started = True
            ended = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            await self._app(scope, _within(receive, BODY_WITHIN_SECONDS), noted_send)
        except Exception as error:
            _log(error, scope["path"])
            if not started:
                await failure_answer(None, error)(scope, receive, send)
            elif not ended:
                await send({"type": "http.response.body", "body": b"", "more_body": False})


class Uploads:
    """Reserves room for each upload, and refuses it where there is none."""

    def __init__(self, app: ASGIApp, *, folder: VisitorFolder) -> None:
        self._app = app
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application take the upload if there is room for it."""
        is_upload = scope["type"] == "http" and scope["path"].endswith(f"{API}/upload")
        if not is_upload or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        expected = int(declared) if declared.isdecimal() else UPLOAD_BYTES
        upload = object()
        try:
            await asyncio.to_thread(self._folder.expect, upload, min(expected, BODY_BYTES))
        except FolderFull as error:
            await _answer(HTTPStatus.INSUFFICIENT_STORAGE, str(error))(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._folder.arrived(upload)


def _within(receive: Receive, seconds: float) -> Receive:
    """Return `receive`, raising SlowRequest where the body stops before its end."""
    whole = False

    async def receive_in_time() -> Message:
        nonlocal whole
        if whole:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), seconds)
        except TimeoutError:
            raise SlowRequest from None
        whole = not message.get("more_body", False)
        return message

    return receive_in_time


def failure_answer(_request: Request | None, error: Exception) -> JSONResponse:
    """Return the answer to a request that raised an exception."""
    if isinstance(error, SlowRequest):
        sentence = f"Nothing more came for {BODY_WITHIN_SECONDS:.0f} seconds; send it once more."
        return _answer(HTTPStatus.REQUEST_TIMEOUT, sentence, {"Connection": "close"})
    if is_disk_full(error):
        return _answer(HTTPStatus.INSUFFICIENT_STORAGE, DISK_FULL)
    if isinstance(error, BAD_INPUT):
        return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, UNFIT)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED)


def unfit_answer(_request: Request, _error: Exception) -> JSONResponse:
    """Return the answer to a request whose fields nothing here takes."""
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, UNFIT)


def is_disk_full(error: Exception) -> bool:
    """Return whether a file could not be written for want of room."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _log(error: Exception, path: str) -> None:
    if isinstance(error.__cause__, HTTPException):  # raised after the answer had begun
        error = error.__cause__
    if isinstance(error, ClientDisconnect):
        logger.warning("A client hung up during its request for %r.", path)
    elif isinstance(error, (SlowRequest, HTTPException)) or is_disk_full(error):
        logger.warning("The request for %r was refused: %r", path, error)
    else:
        logger.error("The request for %r failed.", path, exc_info=error)


def _answer(
    status: HTTPStatus, sentence: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status, headers)
