"""What can be wrong with the registry; each message is one sentence a visitor may read."""

LONGEST_REASON = 200
"""Letters of another program's error text that a message quotes."""


class RegistryError(RuntimeError):
    """The registry gives no answer."""


class EmptyRegistry(RegistryError):
    """Nothing is registered, or nothing is in production."""


class BadVersion(RegistryError):
    """A version is not the wanted one, or is incomplete."""


class Unreachable(RegistryError):
    """The place where runs and versions are stored can't be reached, read or written."""


def first_line(error: BaseException) -> str:
    """Return why something failed, to be quoted in a sentence: the first line of an error's text.

    For an error of the operating system, its own words, such as `No space left on device`; for an
    error without text, the name of its class. A full stop at the end is left out.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:LONGEST_REASON].rstrip(".")
