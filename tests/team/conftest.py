"""Tests with the real parts of a team's installation; `make team` runs them, others skip them."""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from _pytest.reports import BaseReport

from tests.team.installation import Installation, installed

HERE = Path(__file__).parent
VARIABLE = "EXPRESSION_STUDIO_TEAM"
SKIPPED = f"`make team` runs this, with {VARIABLE}=1: it needs the extra [team] and real servers"
MISSING = f"With {VARIABLE}=1 nothing may be skipped, and this was: "


def is_wanted() -> bool:
    return os.environ.get(VARIABLE) == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not is_wanted():
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason=SKIPPED))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report)
    return report


def fail_if_skipped(report: BaseReport) -> None:
    """Make a failure of a test, or a file, that skips itself where nothing may be skipped."""
    if is_wanted() and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"  # type: ignore[attr-defined]
        report.longrepr = MISSING + str(report.longrepr)


@pytest.fixture(scope="session")
def team(operators: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start PostgreSQL, an object store, MLflow with auth, and two apps behind nginx.

    The DLN's starter and two small networks are in production; anna is a trainer, paul a promoter.
    """
    assert operators is None
    for program, package in (("nginx", "nginx"), ("setpriv", "util-linux")):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            pytest.skip(f"{program} is missing: install Debian's {package}")
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("PostgreSQL is missing: install Debian's postgresql")
    for module in ("boto3", "moto", "psycopg", "flask_wtf"):
        pytest.importorskip(module)
    with installed(tmp_path_factory.mktemp("team")) as installation:
        yield installation
