"""Pictures from the web: many connections, few to each host, and never the same address twice."""

import asyncio
import email.utils
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import PurePosixPath

import httpx
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from registry.photos import PhotoError
from training.datasets.fec.download_log import DownloadLog, Status

Taker = Callable[[str, bytes], None]
"""Takes what an address sent; raises PhotoError where that is no picture."""
PLACEHOLDER = "photo_unavailable"
"""How the picture is called to which Flickr leads in place of one that is gone."""
AGENT = "expression-studio (fetches the photos of a research data set once; heeds Retry-After)"
GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
CLOSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True, kw_only=True)
class RateLimits:
    """How hard servers are asked, and for how long."""

    connections: int = 16
    connections_per_host: int = 4
    interval_seconds: float = 0.05
    """Between two requests to one host."""
    answer_within_seconds: float = 20.0
    whole_within_seconds: float = 90.0
    tries: int = 4
    first_delay_seconds: float = 1.0
    """Before the second try; doubled before each one after it."""
    longest_delay_seconds: float = 120.0
    """A host that asks for more patience is left alone until the next run."""
    largest_bytes: int = 30_000_000
    redirects: int = 4
    failures_of_a_host: int = 10
    """Addresses that fail in a row before the host is left alone until the next run."""


class _Refusal(Exception):
    """A status other than OK; `wait` is what the server asks for before another try."""

    def __init__(self, status: Status, *, again: bool = False, wait: float = 0.0) -> None:
        super().__init__(status)
        self.status, self.again, self.wait = status, again, wait


@dataclass
class _Host:
    """The turns of requests to one host, and how it has behaved."""

    rate_limits: RateLimits
    free_at: float = 0.0
    failures: int = 0
    connections: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.connections = asyncio.Semaphore(self.rate_limits.connections_per_host)

    @property
    def down(self) -> bool:
        return self.failures >= self.rate_limits.failures_of_a_host

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a free connection and for the interval since the last request."""
        async with self.connections:
            start = max(self.free_at, time.monotonic())
            self.free_at = start + self.rate_limits.interval_seconds
            await asyncio.sleep(start - time.monotonic())
            async with asyncio.timeout(self.rate_limits.whole_within_seconds):
                yield

    def judge(self, status: Status) -> None:
        failed = status in (Status.BUSY, Status.UNREACHABLE)
        self.failures = self.failures + 1 if failed else 0

    def pause(self, seconds: float) -> None:
        """Ask for nothing before then; for nothing at all in this run if that is too long."""
        if seconds > self.rate_limits.longest_delay_seconds:
            self.failures = self.rate_limits.failures_of_a_host
        else:
            self.free_at = max(self.free_at, time.monotonic() + seconds)


def download(
    addresses: Sequence[str],
    take: Taker,
    ledger: DownloadLog,
    rate_limits: RateLimits | None = None,
) -> None:
    """Fetch each address, hand it to `take` in some thread, and note what became of it.

    Ctrl-C ends it at once; what is noted by then stands.

    Raises:
        OSError: `take` or the ledger can't write.
    """
    console = Console(stderr=True)
    with Progress(*_columns(), console=console) as progress:
        bar = progress.add_task("photos", total=len(addresses))
        session = _Session(take, ledger, rate_limits or RateLimits(), lambda: progress.advance(bar))
        try:
            asyncio.run(session.run(addresses))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group


class _Session:
    def __init__(
        self, take: Taker, ledger: DownloadLog, rate_limits: RateLimits, advance: Callable[[], None]
    ) -> None:
        self.take, self.ledger, self.rate_limits, self.advance = take, ledger, rate_limits, advance
        self.hosts: dict[str, _Host] = {}

    async def run(self, addresses: Sequence[str]) -> None:
        waiting = iter(addresses)
        limits = httpx.Limits(max_connections=self.rate_limits.connections)
        headers = {"User-Agent": AGENT, "Accept": "image/*", "Accept-Encoding": "identity"}
        timeout = self.rate_limits.answer_within_seconds
        async with httpx.AsyncClient(limits=limits, headers=headers, timeout=timeout) as client:
            self.client = client
            async with asyncio.TaskGroup() as group:
                for _ in range(self.rate_limits.connections):
                    group.create_task(self._work(waiting))

    async def _work(self, waiting: Iterator[str]) -> None:
        for address in waiting:
            host = self._host(address)
            status = Status.UNREACHABLE if host.down else await self._status(address)
            host.judge(status)
            self.ledger.write(address, status)
            self.advance()

    def _host(self, address: str) -> _Host:
        return self.hosts.setdefault(address.split("/")[2].lower(), _Host(self.rate_limits))

    async def _status(self, address: str) -> Status:
        """Try an address as often as it may help."""
        delay, tries = self.rate_limits.first_delay_seconds, self.rate_limits.tries
        for left in reversed(range(tries)):
            try:
                await self._once(address)
            except _Refusal as refusal:
                self._host(address).pause(refusal.wait)
                if not (refusal.again and left) or self._host(address).down:
                    return refusal.status
            else:
                return Status.OK
            await asyncio.sleep(delay)
            delay = min(2 * delay, self.rate_limits.longest_delay_seconds)
        raise AssertionError("the last try returns")

    async def _once(self, address: str) -> None:
        """Fetch an address and hand it over; what broke off counts if it is a picture even so."""
        try:
            content, whole = await self._content(address)
        except (httpx.TransportError, OSError) as error:
            raise _Refusal(Status.UNREACHABLE, again=True) from error
        except httpx.InvalidURL as error:
            raise _Refusal(Status.REFUSED) from error
        try:
            await asyncio.to_thread(self.take, address, content)
        except PhotoError as error:
            broken = Status.NO_PICTURE if whole else Status.UNREACHABLE
            raise _Refusal(broken, again=not whole) from error

    async def _content(self, address: str) -> tuple[bytes, bool]:
        """Return what an address sends, at the end of its redirects, and whether that is all."""
        seen: set[str] = set()
        while len(seen) <= self.rate_limits.redirects and address not in seen:
            seen.add(address)
            _check_port(address)
            async with (
                self._host(address).turn(),
                self.client.stream("GET", address, follow_redirects=False) as response,
            ):
                if not response.has_redirect_location:
                    _check(response)
                    return await self._body(response)
                address = _next(response)
        raise _Refusal(Status.REFUSED)

    async def _body(self, response: httpx.Response) -> tuple[bytes, bool]:
        """Read as many bytes as come, whatever the header says of their number and kind."""
        body = bytearray()
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self.rate_limits.largest_bytes:
                    raise _Refusal(Status.TOO_LARGE)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            return bytes(body), False
        return bytes(body), True


def _check_port(address: str) -> None:
    """Raise for a port that sockets can't even be asked for."""
    if not 0 < (httpx.URL(address).port or 80) < 65536:
        raise _Refusal(Status.REFUSED)


def _next(response: httpx.Response) -> str:
    """Return where a redirect leads."""
    target = response.url.join(response.headers["Location"])
    if PurePosixPath(target.path).name.startswith(PLACEHOLDER):
        raise _Refusal(Status.GONE)
    if target.scheme not in ("http", "https"):
        raise _Refusal(Status.REFUSED)
    return str(target)


def _check(response: httpx.Response) -> None:
    """Raise unless there is something to read."""
    code = response.status_code
    if code in GONE:
        raise _Refusal(Status.GONE)
    if code in CLOSED:
        raise _Refusal(Status.REFUSED, again=True)
    if code in LATER or response.is_server_error:
        wait = _patience(response.headers.get("Retry-After", ""))
        raise _Refusal(Status.BUSY, again=True, wait=wait)
    if not response.is_success:
        raise _Refusal(Status.REFUSED)


def _patience(said: str) -> float:
    """Return the seconds of a Retry-After header: their number, or a date; 0 for anything else."""
    if said.isascii() and said.isdigit():
        return float(said)
    with suppress(ValueError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    return 0.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.1f}/s")


def _columns() -> tuple[ProgressColumn, ...]:
    words = TextColumn("{task.description}")
    return words, BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()
