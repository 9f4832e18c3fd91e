"""Downloads of pictures: many connections, few to each host, and no address twice."""

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

PLACEHOLDER = "photo_unavailable"
"""Name of the picture to which Flickr redirects if a photo is gone."""
AGENT = "expression-studio (fetches the photos of a research data set once; heeds Retry-After)"
GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
CLOSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True, kw_only=True)
class RateLimits:
    """Limits of connections, requests, tries and bytes."""

    connections: int = 16
    connections_per_host: int = 4
    interval_seconds: float = 0.05
    """Shortest time between two requests to one host."""
    answer_within_seconds: float = 20.0
    """Time limit of each read from a connection."""
    whole_within_seconds: float = 90.0
    """Time limit of a whole picture."""
    tries: int = 4
    first_delay_seconds: float = 1.0
    """Delay before the second try; doubled before each later one."""
    longest_delay_seconds: float = 120.0
    """A host that demands a longer delay is skipped until the next run."""
    largest_bytes: int = 30_000_000
    redirects: int = 4
    failures_of_a_host: int = 10
    """Addresses that fail in a row before the host is skipped until the next run."""


class _DownloadError(Exception):
    """A download that failed.

    Args:
        status: status of the address.
        retry: whether another try may help.
        wait: seconds that the server demands before the next try.
    """

    def __init__(self, status: Status, *, retry: bool = False, wait: float = 0.0) -> None:
        super().__init__(status)
        self.status, self.retry, self.wait = status, retry, wait


@dataclass
class _Host:
    """Limits the requests to one host and counts its failures."""

    rate_limits: RateLimits
    free_at: float = 0.0
    """Time before which nothing is requested, by `time.monotonic`."""
    failures: int = 0
    """Number of addresses that failed in a row."""
    connections: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.connections = asyncio.Semaphore(self.rate_limits.connections_per_host)

    @property
    def is_down(self) -> bool:
        """Whether nothing more is requested in this run."""
        return self.failures >= self.rate_limits.failures_of_a_host

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        """Wait for a free connection and for the interval since the last request."""
        async with self.connections:
            start = max(self.free_at, time.monotonic())
            self.free_at = start + self.rate_limits.interval_seconds
            await asyncio.sleep(start - time.monotonic())
            async with asyncio.timeout(self.rate_limits.whole_within_seconds):
                yield

    def count(self, status: Status) -> None:
        failed = status in (Status.BUSY, Status.UNREACHABLE)
        self.failures = self.failures + 1 if failed else 0

    def pause(self, seconds: float) -> None:
        """Request nothing for some seconds; nothing more in this run if that is too long."""
        if seconds > self.rate_limits.longest_delay_seconds:
            self.failures = self.rate_limits.failures_of_a_host
        else:
            self.free_at = max(self.free_at, time.monotonic() + seconds)


def download(
    addresses: Sequence[str],
    add: Callable[[str, bytes], None],
    log: DownloadLog,
    rate_limits: RateLimits | None = None,
) -> None:
    """Download addresses and log the status of each; Ctrl-C ends it at once.

    Args:
        addresses: what to download.
        add: takes an address and its content, in any thread; raises PhotoError if that is no
            picture.
        log: receives the statuses.
        rate_limits: the defaults if None.

    Raises:
        OSError: `add` or the log can't write.
    """
    console = Console(stderr=True)
    with Progress(*_columns(), console=console) as progress:
        bar = progress.add_task("photos", total=len(addresses))
        session = _Session(add, log, rate_limits or RateLimits(), lambda: progress.advance(bar))
        try:
            asyncio.run(session.run(addresses))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group


class _Session:
    def __init__(
        self,
        add: Callable[[str, bytes], None],
        log: DownloadLog,
        rate_limits: RateLimits,
        advance: Callable[[], None],
    ) -> None:
        self.add, self.log, self.rate_limits, self.advance = add, log, rate_limits, advance
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
            status = Status.UNREACHABLE if host.is_down else await self._download(address)
            host.count(status)
            self.log.write(address, status)
            self.advance()

    def _host(self, address: str) -> _Host:
        return self.hosts.setdefault(address.split("/")[2].lower(), _Host(self.rate_limits))

    async def _download(self, address: str) -> Status:
        """Try an address until it succeeds or more tries can't help, and return its status."""
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

        host, limits = self._host(address), self.rate_limits
        attempts = stop_after_attempt(limits.tries)
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, _DownloadError) and e.retry),
            stop=lambda state: host.is_down or attempts(state),
            wait=wait_exponential(limits.first_delay_seconds, limits.longest_delay_seconds),
            reraise=True,
        )
        try:
            await retrying(self._try, address)
        except _DownloadError as error:
            return error.status
        return Status.OK

    async def _try(self, address: str) -> None:
        """Download and add a picture; on failure pause its host as long as the server demands."""
        try:
            content, complete = await self._fetch(address)
            await self._add(address, content, complete=complete)
        except _DownloadError as error:
            self._host(address).pause(error.wait)
            raise

    async def _add(self, address: str, content: bytes, *, complete: bool) -> None:
        """Add a picture; an incomplete download is added too if it can be read as a picture."""
        try:
            await asyncio.to_thread(self.add, address, content)
        except PhotoError as error:
            status = Status.NO_PICTURE if complete else Status.UNREACHABLE
            raise _DownloadError(status, retry=not complete) from error

    async def _fetch(self, address: str) -> tuple[bytes, bool]:
        """Return what an address sends, and whether that is complete."""
        try:
            return await self._follow_redirects(address)
        except (httpx.TransportError, OSError) as error:
            raise _DownloadError(Status.UNREACHABLE, retry=True) from error
        except httpx.InvalidURL as error:
            raise _DownloadError(Status.REFUSED) from error

    async def _follow_redirects(self, address: str) -> tuple[bytes, bool]:
        visited: set[str] = set()
        while len(visited) <= self.rate_limits.redirects and address not in visited:
            visited.add(address)
            _check_port(address)
            async with (
                self._host(address).connection(),
                self.client.stream("GET", address, follow_redirects=False) as response,
            ):
                if not response.has_redirect_location:
                    _check_status(response)
                    return await self._read_body(response)
                address = _redirect_target(response)
        raise _DownloadError(Status.REFUSED)

    async def _read_body(self, response: httpx.Response) -> tuple[bytes, bool]:
        """Read all bytes that arrive, whatever the headers say about their number and type."""
        body = bytearray()
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self.rate_limits.largest_bytes:
                    raise _DownloadError(Status.TOO_LARGE)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            return bytes(body), False
        return bytes(body), True


def _check_port(address: str) -> None:
    """Refuse a port that no socket can have."""
    if not 0 < (httpx.URL(address).port or 80) < 65536:
        raise _DownloadError(Status.REFUSED)


def _redirect_target(response: httpx.Response) -> str:
    """Return the address to which a response redirects."""
    target = response.url.join(response.headers["Location"])
    if PurePosixPath(target.path).name.startswith(PLACEHOLDER):
        raise _DownloadError(Status.GONE)
    if target.scheme not in ("http", "https"):
        raise _DownloadError(Status.REFUSED)
    return str(target)


def _check_status(response: httpx.Response) -> None:
    """Raise unless the response has a body to read."""
    code = response.status_code
    if code in GONE:
        raise _DownloadError(Status.GONE)
    if code in CLOSED:
        raise _DownloadError(Status.REFUSED, retry=True)
    if code in LATER or response.is_server_error:
        wait = _parse_retry_after(response.headers.get("Retry-After", ""))
        raise _DownloadError(Status.BUSY, retry=True, wait=wait)
    if not response.is_success:
        raise _DownloadError(Status.REFUSED)


def _parse_retry_after(header: str) -> float:
    """Return the seconds to wait by a Retry-After header, a number or date; 0 for anything else."""
    if header.isascii() and header.isdigit():
        return float(header)
    with suppress(ValueError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    return 0.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.1f}/s")


def _columns() -> tuple[ProgressColumn, ...]:
    description = TextColumn("{task.description}")
    return description, BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()
