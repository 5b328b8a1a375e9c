"""Reads `table.txt`, which people write by hand, and the addresses that the product has. Nothing here writes a file.

Raises `WrongTable` with the line for what cannot be meant: an unknown person's cell, a ditto without a cell before it,
a letter without a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.integration.access.world import PEOPLE

TABLE: Final = Path(__file__).with_name("table.txt")
COLUMNS: Final = ("anonymous", *PEOPLE)
METHODS: Final = ("GET", "POST")
_CELL = re.compile(r"in|again|-|\d{3}[a-z]?")


class WrongTable(Exception):
    """A line that cannot be read."""


@dataclass(frozen=True)
class Row:
    """One line: what is asked for, what is sent, about which thing; a cell a person; what a success changes."""

    line: int
    urls: str
    method: str
    address: str
    sent: str
    thing: str
    cells: tuple[str, ...]
    changes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.address} {self.sent} {self.thing}"


@dataclass(frozen=True)
class Table:
    """The rows, and what each letter behind a status means: the code of the event of the refusal."""

    rows: tuple[Row, ...]
    letters: dict[str, str]


def read_table(text: str | None = None) -> Table:
    """Returns the table. Raises WrongTable."""
    rows: list[Row] = []
    letters: dict[str, str] = {}
    urls = "product"
    for number, line in enumerate((TABLE.read_text() if text is None else text).splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "letter":
            letters[words[1]] = words[2]
        elif words[0] == "urls":
            urls = words[1]
        else:
            rows.append(_row(number, urls, line, letters))
    return Table(tuple(rows), letters)


def _row(number: int, urls: str, line: str, letters: dict[str, str]) -> Row:
    said, _, changes = line.partition("|")
    method, address, sent, thing, *cells = said.split()
    for place, cell in enumerate(cells):
        if cell == '"' and place:
            cells[place] = cells[place - 1]
        elif not _CELL.fullmatch(cell) or (cell[-1].isalpha() and len(cell) == 4 and cell[-1] not in letters):
            raise WrongTable(f"line {number}: {cell!r} is no cell")
    if len(cells) != len(COLUMNS):
        raise WrongTable(f"line {number}: {len(cells)} cells for {len(COLUMNS)} people")
    return Row(number, urls, method, address, sent, thing, tuple(cells), tuple(changes.split()))


def addresses(patterns: Any, before: str = "/") -> Iterator[str]:
    """Yields the address of each URL pattern, with the names of its variable parts in angle brackets."""
    for pattern in patterns:
        text = before + re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", str(pattern.pattern)).translate({94: "", 36: ""})
        text = re.sub(r"<\w+:(\w+)>", r"<\1>", text)
        if hasattr(pattern, "url_patterns"):
            yield from addresses(pattern.url_patterns, text)
        else:
            yield text
