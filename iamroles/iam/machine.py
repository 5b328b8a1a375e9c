"""Follows several patterns through a word at once: one integer, a bit for every position that may have been reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Row = Sequence[tuple[bool, str, bool]]  # the elements of a pattern: star, letters, colon
Positions = tuple[list[int], list[int]]  # those that a letter moves on from, those (of stars) that it stays at

_KEPT = 256  # letters whose masks are kept: a mask can have thousands of bits


class Machine:
    """The patterns side by side. `start` and `accepting` are masks, of `size` bits; those of letters are made when
    first needed.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.size = sum(len(row) + 1 for row in rows)
        any_letter: Positions = ([], [])
        any_but_colon: Positions = ([], [])
        self._of_letter: dict[str, Positions] = {}
        stars, starts, ends = [], [], []
        position = 0
        for row in rows:
            starts.append(position)
            for star, letters, colon in row:
                if star:
                    stars.append(position)
                if letters:
                    for letter in letters:
                        self._of_letter.setdefault(letter, ([], []))[star].append(position)
                else:
                    (any_letter if colon else any_but_colon)[star].append(position)
                position += 1
            ends.append(position)
            position += 1
        self._stars = self._mask(stars)
        self._any_letter = self._masks(any_letter)
        self._any_but_colon = self._masks(any_but_colon)
        self.accepting = self._mask(ends)
        self.start = self._closed(self._mask(starts))
        self._tables: dict[str, tuple[int, int]] = {}

    def _mask(self, positions: Iterable[int]) -> int:
        made = bytearray(self.size // 8 + 1)
        for position in positions:
            made[position >> 3] |= 1 << (position & 7)
        return int.from_bytes(made, "little")

    def _masks(self, positions: Positions) -> tuple[int, int]:
        return self._mask(positions[0]), self._mask(positions[1])

    def _closed(self, mask: int) -> int:
        while True:
            more = mask | (mask & self._stars) << 1
            if more == mask:
                return mask
            mask = more

    def _table(self, letter: str) -> tuple[int, int]:
        moves, stays = self._any_letter
        if letter != ":":
            moves, stays = moves | self._any_but_colon[0], stays | self._any_but_colon[1]
        if letter in self._of_letter:
            own = self._masks(self._of_letter[letter])
            moves, stays = moves | own[0], stays | own[1]
        if len(self._tables) < _KEPT:
            self._tables[letter] = (moves, stays)
        return moves, stays

    def step(self, mask: int, letter: str) -> int:
        """Returns the positions after one more letter."""
        moves, stays = self._tables.get(letter) or self._table(letter)
        mask = (mask & moves) << 1 | (mask & stays)
        return self._closed(mask) if mask & self._stars else mask

    def accepts(self, word: str) -> bool:
        """Returns True when one of the patterns matches the whole word."""
        mask = self.start
        for letter in word:
            mask = self.step(mask, letter)
            if not mask:
                return False
        return bool(mask & self.accepting)
