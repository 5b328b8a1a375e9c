"""Reading the trail's rows for `verify`, all from one consistent snapshot and in batches, so that memory stays flat.

It fetches and judges nothing, but for columns that cannot even be read, which it marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from django.db import connections, transaction
from django.db.models import Min, QuerySet

from iamroles.audit import (
    config,
    derive,
    grants,
    guard,
    restore,
    states,
    states_inventory,
    states_people,
    states_records,
    states_rules,
    states_runs,
)
from iamroles.audit.derive import StoredEvent, text_of
from iamroles.audit.envelope import leaf_hash
from iamroles.audit.verify import SealedRow, StoredCheckpoint, Trail
from iamroles.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditPending

_BATCH: Final = 2_000
_SAMPLE: Final = 50
_TEXTS: Final = """
SELECT l.seq, l.event_id, l.leaf, e.canon FROM audit_leaf l LEFT JOIN audit_event e ON e.id = l.event_id
WHERE l.seq >= %s AND l.seq < %s ORDER BY l.seq
"""


@contextmanager
def snapshot(using: str = "default") -> Iterator[None]:
    """Reads inside the block see one state of the database. Writers are not held up.

    Inside a transaction it changes nothing: then the caller's transaction decides what is seen.
    """
    connection = connections[using]
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic(using=using):
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
    else:
        # Our own BEGIN, because Django's is IMMEDIATE and would keep writers out.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")


def read_trail(using: str = "default", *, fast: bool = False) -> Trail:
    """Returns the rows. Its iterables are lazy: consume them inside `snapshot`.

    `fast` reads the columns of one sealed event in fifty only, so that no others are derived again; every text is read.
    """
    leaves, pending = AuditLeaf.objects.using(using), AuditPending.objects.using(using)
    events = AuditEvent.objects.using(using)
    stored = AuditCheckpoint.objects.using(using).order_by("size")
    return Trail(
        sealed=_sealed_texts(using) if fast else _sealed(using),
        unsealed=_unsealed(using),
        waiting_without_event=list(
            pending.exclude(event_id__in=events.values("pk")).order_by("event_id").values_list("event_id", flat=True)
        ),
        waiting_though_sealed=list(
            pending.filter(event_id__in=leaves.values("event_id"))
            .order_by("event_id")
            .values_list("event_id", flat=True)
        ),
        checkpoints=[
            StoredCheckpoint(row.size, bytes(row.root), bytes(row.frontier), row.note, row.signed_at) for row in stored
        ],
        missing_triggers=guard.missing(connections[using]),
        wrong_grants=grants.excessive(using, *config.database_roles()),
        wrong_states=wrong_states(using),
    )


_STATE_CHECKS: Final = (
    states.wrong_requests,
    states.wrong_revisions,
    states.wrong_approvals,
    states.wrong_proposals,
    states_runs.wrong_runs,
    states_runs.wrong_steps,
    states_inventory.wrong_inventory,
    states_people.wrong_memberships,
    states_people.wrong_provider_groups,
    states_people.wrong_pauses,
    states_people.wrong_rules,
    states_people.wrong_dates,
    states_rules.wrong_account_rules,
    states_rules.wrong_auto_approvals,
    states_records.wrong_people,
    states_records.wrong_entries,
    states_records.wrong_accounts,
    states_records.wrong_team_accounts,
    states_records.wrong_changes,
    states_records.wrong_absences,
    restore.wrong_restores,
)


def wrong_states(using: str = "default") -> list[str]:
    """Returns a sentence for each row that its events do not explain: requests, runs, steps, approvals, rights."""
    return [sentence for check in _STATE_CHECKS for sentence in check(using)]


def read_hashes(ids: Sequence[int], using: str = "default") -> Iterator[tuple[int, bytes]]:
    """Yields id and hash of the text as it is now, for those of these events that exist."""
    for start in range(0, len(ids), _BATCH):
        rows = AuditEvent.objects.using(using).filter(pk__in=ids[start : start + _BATCH]).order_by("pk")
        for event in derive.read(rows):
            yield event.pk, leaf_hash(event.text)


def _sealed_texts(using: str) -> Iterator[SealedRow]:
    """Yields all leaves with the text of their event alone, and one event in fifty with its columns."""
    begin: int | None = 0
    while begin is not None:
        # By a range: for a LIMIT, PostgreSQL starts parallel workers anew for each batch of a large trail.
        with connections[using].cursor() as cursor:
            cursor.execute(_TEXTS, [begin, begin + _BATCH])
            batch = cursor.fetchall()
        wanted = [row[1] for row in batch if row[0] % _SAMPLE == 0]
        events, unreadable = _read(AuditEvent.objects.using(using).filter(pk__in=wanted), wanted)
        for seq, event_id, leaf, canon in batch:
            text = canon.encode() if type(canon) is str and canon.isascii() else _text(canon)
            yield SealedRow(seq, event_id, leaf, text, events.get(event_id), event_id in unreadable)
        begin = AuditLeaf.objects.using(using).filter(seq__gte=begin + _BATCH).aggregate(seq=Min("seq"))["seq"]


def _text(canon: object) -> bytes | None:
    return None if canon is None else text_of(canon)


def _sealed(using: str) -> Iterator[SealedRow]:
    rows = AuditLeaf.objects.using(using).order_by("seq").values_list("seq", "event_id", "leaf")
    last = None
    while True:
        batch = list((rows if last is None else rows.filter(seq__gt=last))[:_BATCH])
        if not batch:
            return
        last = batch[-1][0]
        yield from _with_events(batch, using)


def _with_events(batch: Sequence[tuple[int, int, bytes | memoryview[int]]], using: str) -> Iterator[SealedRow]:
    rows = AuditEvent.objects.using(using).filter(sealed__seq__range=(batch[0][0], batch[-1][0]))
    events, unreadable = _read(rows, [event_id for _, event_id, _ in batch])
    for seq, event_id, leaf in batch:
        event = events.get(event_id)
        yield SealedRow(seq, event_id, leaf, event.text if event else None, event, event_id in unreadable)


def _read(rows: QuerySet[AuditEvent], ids: Sequence[int]) -> tuple[dict[int, StoredEvent], set[int]]:
    """Returns the events of these rows, and those of the ids whose columns cannot be read."""
    try:
        return {event.pk: event for event in derive.read(rows)}, set()
    except (ValueError, TypeError):  # a column holds nonsense: find out in which row
        found: dict[int, StoredEvent] = {}
        unreadable: set[int] = set()
    for event_id in ids:
        try:
            found |= {event.pk: event for event in derive.read(rows.filter(pk=event_id))}
        except (ValueError, TypeError):
            unreadable.add(event_id)
    return found, unreadable


def _unsealed(using: str) -> Iterator[tuple[StoredEvent, bool]]:
    rows = AuditEvent.objects.using(using).filter(sealed__isnull=True).order_by("pk")
    waiting = set(AuditPending.objects.using(using).values_list("event_id", flat=True))
    for event in derive.read(rows):
        yield event, event.pk in waiting
