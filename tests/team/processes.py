"""Processes of a test: each writes a log, answers at a port of 127.0.0.1, and may be killed."""

import os
import random
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.test_app import until

STARTS_WITHIN_SECONDS = 240.0
ENDS_WITHIN_SECONDS = 60.0
TEST_PROCESSES = 16
"""At least as many as run side by side."""
PORTS = range(20_000, 30_000)
"""Below those that Linux gives to whoever asks for any: a server may be down for a while and come
back to its port. Ray takes its own below these."""


class Server:
    """A program that listens at a port; it can be killed with all its children, and start again.

    Args:
        command: the program and its arguments.
        port: where it listens.
        log: the file with all that it prints.
        environment: its variables besides `base`.
        base: variables that all servers share.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        log: Path,
        base: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port
        self.log = log
        self.own_environment = environment or {}
        self._command = command
        self.environment = {**base, **self.own_environment}
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it, and return at once."""
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command,
                env=self.environment,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )

    def wait(self) -> None:
        """Return when it listens."""
        until = time.monotonic() + STARTS_WITHIN_SECONDS
        while not is_listening(self.port):
            assert self._process is not None
            assert self._process.poll() is None, f"it ended:\n{self.printed()}"
            assert time.monotonic() < until, f"it does not listen:\n{self.printed()}"
            time.sleep(0.1)

    def start(self) -> None:
        """Start it, and return when it listens."""
        self.launch()
        self.wait()

    def kill(self) -> None:
        """End it and its children at once, by SIGKILL; does nothing where it doesn't run."""
        if self._process is None or self._process.poll() is not None:
            return
        family = [*psutil.Process(self._process.pid).children(recursive=True)]
        self._process.kill()
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait(ENDS_WITHIN_SECONDS)
        until(lambda: not any(map(runs, family)), ENDS_WITHIN_SECONDS)

    def printed(self) -> str:
        """Return all that it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def runs(process: psutil.Process) -> bool:
    """Return whether a process has not ended; who started it need not have asked for its status."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def unused_ports(count: int) -> list[int]:
    """Return ports at which nobody listens, and which nobody gets who doesn't name one.

    Each of the test processes that run side by side draws from ports of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = PORTS[worker % TEST_PROCESSES :: TEST_PROCESSES]
    drawn = random.sample(ports, len(ports))
    unused = (port for port in drawn if not is_listening(port))
    return [next(unused) for _ in range(count)]


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def bare_environment(home: Path) -> dict[str, str]:
    """Return this process's environment without what names a registry, a user or a password."""
    ours = ("MLFLOW_", "EXPRESSION_STUDIO_", "GRADIO_", "PG", "AWS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"HOME": str(home), "TMPDIR": str(home)}
