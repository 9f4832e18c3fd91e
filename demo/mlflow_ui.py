"""MLflow's UI beside the page: a child process, or the server that holds the store."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from demo.access import LOOPBACK, free_port
from registry import logs, store
from registry.addresses import is_web, without_userinfo
from registry.errors import RegistryError, first_line

logger = logging.getLogger(__name__)

URL_VARIABLE = "EXPRESSION_STUDIO_MLFLOW_URL"
"""The variable with the address of MLflow's UI for visitors, where it differs from that of the
server, as behind a proxy."""
REGISTRY = "/#/models"
"""Where MLflow's UI shows its model registry; its home page opens without one."""
CLOSE_WITHIN_SECONDS = 2.0
"""How long the child may take to end before it is killed."""

MLFLOW_CHILD = """
import os, runpy, sys, threading
import psutil

def end_with_parent():
    sys.stdin.read()
    children = psutil.Process().children(recursive=True)
    for process in children:
        process.terminate()
    for process in psutil.wait_procs(children, timeout=1)[1]:
        process.kill()
    os._exit(0)

threading.Thread(target=end_with_parent, daemon=True).start()
runpy.run_module("mlflow", run_name="__main__", alter_sys=True)
"""
"""MLflow's command line; it ends when its standard input is closed, so also when we are killed."""


class MlflowUI:
    """MLflow's UI for the store in use: a child process, or the server that holds the store.

    Args:
        port: The port to use if it is free; None starts no UI.
        taken: A port not to use, free or not.

    `url` is None where there is no UI. `port` is None where no child process is needed.
    """

    def __init__(self, port: int | None, taken: int) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._ended = threading.Event()
        self.port: int | None = None
        self.url: str | None = None
        if port is None:
            return
        named = without_userinfo(os.environ.get(URL_VARIABLE, "")).rstrip("/")
        self.url = named or store.tracking_uri()
        if not is_web(self.url):
            self.port = free_port(port, "MLflow's UI", taken)
            self.url = f"http://{LOOPBACK}:{self.port}"

    def run(self) -> None:
        """Start the child process if one is needed; print when it opened, or ended by itself."""
        with self._starting:
            if self.port is None or self._ended.is_set():
                return
            try:
                self._process = self._start(self.port)
            except (RegistryError, OSError) as error:
                logger.exception("MLflow's UI does not open.")
                _print_error(f"MLflow's UI does not open: {first_line(error)}")
                return
        self._print_when_open(self._process, self.port)
        self._process.wait()
        if not self._ended.is_set():
            _print_error(
                f"MLflow's UI ended by itself ({_mlflow_log()} says why); the page goes on."
            )

    def close(self) -> None:
        """End the child and its children."""
        with self._starting:
            self._ended.set()
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(CLOSE_WITHIN_SECONDS)
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        store.connect(create=True)
        address = ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
        stores: list[str] = []
        if folder := store.folder():
            stores += ["--default-artifact-root", (folder / "artifacts").as_uri()]
            stores += ["--no-serve-artifacts"]
        log_file = _mlflow_log()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", MLFLOW_CHILD, "server", *address, *stores],
                env=os.environ
                | {
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                    "MLFLOW_BACKEND_STORE_URI": store.tracking_uri(),
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _print_when_open(self, process: subprocess.Popen[bytes], port: int) -> None:
        while process.poll() is None and not self._ended.wait(0.5):
            with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
                print(f"MLflow's UI is open at {self.url}{REGISTRY}", flush=True)
                return


def _mlflow_log() -> Path:
    return logs.folder() / "mlflow-ui.log"


def _print_error(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
