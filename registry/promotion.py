"""The alias `production`: the version of a model that the demo uses."""

from registry import store, versions
from registry.entries import Version
from registry.versions import PRODUCTION

__all__ = ["PRODUCTION", "promote"]


def promote(name: str, number: int) -> Version:
    """Move the alias `production` to a version, and return the version.

    Raises:
        BadVersion: there is no such version, or it is incomplete.
        EmptyRegistry: the model has no version.
        Deleted: the version or its model was deleted or renamed meanwhile.
        Unreachable: the store does not answer.
    """
    version = versions.resolve(f"{name}/{number}")
    client = store.connect()
    with store.writing(f"The alias {PRODUCTION} of {version.name}"):
        client.set_registered_model_alias(version.name, PRODUCTION, str(version.number))
    return versions.resolve(f"{name}/{number}")
