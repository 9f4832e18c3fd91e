"""No log, page, link or error of the whole run holds a password; runs after the other files."""

import base64
import os
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.team.installation import Installation
from tests.team.people import Visitor, do

pytestmark = [pytest.mark.xdist_group("team"), pytest.mark.slow, pytest.mark.timeout(1800)]
WRONG = "Falsches/Wort@1"


def hidden(team: Installation) -> dict[str, str]:
    """Return every secret, and how passwords are sent, by name."""
    secrets = team.all_secrets() | {"wrong": WRONG}
    users = {**team.passwords, "admin": team.secret("mlflow_admin_password")}
    users |= {"app": team.secret("mlflow_app_password"), "nobody": WRONG}
    sent = {f"Basic {user}": _encoded(f"{user}:{password}") for user, password in users.items()}
    return secrets | sent


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


def found_in(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


def test_a_wrong_password_is_refused_in_a_sentence_without_it(team: Installation) -> None:
    wrong = {"MLFLOW_TRACKING_USERNAME": "nobody", "MLFLOW_TRACKING_PASSWORD": WRONG}
    in_address = {
        "MLFLOW_TRACKING_URI": f"{team.url}/mlflow".replace("//", "//nobody:Falsches%2FWort%401@")
    }
    anna = team.person("anna")
    for variables in (wrong, in_address):
        status, printed = do(team, anna | variables, "registry", "list")
        assert status == 3
        assert "wants a user and a password that it knows (status 401)" in printed
        assert not found_in(printed, hidden(team))


def test_a_password_in_netrc_is_enough(team: Installation) -> None:
    status, printed = do(team, team.person("anna", by_netrc=True), "registry", "list")
    assert status == 0, printed
    assert "dln" in printed


def test_no_page_or_link_shows_one(team: Installation) -> None:
    visitor = Visitor(team)
    shown = visitor.page + visitor.client.get("/config").text
    assert f"{team.url}/mlflow/#/models/dln" in shown, "links lead where visitors can go"
    with httpx.Client(verify=False, trust_env=False, timeout=60) as client:  # noqa: S501
        for path in (
            "/mlflow/",
            "/mlflow/api/2.0/mlflow/users/get?username=anna",
            "/studio/nothing",
        ):
            answer = client.get(f"{team.url}{path}")
            assert answer.is_error
            shown += answer.text + str(answer.headers)
        login = ("anna", team.passwords["anna"])
        shown += client.get(f"{team.url}/mlflow/", auth=login).raise_for_status().text
    assert not found_in(shown, hidden(team))


def test_no_log_holds_one(team: Installation) -> None:
    names, secrets = set(), hidden(team)
    for folder, _, files in os.walk(team.folder):  # the servers work on, and files may vanish
        for path in (Path(folder, name) for name in files):
            if path.name == ".netrc" or team.secrets in path.parents or not path.is_file():
                continue
            with suppress(FileNotFoundError):
                assert not found_in(path.read_bytes().decode("latin-1"), secrets), path
                names.add(path.name)
    assert {"mlflow.log", "postgres.log", "s3.log", "app-1.log", "nginx-access.log"} <= names


def test_files_pass_through_mlflow_and_need_no_signed_address(team: Installation) -> None:
    log = team.s3.printed()
    assert "weights.safetensors" in log
    assert "X-Amz-Signature" not in log


def test_the_list_of_processes_holds_none(team: Installation) -> None:
    secrets = hidden(team)
    commands = [" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
    assert any("mlflow" in command for command in commands)
    for command in commands:
        assert not found_in(command, secrets), command
