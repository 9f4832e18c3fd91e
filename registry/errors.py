"""What can be wrong with the registry; each message is one sentence a visitor may read."""


class RegistryError(RuntimeError):
    """The registry gives no answer."""


class EmptyRegistry(RegistryError):
    """Nothing is registered, or nothing is in production."""


class BadVersion(RegistryError):
    """A version is not what was asked for, or not whole."""


class Unreachable(RegistryError):
    """The place where runs and versions are kept does not answer."""
