"""Follows several patterns through a word at once: one integer, a bit for every position that may have been reached."""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[tuple[bool, str, bool]]  # the elements of a pattern: star, letters, colon


class Machine:
    """The patterns side by side. `start` and `accepting` are masks; tables of letters are made when first needed."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._stars = 0
        self.accepting = 0
        self.start = 0
        offset = 0
        for row in rows:
            for position, one in enumerate(row):
                if one[0]:
                    self._stars |= 1 << (offset + position)
            self.start |= 1 << offset
            offset += len(row) + 1
            self.accepting |= 1 << (offset - 1)
        self.start = self._closed(self.start)
        self._tables: dict[str, tuple[int, int]] = {}

    def _closed(self, mask: int) -> int:
        while True:
            more = mask | (mask & self._stars) << 1
            if more == mask:
                return mask
            mask = more

    def _table(self, letter: str) -> tuple[int, int]:
        moves = stays = 0
        bit = 1
        for row in self._rows:
            for star, letters, colon in row:
                if letter in letters if letters else (colon or letter != ":"):
                    if star:
                        stays |= bit
                    else:
                        moves |= bit
                bit <<= 1
            bit <<= 1
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
