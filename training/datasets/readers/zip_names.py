"""Names of a zip's members, whatever program packed it: encodings and separators put right.

A zip marks names that are UTF-8, and no other encoding. Unmarked names are UTF-8 too if macOS or
Linux wrote them, and in the encoding of its language if Windows did. A name equals the one in a
set's tables only if it is decoded right.
"""

import posixpath
import struct
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from zipfile import ZipInfo

UTF8_FLAG = 0x800
"""Flag of a member whose name is UTF-8."""
UNICODE_PATH = 0x7075
"""Extra field of Info-ZIP with the name as UTF-8."""
ANY = "cp437"
"""What a zip's specification says; each byte is a character, so it always works."""
SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "cp932": ("CJK UNIFIED", "HIRAGANA", "KATAKANA LETTER", "KATAKANA-HIRAGANA"),
    "gb2312": ("CJK UNIFIED",),
    "euc_kr": ("HANGUL SYLLABLE",),
    "cp866": ("CYRILLIC",),
}
"""Encodings of Windows by language -> how the names of their characters begin in Unicode."""


def decode_names(members: Sequence[ZipInfo]) -> list[str]:
    """Return each member's path with forward slashes; folders keep the slash at their end."""
    unmarked = [_raw(member) for member in members if not member.flag_bits & UTF8_FLAG]
    encoding = guess_encoding(b"\n".join(raw for raw in unmarked if not raw.isascii()))
    return [_plain_path(_decode(member, encoding)) for member in members]


def guess_encoding(names: bytes) -> str:
    """Return the encoding of names: UTF-8, the only one of SCRIPTS that fits, or ANY.

    One of SCRIPTS fits if all characters above ASCII belong to its script, and no word mixes them
    with Latin letters.
    """
    try:
        names.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        fitting = [encoding for encoding in SCRIPTS if _fits(names, encoding)]
        return fitting[0] if len(fitting) == 1 else ANY


def _fits(names: bytes, encoding: str) -> bool:
    try:
        text = names.decode(encoding)
    except UnicodeDecodeError:
        return False
    foreign = [not character.isascii() for character in text]
    mixed = any(
        one != other and a.isalpha() and b.isalpha()
        for one, other, a, b in zip(foreign, foreign[1:], text, text[1:], strict=False)
    )
    return not mixed and all(
        character.isascii() or unicodedata.name(character, "").startswith(SCRIPTS[encoding])
        for character in text
    )


def _raw(member: ZipInfo) -> bytes:
    """Return the bytes of a name that `zipfile` has decoded as cp437."""
    return member.orig_filename.encode(ANY)


def _decode(member: ZipInfo, encoding: str) -> str:
    if member.flag_bits & UTF8_FLAG:
        return member.orig_filename
    raw = _raw(member)
    return _unicode_path(member.extra, raw) or raw.decode(encoding)


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """Return the name in Info-ZIP's extra field; None if there is none or it is of another name."""
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == UNICODE_PATH and field[1:5] == struct.pack("<L", zlib.crc32(raw)):
            return field[5:].decode("utf-8", "replace")
    return None


def _plain_path(name: str) -> str:
    """Return a path without `./` and doubled slashes; what leads outside is left as it is."""
    path = name.partition("\0")[0].replace("\\", "/")
    if path.startswith("/") or ".." in path.split("/"):
        return path
    return posixpath.normpath(path) + ("/" if path.endswith("/") else "")
