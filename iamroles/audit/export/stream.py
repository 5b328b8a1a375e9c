"""Exports as a stream of chunks of about 64 KiB, whole lines each. Memory does not grow with the export.

On PostgreSQL JSON lines pass as COPY gives them. All else is `write_lines` of `read_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

from iamroles.audit.export.copying import copies, copy_lines, reading
from iamroles.audit.export.formats import Format, write_lines
from iamroles.audit.export.rows import Cut, read_rows, sealed_rows
from iamroles.audit.find import EventFilter
from iamroles.models import AuditEvent

_BYTES: Final = 64 * 1024
_ROWS: Final = 128  # of usual size fill a chunk
_RANGE: Final = 50_000
# The first and last id of a range of leaves, and whether all events between them are the leaves', in the same order.
_LOOK: Final = """
SELECT low, high, ordered AND counted = (SELECT count(*) FROM audit_event WHERE id BETWEEN low AND high)
FROM (
    SELECT min(event_id) AS low, max(event_id) AS high, count(*) AS counted,
        bool_and(before IS NULL OR before < event_id) AS ordered
    FROM (
        SELECT event_id, lag(event_id) OVER (ORDER BY seq) AS before FROM audit_leaf WHERE seq >= %s AND seq < %s
    ) AS leaf
) AS stretch
"""


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
    if spelled == "jsonl" and copies(using):
        rows = sealed_rows(wanted, cut, among, using)
        whole = wanted == EventFilter() and among is None
        with reading(using) as cursor:
            parts = _ranges(rows, cut, cursor) if whole else iter([rows])
            yield from _in_chunks(line for part in parts for line in copy_lines(part.values_list("canon"), cursor))
        return
    found = read_rows(wanted, cut, among=among, using=using)
    while batch := list(islice(found, _ROWS)):
        yield Chunk(write_lines(batch, spelled, header=False), len(batch))


def _in_chunks(lines: Iterator[bytes]) -> Iterator[Chunk]:
    chunk, rows = bytearray(), 0
    for line in lines:
        chunk += line
        rows += 1
        if len(chunk) >= _BYTES:
            yield Chunk(bytes(chunk), rows)
            chunk, rows = bytearray(), 0
    if chunk:
        yield Chunk(bytes(chunk), rows)


def _ranges(rows: QuerySet[AuditEvent, Any], cut: Cut, cursor: Any) -> Iterator[QuerySet[AuditEvent, Any]]:
    """Yields the rows of the whole trail in ranges of seq, by the order of ids alone wherever that is the same.

    It nearly always is: then the join with the leaves, half of the time, is left out.
    """
    for start in range(0, cut.size, _RANGE):
        end = min(start + _RANGE, cut.size)
        cursor.execute(_LOOK, [start, end])
        low, high, as_sealed = cursor.fetchone()
        if as_sealed:
            yield AuditEvent.objects.filter(pk__range=(low, high)).order_by("pk")
        else:
            yield rows.filter(sealed__seq__gte=start, sealed__seq__lt=end)
