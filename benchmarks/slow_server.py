"""Steps a second of a training whose MLflow server answers late, beside one that answers at once.

    python benchmarks/slow_server.py [--epochs 40] [--seconds 5] [--rounds 3]

A real MLflow server over SQLite stands behind a proxy. The proxy passes everything on at once until
the training has reported its first numbers, then each request waits, until the last epoch is
printed. The steps a second are those between a training's first and last loss, by their own times.
"""

import argparse
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from urllib.request import urlopen

import rows
from rows import Row

RECIPE = "identity-smoke"
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host"}


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server of this machine, late where `delay_seconds` is above 0."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = port
        self.delay_seconds = 0.0
        self.waited = 0
        """How many requests waited."""


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def _pass_on(self) -> None:
        if self.server.delay_seconds:
            self.server.waited += 1
            time.sleep(self.server.delay_seconds)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kept = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        behind = http.client.HTTPConnection("127.0.0.1", self.server.port)
        behind.request(self.command, self.path, body, kept)
        answer = behind.getresponse()
        text = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def served(folder: Path) -> Iterator[Proxy]:
    """Start MLflow's server and the proxy before it, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    files = ["--artifacts-destination", str(folder / "files")]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([*command, *store, *files], stdout=log, stderr=log)
    proxy = Proxy(port)
    try:
        while not _is_healthy(port):
            if server.poll() is not None:
                raise RuntimeError((folder / "server.log").read_text(encoding="utf-8"))
            time.sleep(0.2)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
    finally:
        proxy.shutdown()
        server.terminate()
        server.wait()


def _is_healthy(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health") as answer:
            return bool(answer.status == http.client.OK)
    except OSError:
        return False


def train(proxy: Proxy, folder: Path, epochs: int, seed: int, delay_seconds: float) -> float:
    """Train; return the steps a second between the first and the last loss."""
    from mlflow import MlflowClient

    address, output = f"http://127.0.0.1:{proxy.server_port}", folder / f"output-{seed}"
    options = ["--epochs", str(epochs), "--seed", str(seed), "--runs", str(folder / "runs")]
    command = [sys.executable, "-m", "training", "train", RECIPE, *options, "--device", "cpu"]
    kept = {k: v for k, v in os.environ.items() if k != "EXPRESSION_STUDIO_STORE"}
    with output.open("wb") as out:
        variables = kept | {"MLFLOW_TRACKING_URI": address}
        running = subprocess.Popen(command, env=variables, stdout=out, stderr=out)
    while running.poll() is None and not any(_reported(folder)):
        time.sleep(0.02)
    proxy.delay_seconds = delay_seconds
    while running.poll() is None and f"epoch {epochs}/{epochs}" not in output.read_text("utf-8"):
        time.sleep(0.05)
    proxy.delay_seconds = 0.0
    printed = "" if running.wait() else output.read_text("utf-8")
    found = re.search(r"its weights are in run (\w+)\.", printed)
    if not found:
        raise RuntimeError(output.read_text("utf-8"))
    client = MlflowClient(f"http://127.0.0.1:{proxy.port}")
    losses = [key for key in client.get_run(found[1]).data.metrics if key.endswith("_loss")]
    first, *_, last = client.get_metric_history(found[1], losses[0])
    return float(last.step - first.step) * 1000 / (last.timestamp - first.timestamp)


def _reported(folder: Path) -> Iterator[str]:
    for path in folder.glob("runs/*/metrics.jsonl"):
        yield path.read_text(encoding="utf-8")


def main(epochs: int, seconds: float, rounds: int) -> None:
    """Measure quick and slow answers in turn, and print the row."""
    with tempfile.TemporaryDirectory() as place, served(Path(place)) as proxy:
        quick, slow = [], []
        for number in range(rounds):
            quick.append(train(proxy, Path(place), epochs, 2 * number, 0.0))
            slow.append(train(proxy, Path(place), epochs, 2 * number + 1, seconds))
        print(f"{proxy.waited} requests waited.")
    what = f"{RECIPE}, {seconds:g} s an answer of MLflow's server"
    row = Row(
        what=what, value=median(slow), unit="steps/s",
        beside="answers at once", beside_value=median(quick), target=0.95, at_least=True,
    )  # fmt: skip
    print(rows.table([row]))
    print(json.dumps({"quick": quick, "slow": slow}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.seconds, arguments.rounds)
