"""Candidates: where trainings don't register into a model itself, but beside it.

Where EXPRESSION_STUDIO_CANDIDATES is 1, trainings register into the registered model
`dln-candidates`, and a promotion copies a version from there into `dln`. A server can then let
people train who may not promote: MLflow's permission to register a version is also the one to move
an alias.
"""

import os

from registry.catalog import CANDIDATES, is_candidates, model_of
from registry.entries import Version

VARIABLE, ENABLED = "EXPRESSION_STUDIO_CANDIDATES", "1"
PROMOTE = "python -m registry promote"


def are_enabled() -> bool:
    """Return whether versions are registered as candidates."""
    return os.environ.get(VARIABLE) == ENABLED


def registered_name(model: str) -> str:
    """Return the registered model that a new version of a model is registered into."""
    return f"{model_of(model)}{CANDIDATES}" if are_enabled() else model


def promote_command(version: Version) -> str:
    """Return the command that promotes a version, or the candidate it is a copy of.

    It is right in this environment: without the variable a candidate is named in full, and with it
    a version that is no copy needs the variable unset.
    """
    if not are_enabled():
        return f"{PROMOTE} {version.name} {version.number}"
    name, _, number = (version.copy_of or f"{version.name}/{version.number}").partition("/")
    unset = "" if is_candidates(name) else f"{VARIABLE}=0 "
    return f"{unset}{PROMOTE} {version.model} {number}"
