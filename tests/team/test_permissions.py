"""What deploy/permissions.py gives to users."""

import pytest

from tests.team.installation import Installation
from tests.team.permissions import permit

pytestmark = [pytest.mark.xdist_group("team"), pytest.mark.timeout(1800)]


def test_a_user_has_the_role_that_was_given_last(
    team: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.server import get_app_client

    for name, value in team.admin().items():
        monkeypatch.setenv(name, value)
    auth = get_app_client("basic-auth", team.admin()["MLFLOW_TRACKING_URI"])
    password = "a-long-password-of-rosa"
    for role in ("trainer", "trainer", "promoter"):
        assert (
            permit(team.admin(), "add", "rosa", role, password=password) == f"rosa is a {role}.\n"
        )
        assert role in [each.name for each in auth.list_user_roles("rosa")]
        password = ""
    permit(team.admin(), "add", "rosa", "reader")
    names = {each.name for each in auth.list_user_roles("rosa")}
    assert not names & {"trainer", "promoter"}


def test_setup_may_run_again(team: Installation) -> None:
    printed = permit(team.admin(), "setup")
    assert printed == "The registered models and the roles trainer and promoter are there.\n"
