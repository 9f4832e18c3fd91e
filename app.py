"""Expression Studio: the page, and MLflow's UI beside it. `python app.py --help` says the rest."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import NoReturn

from registry import store
from registry.errors import RegistryError

HOST = "127.0.0.1"
LAST_PORT = 65535
PATIENCE_SECONDS = 3.0
"""How long an ending part of the house may take before it is cut off."""

MLFLOW_CHILD = """
import os, runpy, sys, threading
import psutil

def end_with_parent():
    sys.stdin.read()
    family = psutil.Process().children(recursive=True)
    for process in family:
        process.terminate()
    for process in psutil.wait_procs(family, timeout=1)[1]:
        process.kill()
    os._exit(0)

threading.Thread(target=end_with_parent, daemon=True).start()
runpy.run_module("mlflow", run_name="__main__", alter_sys=True)
"""
"""MLflow's command line, ending when its standard input does: so also when we are killed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C, or seed; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Open the page, with MLflow's UI beside it, on this machine.",
    )
    parser.add_argument("--version", action="version", version=version("expression-studio"))
    parser.add_argument("--port", type=_port, default=7860, help="of the page (default: 7860)")
    parser.add_argument("--mlflow-port", type=_port, default=5000, help="of MLflow (default: 5000)")
    parser.add_argument("--no-mlflow", action="store_true", help="leave MLflow's UI away")
    parser.add_argument(
        "command", nargs="?", choices=["seed"], help="only register the versions we ship"
    )
    options = parser.parse_args(arguments)
    if options.command == "seed":
        return 0 if seed() else 3
    return serve(options)


def serve(options: argparse.Namespace) -> int:
    """Open the page, then seed, then start MLflow's UI; end all of it at a signal."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _interrupt)
    closing: list[Callable[[], None]] = []
    try:
        from demo.models import ModelServer
        from demo.page import launch_page

        port = free_port(options.port, "the page")
        mlflow = MlflowUI(None if options.no_mlflow else options.mlflow_port, taken=port)
        served = ModelServer()
        page = launch_page(served, port=port, mlflow_url=mlflow.url)
        closing += [page.close, served.close, mlflow.close]
        print(f"The page is at {page.url}")
        if mlflow.url:
            print(f"MLflow's UI {'opens soon' if mlflow.port else 'is'} at {mlflow.url}")
        print("Ctrl-C ends everything.", flush=True)
        threading.Thread(target=_beside, args=(mlflow,), daemon=True).start()
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return _end(closing)


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _beside(mlflow: "MlflowUI") -> None:
    """Do what the page doesn't wait for."""
    seed()
    mlflow.run()


def _end(closing: Sequence[Callable[[], None]]) -> NoReturn:
    """Close everything at once, and leave: a library's thread must not keep the house open."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    threads = [threading.Thread(target=close, daemon=True) for close in closing]
    for thread in threads:
        thread.start()
    until = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    sys.stdout.flush()
    os._exit(0)


def seed() -> bool:
    """Register the shipped versions that lack; say what happened, return whether it went well."""
    try:
        import torch

        from training.seed import seed as register

        torch.set_flush_denormal(True)
        for sentence in register() or ["All shipped versions are registered."]:
            print(sentence, flush=True)
    except Exception as error:
        _complain(f"The shipped versions are not registered: {error}")
        return False
    return True


class MlflowUI:
    """MLflow's UI for the store in use: a child process, or the server that keeps the store.

    Args:
        port: Where it is wanted; None leaves it away.
        taken: A port that isn't to be had although it may still be free.

    `url` is None when it is left away; `port` is None unless the child is ours to start.
    """

    def __init__(self, port: int | None, taken: int) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._ended = threading.Event()
        self.port: int | None = None
        self.url: str | None = None
        if port is None:
            return
        self.url = store.tracking_uri()
        if not self.url.startswith(("http://", "https://")):
            self.port = free_port(port, "MLflow's UI", taken)
            self.url = f"http://{HOST}:{self.port}"

    def run(self) -> None:
        """Start the child, if it is ours; say when it opened, and when it ended by itself."""
        with self._starting:
            if self.port is None or self._ended.is_set():
                return
            try:
                self._process = self._start(self.port)
            except (RegistryError, OSError) as error:
                _complain(f"MLflow's UI does not open: {error}")
                return
        self._say_when_open(self._process, self.port)
        self._process.wait()
        if not self._ended.is_set():
            _complain(f"MLflow's UI ended by itself ({_log()} says why); the page goes on.")

    def close(self) -> None:
        """End the child and its children."""
        with self._starting:
            self._ended.set()
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS - 1)
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        store.connect()
        where = ["--host", HOST, "--port", str(port), "--workers", "1"]
        what = ["--backend-store-uri", store.tracking_uri()]
        if folder := store.folder():
            what += ["--default-artifact-root", (folder / "artifacts").as_uri()]
            what += ["--no-serve-artifacts"]
        with _log().open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", MLFLOW_CHILD, "server", *where, *what],
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _say_when_open(self, process: subprocess.Popen[bytes], port: int) -> None:
        while process.poll() is None and not self._ended.wait(0.5):
            with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
                print(f"MLflow's UI is open at {self.url}", flush=True)
                return


def _log() -> Path:
    return (store.folder() or Path(tempfile.gettempdir())) / "mlflow-ui.log"


def _complain(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def free_port(wanted: int, who: str, taken: int | None = None) -> int:
    """Return the port wanted, or say that it is busy and return one of those after it."""
    ports = range(wanted, LAST_PORT + 1)
    port = next(port for port in ports if port != taken and _is_free(port))
    if port != wanted:
        print(f"Port {wanted} is busy; {who} takes {port}.", flush=True)
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as probe:
        if os.name == "posix":  # a port whose last user has just left is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) <= LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: choose one from 1 to {LAST_PORT}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
