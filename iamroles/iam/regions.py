"""Regions: what is left of a subtraction in the published form, each dimension without what says nothing.

`D` is {"matches": [[pattern, …], …], "but_not": [pattern, …]}: every inner list needs one hit, `but_not` none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from iamroles.iam.boxes import ACTION, KEY, PRINCIPAL, RESOURCE, Box, Boxes, Test
from iamroles.iam.patterns import Pattern


@dataclass(frozen=True)
class Words:
    """One `D`: the texts of patterns."""

    matches: tuple[tuple[str, ...], ...] = ()
    but_not: tuple[str, ...] = ()

    def as_mapping(self) -> dict[str, Any]:
        """Returns the published form."""
        return {"matches": [list(one) for one in self.matches], "but_not": list(self.but_not)}


@dataclass(frozen=True)
class KeyWords:
    """The `D` of one condition key; `absent` says whether a call without the key lies in the region too."""

    key: str
    words: Words
    absent: bool

    def as_mapping(self) -> dict[str, Any]:
        """Returns the published form."""
        return {"key": self.key, **self.words.as_mapping(), "absent": self.absent}


@dataclass(frozen=True)
class Region:
    """A set of AWS calls. `certain` is False when variables or unmodelled operators make it an upper limit."""

    action: Words
    resource: Words
    conditions: tuple[KeyWords, ...] = ()
    certain: bool = True
    principal: Words | None = None

    def as_mapping(self) -> dict[str, Any]:
        """Returns the published form; `principal` only for trust policies."""
        result: dict[str, Any] = {
            "action": self.action.as_mapping(),
            "resource": self.resource.as_mapping(),
            "conditions": [one.as_mapping() for one in self.conditions],
            "certain": self.certain,
        }
        if self.principal is not None:
            result["principal"] = self.principal.as_mapping()
        return result


def regions_of(pieces: Iterable[Box], boxes: Boxes) -> tuple[Region, ...]:
    """Returns the regions of the boxes, each once, in their order. Raises `OutOfBudget`."""
    return tuple(dict.fromkeys(_region(piece, boxes) for piece in pieces))


def _region(piece: Box, boxes: Boxes) -> Region:
    keys = sorted(dimension for dimension in piece.tests if dimension.startswith(KEY))
    patterns = [pattern for test in piece.all_tests() for pattern in test.patterns]
    return Region(
        action=_words(piece.of(ACTION), boxes),
        resource=_words(piece.of(RESOURCE), boxes),
        conditions=tuple(_key_words(dimension, piece.of(dimension), boxes) for dimension in keys),
        certain=not any(pattern.uncertain for pattern in patterns),
        principal=_words(piece.of(PRINCIPAL), boxes) if PRINCIPAL in piece.tests else None,
    )


def _words(tests: frozenset[Test], boxes: Boxes) -> Words:
    written = [test for test in tests if not test.domain]
    always = [test.patterns for test in tests if test.domain and test.positive]
    wanted = [sorted(test.patterns, key=_text) for test in written if test.positive]
    forbidden = sorted({one for test in written if not test.positive for one in test.patterns}, key=_text)
    return _simplified(wanted, forbidden, boxes, always)


def _key_words(dimension: str, tests: frozenset[Test], boxes: Boxes) -> KeyWords:
    absent = all(test.positive if test.quantifier == "null" else test.absent for test in tests)
    valued = [test for test in tests if test.quantifier != "null"]
    wanted = [sorted(test.patterns, key=_text) for test in valued if test.positive]
    forbidden = sorted({one for test in valued if not test.positive for one in test.patterns}, key=_text)
    return KeyWords(dimension.removeprefix(KEY), _simplified(wanted, forbidden, boxes), absent)


def _text(pattern: Pattern) -> str:
    return pattern.text


def _simplified(
    wanted: Sequence[list[Pattern]],
    forbidden: Sequence[Pattern],
    boxes: Boxes,
    always: Sequence[frozenset[Pattern]] = (),
) -> Words:
    """Drops alternatives that are already excluded, lists that others imply, and exclusions that exclude nothing."""
    word = boxes.emptiness.word
    sets = [frozenset(one) for one in wanted]
    alive = []
    for index, patterns in enumerate(sets):
        others = [one for position, one in enumerate(sets) if position != index]
        left = frozenset(p for p in patterns if word([frozenset({p}), *others, *always], forbidden) is not None)
        alive.append(left or patterns)
    kept: list[frozenset[Pattern]] = []
    for index, patterns in enumerate(alive):
        later = alive[index + 1 :]
        implied = any(_inside(other, patterns, boxes) for other in (*kept, *later) if other != patterns)
        if patterns not in kept and not (implied or any(one.universal for one in patterns)):
            kept.append(patterns)
    matters = [one for one in forbidden if word([*kept, frozenset({one}), *always], ()) is not None]
    return Words(
        tuple(sorted(tuple(sorted({p.text for p in one})) for one in kept)),
        tuple(dict.fromkeys(one.text for one in matters)),
    )


def _inside(inner: frozenset[Pattern], outer: frozenset[Pattern], boxes: Boxes) -> bool:
    if any(one.uncertain for one in (*inner, *outer)):
        return inner <= outer
    mutual = boxes.emptiness.word([inner], outer) is None
    return mutual and (len(inner) < len(outer) or boxes.emptiness.word([outer], inner) is not None)
