"""How long the page and the terminal take to answer, beside the network alone.

    EXPRESSION_STUDIO_STORE=mlruns python benchmarks/page.py
    python benchmarks/page.py --only start photos --json page.json

Rows: from the start of app.py until the page is reachable and until each starter answers; click to
answer (upload, endpoint, its stream) for photos of several sizes over 127.0.0.1, the first and the
second time; visitors at once; processor seconds of one answer in the terminal. The store must hold
the starters (`python app.py seed`).
"""

import argparse
import io
import itertools
import json
import os
import resource
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image
from rows import Row, in_turn, table, write

PROJECT = Path(__file__).parents[1]
PERSON = PROJECT / "demo" / "examples" / "smiling_05.jpg"
HEAD = 0.4
"""Part of a photo's shorter side that the picture of the person takes."""
REPEATS = {0.1: 7, 2.0: 7, 12.0: 5, 100.0: 1}
"""How many photos of so many megapixels are sent."""
TARGETS_MS = {(12.0, "click to answer"): 150.0}
VISITORS, VISITORS_SECONDS = (1, 8, 32), 8.0
WITHIN_SECONDS = 180.0
SESSION = "x-session"
"""The header in which a client remembers its session."""
DEFAULTS: dict[str, list[Any]] = {"emotion": [None], "compare": [1, 1, 1], "transfer": [1.0, 1, 1]}
"""The inputs of each endpoint after its photos."""


def main(only: list[str], file: Path | None) -> None:
    """Measure, print a table, and write the same rows as JSON."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="page-") as name:
        folder = Path(name)
        if "terminal" in only:
            found += terminal(folder)
        network_ms = network_alone() if "photos" in only else 0.0
        if {"start", "photos", "visitors"} & set(only):
            with opened() as (process, url, started):
                begun = start(url, started)
                found += begun if "start" in only else []
                found += photos(folder, url, network_ms) if "photos" in only else []
                found += crowds(folder, url, process) if "visitors" in only else []
    print(table(found))
    if file is not None:
        write(file, found)


def photo(folder: Path, megapixels: float, seed: int) -> Path:
    """Return a JPEG of that size: a person before a wall with grain."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = round(width * 3 / 4)
    rng = np.random.default_rng(seed)
    wall = Image.fromarray(rng.integers(60, 190, (24, 32, 3), dtype=np.uint8))
    pixels = np.asarray(wall.resize((width, height), Image.Resampling.BICUBIC)).copy()
    grain = rng.integers(0, 33, (256, 256, 1), dtype=np.uint8)
    tiles = (height // 256 + 1, width // 256 + 1, 1)
    pixels += np.tile(grain, tiles)[:height, :width]
    picture = Image.fromarray(pixels)
    side = round(HEAD * height)
    person = Image.open(PERSON).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    picture.paste(person, (width // 2 - side // 2 + seed, height // 4))
    path = folder / f"{megapixels:g}-{seed}.jpg"
    picture.save(path, quality=90)
    return path


def terminal(folder: Path) -> list[Row]:
    """Return processor and wall seconds of `demo emotion FILE --local`, the second run."""
    command = [sys.executable, "-m", "demo", "emotion", str(photo(folder, 0.1, 0)), "--local"]
    runs = []
    for _ in range(2):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        runs.append((cpu, time.perf_counter() - began))
    cpu, wall = runs[1]
    return [
        Row(what="terminal: processor time of an answer", value=cpu, unit="s", target=5),
        Row(what="terminal: one answer", value=wall, unit="s"),
    ]


def network_alone() -> float:
    """Return the median milliseconds of the emotion starter for one face."""
    from registry import versions

    model = versions.load("emotion", "cpu")
    size = model.version.crop.size_px
    faces = np.random.default_rng(0).random((1, 3, size, size), np.float32)
    return 1000 * in_turn([lambda: model(faces)], 20)[0]


def start(url: str, started: float) -> list[Row]:
    """Return when the page was reachable and each starter answered, after the process began."""
    reachable = time.monotonic() - started
    asked = {"emotion": 1, "compare": 3, "transfer": 2}
    times: dict[str, float] = {}

    def ask_until_answered(endpoint: str, photos: int) -> None:
        with connected(url) as client:
            while True:
                with suppress(RuntimeError):  # not loaded yet
                    ask(client, endpoint, [PERSON] * photos)
                    times[endpoint] = time.monotonic() - started
                    return
                time.sleep(0.1)

    threads = [threading.Thread(target=ask_until_answered, args=item) for item in asked.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [
        Row(what="start: page reachable", value=reachable, unit="s", target=5),
        *(
            Row(what=f"start: first answer of {name}", value=times[name], unit="s", target=8)
            for name in asked
        ),
    ]


def photos(folder: Path, url: str, network_ms: float) -> list[Row]:
    """Return the median time from click to emotion for photos of several sizes, and once more."""
    found = [Row(what="emotion alone, one face", value=network_ms, unit="ms")]
    with connected(url) as client:
        ask(client, "emotion", [PERSON])
        for megapixels, repeats in REPEATS.items():
            files = [photo(folder, megapixels, seed) for seed in range(repeats)]
            for name in ("click to answer", "seen before"):
                times = [_seconds(client, file) for file in files]
                found.append(
                    Row(
                        what=f"{megapixels:g} MP: {name}, less the network",
                        value=1000 * statistics.median(times) - network_ms,
                        unit="ms",
                        target=TARGETS_MS.get((megapixels, name)),
                    )
                )
    return found


def _seconds(client: httpx.Client, file: Path) -> float:
    began = time.perf_counter()
    ask(client, "emotion", [file])
    return time.perf_counter() - began


def crowds(folder: Path, url: str, process: psutil.Process) -> list[Row]:
    """Return the median time and the rate of answers for one visitor and for several at once."""
    found, possible = [], 0.0
    for count in VISITORS:
        began = time.monotonic()
        times, cpu = crowd(folder, url, process, count)
        rate = len(times) / (time.monotonic() - began)
        possible = possible or (os.cpu_count() or 1) * len(times) / cpu
        name = f"{count} visitors" if count > 1 else "1 visitor"
        p50, p95 = np.quantile(times, (0.5, 0.95)) * 1000
        found += [
            Row(what=f"{name}: median of answers", value=p50, unit="ms"),
            Row(what=f"{name}: 95 % of answers", value=p95, unit="ms"),
            Row(
                what=f"{name}: answers",
                value=rate,
                unit="1/s",
                beside="cores / processor time of one answer",
                beside_value=possible,
                target=0.8 if count > 1 else None,
                at_least=True,
            ),
        ]
    memory = process.memory_info().rss / 2**20
    return [*found, Row(what="memory of the app afterwards", value=memory, unit="MiB")]


def crowd(folder: Path, url: str, process: psutil.Process, count: int) -> tuple[list[float], float]:
    """Let visitors ask about photos that the page doesn't know; return times and processor time."""
    times: list[float] = []
    people = [_png(path) for path in sorted(PERSON.parent.glob("*.jpg"))]
    until = time.monotonic() + VISITORS_SECONDS

    def visit(number: int) -> None:
        with connected(url) as client:
            for turn in itertools.count():
                file = folder / f"{count}-{number}-{turn}.png"
                file.write_bytes(people[(number + turn) % len(people)] + file.name.encode())
                times.append(_seconds(client, file))
                if time.monotonic() > until:
                    return

    before = sum(process.cpu_times()[:2])
    threads = [threading.Thread(target=visit, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, sum(process.cpu_times()[:2]) - before


def _png(path: Path) -> bytes:
    """Return a photo as PNG; with other bytes behind its end it is one that the page doesn't know.

    To draw another for each question would take the time of a core that the page needs.
    """
    Image.open(path).convert("RGB").save(content := io.BytesIO(), "PNG", compress_level=1)
    return content.getvalue()


def ask(client: httpx.Client, endpoint: str, files: Sequence[Path]) -> dict[str, Any]:
    """Upload photos and return the endpoint's answer about them.

    Raises:
        RuntimeError: There is none.
    """
    sent = [uploaded(client, file) for file in files]
    asked = {"data": [*sent, *DEFAULTS[endpoint]], "session_hash": client.headers[SESSION]}
    event = client.post(f"/call/{endpoint}", json=asked).json()
    lines = client.get(f"/call/{endpoint}/{event['event_id']}").text.splitlines()
    if "event: complete" not in lines:
        raise RuntimeError(lines)
    (answer, *_) = json.loads(lines[lines.index("event: complete") + 1].removeprefix("data: "))
    first: dict[str, Any] = answer[0] if isinstance(answer, list) else answer
    return first


def uploaded(client: httpx.Client, file: Path) -> dict[str, Any]:
    """Return an uploaded photo as endpoints take it."""
    (path,) = client.post("/upload", files={"files": (file.name, file.read_bytes())}).json()
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def connected(url: str) -> httpx.Client:
    """Return a client that keeps its connection and its session, as an open page does.

    For each new session Gradio describes all components once more: 10 ms.
    """
    return httpx.Client(
        base_url=f"{url}/gradio_api",
        trust_env=False,
        timeout=WITHIN_SECONDS,
        headers={SESSION: secrets.token_hex(5)},
    )


@contextmanager
def opened() -> Iterator[tuple[psutil.Process, str, float]]:
    """Start app.py; give its process, its URL once that answers, and when it began."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--no-mlflow", "--no-cache", "--port", "7990"],
        cwd=PROJECT,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    try:
        lines = iter(process.stdout.readline, "")
        url = next(line.split()[-1] for line in lines if line.startswith("The page is at"))
        httpx.get(url, trust_env=False, timeout=60).raise_for_status()
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield psutil.Process(process.pid), url, started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


if __name__ == "__main__":
    parts = ["terminal", "start", "photos", "visitors"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, metavar="PART")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here, too")
    options = parser.parse_args()
    main(options.only, options.json)
