"""Why something failed, in a few words."""


def cause(error: BaseException) -> str:
    """Return the reason in an error; its type where it has no text.

    Of an error of the operating system its own words, such as `No space left on device`.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
