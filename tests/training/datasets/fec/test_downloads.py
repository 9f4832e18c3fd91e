import os
import signal
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from registry.photos import read_photo
from tests.conftest import unused_port
from tests.training.datasets.fec.photo_server import (
    PhotoServer,
    endless,
    in_turn,
    replying,
    resetting,
    sending,
    serving,
    silent,
)
from training.datasets.fec.download_log import DownloadLog, Status
from training.datasets.fec.downloads import RateLimits, download

QUICK = RateLimits(
    interval_seconds=0.0,
    first_delay_seconds=0.01,
    answer_within_seconds=30.0,
    largest_bytes=1_000_000,
    failures_of_a_host=1000,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PhotoServer]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def photo(examples: Path) -> bytes:
    return (examples / "sad_01.jpg").read_bytes()


class Album(dict[str, bytes]):
    """Stores photos that can be read."""

    def add(self, address: str, content: bytes) -> None:
        read_photo(content)
        self[address] = content


def fetch(
    addresses: list[str], folder: Path, rate_limits: RateLimits = QUICK
) -> tuple[dict[str, Status], Album]:
    album = Album()
    folder.mkdir(exist_ok=True)
    with DownloadLog.opened(folder / "downloads.tsv") as log:
        download(addresses, album.add, log, rate_limits)
    return log.statuses, album


def test_every_response_has_its_status_and_number_of_tries(
    server: PhotoServer, photo: bytes, tmp_path: Path
) -> None:
    page = b"<!doctype html><title>jpeg</title>" * 100
    date = formatdate(time.time() - 5, usegmt=True)
    cases = {
        "/photo": (sending(photo), Status.OK, 1),
        "/called-text": (sending(photo, kind="text/plain"), Status.OK, 1),
        "/promises-more": (sending(photo, length=len(photo) + 9), Status.OK, 1),
        "/promises-less": (sending(photo, length=len(photo) // 2), Status.NO_PICTURE, 1),
        "/page": (sending(page), Status.NO_PICTURE, 1),
        "/empty": (sending(b""), Status.NO_PICTURE, 1),
        "/lost": (replying(404), Status.GONE, 1),
        "/removed": (replying(410), Status.GONE, 1),
        "/moved": (replying(302, Location="/nowhere"), Status.GONE, 1),
        "/led": (replying(301, Location="photo"), Status.OK, 1),
        "/flickr": (replying(302, Location="/en-us/photo_unavailable.png"), Status.GONE, 1),
        "/circle": (replying(302, Location="/circle"), Status.REFUSED, 1),
        "/file": (replying(302, Location="file:///etc/passwd"), Status.REFUSED, 1),
        "/teapot": (replying(418), Status.REFUSED, 1),
        "/forbidden": (replying(403), Status.REFUSED, 4),
        "/private": (replying(401), Status.REFUSED, 4),
        "/broken": (replying(500), Status.BUSY, 4),
        "/recovers": (in_turn(replying(500), replying(503), sending(photo)), Status.OK, 3),
        "/patience": (in_turn(replying(429, Retry_After="0"), sending(photo)), Status.OK, 2),
        "/dated": (in_turn(replying(503, Retry_After=date), sending(photo)), Status.OK, 2),
        "/odd": (in_turn(replying(429, Retry_After="soon"), sending(photo)), Status.OK, 2),
        "/resets": (resetting, Status.UNREACHABLE, 4),
        "/reset-once": (in_turn(resetting, sending(photo)), Status.OK, 2),
        "/endless": (endless, Status.TOO_LARGE, 1),
    }
    server.answers = {path: answer for path, (answer, _, _) in cases.items()}
    addresses = {path: server.at(path) for path in cases}
    nowhere = "http://127.0.0.1:99999/x"
    known, album = fetch([*addresses.values(), nowhere], tmp_path)
    assert known.pop(nowhere) == Status.REFUSED
    assert known == {addresses[path]: status for path, (_, status, _) in cases.items()}
    assert set(album) == {address for address, status in known.items() if status == Status.OK}
    assert set(album.values()) == {photo}
    requests = {path: server.hits[path] - (path == "/photo") for path in cases}
    assert requests == {path: hits for path, (_, _, hits) in cases.items()}


def test_a_server_that_does_not_answer_is_unreachable(server: PhotoServer, tmp_path: Path) -> None:
    server.answers = {"/silent": silent}
    nobody = f"http://127.0.0.1:{unused_port()}/photo.jpg"
    rate_limits = RateLimits(interval_seconds=0.0, answer_within_seconds=0.2, tries=1)
    known, _ = fetch([server.at("/silent"), nobody], tmp_path, rate_limits)
    assert set(known.values()) == {Status.UNREACHABLE}


def test_a_host_gets_few_requests_at_once_and_at_intervals(
    server: PhotoServer, photo: bytes, tmp_path: Path
) -> None:
    paths = [f"/{number}" for number in range(12)]
    server.answers = dict.fromkeys(paths, sending(photo))
    addresses = [server.at(path) for path in paths]
    apart = RateLimits(connections=12, connections_per_host=12, interval_seconds=0.02)
    start = time.monotonic()
    known, _ = fetch(addresses, tmp_path / "apart", apart)
    assert time.monotonic() - start > 11 * 0.02
    assert set(known.values()) == {Status.OK}
    server.pause_seconds, server.most_at_once = 0.05, 0
    few = RateLimits(connections=12, connections_per_host=2, interval_seconds=0.0)
    known, _ = fetch(addresses, tmp_path / "few", few)
    assert set(known.values()) == {Status.OK}
    assert server.most_at_once == 2


def test_retry_after_is_honoured(server: PhotoServer, photo: bytes, tmp_path: Path) -> None:
    server.answers = {"/busy": in_turn(replying(429, Retry_After="1"), sending(photo))}
    start = time.monotonic()
    known, _ = fetch([server.at("/busy")], tmp_path)
    assert time.monotonic() - start >= 1
    assert set(known.values()) == {Status.OK}


def test_a_host_with_a_long_retry_after_or_many_failures_is_skipped(
    server: PhotoServer, tmp_path: Path
) -> None:
    one = RateLimits(connections=1, interval_seconds=0.0, tries=1, failures_of_a_host=3)
    server.answers = {"/full": replying(503, Retry_After="86400")}
    known, _ = fetch([server.at("/full"), server.at("/next")], tmp_path, one)
    assert list(known.values()) == [Status.BUSY, Status.UNREACHABLE]
    assert server.hits == {"/full": 1}
    down = [f"http://127.0.0.1:{unused_port()}/{number}" for number in range(200)]
    known, _ = fetch(down, tmp_path, one)
    assert {known[address] for address in down} == {Status.UNREACHABLE}


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C, which background jobs of a shell ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_stops_at_once_and_logged_statuses_stay(
    server: PhotoServer, photo: bytes, tmp_path: Path
) -> None:
    server.answers = {"/1": sending(photo), "/2": silent}
    log = tmp_path / "downloads.tsv"

    def interrupt() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not (log.exists() and log.stat().st_size):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch([server.at("/1"), server.at("/2")], tmp_path)
    interrupting.join()
    assert time.monotonic() - start < 25, "answer_within_seconds would be 30"
    with DownloadLog.opened(log) as opened:
        assert opened.statuses == {server.at("/1"): Status.OK}


def test_a_full_disk_does_not_change_the_status_of_an_address(
    server: PhotoServer, photo: bytes, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    server.answers = {"/1": sending(photo)}
    with (
        DownloadLog.opened(tmp_path / "downloads.tsv") as log,
        pytest.raises(OSError, match="No space left"),
    ):
        download([server.at("/1")], full, log, QUICK)
    assert log.statuses == {}


def test_a_line_cut_off_by_a_power_cut_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "downloads.tsv"
    path.write_bytes(b"gone\thttp://a/1\nnonsense\nok\thttp://a/2\nok\thttp://a/1\ngone\thttp://a")
    with DownloadLog.opened(path) as log:
        assert log.statuses == {"http://a/1": Status.OK, "http://a/2": Status.OK}
        log.write("http://a/3", Status.GONE)
    assert path.read_bytes().endswith(b"ok\thttp://a/1\ngone\thttp://a/3\n")
