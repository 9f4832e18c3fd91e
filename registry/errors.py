"""What can be wrong with the registry; each message is one sentence a visitor may read."""


class RegistryError(RuntimeError):
    """The registry gives no answer."""


class EmptyRegistry(RegistryError):  # noqa: N818
    """Nothing is registered, or nothing is in production."""


class BadVersion(RegistryError):  # noqa: N818
    """A version is not what was asked for, or not whole."""


class Unreachable(RegistryError):  # noqa: N818
    """The place where runs and versions are kept does not answer."""
