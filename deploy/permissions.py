"""Users and their permissions on MLflow's server, with its basic auth; run as the administrator.

    python deploy/permissions.py setup
    python deploy/permissions.py add anna trainer

Everybody may read everything. Trainers may also log runs and register versions as candidates;
promoters may also make a candidate a version that can answer, and choose which one answers. The
password of a new user is asked for, or read from standard input.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from getpass import getpass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

from registry import store
from registry.catalog import CANDIDATES, CATALOG
from registry.errors import RegistryError, first_line

if TYPE_CHECKING:
    from mlflow.server.auth.client import AuthServiceClient

Role = Literal["reader", "trainer", "promoter"]
ROLES: tuple[Role, ...] = ("trainer", "promoter")
"""The roles with permissions of their own."""
WORKSPACE = "default"
ANY, EDIT = "*", "EDIT"
EXPERIMENTS = ("experiment", ANY)


def grants(role: Role) -> list[tuple[str, str]]:
    """Return what a role may edit: kinds of things in MLflow, and their names."""
    candidates = [("registered_model", f"{name}{CANDIDATES}") for name in CATALOG]
    models = [("registered_model", name) for name in CATALOG]
    may_edit: dict[Role, list[tuple[str, str]]] = {
        "reader": [],
        "trainer": [EXPERIMENTS, *candidates],
        "promoter": [EXPERIMENTS, *candidates, *models],
    }
    return may_edit[role]


def setup() -> None:
    """Make the registered models and the roles; what is there already stays.

    Whoever makes a registered model may do anything with it: hence the administrator makes all.
    """
    from mlflow.exceptions import MlflowException

    client, auth = store.connect(), _auth()
    for name in CATALOG:
        for model in (name, f"{name}{CANDIDATES}"):
            with suppress(MlflowException):  # it is there
                client.create_registered_model(model)
            client.get_registered_model(model)
    for role in ROLES:
        _make_role(auth, role)
    print("The registered models and the roles trainer and promoter are there.")


def add(user: Annotated[str, Positional], role: Annotated[Role, Positional]) -> None:
    """Make a user with a role, or give a user another one.

    Args:
        user: the user's name.
        role: reader, trainer or promoter.
    """
    from mlflow.exceptions import MlflowException

    auth = _auth()
    ids = _role_ids(auth)
    if role in ROLES and role not in ids:
        sys.exit(f"There is no role {role} yet: run `permissions.py setup` first.")
    try:
        auth.get_user(user)
    except MlflowException as error:
        if error.error_code != store.GONE:
            raise
        auth.create_user(user, _password(user))
    given = {each.name for each in auth.list_user_roles(user)}
    for other in given.intersection(ROLES) - {role}:
        auth.unassign_role(user, ids[other])
    if role in ROLES and role not in given:
        auth.assign_role(user, ids[role])
    print(f"{user} is a {role}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    from mlflow.exceptions import MlflowException

    try:
        tyro.extras.subcommand_cli_from_dict(
            {"setup": setup, "add": add}, args=arguments, description=__doc__
        )
    except (RegistryError, MlflowException) as error:
        print(f"{first_line(error)}.", file=sys.stderr)
        return 3
    return 0


def _auth() -> "AuthServiceClient":
    from mlflow.server import get_app_client

    store.connect()
    client: AuthServiceClient = get_app_client("basic-auth", store.tracking_uri())
    return client


def _make_role(auth: "AuthServiceClient", role: Role) -> None:
    if role not in _role_ids(auth):
        auth.create_role(WORKSPACE, role)
    role_id = _role_ids(auth)[role]
    given = {(p.resource_type, p.resource_pattern) for p in auth.list_role_permissions(role_id)}
    for kind, name in grants(role):
        if (kind, name) not in given:
            auth.add_role_permission(role_id, kind, name, EDIT)


def _role_ids(auth: "AuthServiceClient") -> dict[str, int]:
    return {role.name: role.id for role in auth.list_roles(WORKSPACE)}


def _password(user: str) -> str:
    if sys.stdin.isatty():
        return getpass(f"Password of {user}: ")
    return sys.stdin.readline().rstrip("\n")


if __name__ == "__main__":
    sys.exit(main())
