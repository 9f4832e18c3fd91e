"""What to say where a model, a version or an alias isn't there."""

from registry import candidates, store
from registry.catalog import CANDIDATES, CATALOG, is_candidates, model_of
from registry.errors import BadVersion, EmptyRegistry, RegistryError, app_command
from registry.store.record_types import Entry
from registry.store.records import open_records


def no_version(name: str, known: list[Entry], number: str | int | None = None) -> RegistryError:
    """Return the error for a model, or one version of it, that isn't there.

    Args:
        name: the registered model.
        known: its versions.
        number: the version that was named; None where none was.
    """
    if known:
        numbers = ", ".join(str(entry.number) for entry in known)
        return BadVersion(f"{name} has no version {number}; it has {numbers}.")
    if model_of(name) not in CATALOG:
        return BadVersion(f"There is no model {name}; the models are {', '.join(CATALOG)}.")
    if newest := _newest_candidate(name):
        return EmptyRegistry(
            f"No version of {name} was promoted yet: `{candidates.PROMOTE} {name} {newest}` "
            f"promotes the newest candidate, `{app_command()} seed` registers the starter."
        )
    return EmptyRegistry(
        f"No version of {name} is registered: `{app_command()} seed` registers the starters, "
        f"`python -m training train {model_of(name)}` one of your own."
    )


def none_in_production(name: str, known: list[Entry]) -> RegistryError:
    """Return the error for a model without a version in production; see `no_version`."""
    if is_candidates(name):
        newest = known[0].number if known else 1
        return BadVersion(
            f"{name} holds candidates, none of which is in production: name one by its number, "
            f"such as {name}/{newest}."
        )
    if not known:
        return no_version(name, known)
    number = _newest_candidate(name) or known[0].number
    return EmptyRegistry(
        f"No version of {name} is in production: `{candidates.PROMOTE} {name} {number}` "
        f"promotes the newest, `{app_command()} seed` the starter."
    )


def _newest_candidate(name: str) -> int | None:
    """Return the number of the newest candidate of a model, where a promotion would take it."""
    if is_candidates(name) or not candidates.are_enabled() or not store.exists():
        return None
    with store.answering():
        found = open_records().entries(f"{name}{CANDIDATES}")
    return found[0].number if found else None
