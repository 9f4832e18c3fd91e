"""Proxies that the environment names: requests to this machine itself never go through them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EXCEPTIONS = ("no_proxy", "NO_PROXY")
"""The variable with the hosts to reach directly; libraries read one spelling or the other."""
PROXIES = ("all_proxy", "http_proxy", "https_proxy")


def bypass_for_loopback() -> None:
    """Add this machine's own addresses to the hosts that are reached directly.

    The hosts that the user named stay. It holds for this process and those it starts.
    """
    named = [host for name in EXCEPTIONS for host in os.environ.get(name, "").split(",")]
    hosts = ",".join(dict.fromkeys(host.strip() for host in (*named, *LOOPBACK) if host.strip()))
    os.environ.update(dict.fromkeys(EXCEPTIONS, hosts))


@contextmanager
def no_proxies() -> Iterator[None]:
    """Hide the proxies until the block ends, for libraries that make clients on import."""
    names = [name for name in os.environ if name.lower() in PROXIES]
    hidden = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(hidden)
