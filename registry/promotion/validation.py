"""Whether a version may be used: MLflow's tag `validation_status` of the version, and why."""

from registry import store
from registry.entries import VALIDATION, VALIDATION_REASON, Validation, Version

PENDING = "pending"


def write(version: Version, status: Validation, reason: str) -> None:
    """Tag a version as passed or failed.

    Args:
        version: the version.
        status: "passed": it passed the gates; "failed": it must not be used.
        reason: one sentence, for people.

    Raises:
        Deleted: the version was deleted, or its model renamed.
        Unreachable: the store does not answer.
    """
    client, number = store.connect(), str(version.number)
    with store.writing(f"The validation of {version.title}", model=version.name):
        client.set_model_version_tag(version.name, number, VALIDATION_REASON, reason)
        client.set_model_version_tag(version.name, number, VALIDATION, status)


def withdraw(version: Version) -> None:
    """Let a version count as neither passed nor failed; MLflow's manual calls that `pending`.

    Raises:
        Deleted, Unreachable: as for `write`.
    """
    with store.writing(f"The validation of {version.title}", model=version.name):
        store.connect().set_model_version_tag(
            version.name, str(version.number), VALIDATION, PENDING
        )


def failed(name: str) -> set[int]:
    """Return the numbers of the versions of a model that are tagged as failed.

    Raises:
        Unreachable: the store does not answer.
    """
    from registry.store.records import open_records

    with store.answering():
        entries = open_records().entries(name)
    return {entry.number for entry in entries if entry.tags.get(VALIDATION) == "failed"}
