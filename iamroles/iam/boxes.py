"""Boxes: sets of AWS calls described by independent tests of action, resource, principal and each condition key.

Meeting, subtracting and asking for emptiness live here; how a statement becomes a box is `boxing`. A box is empty as
soon as one of its dimensions is, because the dimensions do not know of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from iamroles.iam.emptiness import DEFAULT, Budget, Emptiness, OutOfBudget
from iamroles.iam.patterns import Pattern

ACTION = "action"
RESOURCE = "resource"
PRINCIPAL = "principal"
KEY = "key:"  # a condition key's dimension is this and the key in lower case

Quantifier = Literal["word", "any", "all", "null"]


@dataclass(frozen=True)
class Test:
    """One test of one dimension, all of a box's tests to hold.

    "word": the one value is in (or, not `positive`, out of) the patterns. "any", "all": at least one, every member of
    a key's values is in (out of) them; `absent` says whether an absent key passes. "null": the key is absent (present).
    `domain` marks what every well-formed call passes, which nobody wrote and nobody needs to read.
    """

    dimension: str
    quantifier: Quantifier
    positive: bool
    patterns: frozenset[Pattern] = frozenset()
    absent: bool = False
    domain: bool = False

    def opposite(self) -> Test:
        """Returns the test that holds exactly when this one does not."""
        if self.quantifier in {"any", "all"}:
            other: Quantifier = "all" if self.quantifier == "any" else "any"
            return replace(self, quantifier=other, positive=not self.positive, absent=not self.absent)
        return replace(self, positive=not self.positive)


@dataclass(frozen=True)
class Box:
    """The tests by dimension. A dimension without tests takes everything."""

    tests: Mapping[str, frozenset[Test]]

    def all_tests(self) -> Iterator[Test]:
        """Yields the tests, those of action first, then resource, principal and keys."""
        for dimension in sorted(self.tests, key=_rank):
            yield from sorted(self.tests[dimension], key=_order)

    def of(self, dimension: str) -> frozenset[Test]:
        """Returns the tests of a dimension."""
        return self.tests.get(dimension, frozenset())

    def with_test(self, test: Test) -> Box:
        """Returns the box with one more test."""
        return Box({**self.tests, test.dimension: self.of(test.dimension) | {test}})


def box(tests: Iterable[Test]) -> Box:
    """Returns the box of the tests."""
    grouped: dict[str, set[Test]] = {}
    for test in tests:
        grouped.setdefault(test.dimension, set()).add(test)
    return Box({dimension: frozenset(found) for dimension, found in grouped.items()})


def _rank(dimension: str) -> tuple[int, str]:
    fixed = {ACTION: 0, RESOURCE: 1, PRINCIPAL: 2}
    return fixed.get(dimension, 3), dimension


def _order(test: Test) -> tuple[str, bool, bool, tuple[str, ...]]:
    return test.quantifier, test.positive, test.absent, tuple(sorted(one.text for one in test.patterns))


Value = str | tuple[str, ...] | None


class Boxes:
    """Works with boxes within one budget: `pieces` are counted over the object's lifetime."""

    def __init__(self, budget: Budget = DEFAULT) -> None:
        self.emptiness = Emptiness(budget)
        self.budget = budget
        self._pieces = 0
        self._values: dict[frozenset[Test], Value | Literal[False]] = {}

    def value(self, tests: frozenset[Test]) -> Value | Literal[False]:
        """Returns a value that passes the tests of one dimension, or False when there is none.

        A word for action, resource, principal; for a key None (absent) or its members. Raises `OutOfBudget`.
        """
        if tests not in self._values:
            self._values[tests] = self._find_value(tests)
        return self._values[tests]

    def _find_value(self, tests: frozenset[Test]) -> Value | Literal[False]:
        if not tests:
            return None
        if next(iter(tests)).quantifier == "word":
            wanted = {test.patterns for test in tests if test.positive}
            forbidden = {one for test in tests if not test.positive for one in test.patterns}
            word = self.emptiness.word(wanted, forbidden)
            return False if word is None else word
        if all(test.positive if test.quantifier == "null" else test.absent for test in tests):
            return None
        return self._members(tests)

    def _members(self, tests: frozenset[Test]) -> tuple[str, ...] | Literal[False]:
        if any(test.quantifier == "null" and test.positive for test in tests):
            return False
        every = [test for test in tests if test.quantifier == "all"]
        wanted = {test.patterns for test in every if test.positive}
        forbidden = {one for test in every if not test.positive for one in test.patterns}
        members: dict[str, None] = {}
        for test in sorted((test for test in tests if test.quantifier == "any"), key=_order):
            word = (
                self.emptiness.word(wanted | {test.patterns}, forbidden)
                if test.positive
                else self.emptiness.word(wanted, forbidden | test.patterns)
            )
            if word is None:
                return False
            members[word] = None
        if not members:
            word = self.emptiness.word(wanted, forbidden)
            if word is None:
                return False
            members[word] = None
        return tuple(members)

    def empty(self, one: Box) -> bool:
        """Returns True when no AWS call lies in the box. Raises `OutOfBudget`."""
        return any(self.value(tests) is False for tests in one.tests.values())

    def narrowed(self, one: Box, test: Test) -> Box | None:
        """Returns the part of a (not empty) box that passes the test, or None when that is empty."""
        if test in one.of(test.dimension):
            return one
        made = one.with_test(test)
        return None if self.value(made.of(test.dimension)) is False else made

    def meet(self, one: Box, other: Box) -> Box | None:
        """Returns what lies in both, or None. `one` is not empty. Raises `OutOfBudget`."""
        self.emptiness.tick()
        met: Box | None = one
        for test in other.all_tests():
            if met is None:
                return None
            met = self.narrowed(met, test)
        return met

    def subtract(self, one: Box, other: Box) -> list[Box]:
        """Returns disjoint boxes that together are `one` without `other`. `one` is not empty. Raises `OutOfBudget`.

        Piece i passes the first i-1 tests of `other` and fails test i.
        """
        if self.meet(one, other) is None:
            return [one]
        pieces = []
        current = one
        for test in other.all_tests():
            outside = self.narrowed(current, test.opposite())
            if outside is None:
                continue
            self._pieces += 1
            if self._pieces > self.budget.pieces:
                raise OutOfBudget(f"more than {self.budget.pieces:,} pieces in one question")
            self.emptiness.ask_stop()
            pieces.append(outside)
            current = current.with_test(test)
        return pieces

    def subtract_all(self, pieces: Iterable[Box], others: Iterable[Box]) -> list[Box]:
        """Returns what is left of the pieces without any of the others. Raises `OutOfBudget`."""
        left = list(pieces)
        for other in others:
            if not left:
                break
            left = [piece for one in left for piece in self.subtract(one, other)]
        return left
