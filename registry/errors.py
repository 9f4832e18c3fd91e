"""What can be wrong with the registry; each message is one sentence a visitor may read."""

from pathlib import Path

from registry.addresses import without_userinfo

LONGEST_REASON = 200
"""Letters of another program's error text that a message quotes."""


def is_checkout() -> bool:
    """Return whether this package runs from a checkout, and not from where a wheel put it."""
    return (Path(__file__).parents[1] / "pyproject.toml").is_file()


def app_command() -> str:
    """Return what starts the app: `python app.py` in a checkout, the console script elsewhere."""
    return "python app.py" if is_checkout() else "expression-studio"


class RegistryError(RuntimeError):
    """The registry gives no answer; user names and passwords in addresses are left out."""

    def __init__(self, message: str = "") -> None:
        super().__init__(without_userinfo(message))


class EmptyRegistry(RegistryError):
    """Nothing is registered, or nothing is in production."""


class BadVersion(RegistryError):
    """A version is not the wanted one, or is incomplete."""


class Unreachable(RegistryError):
    """The place where runs and versions are stored can't be reached, read or written."""


class Deleted(RegistryError):
    """What should be written to was deleted or renamed meanwhile, by MLflow's UI for example."""


class BadEngine(RegistryError):
    """The engine that was asked for does not exist, or can't compute a version on this machine."""


class BadBackup(RegistryError):
    """A file is no whole backup, or none can be written there."""


class BadPrune(RegistryError):
    """What shall be pruned can't be read, or its deletion was not confirmed."""


class BadExport(RegistryError):
    """A folder is no whole export of a version, or none can be written there."""


class GraphError(ValueError):
    """What is wrong with a file of a version, as the end of a sentence."""


def first_line(error: BaseException) -> str:
    """Return why something failed, to be quoted in a sentence: the first line of an error's text.

    For an error of the operating system, its own words, such as `No space left on device`; for an
    error without text, the name of its class. A full stop at the end, and user names and passwords
    in addresses, are left out. Our own sentences are not cut.
    """
    if isinstance(error, RegistryError):
        return str(error).rstrip(".")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return without_userinfo(lines[0])[:LONGEST_REASON].rstrip(".")
