"""What the tests of Ray share: a registry with a small network, and photos of people."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import psutil
import pytest
import torch
from PIL import Image

from registry.ray_cluster import ADDRESS, LOOPBACK, OBJECT_STORE_BYTES
from tests.browser.networks import fill_registry
from tests.team.processes import STARTS_WITHIN_SECONDS, Server, unused_ports
from tests.test_app import until

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "of tests " * 8}  # else it writes one
pytest.importorskip("ray", reason="needs Ray: install the extra [ray]")

PHOTOS = 12


class Killed(NamedTuple):
    """What a killed command left: its table, the rows before it, its arguments, its processes."""

    table: Path
    unfinished: Path
    named: list[str]
    family: list[psutil.Process]


@pytest.fixture(scope="session")
def registry(store: Path) -> Iterator[Path]:
    """Put a small dln into production, for this process and for those of Ray; one thread each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(ADDRESS, raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        fill_registry()
        yield store


@pytest.fixture(scope="session")
def started_cluster(registry: Path) -> Iterator[str]:
    """Start Ray on two CPUs once for all tests that join it, over the registry; give its address.

    Its processes have the environment that it is started with, as those of other machines would.
    """
    assert registry.is_dir()
    (port,) = unused_ports(1)
    folder = Path(mkdtemp(prefix="ray-"))  # names of sockets below it may have 107 characters
    program = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    here = [
        "--port",
        str(port),
        "--node-ip-address",
        LOOPBACK,
        "--temp-dir",
        str(folder),
        "--num-cpus",
        "2",
    ]
    less = ["--include-dashboard", "false", "--no-monitor", "--disable-usage-stats"]
    memory = ["--object-store-memory", str(OBJECT_STORE_BYTES)]
    command = [*program, *here, *less, *memory]
    server = Server(command, port, folder / "printed", environment())
    try:
        server.start()
        started = until(lambda: "Ray runtime started" in server.printed(), STARTS_WITHIN_SECONDS)
        assert started, server.printed()
        yield f"{LOOPBACK}:{port}"
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(started_cluster: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let this test join Ray, which is started already."""
    monkeypatch.setenv(ADDRESS, started_cluster)
    return started_cluster


@pytest.fixture(scope="session")
def album(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos of many sizes, a zip of two more, and a file that is no photo."""
    place = tmp_path_factory.mktemp("album")
    people = [Image.open(path).convert("RGB") for path in sorted(examples.glob("*.jpg"))]
    names = ["größe 100%.jpg", "a#b?c.jpg", *(f"{number:02}.jpg" for number in range(PHOTOS - 2))]
    (place / "photos").mkdir()
    for number, name in enumerate(names):
        side = 200 + 10 * number
        people[number % len(people)].resize((side, side)).save(place / "photos" / name)
    (place / "photos" / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    (place / "more").mkdir()
    for name in names[:2]:
        shutil.copy(place / "photos" / name, place / "more" / f"copy of {name}")
    shutil.make_archive(str(place / "more"), "zip", place / "more")
    return place


@pytest.fixture(scope="session")
def killed(registry: Path, album: Path, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """Kill `embed`, with a Ray of its own, when it has written what it computed of a photo."""
    assert registry.is_dir()
    table = tmp_path_factory.mktemp("killed") / "faces.parquet"
    named = [str(album / "photos"), str(album / "more.zip"), "-o", str(table)]
    command = [sys.executable, "-m", "demo", "embed", *named, "--ray", "--workers", "1"]
    unfinished = table.with_name("faces.parquet.unfinished")
    running = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
    while not whole_lines(unfinished) and running.poll() is None:
        time.sleep(0.01)
    assert running.poll() is None, "it ended before it could be killed"
    os.kill(running.pid, signal.SIGSTOP)  # it starts no process while they are listed
    family = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    assert running.wait() == -signal.SIGKILL
    return Killed(table, unfinished, named, family)


def whole_lines(file: Path) -> list[str]:
    """Return the lines of a file that is being written; none where it isn't there."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a command in a process of its own."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])} | more
