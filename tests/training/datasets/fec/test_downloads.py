import asyncio
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
    resetting,
    saying,
    sending,
    serving,
    silent,
)
from training.datasets.fec import downloads
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
    """Keeps photos that can be read."""

    def take(self, address: str, content: bytes) -> None:
        read_photo(content)
        self[address] = content


def fetch(
    addresses: list[str], folder: Path, rate_limits: RateLimits = QUICK
) -> tuple[dict[str, Status], Album]:
    album = Album()
    with DownloadLog.opened(folder / "downloads.tsv") as ledger:
        download(addresses, album.take, ledger, rate_limits)
    return ledger.known, album


def test_every_misbehaviour_gets_its_status(
    server: PhotoServer, photo: bytes, tmp_path: Path
) -> None:
    page = b"<!doctype html><title>jpeg</title>" * 100
    date = formatdate(time.time() - 5, usegmt=True)
    told = {
        "/photo": (sending(photo), Status.OK, 1),
        "/called-text": (sending(photo, kind="text/plain"), Status.OK, 1),
        "/promises-more": (sending(photo, length=len(photo) + 9), Status.OK, 1),
        "/promises-less": (sending(photo, length=len(photo) // 2), Status.NO_PICTURE, 1),
        "/page": (sending(page), Status.NO_PICTURE, 1),
        "/empty": (sending(b""), Status.NO_PICTURE, 1),
        "/lost": (saying(404), Status.GONE, 1),
        "/removed": (saying(410), Status.GONE, 1),
        "/moved": (saying(302, Location="/nowhere"), Status.GONE, 1),
        "/led": (saying(301, Location="photo"), Status.OK, 1),
        "/flickr": (saying(302, Location="/en-us/photo_unavailable.png"), Status.GONE, 1),
        "/circle": (saying(302, Location="/circle"), Status.REFUSED, 1),
        "/file": (saying(302, Location="file:///etc/passwd"), Status.REFUSED, 1),
        "/teapot": (saying(418), Status.REFUSED, 1),
        "/forbidden": (saying(403), Status.REFUSED, 4),
        "/private": (saying(401), Status.REFUSED, 4),
        "/broken": (saying(500), Status.BUSY, 4),
        "/recovers": (in_turn(saying(500), saying(503), sending(photo)), Status.OK, 3),
        "/patience": (in_turn(saying(429, Retry_After="0"), sending(photo)), Status.OK, 2),
        "/dated": (in_turn(saying(503, Retry_After=date), sending(photo)), Status.OK, 2),
        "/odd": (in_turn(saying(429, Retry_After="soon"), sending(photo)), Status.OK, 2),
        "/resets": (resetting, Status.UNREACHABLE, 4),
        "/reset-once": (in_turn(resetting, sending(photo)), Status.OK, 2),
        "/endless": (endless, Status.TOO_LARGE, 1),
    }
    server.answers = {path: answer for path, (answer, _, _) in told.items()}
    addresses = {path: server.at(path) for path in told}
    nowhere = "http://127.0.0.1:99999/x"
    known, album = fetch([*addresses.values(), nowhere], tmp_path)
    assert known.pop(nowhere) == Status.REFUSED
    assert known == {addresses[path]: status for path, (_, status, _) in told.items()}
    assert set(album) == {address for address, status in known.items() if status == Status.OK}
    assert set(album.values()) == {photo}
    asked = {path: server.hits[path] - (path == "/photo") for path in told}
    assert asked == {path: hits for path, (_, _, hits) in told.items()}


def test_silence_is_given_up(server: PhotoServer, tmp_path: Path) -> None:
    server.answers = {"/silent": silent}
    nobody = f"http://127.0.0.1:{unused_port()}/photo.jpg"
    rate_limits = RateLimits(interval_seconds=0.0, answer_within_seconds=0.2, tries=1)
    known, _ = fetch([server.at("/silent"), nobody], tmp_path, rate_limits)
    assert set(known.values()) == {Status.UNREACHABLE}


def test_a_host_is_asked_by_few_at_once_and_at_intervals(
    server: PhotoServer, photo: bytes, tmp_path: Path
) -> None:
    paths = [f"/{number}" for number in range(12)]
    server.answers = dict.fromkeys(paths, sending(photo))
    rate_limits = RateLimits(connections=12, connections_per_host=2, interval_seconds=0.02)
    began = time.monotonic()
    known, _ = fetch([server.at(path) for path in paths], tmp_path, rate_limits)
    assert time.monotonic() - began > 11 * 0.02
    assert set(known.values()) == {Status.OK}
    assert server.most_at_once <= 3, "two, and one whose answer is just being counted"


def test_a_host_that_asks_for_patience_gets_it(
    server: PhotoServer, photo: bytes, tmp_path: Path
) -> None:
    server.answers = {"/busy": in_turn(saying(429, Retry_After="1"), sending(photo))}
    began = time.monotonic()
    known, _ = fetch([server.at("/busy")], tmp_path)
    assert time.monotonic() - began >= 1
    assert set(known.values()) == {Status.OK}


def test_a_host_that_asks_for_too_much_or_is_down_is_left_alone(
    server: PhotoServer, tmp_path: Path
) -> None:
    one = RateLimits(connections=1, interval_seconds=0.0, tries=1, failures_of_a_host=3)
    server.answers = {"/full": saying(503, Retry_After="86400")}
    known, _ = fetch([server.at("/full"), server.at("/next")], tmp_path, one)
    assert list(known.values()) == [Status.BUSY, Status.UNREACHABLE]
    assert server.hits == {"/full": 1}
    down = [f"http://127.0.0.1:{unused_port()}/{number}" for number in range(200)]
    known, _ = fetch(down, tmp_path, one)
    assert {known[address] for address in down} == {Status.UNREACHABLE}


def test_ctrl_c_ends_at_once_and_keeps_what_is_noted(
    server: PhotoServer, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = {"/1": sending(photo), "/2": silent}
    run = downloads._Session.run

    async def interrupted(self: downloads._Session, addresses: list[str]) -> None:
        fetching = asyncio.create_task(run(self, addresses))
        while not self.ledger.known:
            await asyncio.sleep(0.01)
        fetching.cancel()
        await asyncio.wait([fetching])
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads._Session, "run", interrupted)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch([server.at("/1"), server.at("/2")], tmp_path)
    assert time.monotonic() - began < 25, "answer_within_seconds would be 30"
    with DownloadLog.opened(tmp_path / "downloads.tsv") as ledger:
        assert ledger.known == {server.at("/1"): Status.OK}


def test_a_full_disk_is_no_fault_of_the_address(
    server: PhotoServer, photo: bytes, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    server.answers = {"/1": sending(photo)}
    with (
        DownloadLog.opened(tmp_path / "downloads.tsv") as ledger,
        pytest.raises(OSError, match="No space left"),
    ):
        download([server.at("/1")], full, ledger, QUICK)
    assert ledger.known == {}


def test_a_line_cut_off_by_a_power_cut_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "downloads.tsv"
    path.write_bytes(b"gone\thttp://a/1\nnonsense\nok\thttp://a/2\nok\thttp://a/1\ngone\thttp://a")
    with DownloadLog.opened(path) as ledger:
        assert ledger.known == {"http://a/1": Status.OK, "http://a/2": Status.OK}
        ledger.write("http://a/3", Status.GONE)
    assert path.read_bytes().endswith(b"ok\thttp://a/1\ngone\thttp://a/3\n")
