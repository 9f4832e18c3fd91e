"""Addresses of servers and databases, shown without the user name and password in them."""

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

WEB = ("http://", "https://")
USERINFO = re.compile(
    r"(?P<web>\b(?:https?|socks\w*)://)[^\s/?#'\"]*@"
    r"|(?P<database>\b(?:postgresql|mysql|mssql|oracle)[\w+]*://)[^\s'\"]*@",
    re.IGNORECASE,
)
"""An address up to the end of its user name and password; a database's may hold a slash."""


class Login(NamedTuple):
    """What a server asks for."""

    user: str
    password: str


def is_web(address: str) -> bool:
    """Return whether an address is that of a web server, not of a database."""
    return address.startswith(WEB)


def without_userinfo(text: str) -> str:
    """Return a text in which no address holds a user name or password.

    Args:
        text: one address, or any text with addresses in it, such as a traceback.
    """
    return USERINFO.sub(lambda found: found["web"] or found["database"], text)


def split_login(address: str) -> tuple[str, Login | None]:
    """Return the address of a web server without its user name and password, and these."""
    parts = urlsplit(address)
    if parts.username is None:
        return address, None
    place = parts.netloc.rpartition("@")[2]
    login = Login(unquote(parts.username), unquote(parts.password or ""))
    return urlunsplit(parts._replace(netloc=place)), login
