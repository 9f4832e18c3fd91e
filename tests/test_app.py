"""app.py in its own process: it opens, contacts no other host, and ends with all it started."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import unused_port

pytestmark = [
    pytest.mark.xdist_group("app"),
    pytest.mark.skipif(os.name != "posix", reason="ends processes by signals"),
]

PROJECT = Path(__file__).parent.parent
OPENS_WITHIN_SECONDS = 120
MLFLOW_OPENS_WITHIN_SECONDS = 120
ANSWERS_WITHIN_SECONDS = 60
ENDS_WITHIN_SECONDS = 60
"""Many times what is needed on an idle machine: tests run side by side, and none is of speed."""
THIS_MACHINE = {"127.0.0.1", "::1", "localhost"}

GUARD = """
import os, sys

OUT = os.open(os.environ["GUARD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def record(event, args):
    if event in ("socket.connect", "socket.bind", "socket.sendto"):
        host = args[1][0] if isinstance(args[1], tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    else:
        return
    if host is not None:
        os.write(OUT, f"{host}\\n".encode())

os.write(OUT, b"on guard\\n")
sys.addaudithook(record)
"""
"""Runs first in every Python process of the app, and records the hosts it contacts."""


@dataclass
class App:
    """Runs app.py with its own store, and records its output and the hosts it contacts."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "EXPRESSION_STUDIO_STORE": str(self.folder / "store"),
            "PYTHONPATH": str(self.folder / "guard"),
            "GUARD": str(self.folder / "hosts"),
        }

    def open(self, *arguments: str) -> "subprocess.Popen[bytes]":
        with self.output.open("wb") as output:
            command = [sys.executable, "app.py", *arguments]
            return subprocess.Popen(
                command, cwd=PROJECT, env=self.environment, stdout=output, stderr=output
            )

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def wait_for(self, words: str, seconds: float = OPENS_WITHIN_SECONDS) -> str:
        """Wait for a line with these words in the output, and return it."""
        assert until(lambda: words in self.output.read_text(), seconds), self.output.read_text()
        return next(line for line in self.output.read_text().splitlines() if words in line)

    def contacted(self) -> set[str]:
        """Return all hosts that a process of the app connected to, looked up or listened at."""
        first, *hosts = (self.folder / "hosts").read_text().splitlines()
        assert first == "on guard"
        return set(hosts) - {"on guard"}

    def processes(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._holds(process)]

    def runs_mlflow(self) -> bool:
        """Return whether one of the processes is MLflow's server."""
        with suppress(psutil.Error):
            return any("--default-artifact-root" in p.cmdline() for p in self.processes())
        return False

    def _holds(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return process.environ().get("GUARD") == self.environment["GUARD"]
        return False


def until(condition: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return bool(condition())


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, timeout=10).status_code == httpx.codes.OK
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(GUARD)
    return folder


@pytest.fixture
def app(folder: Path) -> Iterator[App]:
    (folder / "hosts").unlink(missing_ok=True)
    app = App(folder)
    yield app
    for process in app.processes():
        process.kill()


def test_one_command_opens_both_and_one_ctrl_c_ends_both(app: App) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as busy:
        wanted = busy.getsockname()[1]
        started = time.monotonic()
        process = app.open("--port", str(wanted), "--mlflow-port", str(unused_port()))
        page = app.wait_for("The page is at").split()[-1]
        assert time.monotonic() - started < OPENS_WITHIN_SECONDS
    assert (
        f"Port {wanted} is busy; the page takes {page.rpartition(':')[2]}."
        in app.output.read_text()
    )
    assert until(lambda: answers(page), ANSWERS_WITHIN_SECONDS)
    mlflow = app.wait_for("MLflow's UI is open at", MLFLOW_OPENS_WITHIN_SECONDS).split()[-1]
    assert until(lambda: answers(mlflow), ANSWERS_WITHIN_SECONDS)
    assert len(app.processes()) >= 3
    assert {ip for p in app.processes() for ip in listening(p)} == {"127.0.0.1"}
    assert "127.0.0.1" in app.contacted() <= THIS_MACHINE
    process.send_signal(signal.SIGINT)
    assert process.wait(ENDS_WITHIN_SECONDS) == 0
    assert until(lambda: not app.processes(), ENDS_WITHIN_SECONDS)
    assert "Traceback" not in app.output.read_text()


def listening(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):  # it may have ended
        return [c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    return []


def test_a_killed_app_leaves_no_mlflow_behind(app: App) -> None:
    process = app.open("--port", str(unused_port()), "--mlflow-port", str(unused_port()))
    assert until(app.runs_mlflow, MLFLOW_OPENS_WITHIN_SECONDS)
    process.kill()
    process.wait(ENDS_WITHIN_SECONDS)
    assert until(lambda: not app.processes(), ENDS_WITHIN_SECONDS)


def test_it_ends_at_once_while_it_still_opens(app: App) -> None:
    process = app.open("--port", str(unused_port()), "--no-mlflow")
    app.wait_for("The page is at")
    log = app.wait_for("Warnings and failures are logged in ").removeprefix(
        "Warnings and failures are logged in "
    )
    assert Path(log) == app.folder / "store" / "logs" / "app.log"
    process.terminate()
    assert process.wait(ENDS_WITHIN_SECONDS) == 0
    assert "MLflow" not in app.output.read_text()


def test_the_terminal_contacts_no_other_host(app: App, examples: Path) -> None:
    photos = [str(path) for path in sorted(examples.glob("*.jpg"))][:1]
    command = [sys.executable, "-m", "demo", "emotion", *photos]
    answered = subprocess.run(command, cwd=PROJECT, env=app.environment, check=False)
    assert answered.returncode in (0, 3)
    assert app.contacted() <= THIS_MACHINE


def test_the_version_is_printed() -> None:
    done = subprocess.run(
        [sys.executable, "app.py", "--version"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0.1.0\n"
