"""An open page for the browser: a registry of its own, the page, and MLflow's UI."""

import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, expect

from demo.loaded_model import Model
from demo.mlflow_ui import MlflowUI
from demo.models import ModelServer
from demo.page import launch_page
from tests.browser import chromium, networks
from tests.conftest import unused_port
from tests.test_app import until

THIS_MACHINE = {"127.0.0.1", ""}
"""Data URLs have no host."""


TIMEOUT_MS = 60_000
"""How long an element may take to appear: MLflow's page is slow while other tests use the cores.
How fast the page answers is tested elsewhere."""
expect.set_options(timeout=TIMEOUT_MS)


@dataclass
class Site:
    """The open page and MLflow's UI."""

    page_url: str
    mlflow: MlflowUI
    server: ModelServer | None = None

    def wait_for_version(self, name: str, number: int) -> None:
        """Wait until this version of a model answers on the page."""
        server = self.server
        assert server is not None
        assert until(lambda: number_of(server.loaded(name)) == number, 100)

    def mlflow_url(self) -> str:
        """Return where MLflow's UI is, once it answers."""
        until = time.monotonic() + 120
        while True:
            try:
                assert self.mlflow.url
                httpx.get(self.mlflow.url, timeout=10)
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.2)
            else:
                return self.mlflow.url


def number_of(model: Model | None) -> int:
    return 0 if model is None else model.version.number


UPLOAD_ENDED = "/upload_progress?"
"""Gradio's page asks how far an upload is; on a busy machine the upload may have ended by then, and
Gradio answers that it knows no such upload."""
STREAM_ENDED = re.compile("/gradio_api/stream/[0-9a-f]{32}(/close)?$")
"""A frame of the camera that is on its way when its stream is stopped is for no event any more."""


@dataclass
class Visitor:
    """A browser window, the hosts it made requests to, and the errors it reported."""

    context: BrowserContext
    site: Site
    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    late_questions: int = 0

    def open(self, *, width: int = 1280, dark: bool = False) -> Page:
        page = self.context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.on("console", self._check_message)
        page.on("response", self._check_response)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(self.site.page_url)
        expect(page.locator(".photo input[type=file]")).to_have_count(3)
        return page

    def _check_response(self, response: Response) -> None:
        is_missing = response.status == HTTPStatus.NOT_FOUND
        if UPLOAD_ENDED in response.url and is_missing:
            self.late_questions += 1
        elif STREAM_ENDED.search(response.url) and is_missing:
            return
        elif not response.ok and response.status != HTTPStatus.NOT_MODIFIED:
            self.errors.append(f"{response.status} {response.url}")

    def _check_message(self, message: ConsoleMessage) -> None:
        url = message.location["url"]
        if message.type == "error" and UPLOAD_ENDED not in url and not STREAM_ENDED.search(url):
            self.errors.append(message.text)

    def reported(self) -> list[str]:
        """Return the errors; those are left out that Gradio's page reports of its late question."""
        left = list(self.errors)
        for _ in range(self.late_questions):
            with suppress(ValueError):
                left.remove("Response")
        return left


def new_page(browser: Browser, url: str) -> Page:
    """Open an address where nothing is reported, and wait for elements as a visitor's page does."""
    page = browser.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(url)
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if chromium.path() is None:
        pytest.skip("needs chromium: apt install chromium")
    with chromium.opened() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("store")
    shutil.copy(migrated, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("EXPRESSION_STUDIO_STORE", str(folder))
        port = unused_port()
        mlflow = MlflowUI(unused_port(), taken=port)
        threading.Thread(target=mlflow.run, daemon=True).start()
        networks.fill_registry()
        server = ModelServer()
        page = launch_page(server, port=port, mlflow_url=mlflow.url)
        yield Site(page.url, mlflow, server)
        page.close()
        server.close()
        mlflow.close()


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Visitor]:
    """Yield a visitor; a test fails where another host is requested or an error is reported."""
    with browser.new_context(permissions=["camera"]) as context:
        context.set_default_timeout(TIMEOUT_MS)
        visitor = Visitor(context, site)
        context.on(
            "request", lambda request: visitor.hosts.add(urlsplit(request.url).hostname or "")
        )
        yield visitor
        assert "127.0.0.1" in visitor.hosts <= THIS_MACHINE
        assert not visitor.reported()
