"""The bytes that digests and events are made of: RFC 8785 on a subset that has one spelling for every value.

Writing and strict reading live here; what the values mean does not. The subset (AUDIT.md part 3): ASCII keys, no
floats, integers below 2^53 in size, strings of valid Unicode without U+0000.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NoReturn

_LARGEST = 2**53
_BAD_CHARACTER = re.compile("[\x00\ud800-\udfff]")
_DEEPEST = 64  # deeper values are not ours; the limit keeps reading and writing free of recursion errors


class CanonicalError(ValueError):
    """The value or text is outside the subset. The message names the place."""


def dumps(value: object) -> bytes:
    """Returns the canonical UTF-8 bytes of a JSON-able value. Raises `CanonicalError` outside the subset."""
    _require_subset(value, "value", 0)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def digest(value: object) -> str:
    """Returns the SHA-256 (hex) of the canonical bytes. Raises `CanonicalError` outside the subset."""
    return hashlib.sha256(dumps(value)).hexdigest()


def loads(text: str | bytes) -> object:
    """Returns the value of a JSON text of the subset, in any spelling.

    Raises `CanonicalError` for what is no JSON, and for duplicate keys, floats, NaN, too large numbers, NUL and lone
    surrogates.
    """
    try:
        value: object = json.loads(
            text.decode() if isinstance(text, bytes) else text,
            object_pairs_hook=_object,
            parse_float=_refuse_number,
            parse_int=_integer,
            parse_constant=_refuse_number,
        )
    except CanonicalError:
        raise
    except (ValueError, RecursionError) as error:
        raise CanonicalError(f"not JSON: {error}") from error
    _require_subset(value, "value", 0)
    return value


def _require_subset(value: object, at: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise CanonicalError(f"{at}: deeper than {_DEEPEST} levels")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _require_text(value, at)
    elif isinstance(value, int):
        if not -_LARGEST < value < _LARGEST:
            raise CanonicalError(f"{at}: the number is not below 2^53")
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or not key.isascii() or "\x00" in key:
                raise CanonicalError(f"{at}: keys must be ASCII strings, not {key!r}")
            _require_subset(inner, f"{at}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _require_subset(inner, f"{at}[{index}]", depth + 1)
    else:
        raise CanonicalError(f"{at}: {type(value).__name__} is not allowed")


def _require_text(value: str, at: str) -> None:
    bad = _BAD_CHARACTER.search(value)
    if bad:
        raise CanonicalError(f"{at}: the character U+{ord(bad.group()):04X} is not allowed")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise CanonicalError(f"the key {key!r} stands twice")
            seen.add(key)
    return result


def _integer(text: str) -> int:
    if len(text) > 17:
        raise CanonicalError(f"the number {text[:20]}… is not below 2^53")
    if text == "-0":
        raise CanonicalError("-0 is not an integer of the subset")
    return int(text)


def _refuse_number(text: str) -> NoReturn:
    raise CanonicalError(f"the number {text[:20]} is not an integer")
