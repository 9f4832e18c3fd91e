"""Where the page listens and to whom it answers, by options and Gradio's environment variables."""

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from demo.argument_checks import is_folder_or_zip, is_table

LOOPBACK = "127.0.0.1"
LOOPBACK_NAMES = (LOOPBACK, "localhost", "::1")
EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104
DEFAULT_PORT = 7860
LAST_PORT = 65535
HOST_VARIABLE, PORT_VARIABLE = "GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"
PATH_VARIABLE = "GRADIO_ROOT_PATH"
LOGIN_VARIABLE = "EXPRESSION_STUDIO_AUTH"
METRICS_HOST_VARIABLE = "EXPRESSION_STUDIO_METRICS_HOST"
METRICS_PORT_VARIABLE = "EXPRESSION_STUDIO_METRICS_PORT"
OPEN_TO_ALL = (
    f"Everybody who can reach {{host}} can use this page; to ask visitors for a password, set "
    f"{LOGIN_VARIABLE}=USER:PASSWORD."
)


class BadSetting(ValueError):
    """An option or a variable of the environment can't be used; the message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where the page listens, and to whom it answers.

    Attributes:
        host: The address to listen at; 0.0.0.0 or :: for all of this machine.
        allowed_hosts: Names under which it is known elsewhere, as that of a proxy before it.
        root_path: The path or address under which a proxy before it offers the page.
        login: The user's name and password; None asks for none.
    """

    host: str = LOOPBACK
    allowed_hosts: tuple[str, ...] = ()
    root_path: str = ""
    login: tuple[str, str] | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the page."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def reached_at(self) -> str:
        """The host in an address for this machine's own browser."""
        if self.host in EVERY_ADDRESS:
            return LOOPBACK
        return f"[{self.host}]" if ":" in self.host else self.host

    def named_hosts(self) -> set[str]:
        """Return the names under which others know the page: their pages may send requests."""
        proxy = urlsplit(self.root_path).hostname
        return {*self.allowed_hosts, *([proxy] if proxy else [])}

    def hosts(self) -> set[str]:
        """Return all hosts that requests may name.

        Where the page listens beyond this machine, they may name its addresses: another site's
        name can be made to point here, an address can't.
        """
        named = {*LOOPBACK_NAMES, self.host, *self.named_hosts()} - set(EVERY_ADDRESS)
        if self.is_local:
            return named
        addresses = [a.address for each in psutil.net_if_addrs().values() for a in each]
        return named | {address.partition("%")[0] for address in addresses}


def chosen_access(
    host: str | None,
    allowed_hosts: Sequence[str],
    auth: str | None,
    environment: Mapping[str, str] = os.environ,
) -> Access:
    """Return where to listen and whom to answer; an option counts more than its variable.

    Args:
        host: The option --host.
        allowed_hosts: The option --allowed-hosts.
        auth: The option --auth, a name and a password with a colon between.
        environment: Its variables.

    Raises:
        BadSetting: The host is no address of this machine, or the password is missing.
    """
    wanted = host or environment.get(HOST_VARIABLE) or LOOPBACK
    wanted = wanted.strip("[]")
    _require_own_address(wanted)
    return Access(
        host=wanted,
        allowed_hosts=tuple(allowed_hosts),
        root_path=environment.get(PATH_VARIABLE, "").rstrip("/"),
        login=_login(auth or environment.get(LOGIN_VARIABLE)),
    )


def chosen_port(port: int | None, environment: Mapping[str, str] = os.environ) -> int:
    """Return the port to try first, by the option, GRADIO_SERVER_PORT, or else 7860.

    Raises:
        BadSetting: It is no port.
    """
    if port is not None:
        return require_port(port)
    return _port_in(environment, PORT_VARIABLE) or DEFAULT_PORT


def chosen_metrics(
    port: int | None, host: str | None, environment: Mapping[str, str] = os.environ
) -> tuple[str, int] | None:
    """Return the address and port for Prometheus; None where no port is given, so that none asks.

    Args:
        port: The option --metrics-port.
        host: The option --metrics-host.
        environment: Its variables, which count less than the options.

    Raises:
        BadSetting: The port is none or busy, or the host is no address of this machine.
    """
    wanted = _port_in(environment, METRICS_PORT_VARIABLE) if port is None else require_port(port)
    if wanted is None:
        return None
    address = (host or environment.get(METRICS_HOST_VARIABLE) or LOOPBACK).strip("[]")
    _require_own_address(address)
    if not _is_free(address, wanted):
        raise BadSetting(f"Port {wanted} is busy: choose another one by --metrics-port.")
    return address, wanted


def _port_in(environment: Mapping[str, str], variable: str) -> int | None:
    text = environment.get(variable)
    if not text:
        return None
    if not text.isdecimal():
        raise BadSetting(f"{variable} is {text!r}: choose a port from 1 to {LAST_PORT}.")
    return require_port(int(text))


def require_port(port: int) -> int:
    """Return a port.

    Raises:
        BadSetting: It is none.
    """
    if not 0 < port <= LAST_PORT:
        raise BadSetting(f"{port} is no port: choose one from 1 to {LAST_PORT}.")
    return port


def require_photos(place: Path | None) -> None:
    """Check the option --search.

    Raises:
        BadSetting: It is neither a folder nor a zip nor a table of faces.
    """
    if place is None or is_folder_or_zip(place):
        return
    if not is_table(place):
        raise BadSetting(
            f"--search {str(place)!r} is no folder and no zip: name one of photos, or a table that "
            "`python -m demo embed` wrote."
        )
    from demo.search.face_rows import BadTable, version_of

    try:
        version_of(place)
    except BadTable as error:
        raise BadSetting(f"--search: {error}") from error


def notes(
    host: str | None, port: int | None, access: Access, environment: Mapping[str, str] = os.environ
) -> list[str]:
    """Return what to print: variables that options overrule, and who can use the page."""
    options = {HOST_VARIABLE: ("--host", host), PORT_VARIABLE: ("--port", port)}
    overruled = [
        f"{name}={environment[name]} is overruled by {option} {value}."
        for name, (option, value) in options.items()
        if value is not None and environment.get(name) not in (None, "", str(value))
    ]
    warn = not access.is_local and access.login is None
    return [*overruled, *([OPEN_TO_ALL.format(host=access.host)] if warn else [])]


def free_port(wanted: int, who: str, taken: int | None = None, host: str = LOOPBACK) -> int:
    """Return the port wanted if it is free, or else print that and return the next free one.

    Args:
        wanted: The port to try first.
        who: Who wants it, to print.
        taken: A port not to use, free or not.
        host: The address to listen at.

    Raises:
        BadSetting: No port from this one on is free.
    """
    ports = range(wanted, LAST_PORT + 1)
    port = next((port for port in ports if port != taken and _is_free(host, port)), None)
    if port is None:
        raise BadSetting(f"No port from {wanted} on is free for {who}; choose a lower one.")
    if port != wanted:
        print(f"Port {wanted} is busy; {who} takes {port}.", flush=True)
    return port


def _is_free(host: str, port: int) -> bool:
    with closing(socket.socket(_family(host))) as probe:
        probe.settimeout(1)
        if probe.connect_ex((host, port)) == 0:
            return False
    with closing(socket.socket(_family(host))) as probe:
        if os.name == "posix":  # a port whose last user has just left is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _require_own_address(host: str) -> None:
    with closing(socket.socket(_family(host))) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            raise BadSetting(
                f"{host} is no address of this machine: choose {LOOPBACK} or {EVERY_ADDRESS[0]}."
            ) from None


def _login(text: str | None) -> tuple[str, str] | None:
    if not text:
        return None
    user, _, password = text.partition(":")
    if not user or not password:
        raise BadSetting("A login is a name and a password with a colon between: USER:PASSWORD.")
    return user, password
