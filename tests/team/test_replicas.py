"""Two processes of the page over one store, behind nginx as docs/operate.md shows it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.networks import fill_registry, fill_transfer
from tests.docs.documents import PROJECT, blocks
from tests.field.open_page import FILE, Visitor
from tests.field.running_app import running_app
from tests.team.processes import unused_ports
from tests.test_app import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("replicas")]
READY_WITHIN_SECONDS = 240
MOST_BROWSERS = 40
"""That all meet the same replica by chance: once in some 10^11 times."""
PROXY = """daemon off; master_process off; pid {0}/pid; error_log {0}/error; events {{}}
http {{
log_format used $upstream_addr; access_log {0}/used used;
client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi;
uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
{1}
}}
"""


@dataclass
class Replicas:
    """Where the proxy is, the two pages behind it, and nginx's list of who answered."""

    proxy: str
    pages: tuple[str, str]
    used: Path


@pytest.fixture(scope="module")
def replicas(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    folder = tmp_path_factory.mktemp("replicas")
    fill_store(folder / "store", migrated)
    with ExitStack() as stack:
        apps = [stack.enter_context(running_app(folder, "--no-seed")) for _ in range(2)]
        first, second = (app.url() for app in apps)
        proxy = stack.enter_context(proxied(folder, first, second))
        for url in (first, second, proxy):
            assert until(lambda url=url: status(url, "readyz") == 200, READY_WITHIN_SECONDS)
        yield Replicas(proxy, (first, second), folder / "used")


def fill_store(store: Path, empty: Path) -> None:
    """Make a store with a small network of each kind, which are registered sooner than starters."""
    store.mkdir()
    shutil.copy(empty, store)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("EXPRESSION_STUDIO_STORE", str(store))
        fill_registry()
        fill_transfer()


@contextmanager
def proxied(folder: Path, *pages: str) -> Iterator[str]:
    """Start nginx with what the document shows, at other ports; give its address."""
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("needs nginx")
    (shown,) = (each for each in blocks(PROJECT / "docs/operate.md") if each.language == "nginx")
    addresses = iter(page.removeprefix("http://") for page in pages)
    text = re.sub(r"server 127\.0\.0\.1:\d+", lambda _: f"server {next(addresses)}", shown.text)
    address = f"127.0.0.1:{unused_ports(1)[0]}"
    text = re.sub(r"listen 127\.0\.0\.1:\d+", f"listen {address}", text)
    (folder / "nginx.conf").write_text(PROXY.format(folder, text), encoding="utf-8")
    process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        assert until(lambda: status(f"http://{address}", "healthz") == 200, READY_WITHIN_SECONDS)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(60)


def status(url: str, path: str) -> int | None:
    try:
        return httpx.get(f"{url}/{path}", timeout=30, trust_env=False).status_code
    except httpx.TransportError:
        return None


def without_times(answer: Any) -> Any:
    """Return an answer without how long it took, and whether this process had it already."""
    if isinstance(answer, dict):
        kept = {k: v for k, v in answer.items() if k not in ("seconds", "duration", "cached")}
        return {key: without_times(value) for key, value in kept.items()}
    return [without_times(each) for each in answer] if isinstance(answer, list) else answer


def test_the_same_photos_get_the_same_answers_from_both(replicas: Replicas, examples: Path) -> None:
    photos = sorted(examples.glob("*.jpg"))[:3]
    answers = []
    for url in replicas.pages:
        visitor = Visitor(url)
        uploads = [visitor.upload(photo) for photo in photos]
        answered = [
            visitor.answer("emotion", [uploads[0], None]),
            visitor.answer("embed", [uploads[1], None]),
            visitor.answer("compare", [*uploads, 1, 1, 1]),
        ]
        assert not any("error" in each for each in answered)
        answers.append(without_times(answered))
    assert answers[0] == answers[1]
    assert answers[0][0][0][0]["probabilities"]


def test_a_browser_stays_with_one_replica_and_its_uploads(
    replicas: Replicas, examples: Path
) -> None:
    photo = min(examples.glob("*.jpg"))
    answered_by = []
    while len(answered_by) < 4 or (len(set(answered_by)) < 2 and len(answered_by) < MOST_BROWSERS):
        with httpx.Client(base_url=replicas.proxy, trust_env=False, timeout=60) as browser:
            assert browser.get("/").is_success  # comes with the cookie
            before = len(replicas.used.read_text().splitlines())
            with photo.open("rb") as file:
                sent = browser.post("/gradio_api/upload", files={"files": (photo.name, file)})
            body = {"data": [FILE | {"path": sent.json()[0]}, None]}
            event = browser.post("/gradio_api/call/emotion", json=body).json()["event_id"]
            answer = browser.get(f"/gradio_api/call/emotion/{event}").text
            assert "event: complete" in answer
            assert "set-cookie" not in browser.get("/").headers  # the cookie that it has counts
            assert until(lambda n=before: len(replicas.used.read_text().splitlines()) >= n + 4, 60)
            used = set(replicas.used.read_text().splitlines()[before:])
            assert len(used) == 1
            answered_by.append(used.pop())
    assert len(set(answered_by)) == 2, "each replica gets browsers"


def test_a_program_without_cookies_stays_with_one_replica(
    replicas: Replicas, examples: Path
) -> None:
    visitor = Visitor(replicas.proxy)
    uploaded = visitor.upload(min(examples.glob("*.jpg")))
    for _ in range(4):
        assert visitor.answer("emotion", [uploaded, None])[0][0]["label"]


def test_a_page_of_one_replica_can_send_its_events_to_the_other(replicas: Replicas) -> None:
    configs = [Visitor(url).get("/config").json() for url in replicas.pages]
    components = [
        [(each["id"], each["type"]) for each in config["components"]] for config in configs
    ]
    keys = ("id", "api_name", "targets", "inputs", "outputs")
    events = [[[each[k] for k in keys] for each in config["dependencies"]] for config in configs]
    assert components[0] == components[1]
    assert events[0] == events[1]
    assert len(events[0]) > 20
