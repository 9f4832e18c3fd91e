"""Published weights are downloaded once; incomplete or changed files are refused."""

import errno
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import unused_port
from training.engine.recipe import RecipeError
from training.models.backbones import published
from training.models.backbones.compact import CompactResNet
from training.models.backbones.deviation import BackboneConfig
from training.models.backbones.pretrained import start_face
from training.models.backbones.published import Published, fetch, weights

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])


@dataclass
class Server:
    """A server of one file that redirects first, as GitHub's releases do."""

    port: int
    content: bytes = CONTENT
    cut: int | None = None
    """Number of bytes after which the connection breaks."""
    status: int = 200

    def published(self, content: bytes = CONTENT, digits: int = 64) -> Published:
        return Published(
            url=f"http://127.0.0.1:{self.port}/release/weights.pt",
            sha256=hashlib.sha256(content).hexdigest()[:digits],
        )

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        if request.path.startswith("/release/"):
            request.send_response(302)
            request.send_header("Location", "/store/1")
            request.end_headers()
        elif self.status != 200:
            request.send_error(self.status)
        else:
            request.send_response(200)
            request.send_header("Content-Length", str(len(self.content)))
            request.end_headers()
            request.wfile.write(self.content[: self.cut])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.respond(self)

        def log_message(self, *args: Any) -> None:
            pass

    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        served = Server(listening.server_port)
        thread = Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield served
        listening.shutdown()
        thread.join()


def files(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir() if path.suffix != ".lock"}


def test_a_published_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "not" / "there" / "yet"
    assert fetch(server.published(), cache).read_bytes() == CONTENT
    server.status = 404
    assert fetch(server.published(), cache).read_bytes() == CONTENT
    assert files(cache) == {"weights.pt"}


def test_a_damaged_file_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    fetch(server.published(), tmp_path).write_bytes(CONTENT[:-1])
    assert fetch(server.published(), tmp_path).read_bytes() == CONTENT
    assert files(tmp_path) == {"weights.pt"}


@pytest.mark.parametrize(("content", "cut"), [(CONTENT, 100_000), (OTHER, None)])
@pytest.mark.parametrize("digits", [8, 64])
def test_a_broken_download_and_other_bytes_are_refused_and_nothing_is_left(
    server: Server, tmp_path: Path, content: bytes, cut: int | None, digits: int
) -> None:
    server.content, server.cut = content, cut
    with pytest.raises(RecipeError, match=r"is incomplete or not the published file.*try again"):
        fetch(server.published(digits=digits), tmp_path)
    assert files(tmp_path) == set()
    server.content, server.cut = CONTENT, None
    assert fetch(server.published(digits=digits), tmp_path).read_bytes() == CONTENT
    assert files(tmp_path) == {"weights.pt"}


def test_a_failed_download_does_not_change_the_existing_file(
    server: Server, tmp_path: Path
) -> None:
    path = fetch(server.published(), tmp_path)
    with pytest.raises(RecipeError, match="not the published file"):
        fetch(server.published(OTHER), tmp_path)
    assert path.read_bytes() == CONTENT


def test_offline_the_message_says_where_to_download_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    closed = Server(unused_port()).published()
    sentence = (
        f"weights.pt can't be downloaded: [Errno {errno.ECONNREFUSED}] Connection refused; "
        f"download it by hand from {closed.url} and give its path."
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(sentence)}$"):
        fetch(closed, tmp_path)
    assert files(tmp_path) == set()


def test_a_missing_file_and_a_cache_that_is_no_folder_are_reported_in_one_sentence(
    server: Server, tmp_path: Path
) -> None:
    server.status = 404
    with pytest.raises(RecipeError, match="can't be downloaded: HTTP Error 404: Not Found; "):
        fetch(server.published(), tmp_path / "cache")
    (tmp_path / "file").touch()
    with pytest.raises(RecipeError, match=r"can't be downloaded: .*File exists"):
        fetch(server.published(), tmp_path / "file")


def test_a_name_is_downloaded_and_read(server: Server, tmp_path: Path) -> None:
    state = CompactResNet().state_dict()
    torch.save(state, tmp_path / "state.pt")
    server.content = (tmp_path / "state.pt").read_bytes()
    names = {"casia-webface": server.published(server.content)}
    found = weights("casia-webface", tmp_path / "cache", names)
    assert found.keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in found.items())


def test_published_weights_of_another_backbone_are_refused_before_the_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(RecipeError, match="vggface2 fits only inception_resnet_v1, not compact"):
        start_face(CompactResNet(), BackboneConfig(name="compact"), "vggface2")
    assert published.folder().parent == tmp_path
    assert files(tmp_path) == set()
