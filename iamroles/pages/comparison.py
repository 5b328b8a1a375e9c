"""Comparing two texts line by line for a page: aligned pairs with what was removed, added or left as it is.

Equality by meaning is decided elsewhere (`iam.documents`); here only the lines that a person reads are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal

Kind = Literal["same", "add", "del", "gap", "skip"]


@dataclass(frozen=True)
class Side:
    """One line of one side. A `gap` stands where only the other side has a line, a `skip` for lines left out."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Difference:
    """Two sides of equal length, aligned; `added` and `removed` count lines."""

    before: tuple[Side, ...]
    after: tuple[Side, ...]
    added: int
    removed: int

    @property
    def words(self) -> str:
        """What a heading says: "1 line added, 2 removed"."""
        parts = [_count(self.added, "added"), _count(self.removed, "removed")]
        return ", ".join(part for part in parts if part) or "no line differs"


def _count(number: int, word: str) -> str:
    if not number:
        return ""
    return f"{number} {'line' if number == 1 else 'lines'} {word}"


def compare(before: str, after: str, context: int | None = None) -> Difference:
    """Returns the two texts as aligned lines; with `context`, so many equal lines stay around what differs."""
    left, right = before.splitlines(), after.splitlines()
    sides: list[tuple[Side, Side]] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            sides += [(side, side) for side in _same(left[i1:i2], context)]
        else:
            sides += _aligned(left[i1:i2], right[j1:j2])
    return Difference(
        before=tuple(side for side, _ in sides),
        after=tuple(side for _, side in sides),
        added=sum(side.kind == "add" for _, side in sides),
        removed=sum(side.kind == "del" for side, _ in sides),
    )


def _same(lines: Sequence[str], context: int | None) -> list[Side]:
    sides = [Side("same", line) for line in lines]
    if context is None or len(sides) <= 2 * context + 1:
        return sides
    left_out = Side("skip", f"{len(sides) - 2 * context} equal lines")
    return [*sides[:context], left_out, *sides[-context:]]


def _aligned(removed: Sequence[str], added: Sequence[str]) -> list[tuple[Side, Side]]:
    gap = Side("gap", "")
    return [
        (gap if old is None else Side("del", old), gap if new is None else Side("add", new))
        for old, new in zip_longest(removed, added)
    ]
