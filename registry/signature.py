"""Whether a version's description is still the card that a program wrote, or a person's text."""

import hashlib

from registry import store
from registry.entries import Version
from registry.store import records

TAG = "card_sha256"
"""Tag of a version's run: SHA-256 of each card that a program may have written last."""


def sign(run_id: str, *cards: str) -> None:
    """Store the digests of cards, each of which counts as written by a program from now on.

    Args:
        run_id: the run of the version.
        cards: the card that is about to be written as the version's description, after the one
            that it replaces: so a program that is stopped in between leaves a signed card.

    Raises:
        Deleted: the run was deleted.
        Unreachable: the store does not answer.
    """
    client = store.connect()
    with store.writing(f"The digest of the card of run {run_id}", run_id):
        client.set_tag(run_id, TAG, " ".join(map(_digest, cards)))


def is_signed(version: Version) -> bool:
    """Tell whether a version's description is a card that a program wrote, word for word.

    Raises:
        Unreachable: the store does not answer.
    """
    with store.answering():
        run = records.open_records().run(version.run_id)
    if run is None:  # it was deleted for good, only its version is there
        return False
    return _digest(version.description) in run.tags.get(TAG, "").split()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
