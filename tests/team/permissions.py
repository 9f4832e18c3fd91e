"""deploy/permissions.py called in this process: a start of Python takes longer than its work."""

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from unittest.mock import patch

from deploy import permissions


@contextmanager
def acting_as(person: Mapping[str, str]) -> Iterator[None]:
    """Give this process a person's environment, and nothing of its own, until the block ends."""
    with patch.dict(os.environ, person, clear=True):
        yield


def permit(administrator: Mapping[str, str], *command: str, password: str = "") -> str:
    """Run a command of permissions.py that must succeed; return what it printed.

    Args:
        administrator: the environment of who runs it.
        command: `setup`, or `add`, a user and a role.
        password: of a new user.
    """
    printed = io.StringIO()
    stdin = patch.object(sys, "stdin", io.StringIO(f"{password}\n"))
    with acting_as(administrator), stdin, redirect_stdout(printed):
        assert permissions.main(command) == 0
    return printed.getvalue()
