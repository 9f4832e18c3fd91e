"""The memory of the app: at rest, while 32 visitors ask, and after versions were swapped.

    python benchmarks/memory.py [--seconds 60] [--json FILE]

Seeds a store of its own, opens the page, lets visitors ask each endpoint in turn, and then moves
the alias of emotion to and fro between two versions of equal weights, with a request after each.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil
import rows
from rows import Row
from soak import PHOTOS, VISITORS, opened, upload, visit

from registry import promotion, store, versions
from registry.catalog import EMOTION

SWAPS, SETTLED = 10, 2
LIMIT, SWAP_SECONDS = 1.1, 120


def main(seconds: float, output: Path | None) -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        place = Path(folder) / "page"
        with opened(place) as (process, url):
            os.environ["EXPRESSION_STUDIO_STORE"] = str(place / "store")
            photos = [upload(url, photo) for photo in PHOTOS[:3]]
            _ask_each(url, photos)
            rest = _megabytes(process.pid)
            crowd = _crowd(url, photos, seconds, process.pid)
            swapped = _swap(url, photos[0], process.pid)
    found = [
        Row(what="app at rest, three starters loaded", value=rest, unit="MB"),
        Row(
            what=f"app under {VISITORS} visitors for {seconds:g} s, highest",
            value=crowd,
            unit="MB",
            beside="at rest",
            beside_value=rest,
        ),
        Row(
            what=f"app after {SWAPS} swaps of emotion",
            value=swapped[-1],
            unit="MB",
            beside=f"after swap {SETTLED}",
            beside_value=swapped[SETTLED - 1],
            target=LIMIT,
        ),
    ]
    print(rows.table(found))
    if output:
        rows.write(output, found)


def _megabytes(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def _ask_each(url: str, photos: list[dict[str, object]]) -> None:
    """Let one visitor ask for a moment, so that everything has been used once."""
    answers: Counter[str] = Counter()
    visit(url, photos, answers, time.monotonic() + 10)


def _crowd(url: str, photos: list[dict[str, object]], seconds: float, pid: int) -> float:
    """Return the highest memory while visitors ask."""
    until, answers, highest = time.monotonic() + seconds, Counter[str](), 0.0
    visitors = [
        threading.Thread(target=visit, args=(url, photos, answers, until), daemon=True)
        for _ in range(VISITORS)
    ]
    for visitor in visitors:
        visitor.start()
    while any(visitor.is_alive() for visitor in visitors):
        highest = max(highest, _megabytes(pid))
        time.sleep(1)
    print(dict(answers))
    return highest


def _swap(url: str, photo: dict[str, object], pid: int) -> list[float]:
    """Return the memory after each swap."""
    first = versions.resolve(EMOTION.name)
    client = store.connect()
    stored = client.get_model_version(first.name, str(first.number))
    second = client.create_model_version(
        first.name, stored.source, first.run_id, stored.tags, model_id=stored.model_id
    )
    numbers, used = (int(second.version), first.number), []
    for swap in range(SWAPS):
        number = numbers[swap % len(numbers)]
        promotion.promote(first.name, number)
        _wait_for(url, photo, number)
        used.append(_megabytes(pid))
    return used


def _wait_for(url: str, photo: dict[str, object], number: int) -> None:
    until = time.monotonic() + SWAP_SECONDS
    while _answering(url, photo) != number:
        if time.monotonic() > until:
            raise SystemExit(f"Version {number} did not answer within {SWAP_SECONDS} s.")
        time.sleep(0.5)


def _answering(url: str, photo: dict[str, object]) -> int:
    """Return the number of the version that names the emotion of a photo."""
    with httpx.Client(base_url=f"{url}/gradio_api/call", timeout=180, trust_env=False) as client:
        event = client.post("/emotion", json={"data": [photo, None]}).json()["event_id"]
        text = client.get(f"/emotion/{event}").text
    data = next(line for line in text.splitlines() if line.startswith("data: "))
    return int(json.loads(data.removeprefix("data: "))[0][0]["version"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of visitors")
    parser.add_argument("--json", type=Path, help="where to write the rows, too")
    given = parser.parse_args()
    main(given.seconds, given.json)
