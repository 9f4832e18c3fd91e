"""How long the page and the terminal take to answer, beside the network alone.

    EXPRESSION_STUDIO_STORE=mlruns python benchmarks/page.py
    python benchmarks/page.py --only start photos --json page.json

Rows: from the start of app.py until the page is reachable and until each starter answers; click to
answer (upload, endpoint, its stream) for photos of several sizes over 127.0.0.1, the first and the
second time; visitors at once; processor seconds of one answer in the terminal. The store must hold
the starters (`python app.py seed`).
"""

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

PROJECT = Path(__file__).parents[1]
PERSON = PROJECT / "demo" / "examples" / "smiling_05.jpg"
MEGAPIXELS = (0.1, 2.0, 12.0, 100.0)
HEAD = 0.4
"""Part of a photo's shorter side that the picture of the person takes."""
REPEATS = {0.1: 7, 2.0: 7, 12.0: 5, 100.0: 2}
VISITORS, VISITORS_SECONDS = 8, 10.0
WITHIN_SECONDS = 180.0
DEFAULTS: dict[str, list[Any]] = {"emotion": [None], "compare": [1, 1, 1], "transfer": [1.0, 1, 1]}
"""The inputs of each endpoint after its photos."""
Row = dict[str, Any]


def main(only: list[str], file: Path | None) -> None:
    """Measure, print a table, and write the same rows as JSON."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="page-") as name:
        folder = Path(name)
        if "terminal" in only:
            rows += terminal(folder)
        if network := {"network", "photos"} & set(only):
            rows += network_alone() if network else []
        if {"start", "photos", "visitors"} & set(only):
            with opened() as (process, url, started):
                times = start(url, started)
                rows += times if "start" in only else []
                rows += photos(folder, url) if "photos" in only else []
                rows += visitors(url, process) if "visitors" in only else []
    for row in rows:
        print(f"{row['row']:44}{row['value']:10.3f} {row['unit']:12}{row.get('note', '')}")
    if file is not None:
        file.write_text(json.dumps(rows, indent=1))


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
    return [
        {"row": "terminal: processor time of an answer", "value": runs[1][0], "unit": "s"},
        {"row": "terminal: one answer", "value": runs[1][1], "unit": "s"},
    ]


def network_alone() -> list[Row]:
    """Return the median time of the emotion starter for one face."""
    from registry import versions

    model = versions.load("emotion", "cpu")
    size = model.version.crop.size_px
    faces = np.random.default_rng(0).random((1, 3, size, size), np.float32)
    seconds = median(lambda: model(faces), 15)
    return [{"row": "emotion alone, one face", "value": 1000 * seconds, "unit": "ms"}]


def start(url: str, started: float) -> list[Row]:
    """Return when the page was reachable and each starter answered, after the process began."""
    rows = [{"row": "start: page reachable", "value": time.monotonic() - started, "unit": "s"}]
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
    return rows + [
        {"row": f"start: first answer of {endpoint}", "value": times[endpoint], "unit": "s"}
        for endpoint in asked
    ]


def photos(folder: Path, url: str) -> list[Row]:
    """Return the median time from click to emotion for photos of several sizes, and once more."""
    client, rows = connected(url), []
    ask(client, "emotion", [PERSON])
    for megapixels in MEGAPIXELS:
        files = [photo(folder, megapixels, seed) for seed in range(REPEATS[megapixels] + 1)]
        for again in (False, True):
            times, stamps = [], []
            for file in files:
                began = time.perf_counter()
                answer = ask(client, "emotion", [file])
                times.append(time.perf_counter() - began)
                stamps.append(answer["seconds"])
            rows.append(
                {
                    "row": f"{megapixels:g} MP, {'seen before' if again else 'click to answer'}",
                    "value": 1000 * statistics.median(times[1:]),
                    "unit": "ms",
                    "note": f"stamp {1000 * statistics.median(stamps[1:]):.0f} ms",
                }
            )
    return rows


def visitors(url: str, process: psutil.Process) -> list[Row]:
    """Return the median time and the rate of answers while several visitors ask at once."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        people = sorted(PERSON.parent.glob("*.jpg"))
        until = time.monotonic() + VISITORS_SECONDS

        def visit(number: int) -> None:
            client, count = connected(url), 0
            while time.monotonic() < until:
                picture = Image.open(people[(number + count) % len(people)]).convert("RGB")
                picture.putpixel((0, 0), (number, count % 256, count // 256))
                file = Path(name, f"{number}-{count}.png")  # a photo that the page doesn't know
                picture.save(file, compress_level=1)
                began = time.perf_counter()
                ask(client, "emotion", [file])
                times.append(time.perf_counter() - began)
                count += 1

        before, began = sum(process.cpu_times()[:2]), time.monotonic()
        threads = [threading.Thread(target=visit, args=(n,)) for n in range(VISITORS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    seconds = time.monotonic() - began
    cpu = sum(process.cpu_times()[:2]) - before
    memory = process.memory_info().rss / 2**20
    name = f"{VISITORS} visitors"
    return [
        {"row": f"{name}: p50", "value": 1000 * statistics.median(times), "unit": "ms"},
        {"row": f"{name}: p95", "value": 1000 * np.quantile(times, 0.95), "unit": "ms"},
        {"row": f"{name}: answers", "value": len(times) / seconds, "unit": "1/s"},
        {"row": f"{name}: processor time", "value": 1000 * cpu / len(times), "unit": "ms/answer"},
        {"row": f"{name}: memory of the app", "value": memory, "unit": "MiB"},
    ]


def ask(client: httpx.Client, endpoint: str, files: Sequence[Path]) -> dict[str, Any]:
    """Upload photos and return the endpoint's answer about them.

    Raises:
        RuntimeError: There is none.
    """
    sent = [uploaded(client, file) for file in files]
    event = client.post(f"/call/{endpoint}", json={"data": [*sent, *DEFAULTS[endpoint]]}).json()
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
    """Return a client of the page, which keeps its connection open as browsers do."""
    return httpx.Client(base_url=f"{url}/gradio_api", trust_env=False, timeout=WITHIN_SECONDS)


def median(call: Callable[[], object], repeats: int) -> float:
    """Return the median seconds of a call, after two that don't count."""
    times = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


@contextmanager
def opened() -> Iterator[tuple[psutil.Process, str, float]]:
    """Start app.py; give its process, its URL once that answers, and when it began."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--no-mlflow", "--port", "7990"],
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
