"""deploy/permissions.py called in this process: a start of Python takes longer than its work."""

import io
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout

import pytest

from deploy import permissions


def permit(administrator: Mapping[str, str], *command: str, password: str = "") -> str:
    """Run a command of permissions.py that must succeed; return what it printed.

    Args:
        administrator: the environment of who runs it.
        command: `setup`, or `add`, a user and a role.
        password: of a new user.
    """
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        for name, value in administrator.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.StringIO(f"{password}\n"))
        assert permissions.main(command) == 0
    return printed.getvalue()
