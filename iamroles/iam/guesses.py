"""Which values to try for policy variables when a counterexample rests on them.

A guess costs one more containment, so they are few: what the found words themselves suggest, then absent, one word for
all, different words, the empty string and a value that holds colons and slashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from iamroles.iam.boxes import KEY, Box, Boxes
from iamroles.iam.statements import VARIABLES_VERSION, Escape, Variable, parts

_AT_MOST = 8


def guesses(keys: Sequence[str], left: Sequence[Box], boxes: Boxes) -> Iterator[dict[str, str]]:
    """Yields assignments of values to keys; a key that is missing is absent from the call's context."""
    seen: list[dict[str, str]] = []
    for guess in _all(keys, left, boxes):
        if guess not in seen:
            seen.append(guess)
            yield guess
        if len(seen) >= _AT_MOST:
            return


def _all(keys: Sequence[str], left: Sequence[Box], boxes: Boxes) -> Iterator[dict[str, str]]:
    fresh = {key: f"v{index}" for index, key in enumerate(keys)}
    for piece in left[:3]:
        suggested = _suggested(piece, boxes)
        if suggested:
            yield {**fresh, **{key: value for key, value in suggested.items() if key in fresh}}
    yield fresh
    yield {}
    yield dict.fromkeys(keys, "v")
    yield dict.fromkeys(keys, "")
    yield dict.fromkeys(keys, "a:b/c")


def _suggested(piece: Box, boxes: Boxes) -> dict[str, str]:
    """The values that the words found for a piece have in the places of its variables, and for the keys themselves."""
    values: dict[str, str] = {}
    for dimension, tests in piece.tests.items():
        found = boxes.value(tests)
        if found is False or found is None:
            continue
        words = [found] if isinstance(found, str) else list(found)
        if dimension.startswith(KEY):
            values.setdefault(dimension.removeprefix(KEY), words[0])
        for test in tests:
            for pattern in test.patterns if test.positive else ():
                if pattern.identity and not pattern.atom:
                    for word in words:
                        for key, value in _read(pattern.text, word).items():
                            values.setdefault(key, value)
    return values


def _read(text: str, word: str) -> dict[str, str]:
    found = parts(text, VARIABLES_VERSION)
    source = ""
    keys: list[str] = []
    for part in found:
        if isinstance(part, Variable):
            source += "(.*?)"
            keys.append(part.key)
        elif isinstance(part, Escape):
            source += re.escape(part.character)
        else:
            source += re.escape(part).replace(r"\*", ".*?").replace(r"\?", ".")
    if len(keys) > 3 or source.count(".*?") > 4:
        return {}
    match = re.fullmatch(source, word, re.DOTALL)
    return dict(zip(keys, match.groups(), strict=True)) if match else {}
