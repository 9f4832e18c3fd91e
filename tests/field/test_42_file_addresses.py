"""The file endpoint gives out visitors' files only, and fetches nothing for anybody."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.demo.fakes import FakeRegistry
from tests.field.open_page import Recorder, Visitor, opened_page, recording_server

pytestmark = pytest.mark.xdist_group("page")
TRICKS = (
    "file={url}",
    "file/{url}",
    "file={URL}",
    "file=%68ttp%3A%2F%2F127.0.0.1:{port}/x",
    "file=//127.0.0.1:{port}/x",
    "proxy={url}",
    "file=/etc/passwd",
    "file=/proc/self/environ",
    "file=../../../../etc/passwd",
    "file={folder}/../../../etc/passwd",
    "file={folder}/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "file={folder}",
    "file=",
    "file=%00",
    "file={checkout}/demo/page.py",
)


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    with opened_page(FakeRegistry()) as url:
        yield Visitor(url)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with recording_server() as recorder:
        yield recorder


@pytest.fixture(scope="module")
def uploaded(visitor: Visitor, examples: Path) -> Path:
    return Path(visitor.upload(next(examples.glob("*.jpg")))["path"])


@pytest.mark.parametrize("trick", TRICKS)
def test_no_address_and_no_other_file_is_given_out(
    visitor: Visitor, recorder: Recorder, uploaded: Path, trick: str
) -> None:
    checkout = Path(__file__).parents[2]
    path = trick.format(
        url=f"{recorder.url}/x",
        URL=f"HTTP://127.0.0.1:{recorder.port}/x",
        port=recorder.port,
        folder=uploaded.parents[1],
        checkout=checkout,
    )
    connection = HTTPConnection("127.0.0.1", int(visitor.url.rpartition(":")[2]), timeout=20)
    connection.request("GET", f"/gradio_api/{path}")  # as it is, where httpx would tidy it up
    answer = connection.getresponse()
    assert answer.status in (403, 404)
    assert json.loads(answer.read())["detail"].endswith(".")
    connection.close()
    assert not recorder.requests


def test_a_visitors_own_file_is_given_out(visitor: Visitor, uploaded: Path) -> None:
    answer = visitor.get(f"/gradio_api/file={uploaded}")
    assert answer.content == uploaded.read_bytes()


def test_a_link_out_of_the_folder_is_not_followed(visitor: Visitor, uploaded: Path) -> None:
    link = uploaded.with_name("link.jpg")
    link.symlink_to("/etc/passwd")
    answer = visitor.get(f"/gradio_api/file={link}")
    link.unlink()
    assert answer.status_code == 403
