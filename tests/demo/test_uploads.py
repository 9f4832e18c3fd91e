"""The page takes uploaded files only, at every event that takes any."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr
import httpx
import pytest
from gradio import processing_utils

from demo.models import ModelServer
from demo.page import Page, launch_page
from demo.tabs.uploads import cache_file
from registry import versions
from tests.conftest import unused_port
from tests.demo.fakes import FakeRegistry

FILE = {"meta": {"_type": "gradio.FileData"}}
ADDRESS = "https://elsewhere.example/a.png"
FORGED = {
    "address": FILE | {"path": ADDRESS},
    "address in a list": [FILE | {"path": ADDRESS}],
    "address inside": {"inner": FILE | {"path": ADDRESS}},
    "unmarked": {"path": "PICTURE"},
    "marked otherwise": {"path": "PICTURE", "meta": {"_type": "another"}},
    "marked with a word": {"path": "PICTURE", "meta": "gradio.FileData"},
    "never sent": FILE | {"path": "PICTURE"},
}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """Yield a page over an empty registry, which takes photos all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "resolve", FakeRegistry().resolve)
        server = ModelServer(poll_seconds=None)
        page = launch_page(server, port=unused_port(), mlflow_url=None)
        yield page
        page.close()
        server.close()


@pytest.mark.parametrize("kind", FORGED)
def test_only_files_sent_to_the_page_are_read(
    page: Page, kind: str, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Call every event that takes a file, those of the page too, which have no public endpoint."""
    fetched: list[str] = []
    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", fetched.append)
    picture = shutil.copy(next(examples.glob("*.jpg")), tmp_path)
    forged = json.loads(json.dumps(FORGED[kind]).replace("PICTURE", str(picture)))
    events = {n: e for n, e in page.blocks.fns.items() if takes_file(e)}
    names = {event.api_name for event in events.values()}
    assert {"compare", "emotion", "embed", "transfer", "load_upload"} <= names
    for number, event in events.items():
        data = [forged if isinstance(block, gr.Image | gr.File) else 1 for block in event.inputs]
        message = call(page, number, data)
        assert not message["success"]
        assert message["output"]["error"] == "Send the picture itself, not its address."
    assert not fetched


def takes_file(event: Any) -> bool:
    return any(isinstance(block, gr.Image | gr.File) for block in event.inputs)


def call(page: Page, number: int, data: list[Any]) -> dict[str, Any]:
    """Call an event as the browser does, and return the last message.

    A stream, as the camera's, is closed after its first answer: it would wait for more frames.
    """
    api, session = f"{page.url}/gradio_api", {"session_hash": str(uuid4())}
    httpx.post(f"{api}/queue/join", json={"fn_index": number, "data": data, **session}, timeout=60)
    with httpx.stream("GET", f"{api}/queue/data", params=session, timeout=60) as lines:
        messages = (json.loads(line[5:]) for line in lines.iter_lines() if line.startswith("data:"))
        for message in messages:
            if message["msg"] == "process_completed":
                return message
            if message["msg"] == "process_streaming":
                closed = httpx.post(f"{api}/stream/{message['event_id']}/close", timeout=60)
                closed.raise_for_status()
    raise AssertionError(f"event {number} did not end")


def test_a_picture_sent_to_the_page_is_read(page: Page, examples: Path) -> None:
    with next(examples.glob("*.jpg")).open("rb") as picture:
        (path,) = httpx.post(
            f"{page.url}/gradio_api/upload", files={"files": picture}, timeout=60
        ).json()
    sent = FILE | {"path": path}
    for number, event in page.blocks.fns.items():
        if takes_picture(event):
            data = [sent if isinstance(block, gr.Image) else None for block in event.inputs]
            assert call(page, number, data)["success"], event.api_name


def test_nothing_decodes_an_upload_before_our_checks(page: Page) -> None:
    events = [event for event in page.blocks.fns.values() if takes_picture(event)]
    assert events
    assert not any(event.preprocess for event in events)


def test_a_file_that_others_download_is_whole_while_it_is_written_again(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    (component, *_) = page.blocks.blocks.values()
    path = Path(cache_file(b"whole", "table.csv", component))
    seen: list[bytes] = []

    def write(part: Path, data: bytes) -> None:
        with part.open("wb") as file:
            seen.append(path.read_bytes())
            file.write(data)

    monkeypatch.setattr(Path, "write_bytes", write)
    assert cache_file(b"whole", "table.csv", component) == str(path)
    assert [*seen, path.read_bytes()] == [b"whole", b"whole"]


def takes_picture(event: Any) -> bool:
    return any(isinstance(block, gr.Image) for block in event.inputs)
