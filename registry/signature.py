"""Whether a version's description is still the card that a program wrote, or a person's text."""

import hashlib

from registry import store
from registry.entries import Version

TAG = "card_sha256"
"""Tag of a version's run: SHA-256 of the card that was written last."""


def sign(run_id: str, card: str) -> None:
    """Store the digest of a card that is written as the description of a run's version.

    Raises:
        Unreachable: the store does not answer.
    """
    client = store.connect()
    with store.answering():
        client.set_tag(run_id, TAG, _digest(card))


def is_signed(version: Version) -> bool:
    """Tell whether a version's description is the card that was written last, word for word.

    Raises:
        Unreachable: the store does not answer.
    """
    from mlflow.exceptions import MlflowException

    client = store.connect()
    try:
        with store.answering():
            tags = client.get_run(version.run_id).data.tags
    except MlflowException:  # there is no such run any more, only its version
        return False
    return bool(tags.get(TAG) == _digest(version.description))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
