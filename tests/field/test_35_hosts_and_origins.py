"""The page answers its own hosts and its own pages only, and takes no more than it has room for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from demo.access import Access
from demo.guards import Uploads
from demo.visitor_files import VisitorFolder, visitor_folder
from tests.demo.fakes import FakeRegistry
from tests.field.open_page import Visitor, opened_page

pytestmark = pytest.mark.xdist_group("page")
ELSEWHERE = (
    "http://elsewhere.example",
    "null",
    "http://[",
    "http://127.0.0.1:1",
    "http://localhost",
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with opened_page(FakeRegistry()) as url:
        yield url


@pytest.fixture(scope="module")
def visitor(url: str) -> Visitor:
    return Visitor(url)


@pytest.mark.parametrize("host", ["a.example", "127.0.0.1.a.example", "10.0.0.1", "[::1"])
def test_a_name_that_was_made_to_point_here_gets_no_answer(visitor: Visitor, host: str) -> None:
    answer = visitor.get("/config", headers={"Host": host})
    assert answer.status_code == 403
    assert "--allowed-hosts" in answer.json()["detail"]


def test_the_page_answers_under_each_of_its_own_names(visitor: Visitor) -> None:
    port = visitor.url.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "LOCALHOST"):
        assert visitor.get("/config", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ELSEWHERE)
def test_another_sites_page_can_neither_send_nor_read_anything(
    visitor: Visitor, origin: str
) -> None:
    before = visitor_folder().size_bytes()
    headers = {"Origin": origin}
    upload = visitor.post("/gradio_api/upload", files={"files": b"picture"}, headers=headers)
    event = {"data": [], "fn_index": 0, "session_hash": "a"}
    join = visitor.post("/gradio_api/queue/join", json=event, headers=headers)
    for refused in (upload, join):
        assert (refused.status_code, refused.json()["detail"][-1]) == (403, ".")
    assert visitor_folder().size_bytes() == before
    readable = visitor.get("/config", headers=headers)
    assert "access-control-allow-origin" not in readable.headers
    assert readable.headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_itself_and_programs_may_send(visitor: Visitor, examples: Path) -> None:
    photo = next(examples.glob("*.jpg")).read_bytes()
    for headers in ({"Origin": visitor.url}, {}):
        sent = visitor.post("/gradio_api/upload", files={"files": photo}, headers=headers)
        assert Path(sent.json()[0]).read_bytes() == photo


def test_a_proxy_that_is_named_may_send_for_its_visitors() -> None:
    with opened_page(FakeRegistry(), Access(allowed_hosts=("faces.example",))) as url:
        sent = {"Host": "faces.example", "Origin": "https://faces.example"}
        assert Visitor(url).get("/config", headers=sent).status_code == 200
        answer = Visitor(url).post("/gradio_api/upload", files={"files": b"x"}, headers=sent)
        assert answer.status_code == 200


def test_an_upload_above_the_limit_is_refused_and_nothing_of_it_stays(visitor: Visitor) -> None:
    before = visitor_folder().size_bytes()
    large = b"0" * (64 * 2**20 + 1)
    answer = visitor.post("/gradio_api/upload", files={"files": large})
    assert answer.status_code == 413
    several = [("files", b"0" * 2**25) for _ in range(3)]
    assert visitor.post("/gradio_api/upload", files=several).status_code == 413
    assert visitor_folder().size_bytes() == before


def test_all_uploads_together_are_bounded(tmp_path: Path) -> None:
    folder = VisitorFolder(tmp_path, max_bytes=3 * 2**20)

    async def store(request: Request) -> PlainTextResponse:
        content = await request.body()
        (folder.path / str(len(list(folder.path.iterdir())))).write_bytes(content)
        return PlainTextResponse("stored")

    routes = [Route("/gradio_api/upload", store, methods=["POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(Uploads, folder=folder)])
    client = TestClient(app)
    statuses = [
        client.post("/gradio_api/upload", content=b"0" * 2**20).status_code for _ in range(5)
    ]
    assert statuses == [200, 200, 200, 507, 507]
    folder.remove_older(-60.0)
    answer = client.post("/gradio_api/upload", content=b"0" * 2**20)
    assert answer.status_code == 200
    folder.close()
