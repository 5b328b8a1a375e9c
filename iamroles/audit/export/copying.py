"""COPY on PostgreSQL: rows as lines, on a connection of its own, so that memory stays flat and the caller's stays free.

Quotes and delimiters are control characters, which canonical JSON never holds: the stored bytes pass as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import connections
from django.db.models import QuerySet

BETWEEN: Final = b"\x02"
_COPY: Final = "COPY ({}) TO STDOUT WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"


def copies(using: str) -> bool:
    """Returns whether rows can be copied: on PostgreSQL, outside a transaction, whose rows no other connection sees."""
    return connections[using].vendor == "postgresql" and not connections[using].in_atomic_block


@contextmanager
def reading(using: str) -> Iterator[Any]:
    """Gives a cursor of a read-only connection that sees one state of the database until the end of the block."""
    own = connections[using].copy()
    try:
        with own.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield cursor
    finally:
        own.close()


def copy_lines(rows: QuerySet[Any, Any], cursor: Any) -> Iterator[bytes]:
    """Yields a line for each row, its columns with BETWEEN in between, with its newline."""
    sql, parameters = rows.query.sql_with_params()
    with cursor.copy(_COPY.format(sql), parameters) as lines:
        yield from lines
