"""The files of deploy/ are sound, and compose.yaml starts what the other tests start."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.team.installation import (
    BUCKET,
    DEPLOY,
    PROJECT,
    TEMPLATE,
    VARIABLE,
    Installation,
    run,
)

CONTAINERFILES = sorted(DEPLOY.glob("*/Containerfile"))
SCRIPTS = [*sorted(DEPLOY.rglob("*.sh")), PROJECT / ".ci" / "run"]
OF_THIS_MACHINE = {"HOME", "TMPDIR", "PGPORT", "MLFLOW_HOST", "MLFLOW_PORT", "GRADIO_SERVER_PORT"}
"""Variables with which the tests start something at a free port, in a folder of its own."""
OF_THE_IMAGE = {"GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "PYTHONUNBUFFERED"}
OF_THE_NETWORK = {"FORWARDED_ALLOW_IPS"}
in_team = pytest.mark.xdist_group("team")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def lint(program: str, *arguments: str) -> None:
    beside = Path(sys.executable).parent
    found = shutil.which(program, path=str(beside)) or shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is missing: the extra [team] has it")
    done = subprocess.run(
        [found, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", CONTAINERFILES, ids=lambda path: path.parent.name)
def test_hadolint_finds_nothing_in_a_containerfile(file: Path) -> None:
    lint("hadolint", str(file))


def test_shellcheck_finds_nothing_in_the_scripts() -> None:
    lint("shellcheck", "--external-sources", *map(str, SCRIPTS))


@pytest.mark.parametrize("file", CONTAINERFILES, ids=lambda path: path.parent.name)
def test_an_image_is_made_of_what_is_there_and_starts_the_script_that_is_tested(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (PROJECT / source).exists(), source
    (entry,) = re.findall(r'^ENTRYPOINT \["/srv/\w+/(.+)"\]$', text, re.MULTILINE)
    assert (PROJECT / entry) == file.parent / "start.sh"
    assert re.findall(r"^USER (\d+)$", text, re.MULTILINE) == ["10001"]
    assert "--constraint requirements.txt" in text
    assert "http" not in text, "no address of a package registry"


def test_only_nginx_is_reached_from_outside(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    outside = [name for name, service in services.items() if service["networks"] != ["inside"]]
    assert outside == ["nginx"]
    assert compose["networks"]["inside"] == {"internal": True}


def test_no_password_stands_in_the_file_and_every_secret_has_one(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    run([str(DEPLOY / "make_secrets.sh"), str(tmp_path / "secrets")], {"PATH": "/usr/bin:/bin"})
    made = {f"./secrets/{path.name}" for path in (tmp_path / "secrets").iterdir()}
    named = {secret["file"] for secret in compose["secrets"].values()}
    assert named - made == {"${TLS_CERTIFICATE:?}", "${TLS_KEY:?}"}
    assert made <= named
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY", name):
                path = str(value)
                assert path.startswith("/run/secrets/")
                assert path.removeprefix("/run/secrets/") in service["secrets"]


def test_a_secret_that_is_there_stays(tmp_path: Path) -> None:
    command = [str(DEPLOY / "make_secrets.sh"), str(tmp_path)]
    run(command, {"PATH": "/usr/bin:/bin"})
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    (tmp_path / "s3_access_key").unlink()
    run(command, {"PATH": "/usr/bin:/bin"})
    after = {path: path.read_text() for path in tmp_path.iterdir()}
    changed = {path.name for path in after if after[path] != before[path]}
    assert changed == {"s3_access_key", "s3.json"}, "the store's settings hold its keys"
    assert after[tmp_path / "s3_access_key"].strip() in after[tmp_path / "s3.json"]
    assert len(set(after.values())) == len(after), "each is another one"


def test_every_service_of_one_image_builds_the_same_with_cuda(compose: dict[str, Any]) -> None:
    cuda = yaml.safe_load((DEPLOY / "compose.cuda.yaml").read_text(encoding="utf-8"))["services"]
    image = compose["services"]["app-1"]["image"]
    of_app = {name for name, each in compose["services"].items() if each.get("image") == image}
    assert of_app == set(cuda)
    assert {each["build"]["args"]["VARIANT"] for each in cuda.values()} == {"cuda"}


def test_images_are_pinned_and_services_are_watched(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if "build" not in service:
            assert re.fullmatch(r"[\w./-]+:\d[\w.-]*", service["image"]), name
        if name not in ("admin", "nginx"):
            assert service["healthcheck"]["test"], name


def test_the_example_of_settings_names_all_that_must_be_set(compose: dict[str, Any]) -> None:
    needed = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    lines = (DEPLOY / ".env.example").read_text().splitlines()
    offered = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert needed <= set(offered)
    assert all(offered[name] == "" for name in needed)
    assert set(compose["services"]["nginx"]["environment"]) == set(
        VARIABLE.findall(TEMPLATE.read_text())
    )


@pytest.mark.parametrize("part", ["mlflow", "app"])
def test_a_start_without_secrets_ends_with_a_sentence(part: str, tmp_path: Path) -> None:
    script = str(DEPLOY / part / "start.sh")
    for variables in ({}, {"PGPASSWORD_FILE": "/nowhere", "MLFLOW_TRACKING_PASSWORD_FILE": "/no"}):
        done = subprocess.run(
            [script],
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)} | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert re.fullmatch(r"(Set|The file of) .*: see docs/deploy\.md\.\n", done.stderr)


@in_team
@pytest.mark.timeout(1800)
def test_the_services_get_the_variables_that_are_tested(
    team: Installation, compose: dict[str, Any]
) -> None:
    services = compose["services"]
    for server, name in ((team.mlflow, "mlflow"), (team.apps[0], "app-1"), (team.apps[1], "app-2")):
        tested = set(server.own_environment) - OF_THIS_MACHINE - OF_THE_IMAGE
        assert tested == set(services[name]["environment"]) - OF_THE_NETWORK
    admin = {name for name in team.admin() if name.startswith(("MLFLOW_", "EXPRESSION_"))}
    only_inside = {"EXPRESSION_STUDIO_MLFLOW_URL", "GRADIO_ROOT_PATH", *OF_THE_NETWORK}
    files = {name.removesuffix("_FILE") for name in services["admin"]["environment"]}
    assert files - only_inside == admin


@in_team
@pytest.mark.timeout(1800)
def test_nginx_takes_the_configuration_without_a_warning(team: Installation) -> None:
    done = subprocess.run([*team.nginx_command, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


@in_team
@pytest.mark.timeout(1800)
def test_an_upgrade_of_tables_that_are_new_changes_nothing(team: Installation) -> None:
    run([str(DEPLOY / "mlflow" / "start.sh"), "upgrade"], team.mlflow.environment)


@in_team
@pytest.mark.timeout(1800)
def test_the_files_of_a_backup_are_those_of_the_bucket(team: Installation, tmp_path: Path) -> None:
    script, backup = str(DEPLOY / "mlflow" / "start.sh"), tmp_path / "files.tar"
    with backup.open("wb") as output:
        subprocess.run([script, "save"], env=team.mlflow.environment, stdout=output, check=True)
    with backup.open("rb") as content:
        elsewhere = team.mlflow.environment | {"S3_BUCKET": "restored"}
        subprocess.run([script, "load"], env=elsewhere, stdin=content, check=True)
    before, after = files_of(team, BUCKET), files_of(team, "restored")
    assert before
    assert after == before


def files_of(team: Installation, bucket: str) -> dict[str, bytes]:
    """Return the content of each file of a bucket, by its name."""
    client, names = team.object_store(), team.stored(bucket)
    return {name: client.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names}
