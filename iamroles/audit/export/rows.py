"""The rows of an export: sealed events up to a checkpoint, in the order of sealing, by COPY or by short reads.

Memory does not grow with the export, and on SQLite no read lasts long enough to hold up the write-ahead log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from django.db.models import QuerySet

from iamroles.audit.export.copying import BETWEEN, copies, copy_lines, reading
from iamroles.audit.find import EventFilter, events_matching
from iamroles.models import AuditCheckpoint, AuditEvent, AuditPending

BATCH: Final = 5_000
_LOOK_AGAIN: Final = 0.1  # seconds


class NothingSealed(Exception):
    """There is no checkpoint yet, so there is nothing that an export could be cut at."""


class Row(NamedTuple):
    """A sealed event of an export: its place, its id and its canonical text. All else follows from the text."""

    seq: int
    pk: int
    canon: str


@dataclass(frozen=True)
class Cut:
    """Where an export ends: the checkpoint that covers it."""

    size: int
    root: bytes
    note: str


def find_cut(*, wait: float = 2.0, using: str = "default") -> Cut:
    """Returns the newest checkpoint, after waiting up to `wait` seconds for what is pending now to be sealed.

    Raises NothingSealed when there is none.
    """
    newest_waiting = AuditPending.objects.using(using).order_by("-event_id").values_list("event_id", flat=True).first()
    until = time.monotonic() + wait
    while newest_waiting is not None and time.monotonic() < until:
        if not AuditPending.objects.using(using).filter(event_id__lte=newest_waiting).exists():
            break
        time.sleep(_LOOK_AGAIN)
    row = AuditCheckpoint.objects.using(using).order_by("-size").first()
    if row is None:
        raise NothingSealed("No event is sealed yet. Is `manage.py tend` running?")
    return Cut(row.size, bytes(row.root), row.note)


def cut_at(size: int) -> Cut:
    """Returns the cut at the checkpoint of this size. Raises AuditCheckpoint.DoesNotExist."""
    row = AuditCheckpoint.objects.get(size=size)
    return Cut(row.size, bytes(row.root), row.note)


def count_rows(
    wanted: EventFilter, cut: Cut, *, among: QuerySet[AuditEvent] | None = None, at_most: int | None = None
) -> int:
    """Returns how many events an export holds, or `at_most`. It reads them: forms of exports ask, lists never do."""
    return _sealed(wanted, cut, among, "default")[:at_most].count()


def read_rows(
    wanted: EventFilter,
    cut: Cut,
    *,
    among: QuerySet[AuditEvent] | None = None,
    using: str = "default",
    after: int = -1,
) -> Iterator[Row]:
    """Yields the sealed events of the filter behind seq `after`, `among` those a person may see."""
    rows = sealed_rows(wanted, cut, among, using)
    if copies(using):
        with reading(using) as cursor:
            for line in copy_lines(rows.filter(sealed__seq__gt=after), cursor):
                seq, pk, canon = bytes(line).split(BETWEEN, 2)
                yield Row(int(seq), int(pk), canon[:-1].decode())
        return
    last = after
    while batch := list(rows.filter(sealed__seq__gt=last)[:BATCH]):
        yield from map(Row._make, batch)
        last = batch[-1][0]


def sealed_rows(
    wanted: EventFilter, cut: Cut, among: QuerySet[AuditEvent] | None, using: str
) -> QuerySet[AuditEvent, tuple[int, int, str]]:
    """Returns seq, id and text of the sealed events of a filter up to the cut, in the order of sealing."""
    rows = _sealed(wanted, cut, among, using).order_by("sealed__seq")
    return rows.values_list("sealed__seq", "pk", "canon")


def _sealed(wanted: EventFilter, cut: Cut, among: QuerySet[AuditEvent] | None, using: str) -> QuerySet[AuditEvent]:
    rows = events_matching(wanted, using=using).filter(sealed__seq__lt=cut.size)
    return rows if among is None else rows.filter(pk__in=among.values("pk"))
