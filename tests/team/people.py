"""What people do with an installation: commands of anna and paul, visitors of the page."""

import json
import ssl
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.team.installation import PROJECT, Installation
from tests.test_app import until

PHOTOS = ("sad_01", "smiling_05", "sad_06")
FILE = {"meta": {"_type": "gradio.FileData"}}
ANSWERS_WITHIN_SECONDS = 240.0
PAUSE_SECONDS = 4.0
"""Between an answer and a visitor's next question: a training wants the cores, too."""
Answer = dict[str, Any]


def start(team: Installation, environment: dict[str, str], *command: str) -> "Command":
    """Start `python -m COMMAND`; what it prints is a log of the installation, too."""
    number = len(list(team.logs.glob("command-*")))
    output = team.logs / f"command-{number}.log"
    with output.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=PROJECT, env=environment, stdout=out, stderr=out
        )
    return Command(process, output)


def do(team: Installation, environment: dict[str, str], *command: str) -> tuple[int, str]:
    """Run `python -m COMMAND` to its end; return its exit status and what it printed."""
    return start(team, environment, *command).ended()


@dataclass(frozen=True)
class Command:
    """A command that runs."""

    process: "subprocess.Popen[bytes]"
    output: Path

    def ended(self, within_seconds: float = 600.0) -> tuple[int, str]:
        """Return its exit status and what it printed, in one line."""
        try:
            status = self.process.wait(within_seconds)
        finally:
            self.process.kill()
        return status, " ".join(self.output.read_text(encoding="utf-8").split())


class Visitor:
    """A browser's session: it keeps its cookies, uploads photos and asks about them.

    Args:
        team: whose page it visits, through nginx.
    """

    def __init__(self, team: Installation) -> None:
        trusted = ssl.create_default_context(cafile=str(team.certificate))
        self.client = httpx.Client(
            base_url=f"{team.url}/studio", verify=trusted, trust_env=False, timeout=120
        )
        self.page = self.client.get("/").raise_for_status().text

    def compare(self, examples: Path) -> Answer:
        """Upload three photos and ask which two share an expression; the error where there is one.

        Raises:
            httpx.HTTPError: there is no whole answer.
        """
        photos = [self._upload(examples / f"{name}.jpg") for name in PHOTOS]
        called = self.client.post("/gradio_api/call/compare", json={"data": [*photos, 1, 1, 1]})
        called.raise_for_status()
        event = called.json()["event_id"]
        with self.client.stream("GET", f"/gradio_api/call/compare/{event}") as stream:
            lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
        answer = json.loads(lines[-1].removeprefix("data: "))
        return answer[0] if isinstance(answer, list) else answer

    def compare_in_the_end(self, examples: Path, refusals: list[str]) -> Answer:
        """Ask until there is an answer; each refusal before it is kept."""
        until = time.monotonic() + ANSWERS_WITHIN_SECONDS
        while True:
            try:
                answer = self.compare(examples)
            except httpx.HTTPStatusError as error:
                answer = {"error": error.response.json()["detail"]}
            if "error" not in answer:
                return answer
            refusals.append(str(answer["error"]))
            assert time.monotonic() < until, refusals
            time.sleep(0.5)

    def _upload(self, photo: Path) -> dict[str, Any]:
        with photo.open("rb") as file:
            sent = self.client.post("/gradio_api/upload", files={"files": (photo.name, file)})
        return FILE | {"path": sent.raise_for_status().json()[0]}


@dataclass
class Crowd:
    """Visitors who ask again and again, each in a thread, until the block ends."""

    team: Installation
    examples: Path
    size: int
    answers: list[Answer] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def __enter__(self) -> "Crowd":
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(self.size)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(ANSWERS_WITHIN_SECONDS)
        assert not any(thread.is_alive() for thread in self._threads)

    def wait_for_answers(self, why: str) -> None:
        """Return when the visitors have got more answers from now on than there are visitors.

        Raises:
            AssertionError: they get none; the message is `why`.
        """
        asked = len(self.answers)
        more = until(lambda: len(self.answers) > asked + self.size, ANSWERS_WITHIN_SECONDS)
        assert more, f"{why}: {self.refusals} {self.failures}"

    def _ask(self) -> None:
        try:
            visitor = Visitor(self.team)
            while not self._ended.is_set():
                self.answers.append(visitor.compare_in_the_end(self.examples, self.refusals))
                self._ended.wait(PAUSE_SECONDS)
        except Exception as error:  # it is the test that fails
            self.failures.append(error)


def version_of(port: int) -> int | None:
    """Return the version of dln that answers at the app of a port; None while none does."""
    with suppress(httpx.TransportError):
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60
        ) as client:
            called = client.post("/gradio_api/call/models", json={"data": []}).raise_for_status()
            answer = client.get(f"/gradio_api/call/models/{called.json()['event_id']}").text
        lines = [line for line in answer.splitlines() if line.startswith("data: ")]
        (reports,) = json.loads(lines[-1].removeprefix("data: "))
        (report,) = (each for each in reports if each["model"] == "dln")
        return report["answering"] and int(report["answering"])
    return None
