"""How long the page and the terminal take to answer, beside the network alone.

    EXPRESSION_STUDIO_STORE=mlruns python benchmarks/page.py
    python benchmarks/page.py --only start photos --json page.json

Rows: from the start of app.py until the page is reachable and until each starter answers; click to
answer for photos of several sizes, by Gradio's client over 127.0.0.1, the first and the second
time; visitors at once; processor seconds of one answer in the terminal. The store must hold the
starters (`python app.py seed`).
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from gradio_client import Client, handle_file
from PIL import Image

PROJECT = Path(__file__).parents[1]
PERSON = PROJECT / "demo" / "examples" / "smiling_05.jpg"
MEGAPIXELS = (0.1, 2.0, 12.0, 100.0)
HEAD = 0.4
"""Part of a photo's shorter side that the picture of the person takes."""
REPEATS = {0.1: 7, 2.0: 7, 12.0: 5, 100.0: 2}
VISITORS, VISITORS_SECONDS = 8, 10.0
WITHIN_SECONDS = 180.0
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
    client = connected(url)
    rows.append({"row": "start: endpoints known", "value": time.monotonic() - started, "unit": "s"})
    sent = handle_file(str(PERSON))
    asked = {"emotion": [sent], "compare": [sent] * 3, "transfer": [sent, sent]}
    times: dict[str, float] = {}

    def ask(endpoint: str, inputs: list[Any]) -> None:
        until = time.monotonic() + WITHIN_SECONDS
        while time.monotonic() < until and endpoint not in times:
            try:
                client.submit(*inputs, api_name=f"/{endpoint}").result(WITHIN_SECONDS)
                times[endpoint] = time.monotonic() - started
            except Exception:  # not loaded yet
                time.sleep(0.1)

    threads = [threading.Thread(target=ask, args=item) for item in asked.items()]
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
    ask(client, PERSON)
    for megapixels in MEGAPIXELS:
        files = [photo(folder, megapixels, seed) for seed in range(REPEATS[megapixels] + 1)]
        for again in (False, True):
            times, stamps = [], []
            for file in files:
                began = time.perf_counter()
                answer = ask(client, file)
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
                ask(client, file)
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


def ask(client: Client, file: Path) -> dict[str, Any]:
    """Return the answer of the endpoint `emotion`."""
    job = client.submit(handle_file(str(file)), None, api_name="/emotion")
    answer: dict[str, Any] = job.result(WITHIN_SECONDS)[0]
    return answer


def connected(url: str) -> Client:
    """Return a client of the page."""
    return Client(url, verbose=False, analytics_enabled=False, httpx_kwargs={"trust_env": False})


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
