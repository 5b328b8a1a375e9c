"""Exports as a stream of chunks of about 64 KiB, whole lines each. Memory does not grow with the export.

On PostgreSQL JSON lines come by one COPY on its own connection. Quotes and delimiters are control characters, which
canonical JSON never holds, so that the stored bytes pass as they are. All else is `write_lines` of `read_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, NamedTuple

from django.db import connections
from django.db.models import QuerySet

from iamroles.audit.export.formats import Format, write_lines
from iamroles.audit.export.rows import Cut, read_rows, sealed_rows
from iamroles.audit.find import EventFilter
from iamroles.models import AuditEvent

_COPY: Final = "COPY ({}) TO STDOUT WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
_BYTES: Final = 64 * 1024
_ROWS: Final = 128  # of usual size fill a chunk


class Chunk(NamedTuple):
    """Whole lines of an export: their bytes, and how many events they tell of."""

    body: bytes
    rows: int


def read_chunks(
    wanted: EventFilter,
    spelled: Format,
    cut: Cut,
    *,
    among: QuerySet[AuditEvent] | None = None,
    using: str = "default",
) -> Iterator[Chunk]:
    """Yields the sealed events of the filter, `among` those a person may see, without CSV's header."""
    if spelled == "jsonl" and connections[using].vendor == "postgresql":
        yield from _copy(sealed_rows(wanted, cut, among, using).values_list("canon"), using)
        return
    rows = read_rows(wanted, cut, among=among, using=using)
    while batch := list(islice(rows, _ROWS)):
        yield Chunk(write_lines(batch, spelled, header=False), len(batch))


def _copy(texts: QuerySet[AuditEvent, Any], using: str) -> Iterator[Chunk]:
    sql, parameters = texts.query.sql_with_params()
    with _reading(using) as cursor, cursor.copy(_COPY.format(sql), parameters) as lines:
        chunk, rows = bytearray(), 0
        for line in lines:
            chunk += line
            rows += 1
            if len(chunk) >= _BYTES:
                yield Chunk(bytes(chunk), rows)
                chunk, rows = bytearray(), 0
        if chunk:
            yield Chunk(bytes(chunk), rows)


@contextmanager
def _reading(using: str) -> Iterator[Any]:
    """Gives a cursor of a read-only connection, which whoever reads the chunks does not need for anything else.

    Inside a transaction it is one of the caller's connection, which alone sees what is not committed yet.
    """
    connection = connections[using]
    if connection.in_atomic_block:
        with connection.cursor() as cursor:
            yield cursor
        return
    own = connection.copy()
    try:
        with own.cursor() as cursor:
            cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
            yield cursor
    finally:
        own.close()
