"""A sweep keeps its trials in PostgreSQL, from which the workers of several machines take them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.team.processes import unused_ports
from tests.training.sweep.conftest import Sweep, line, sweep
from tests.training.sweep.test_sweep import child_runs

pytest.importorskip("psycopg", reason="needs the extra [team]")
pytestmark = [pytest.mark.xdist_group("trainings"), pytest.mark.slow]
__all__ = ["line", "sweep"]
PASSWORD = "not-to-be-shown"


@pytest.fixture
def database() -> Iterator[str]:
    """Run PostgreSQL as its own user; give the URL of its database, with the password in it."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("needs PostgreSQL")
    top, port = Path("/tmp") / f"sweep-postgresql-{os.getpid()}", unused_ports(1)[0]  # noqa: S108
    top.mkdir(mode=0o700)
    (top / "password").write_text(PASSWORD)
    user: list[str] = []
    if os.geteuid() == 0:
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        for path in (top, top / "password"):
            shutil.chown(path, "postgres", "postgres")

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [*user, str(folders[-1] / program), "-D", str(top / "data"), *arguments],
            check=True, cwd=top, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    try:
        login = ("--username", "postgres", "--auth", "scram-sha-256")
        run("initdb", *login, "--pwfile", str(top / "password"))
        options = f"-h 127.0.0.1 -p {port} -k {top}"
        run("pg_ctl", "-w", "-o", options, "-l", str(top / "log"), "start")
        yield f"postgresql+psycopg://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"
        run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(top, ignore_errors=True)


@pytest.mark.timeout(900)
def test_two_workers_share_the_trials_in_postgresql(
    line: Path,
    sweep: Sweep,
    database: str,
) -> None:
    options = ("--storage", database, "--name", "shared")
    found = sweep("--trials", "3", *options, "--workers", "2")
    assert [trial["trial"] for trial in found["trials"]] == [0, 1, 2]
    assert {*child_runs("shared")} == {"0", "1", "2"}
    more = sweep("--trials", "4", *options)
    assert more["trials"][:3] == found["trials"]
    assert not (line / "sweeps.db").exists()
    assert PASSWORD not in (line / "shared.log").read_text()
    for file in line.parent.rglob("*.json"):
        assert PASSWORD not in file.read_text(), file
