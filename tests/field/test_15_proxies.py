"""Requests to this machine never go through a proxy that the environment names."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from registry import proxies, store
from registry.errors import RegistryError
from tests.conftest import unused_port
from tests.field.open_page import Recorder, Visitor, recording_server
from tests.field.running_app import running_app

pytestmark = pytest.mark.xdist_group("app")


@pytest.fixture
def proxy() -> Iterator[Recorder]:
    with recording_server() as recorder:
        yield recorder


def variables(proxy: Recorder, scheme: str) -> dict[str, str]:
    return dict.fromkeys(("http_proxy", "ALL_PROXY"), f"{scheme}://127.0.0.1:{proxy.port}")


def test_the_page_opens_and_answers_without_the_proxies(proxy: Recorder, tmp_path: Path) -> None:
    with running_app(tmp_path, **variables(proxy, "socks5")) as app:
        assert Visitor(app.url()).get("/config").status_code == 200
    assert proxy.requests == []


class Healthy(BaseHTTPRequestHandler):
    """Answers as a tracking server that is up and knows nothing."""

    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        return


def test_a_tracking_server_of_this_machine_is_asked_directly(
    proxy: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    for name in (*proxies.EXCEPTIONS, *proxies.PROXIES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables(proxy, "http").items():
        monkeypatch.setenv(name, value)
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        store.connect()
        server.shutdown()
    assert Healthy.asked
    assert proxy.requests == []


def test_hosts_that_the_user_excepted_stay_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "registry.example, 10.0.0.0/8")
    proxies.bypass_for_loopback()
    expected = "registry.example,10.0.0.0/8,127.0.0.1,localhost,::1"
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == expected
    proxies.bypass_for_loopback()
    assert os.environ["NO_PROXY"] == expected


def test_other_servers_are_still_reached_through_the_proxy(
    proxy: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXPRESSION_STUDIO_STORE", raising=False)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://registry.example:{unused_port()}")
    with pytest.raises(RegistryError):
        store.connect()
    assert b" http://registry.example" in proxy.requests[0]
