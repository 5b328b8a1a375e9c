"""Strict and bounded reading of JSON texts: the door through which every document from outside comes.

Size and depth are checked before the parser sees the text (VA12), so that no input can exhaust stack or memory. Which
elements a policy may have is the matter of `documents`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

CHARACTERS = 131_072  # IAM's document length on the wire (SDK model, AWS.md part 3); VA12
DEPTH = 12  # VA12; a policy needs six
VALUES = 5_000  # VA12
_BRACKET_OR_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_BAD_CHARACTER = re.compile("[\x00\ud800-\udfff]")
_LARGEST = 2**53


class DocumentError(ValueError):
    """The text is not a policy document. `code` is one of the command line's error codes, `at` the place, or ''."""

    def __init__(self, code: str, message: str, at: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at


def read_text(text: str, *, characters: int = CHARACTERS, depth: int = DEPTH, values: int = VALUES) -> Any:
    """Returns the value of a JSON text. Raises `DocumentError` (bad_json, duplicate_key, too_deep, too_large)."""
    if len(text) > characters:
        message = f"A document can have {characters:,} characters. This one has {len(text):,}."
        raise DocumentError("too_large", message, f"character {characters}")
    if text.startswith("\ufeff"):
        raise DocumentError("bad_json", "The text begins with a byte order mark (U+FEFF). Remove it.", "character 0")
    _require_depth(text, depth)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_float,
            parse_int=_integer,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        at = f"line {error.lineno} column {error.colno}"
        raise DocumentError("bad_json", f"Not JSON: {error.msg} ({at}).", at) from error
    check_value(value, depth=depth, values=values)
    return value


def check_value(value: object, *, depth: int = DEPTH, values: int = VALUES) -> None:
    """Raises `DocumentError` when a value is no JSON value, too deep, too large, or holds broken characters."""
    left = [values]
    _walk(value, "", depth, left)


def texts(value: object, at: str = "") -> Iterator[tuple[str, str]]:
    """Yields each string of a JSON value with its place, such as `Statement[0].Action`; a name at what it names."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            place = f"{at}.{name}".lstrip(".")
            yield place, name
            yield from texts(inner, place)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{at}[{index}]")


def minify(value: object) -> str:
    """Returns the JSON text of a value without white space; letters stand as themselves."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _require_depth(text: str, depth: int) -> None:
    level = 0
    for match in _BRACKET_OR_STRING.finditer(text):
        sign = match.group()
        if sign in "[{":
            level += 1
            if level > depth:
                raise DocumentError(
                    "too_deep", f"The JSON is nested deeper than {depth} levels.", f"character {match.start()}"
                )
        elif sign in "]}":
            level -= 1


def _walk(value: object, at: str, depth: int, left: list[int]) -> None:
    left[0] -= 1
    if left[0] < 0:
        raise DocumentError("too_large", "The document holds too many values.", at)
    if isinstance(value, Mapping | list | tuple):
        if depth <= 0:
            raise DocumentError("too_deep", "The document is nested too deep.", at)
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in pairs:
            if isinstance(value, Mapping):
                if not isinstance(key, str):
                    raise DocumentError("bad_document", f"An element's name must be a string, not {key!r}.", at)
                _require_characters(key, at)
            _walk(inner, f"{at}.{key}" if isinstance(key, str) else f"{at}[{key}]", depth - 1, left)
    elif isinstance(value, str):
        _require_characters(value, at)
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  (NaN differs from itself)
            raise DocumentError("bad_json", "NaN and Infinity are not JSON.", at)
    elif value is not None and not isinstance(value, bool | int):
        raise DocumentError("bad_document", f"{type(value).__name__} is not a JSON value.", at)


def _require_characters(text: str, at: str) -> None:
    bad = _BAD_CHARACTER.search(text)
    if bad:
        raise DocumentError("bad_json", f"The character U+{ord(bad.group()):04X} is not allowed here.", at.lstrip("."))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DocumentError("duplicate_key", f"{key!r} stands twice in one object. Keep one.", key[:200])
            seen.add(key)
    return result


def _integer(text: str) -> int:
    if len(text) > 17 or not -_LARGEST < int(text) < _LARGEST:
        raise DocumentError("bad_json", f"The number {text[:20]} is too large. Write it as a string.", text[:20])
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if len(text) > 20 or value in (float("inf"), float("-inf")):
        raise DocumentError("bad_json", f"The number {text[:20]} is too long. Write it as a string.", text[:20])
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise DocumentError("bad_json", f"{text} is not JSON. Write it as a string.", text)
