"""Where the page listens: options, Gradio's variables, and a login."""

from collections.abc import Mapping

import httpx
import pytest

import app
from demo.access import Access, BadSetting, chosen_access, chosen_port, notes
from tests.conftest import unused_port
from tests.demo.fakes import FakeRegistry
from tests.field.open_page import Visitor, opened_page

EVERYWHERE = "0.0.0.0"  # noqa: S104
LOGIN = "Ann:a:word"


@pytest.mark.parametrize(
    ("host", "port", "variables", "expected"),
    [
        (None, None, {}, ("127.0.0.1", 7860)),
        (None, None, {"GRADIO_SERVER_NAME": EVERYWHERE}, (EVERYWHERE, 7860)),
        (None, None, {"GRADIO_SERVER_PORT": "8001"}, ("127.0.0.1", 8001)),
        ("127.0.0.1", 8000, {"GRADIO_SERVER_NAME": EVERYWHERE}, ("127.0.0.1", 8000)),
        ("[127.0.0.1]", None, {}, ("127.0.0.1", 7860)),
    ],
)
def test_an_option_counts_more_than_gradios_variable(
    host: str | None, port: int | None, variables: Mapping[str, str], expected: tuple[str, int]
) -> None:
    access = chosen_access(host, (), None, variables)
    assert (access.host, chosen_port(port, variables)) == expected


def test_a_variable_that_is_overruled_is_named() -> None:
    variables = {"GRADIO_SERVER_NAME": EVERYWHERE, "GRADIO_SERVER_PORT": "8001"}
    printed = notes("127.0.0.1", 8000, Access(), variables)
    assert printed == [
        "GRADIO_SERVER_NAME=0.0.0.0 is overruled by --host 127.0.0.1.",
        "GRADIO_SERVER_PORT=8001 is overruled by --port 8000.",
    ]
    assert notes(None, 8001, Access(), {"GRADIO_SERVER_PORT": "8001"}) == []


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.0.2.1", "faces.example"])
def test_a_page_that_others_reach_without_a_password_is_warned_of(host: str) -> None:
    (warning,) = notes(host, None, Access(host=host), {})
    assert "EXPRESSION_STUDIO_AUTH" in warning
    assert notes(host, None, Access(host=host, login=("Ann", "word")), {}) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_a_page_of_this_machine_alone_is_not(host: str) -> None:
    assert notes(host, None, Access(host=host), {}) == []


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["--host", "192.0.2.1"], {}, "192.0.2.1 is no address of this machine"),
        ([], {"GRADIO_SERVER_NAME": "nowhere.invalid"}, "nowhere.invalid is no address"),
        ([], {"GRADIO_SERVER_PORT": "many"}, "GRADIO_SERVER_PORT is 'many'"),
        (["--port", "70000"], {}, "70000 is no port"),
        (["--auth", "Ann"], {}, "USER:PASSWORD"),
        ([], {"EXPRESSION_STUDIO_AUTH": ":word"}, "USER:PASSWORD"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(
    arguments: list[str],
    variables: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert app.main(arguments) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.endswith(".\n")
    assert printed.count("\n") == 1


def test_no_port_above_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.access.LAST_PORT", 100)
    with pytest.raises(BadSetting, match="No port from 101 on is free for the page"):
        app.free_port(101, "the page")


def test_a_password_is_asked_for_at_every_door() -> None:
    access = chosen_access(None, (), None, {"EXPRESSION_STUDIO_AUTH": LOGIN})
    with opened_page(FakeRegistry(), access) as url:
        visitor = Visitor(url)
        for path in ("/config", "/gradio_api/info", "/gradio_api/file=/etc/passwd"):
            assert visitor.get(path).status_code in (401, 403)
        uploaded = visitor.post("/gradio_api/upload", files={"files": b"picture"})
        assert uploaded.status_code == visitor.call("emotion", []).status_code == 401
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            wrong = client.post("/login", data={"username": "Ann", "password": "a"})
            assert wrong.status_code == 400
            client.post("/login", data={"username": "Ann", "password": "a:word"})
            assert client.get("/config").json()["title"] == "Expression Studio"


def test_links_carry_the_path_that_a_proxy_adds() -> None:
    access = chosen_access(None, (), None, {"GRADIO_ROOT_PATH": "https://faces.example/studio/"})
    with opened_page(FakeRegistry(), access) as url:
        named = {"Host": "faces.example", "Origin": "https://faces.example"}
        config = Visitor(url).get("/config", headers=named).json()
        assert config["root"] == "https://faces.example/studio"
        assert (
            Visitor(url).post("/gradio_api/upload", files={"files": b"x"}, headers=named).is_success
        )


def test_the_page_listens_where_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    with opened_page(FakeRegistry(), Access(host="127.0.0.2")) as url:
        assert url.startswith("http://127.0.0.2:")
        assert Visitor(url).get("/config").status_code == 200
    busy = unused_port()
    with pytest.raises(OSError, match=f"can't listen at 192.0.2.1, port {busy}"):
        open_at("192.0.2.1", busy)
    assert capsys.readouterr().err == ""


def open_at(host: str, port: int) -> None:
    from demo.models import ModelServer
    from demo.page import launch_page

    launch_page(
        ModelServer(poll_seconds=None), port=port, mlflow_url=None, access=Access(host=host)
    )
