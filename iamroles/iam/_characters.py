"""Naming single characters: which ones tags take, and how a strange one is shown to a person."""

from __future__ import annotations

import unicodedata

_TAG_SIGNS = "_.:/=+-@"


def tag_character(sign: str, extra: str = "") -> bool:
    """Returns True for a letter, space or digit of any script and for the signs that tags take (VA04)."""
    return sign in _TAG_SIGNS or sign in extra or unicodedata.category(sign)[0] in "LNZ"


def first_beyond(text: str, last: int) -> str:
    """Returns the first character above a code point, or ''."""
    return next((sign for sign in text if ord(sign) > last), "")


def describe(sign: str) -> str:
    """Returns the character with its code point and name, such as `U+200B (zero width space)`."""
    name = unicodedata.name(sign, "").lower()
    shown = f"{sign!r}, " if sign.isprintable() and not sign.isspace() else ""
    return f"{shown}U+{ord(sign):04X}" + (f" ({name})" if name else "")


def look_alike(sign: str) -> str:
    """Returns a remark when the character looks like an ASCII letter, else ''."""
    plain = unicodedata.normalize("NFKD", sign)[:1]
    if plain.isascii() and plain.isalnum():
        return f", which looks like {plain!r}"
    for script in ("CYRILLIC", "GREEK"):
        if unicodedata.name(sign, "").startswith(script):
            return f", a {script.title()} letter that can look like a Latin one"
    return ""
