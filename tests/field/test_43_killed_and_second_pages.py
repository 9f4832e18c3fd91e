"""A page that is killed inside an answer and a swap, and two pages over one store."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.models import ModelServer
from demo.page import launch_page
from registry import promotion
from tests.browser import networks
from tests.conftest import unused_port
from tests.field.open_page import Visitor
from tests.field.running_app import inherited
from tests.test_app import PROJECT, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("app")]
SERVE = """
import sys, threading
from demo.models import ModelServer
from demo.page import launch_page
from demo.predictors import EmotionRecognizer
from registry import versions

def hang(what):
    print(what, flush=True)
    threading.Event().wait()

load = versions.load
if sys.argv[2] == "hangs":
    versions.load = lambda v, d=None: hang("inside a swap") if v.number == 2 else load(v, d)
    EmotionRecognizer.recognise = lambda *_: hang("inside an answer")
server = ModelServer(poll_seconds=0.1)
print(launch_page(server, port=int(sys.argv[1]), mlflow_url=None).url, flush=True)
threading.Event().wait()
"""
"""Opens the page; with "hangs", its answers of emotions and its loading of version 2 never end."""


@contextmanager
def served(folder: Path, mode: str) -> Iterator["tuple[subprocess.Popen[str], str]"]:
    """Open the page in a process of its own; give that and its URL."""
    (folder / "tmp").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(unused_port()), mode],
        cwd=PROJECT,
        env=inherited() | {"TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def answering(visitor: Visitor, question: list[Any]) -> int:
    """Return the number of the version that answers."""
    return int(visitor.answer("compare", question)[0]["version"])


def ask(url: str, examples: Path) -> tuple[Visitor, list[Any]]:
    visitor = Visitor(url)
    photos = [visitor.upload(photo) for photo in sorted(examples.glob("*.jpg"))[:3]]
    return visitor, [*photos, 1, 1, 1]


def pictures(folder: Path) -> list[Path]:
    return [p for p in (folder / "tmp").rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_killed_pages_lose_nothing_and_two_share_a_store(
    fresh_store: Path, tmp_path: Path, examples: Path
) -> None:
    assert fresh_store.is_dir()
    networks.fill_registry()
    with served(tmp_path, "hangs") as (process, url):
        visitor, question = ask(url, examples)
        assert answering(visitor, question) == 1
        promotion.promote("dln", 2)
        assert process.stdout
        assert process.stdout.readline() == "inside a swap\n"
        assert answering(visitor, question) == 1, "the old version answers until the new one does"
        visitor.call("emotion", [question[0], None])
        assert process.stdout.readline() == "inside an answer\n"
        process.kill()
        process.wait(20)
    left = pictures(tmp_path)
    assert len(left) >= 3
    with served(tmp_path, "works") as (_, url):
        assert not [path for path in left if path.exists()]
        visitor, question = ask(url, examples)
        assert answering(visitor, question) == 2
        check_second_page(visitor, question, examples)


def check_second_page(first: Visitor, question: list[Any], examples: Path) -> None:
    """Open a second page over the store: both follow the alias, and each has its own pictures."""
    server = ModelServer(poll_seconds=0.1)
    page = launch_page(server, port=unused_port(), mlflow_url=None)
    second, its_question = ask(page.url, examples)
    assert answering(second, its_question) == 2
    promotion.promote("dln", 1)
    assert until(lambda: answering(first, question) == 1, 60)
    assert until(lambda: answering(second, its_question) == 1, 60)
    others = second.get(f"/gradio_api/file={question[0]['path']}")
    assert others.status_code == 403
    page.close()
    server.close()
    assert answering(first, question) == 1
