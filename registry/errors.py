"""What can be wrong with the registry; each message is one sentence a visitor may read."""

LONGEST_REASON = 200
"""Letters of another program's error text that a message quotes."""


class RegistryError(RuntimeError):
    """The registry gives no answer."""


class EmptyRegistry(RegistryError):
    """Nothing is registered, or nothing is in production."""


class BadVersion(RegistryError):
    """A version is not the one that was wanted, or not whole."""


class Unreachable(RegistryError):
    """The place where runs and versions are stored can't be reached, read or written."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text without its full stop, to be quoted in a sentence.

    An error without text is quoted by the name of its class.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:LONGEST_REASON].rstrip(".")
