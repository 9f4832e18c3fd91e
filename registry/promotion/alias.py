"""The alias `production`: the version of a model that the demo uses."""

from registry import store, versions
from registry.entries import Version
from registry.errors import BadVersion
from registry.promotion import journal, validation
from registry.promotion.journal import Kind
from registry.versions import PRODUCTION


def promote(name: str, number: int, reason: str = "", kind: Kind = "promoted") -> Version:
    """Move the alias `production` to a version, note it in the journal, and return the version.

    Args:
        name: the model.
        number: the number of the version.
        reason: why, for the journal.
        kind: what the journal calls it.

    Raises:
        BadVersion: there is no such version, or it is incomplete.
        EmptyRegistry: the model has no version.
        Deleted: the version or its model was deleted or renamed meanwhile.
        Unreachable: the store does not answer.
    """
    version = versions.resolve(f"{name}/{number}")
    before = journal.observe(version.name)
    client = store.connect()
    with store.writing(f"The alias {PRODUCTION} of {version.name}", model=version.name):
        client.set_registered_model_alias(version.name, PRODUCTION, str(version.number))
    journal.add(version.name, kind, before, version.number, reason)
    return versions.resolve(f"{name}/{number}")


def roll_back(name: str, reason: str = "") -> Version:
    """Move the alias back to the last version that was in production before and can be used.

    Rolling back again goes farther back, not forward. A version that was deleted, or that is
    tagged `validation_status=failed`, is passed over.

    Args:
        name: the model.
        reason: why, for the journal.

    Raises:
        BadVersion: no earlier version is left that can be used.
        EmptyRegistry, Deleted, Unreachable: as for `promote`.
    """
    now = journal.observe(name)
    whole = {version.number for version in versions.list_versions(name)}
    if not whole:
        versions.resolve(name)
    failed = validation.failed(name)
    for number in journal.earlier(journal.read(name)):
        if number in whole and number not in failed and number != now:
            return promote(name, number, reason, "rolled back")
    raise BadVersion(
        f"No earlier version of {name} was in production that could be used: "
        f"`python -m registry history {name}` shows what was, `python -m registry promote {name} "
        "VERSION` takes another."
    )
