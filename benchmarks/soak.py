"""Kills and crowds, for hours: what they leave must be what nobody's kill and no crowd leaves.

    python benchmarks/soak.py                 30 kills of each kind, 10 minutes of 32 visitors
    python benchmarks/soak.py --kills 3 --minutes 3

Each kind of work (see kills.py) is killed at times spread over its length and done once more, in
rounds of three kills. Then app.py runs with 32 visitors, each asking for one answer after the
other: each request gets an answer or a sentence, the memory after the second minute grows by at
most 10 %, and at the end no picture and no process is left.
"""

import argparse
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from kills import KINDS, SEEDING, Broken, in_store, kill_and_repeat

from demo.visitor_files import PREFIX
from registry import store

PROJECT = Path(__file__).parents[1]
PHOTOS = sorted((PROJECT / "demo" / "examples").glob("*.jpg"))
KILLS_A_ROUND = 3
VISITORS = 32
MAY_GROW = 1.1
STEADY_AFTER_SECONDS = 120
SAMPLE_SECONDS = 2.0
CALLS: dict[str, tuple[int, list[object]]] = {
    "emotion": (1, [None]),
    "embed": (1, [None]),
    "compare": (3, [1, 1, 1]),
    "transfer": (2, [1.0, 1, 1]),
}
"""The endpoints: how many photos each takes, and its other inputs."""
FILE_META = {"_type": "gradio.FileData"}


def main(kills: int, minutes: float) -> int:
    """Do both; print what was found, and return 1 where anything was left or lost."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        faults = [*kill_all(Path(folder), kills)]
        if minutes:
            faults += crowd(Path(folder), 60 * minutes)
    for fault in faults:
        print(f"FAULT {fault}", flush=True)
    print("Nothing was lost or left." if not faults else f"{len(faults)} faults.")
    return 1 if faults else 0


def kill_all(folder: Path, kills: int) -> Iterator[str]:
    """Kill each kind of work; yield what is wrong afterwards."""
    with in_store(folder / "empty"):
        store.connect(create=True)
    rounds = -(-kills // KILLS_A_ROUND)
    for kind, number in itertools.product((SEEDING, *KINDS), range(rounds)):
        place = folder / f"{kind.name}-{number}"
        try:
            empty = folder / "empty" / "store" / "mlflow.db"
            hit = kill_and_repeat(kind, place, empty, min(kills, KILLS_A_ROUND))
            print(f"{kind.name}, round {number + 1} of {rounds}: {hit} kills", flush=True)
        except Broken as error:
            yield f"{kind.name}, round {number + 1}: {error}"


def crowd(folder: Path, seconds: float) -> list[str]:
    """Let visitors ask for some time; return what is wrong during it and afterwards."""
    place = folder / "crowd"
    with opened(place) as (process, url):
        photos = [upload(url, photo) for photo in PHOTOS[:3]]
        answers: Counter[str] = Counter()
        until = time.monotonic() + seconds
        visitors = [
            threading.Thread(target=visit, args=(url, photos, answers, until), daemon=True)
            for _ in range(VISITORS)
        ]
        for visitor in visitors:
            visitor.start()
        growth = watch_memory(process, until)
        for visitor in visitors:
            visitor.join(120)
        running = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.wait(20)
    print(f"{dict(answers)}, memory grew to {growth:.0%}", flush=True)
    faults = [f"{n} times {what}" for what, n in answers.items() if what.startswith("no sentence")]
    if growth > MAY_GROW:
        faults.append(f"The memory grew to {growth:.0%} of what it was after two minutes.")
    faults += [f"{path} is left" for path in (place / "tmp").glob(f"{PREFIX}*")]
    return faults + [f"process {child.pid} is left" for child in running if child.is_running()]


@contextmanager
def opened(place: Path) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """Start app.py; give it and its URL once all starters are in production."""
    (place / "tmp").mkdir(parents=True)
    names = {"EXPRESSION_STUDIO_STORE": str(place / "store"), "TMPDIR": str(place / "tmp")}
    command = [sys.executable, "app.py", "--no-mlflow", "--no-cache"]
    process = subprocess.Popen(
        command, cwd=PROJECT, env=os.environ | names, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    url = ""
    try:
        for line in process.stdout:
            url = line.split()[-1] if line.startswith("The page is at") else url
            if line.startswith("pix2pixhd") and "in production" in line:
                break
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield process, url
    finally:
        process.kill()
        process.wait()


def upload(url: str, photo: Path) -> dict[str, object]:
    """Return an uploaded photo as endpoints take it."""
    with photo.open("rb") as file:
        (path,) = httpx.post(f"{url}/gradio_api/upload", files={"files": file}, timeout=60).json()
    return {"path": path, "meta": FILE_META}


def visit(
    url: str, photos: Sequence[dict[str, object]], answers: "Counter[str]", until: float
) -> None:
    """Ask each endpoint in turn; count the answers, the sentences, and what was neither."""
    for endpoint in itertools.cycle(CALLS):
        if time.monotonic() > until:
            return
        try:
            count, rest = CALLS[endpoint]
            answers[ask(url, endpoint, [*photos[:count], *rest])] += 1
        except httpx.HTTPError as error:
            answers[f"no sentence: {type(error).__name__}"] += 1


def ask(url: str, endpoint: str, inputs: Sequence[object]) -> str:
    """Call an endpoint, and return what kind of answer came."""
    with httpx.Client(base_url=f"{url}/gradio_api/call", timeout=180, trust_env=False) as client:
        called = client.post(f"/{endpoint}", json={"data": list(inputs)})
        if called.status_code == httpx.codes.TOO_MANY_REQUESTS:
            time.sleep(float(called.headers["retry-after"]))
            return "try again later"
        with client.stream("GET", f"/{endpoint}/{called.json()['event_id']}") as stream:
            lines = list(stream.iter_lines())
    if "event: complete" in lines:
        return "answer"
    return "sentence" if any('"error": "' in line for line in lines) else f"no sentence: {lines}"


def watch_memory(process: "subprocess.Popen[str]", until: float) -> float:
    """Return by what factor the memory grew after it had become steady."""
    steady, highest = 0, 0
    begins = time.monotonic() + STEADY_AFTER_SECONDS
    while time.monotonic() < until:
        with suppress(psutil.Error):
            used = psutil.Process(process.pid).memory_info().rss
            if time.monotonic() < begins:
                steady = max(steady, used)
            else:
                highest = max(highest, used)
        time.sleep(SAMPLE_SECONDS)
    return highest / steady if steady and highest else 1.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30, help="of each kind")
    parser.add_argument("--minutes", type=float, default=10.0, help="of visitors; 0: none")
    options = parser.parse_args()
    sys.exit(main(options.kills, options.minutes))
