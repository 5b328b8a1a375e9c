"""Recording: the only function that inserts an event. It takes no lock and reads no chain head; sealing comes later.

An event and the change it tells of commit together, so `record` refuses to run outside a transaction.
"""

from __future__ import annotations

import functools
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from django.db import connections, router, transaction

from iamroles import correlation
from iamroles.audit import envelope, events
from iamroles.audit.values import Actor, AwsCall, Change, Outcome, Phase, Subject
from iamroles.models import AuditEvent, AuditPending

# One line an event on the process's log, which is collected elsewhere: `audit verify --leaf-log` reads it back.
LEAF_LOG = logging.getLogger("iamroles.audit.leaf")
_COLUMNS: Final = (*envelope.COLUMNS, "canon", "leaf")
_INSERT: Final[LiteralString] = f"""
WITH recorded AS (
    INSERT INTO audit_event ({", ".join(_COLUMNS)}) VALUES ({", ".join(["%s"] * len(_COLUMNS))}) RETURNING id
)
INSERT INTO audit_pending (event_id) SELECT id FROM recorded RETURNING event_id
"""  # noqa: S608 (constants of this module)


class NotInTransaction(RuntimeError):
    """An event was recorded outside a transaction: it could commit without its change, or the other way round."""


def record(
    action: str,
    *,
    actor: Actor,
    subject: Subject,
    at: datetime,
    request: str | None = None,
    revision: int | None = None,
    outcome: Outcome | str = "success",
    code: str | None = None,
    reason: str | None = None,
    phase: Phase | None = None,
    changes: Sequence[Change] = (),
    aws: AwsCall | None = None,
    on_behalf_of: Actor | None = None,
    data: Mapping[str, object] | None = None,
) -> AuditEvent:
    """Inserts the event and returns it. It carries the correlation of what is being done (iamroles.correlation).

    Raises NotInTransaction; events.UnknownEvent and events.WrongData for what events.py does not declare; TooLarge
    above 65,535 bytes; canonical.CanonicalError for values outside the subset.
    """
    alias = router.db_for_write(AuditEvent)
    if not connections[alias].in_atomic_block:
        raise NotInTransaction(f"{action} must be recorded inside the transaction of its change")
    details = dict(data or {})
    events.check(action, details)
    if outcome not in events.OUTCOMES:
        raise events.WrongData(f"{action}: there is no outcome {outcome!r}")
    built = envelope.build_envelope(
        event_id=new_event_id(),
        at=at,
        action=action,
        actor=actor,
        subject=subject,
        request=request,
        revision=revision,
        outcome=outcome,
        code=code,
        reason=reason,
        phase=phase,
        changes=changes,
        aws=aws,
        correlation=correlation.current(),
        on_behalf_of=on_behalf_of,
        data=details,
    )
    canon = envelope.write(built)
    event = AuditEvent(**envelope.project(built)._asdict(), canon=canon.decode(), leaf=envelope.leaf_hash(canon))
    _insert(event, alias)
    if actor.channel != "command":  # a person's terminal is collected nowhere
        tell = functools.partial(LEAF_LOG.info, "audit-leaf %s %s", event.reference, event.leaf.hex())
        transaction.on_commit(tell, using=alias, robust=True)
    return event


def _insert(event: AuditEvent, alias: str) -> None:
    """Inserts the event and that it waits to be sealed: on PostgreSQL in one statement, hence one round trip.

    There the server binds the values, which takes a third less than writing them into the statement as Django does.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":
        event.save(force_insert=True, using=alias)
        AuditPending(event_id=event.pk).save(force_insert=True, using=alias)
        return
    values = [getattr(event, column) for column in _COLUMNS]
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        (event.pk,) = cursor.execute(_INSERT, values).fetchone() or (None,)
    event._state.adding, event._state.db = False, alias


def record_alone(action: str, **arguments: Any) -> AuditEvent:
    """Records, as `record` does, in a transaction of its own: for acts that change no row."""
    with transaction.atomic(using=router.db_for_write(AuditEvent)):
        return record(action, **arguments)


def new_event_id() -> UUID:
    """Returns a UUIDv7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value &= ~(0xF << 76) & ~(0x3 << 62)
    return UUID(int=value | 0x7 << 76 | 0x2 << 62)
