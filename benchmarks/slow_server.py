"""Whether a training's steps wait for an MLflow server that answers late.

    python benchmarks/slow_server.py --delay 5 --rounds 3

Trains dln-smoke in turn with a server that answers at once and with one each of whose answers takes
`--delay` seconds more: the same local MLflow server, in a folder that is deleted afterwards, behind
two proxies on 127.0.0.1. The first row are the epochs, with their checkpoints and validation; the
second is the whole command, which also starts, registers the version and waits until MLflow has all
metrics. Medians over the rounds. Each training has one thread: several would wait for each other
beside the server.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread

import requests
from rows import Row, table

from demo.access import LOOPBACK, free_port

FIRST_PORT = 5600
START_SECONDS = 120
NEXT_HOP = ("host", "connection", "accept-encoding")
EPOCHS = re.compile(r"epoch (\d+)/\1 +(\d+) s")
"""The last epoch's line holds the seconds of all epochs."""


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run MLflow's server on a store in `folder`, and give its address."""
    port = free_port(FIRST_PORT, "MLflow")
    command = [sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "files")]
    address = f"http://{LOOPBACK}:{port}"
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(START_SECONDS):
            time.sleep(1)
            try:
                requests.get(f"{address}/health", timeout=START_SECONDS)
                break
            except requests.ConnectionError:
                continue
        yield address
    finally:
        server.terminate()
        server.wait()


@contextmanager
def proxy(address: str, delay_seconds: float) -> Iterator[str]:
    """Pass requests on to a server, each answer so many seconds later; give the address."""

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            answer = requests.request(
                self.command,
                address + self.path,
                headers={k: v for k, v in self.headers.items() if k.lower() not in NEXT_HOP},
                data=self.rfile.read(length),
                timeout=START_SECONDS,
            )
            time.sleep(delay_seconds)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_port}"
        server.shutdown()


def train(address: str, folder: Path, seed: int, epochs: int) -> tuple[float, float]:
    """Return the seconds of a training's epochs, and of the whole command."""
    command = [sys.executable, "-m", "training", "train", "dln-smoke", "--epochs", str(epochs)]
    command += ["--seed", str(seed), "--runs", str(folder)]
    started = time.monotonic()
    done = subprocess.run(
        command,
        env=os.environ | {"MLFLOW_TRACKING_URI": address, "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    printed = EPOCHS.search(done.stdout + done.stderr)
    if done.returncode or printed is None:
        raise SystemExit(done.stdout + done.stderr)
    return float(printed[2]), seconds


def main(delay_seconds: float, rounds: int, epochs: int) -> None:
    """Train with both servers in turn, and print the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = stack.enter_context(mlflow_server(folder))
        quick, late = (stack.enter_context(proxy(address, s)) for s in (0.0, delay_seconds))
        seconds: dict[str, list[tuple[float, float]]] = {quick: [], late: []}
        for seed in range(rounds):
            for at in (quick, late):
                seconds[at].append(train(at, folder / f"{seed}-{at == late}", seed, epochs))
    parts: dict[str, Callable[[tuple[float, float]], float]] = {
        f"dln-smoke, {epochs} epochs": lambda each: each[0],
        "the whole command": lambda each: each[1],
    }
    rows = [
        Row(
            what=f"{what}, each answer of MLflow {delay_seconds:g} s late",
            value=median(map(part, seconds[late])),
            unit="s",
            beside="at once",
            beside_value=median(map(part, seconds[quick])),
        )
        for what, part in parts.items()
    ]
    print(table(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--delay", type=float, default=5.0, help="seconds of each answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    main(*(getattr(parser.parse_args(), name) for name in ("delay", "rounds", "epochs")))
