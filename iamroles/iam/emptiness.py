"""Is there a word that matches some pattern of each of several sets, and none of a set of others?

The answer decides every proof of `contain`. A best-first search looks for a short word; positions in the chosen
patterns are tried one by one, the forbidden ones are followed all at once as bit masks, and a state whose masks include
those of a state seen with the same positions is dropped, because it can only do worse.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from iamroles.iam.machine import Machine, Row
from iamroles.iam.patterns import Pattern

_LONG = 1_000  # letters of a word that is better looked for step by step, where the budget is asked
_FRESH = "xzqjkvwybdfghlmnprstuaeioc0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"


class OutOfBudget(Exception):
    """A budget ran out; the question stays unanswered. The message says which."""


@dataclass(frozen=True)
class Budget:
    """`states` of one emptiness question, `pieces` of one containment; `stop` is asked now and then, True ends it."""

    states: int = 200_000
    pieces: int = 50_000
    stop: Callable[[], bool] | None = None


DEFAULT = Budget()


class Emptiness:
    """Answers questions within one budget and remembers the answers for its own lifetime only."""

    def __init__(self, budget: Budget = DEFAULT) -> None:
        self.budget = budget
        self._ticks = 0
        self._known: dict[tuple[frozenset[frozenset[Pattern]], frozenset[Pattern]], str | None] = {}

    def tick(self, work: int = 1) -> None:
        """Counts units of work, a few microseconds each. Raises `OutOfBudget` when the caller wants to stop."""
        self._ticks += work
        if self._ticks >= 256:
            self._ticks = 0
            self.ask_stop()

    def ask_stop(self) -> None:
        """Raises `OutOfBudget` when the caller wants to stop."""
        if self.budget.stop is not None and self.budget.stop():
            raise OutOfBudget("the time for this question ran out")

    def word(self, wanted: Iterable[frozenset[Pattern]], forbidden: Iterable[Pattern]) -> str | None:
        """Returns a word that matches a pattern of each wanted set and no forbidden one, or None: there is none.

        Variables and uninterpreted tests count as large as they can be among the wanted, and not at all among the
        forbidden, except that a pattern is never inside its own complement. Raises `OutOfBudget`.
        """
        key = (frozenset(wanted), frozenset(forbidden))
        if key not in self._known:
            self._known[key] = self._find(*key)
        return self._known[key]

    def _find(self, wanted: frozenset[frozenset[Pattern]], forbidden: frozenset[Pattern]) -> str | None:
        against = [one for one in forbidden if not one.uncertain]
        if any(one.universal for one in against):
            return None
        sets: list[list[Pattern]] = []
        for alternatives in wanted:
            alive = [one for one in alternatives if one not in forbidden]
            if not alive:
                return None
            if not any(one.atom or one.universal for one in alive):
                sets.append(alive)
        if not sets and not against:
            return "x"
        sets = [sorted(alive, key=_preference) for alive in sets]
        sets.sort(key=lambda alive: (any(one.fixed is None for one in alive), len(alive), alive[0].text))
        return self._choose(sets, 0, [], against)

    def _choose(
        self, sets: list[list[Pattern]], index: int, chosen: list[Pattern], against: list[Pattern]
    ) -> str | None:
        self.tick()
        if index == len(sets):
            self.tick(_length(against) // 16)
            near = [one for one in against if not _apart(one, chosen)]
            word = _guess(chosen, near)
            return self._search(chosen, near) if word is None else word
        if any(one in sets[index] for one in chosen):
            return self._choose(sets, index + 1, chosen, against)
        for one in sets[index]:
            if one.fixed is not None:
                self.tick(len(one.fixed) // 16)
                word = self._fixed(one.fixed, sets, chosen, against)
            elif _apart(one, chosen):
                continue
            else:
                word = self._choose(sets, index + 1, [*chosen, one], against)
            if word is not None:
                return word
        return None

    @staticmethod
    def _fixed(word: str, sets: list[list[Pattern]], chosen: list[Pattern], against: list[Pattern]) -> str | None:
        if not all(one.matches(word) for one in chosen):
            return None
        if not all(any(one.matches(word) for one in alternatives) for alternatives in sets):
            return None
        return None if any(one.matches(word) for one in against) else word

    def _search(self, chosen: Sequence[Pattern], against: Sequence[Pattern]) -> str | None:
        follower = Machine([one.elements for one in against])
        rows = [one.elements for one in chosen]
        least = [_remaining(row) for row in rows]
        fresh = _fresh_letter([*chosen, *against])
        colon = any(one.letters == "" and not one.colon for p in (*chosen, *against) for one in p.elements)
        order = count()
        start = (0,) * len(rows)
        first = max((rest[0] for rest in least), default=0)
        heap: list[_State] = [(first, next(order), start, follower.start, 0, None)]
        seen: dict[tuple[int, ...], list[int]] = {start: [follower.start]}
        states = 0
        weight = 1 + follower.size // 2048  # a state holds a mask: large ones count for more
        while heap:
            _, _, positions, mask, length, word = heapq.heappop(heap)
            states += weight
            self.tick(weight)
            if states > self.budget.states:
                raise OutOfBudget(f"more than {self.budget.states:,} states in one question")
            if not mask & follower.accepting and all(
                rest[position] == 0 and _ends(row, position)
                for row, rest, position in zip(rows, least, positions, strict=True)
            ):
                return _spelt(word)
            for letter in _letters_to_try(rows, positions, fresh, colon=colon):
                after_mask = follower.step(mask, letter)
                for after in _moves(rows, positions, letter):
                    known = seen.setdefault(after, [])
                    if any(after_mask & old == old for old in known):
                        continue
                    known[:] = [old for old in known if old & after_mask != after_mask]
                    known.append(after_mask)
                    rest = max((left[p] for left, p in zip(least, after, strict=True)), default=0)
                    heapq.heappush(
                        heap, (length + 1 + rest, next(order), after, after_mask, length + 1, (word, letter))
                    )
        return None


_Word = Any  # the letters from the last one back: None, or the rest and a letter
_State = tuple[int, int, tuple[int, ...], int, int, _Word]


def _spelt(word: _Word) -> str:
    letters: list[str] = []
    while word is not None:
        word, letter = word
        letters.append(letter)
    return "".join(reversed(letters))


def _length(patterns: Iterable[Pattern]) -> int:
    return sum(len(one.elements) for one in patterns)


def _guess(chosen: Sequence[Pattern], against: Sequence[Pattern]) -> str | None:
    """A word that costs no search: the chosen pattern that says most, with as little as possible for its wildcards."""
    if not chosen:
        return None
    fresh = _fresh_letter([*chosen, *against])
    most = max(chosen, key=lambda one: one.shortest)
    if most.shortest > _LONG:
        return None
    for filler in ("", fresh):
        word = most.shortest_word(fresh, filler)
        if all(one.matches(word) for one in chosen) and not any(one.matches(word) for one in against):
            return word
    return None


def _preference(one: Pattern) -> tuple[bool, int, str]:
    """The more a pattern says, the more a person recognises in the word that is found; and order must not be chance."""
    return one.fixed is None, -one.shortest, one.text


def _remaining(row: Row) -> list[int]:
    rest = [0]
    for star, _, _ in reversed(row):
        rest.append(rest[-1] + (not star))
    return rest[::-1]


def _ends(row: Row, position: int) -> bool:
    return all(star for star, _, _ in row[position:])


def _reachable(row: Row, position: int) -> range:
    """The elements that may take the next letter: the stars from here on and the first element that is none."""
    end = position
    while end < len(row) and row[end][0]:
        end += 1
    return range(position, min(end + 1, len(row)))


def _letters_to_try(rows: Sequence[Row], positions: tuple[int, ...], fresh: str, *, colon: bool) -> Collection[str]:
    letters: dict[str, None] = {}
    for row, position in zip(rows, positions, strict=True):
        reachable = _reachable(row, position)
        if len(reachable) == 1 and row[position][1]:
            return row[position][1]
        for index in reachable:
            letters.update(dict.fromkeys(row[index][1]))
    letters[fresh] = None
    if colon:
        letters[":"] = None
    return letters


def _moves(rows: Sequence[Row], positions: tuple[int, ...], letter: str) -> list[tuple[int, ...]]:
    combined: list[tuple[int, ...]] = [()]
    for row, position in zip(rows, positions, strict=True):
        nexts = []
        for index in _reachable(row, position):
            star, letters, colon = row[index]
            if letter in letters if letters else (colon or letter != ":"):
                nexts.append(index if star else index + 1)
        if not nexts:
            return []
        combined = [(*head, after) for head in combined for after in nexts]
    return combined


def _fresh_letter(patterns: Iterable[Pattern]) -> str:
    used = set[str]().union(*(pattern.letters for pattern in patterns))
    for letter in _FRESH:
        if letter not in used:
            return letter
    return next(chr(code) for code in range(0xC0, 0x10000) if chr(code) not in used)


def _apart(one: Pattern, others: Iterable[Pattern]) -> bool:
    """True when literal beginnings or ends already exclude a common word with one of the others."""
    return any(_clash(one, other) for other in others)


def _clash(one: Pattern, other: Pattern) -> bool:
    shorter, longer = sorted((one.prefix, other.prefix), key=len)
    if not longer.startswith(shorter):
        return True
    shorter, longer = sorted((one.suffix, other.suffix), key=len)
    return not longer.endswith(shorter)
