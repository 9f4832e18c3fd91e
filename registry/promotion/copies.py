"""Copies of candidates in their models; see `registry.candidates`."""

from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO

from registry import candidates, entries, store, versions
from registry.entries import Version
from registry.promotion import validation
from registry.store.records import entry_of


def find(name: str, number: int) -> Version:
    """Return the version that a promotion is about.

    Args:
        name: a model; where candidates are enabled, the number is that of a candidate of it.
        number: its number.

    Returns:
        The version; of a candidate that was copied before, the copy.

    Raises:
        BadVersion: there is no such version, or it is incomplete.
        EmptyRegistry: the model has no version.
        Unreachable: the store does not answer.
    """
    version = versions.resolve(f"{candidates.registered_name(name)}/{number}")
    return _copy_of(version) or version


def _copy_of(version: Version) -> Version | None:
    if not version.is_candidate:
        return None
    reference = f"{version.name}/{version.number}"
    copies = versions.list_versions(version.model)
    return next((each for each in copies if each.copy_of == reference), None)


def in_model(version: Version) -> Version:
    """Return a version of the model itself: a candidate is copied, another is returned as it is.

    The files stay where they are; run, metadata, digests and description are the candidate's. That
    the candidate is tagged as passed doesn't count: whoever trains may write its tags.

    Raises:
        Deleted: the candidate was deleted meanwhile.
        Unreachable: the store does not answer, or this user may not write to the model.
    """
    if not version.is_candidate:
        return version
    client, source = store.connect(), f"{entries.LOGGED_MODEL}{version.name}/{version.number}"
    with (
        store.writing(f"The copy of {version.title}", model=version.model),
        redirect_stderr(StringIO()),  # MLflow reports there that it copied it
    ):
        copied = client.copy_model_version(source, version.model)
    copy = entries.read(entry_of(copied, []))
    if copy.validation != "passed":
        return copy
    validation.withdraw(copy)
    return replace(copy, validation=None, validation_reason="")
