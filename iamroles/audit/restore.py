"""Restores from a backup, as the rows tell of them: what was lost, its declaration by two operators, and whether each
declaration was one.

The sealer finds a restore (`continuity`) and goes on once the declaration waits; nothing here seals or signs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from iamroles import canonical
from iamroles.audit import checkpoint, config, generations
from iamroles.audit.generations import FORKED, Fork, Line
from iamroles.audit.record import record
from iamroles.audit.values import Actor, Subject
from iamroles.models import AuditCheckpoint, AuditEvent, AuditPending, ProposedChange
from iamroles.models.changes import CONFIRMED

SUBJECT = "restore"  # of the change that two people make


@dataclass(frozen=True)
class Loss:
    """A restore that nobody declared: the trail of `previous` has `lost_from` events, `last_note` covers `lost_to`."""

    previous: int
    generation: int
    last_note: str
    lost_from: int
    lost_to: int

    def facts(self) -> dict[str, object]:
        """Returns what `audit.forked` says of it."""
        return asdict(self)


def undeclared(using: str = "default") -> Loss | None:
    """Returns the restore at which the sealer halted, or None; also None once its declaration waits to be sealed."""
    waiting = AuditPending.objects.using(using).filter(event__action__in=("audit.halted", FORKED))
    newest = waiting.order_by("-event_id").values_list("event__action", "event__canon").first()
    if newest is None or newest[0] == FORKED:
        return None
    note = json.loads(newest[1])["data"].get("last_note")
    if note is None:
        return None
    said, (size, origin) = checkpoint.read(note), _stored(using)
    generation = generations.number(said.origin) + 1
    return Loss(generations.number(origin), generation, note, size, said.size)


def _stored(using: str) -> tuple[int, str]:
    row = AuditCheckpoint.objects.using(using).order_by("-size").first()
    return (row.size, checkpoint.read(row.note).origin) if row else (0, config.first_origin())


def declare(
    facts: Mapping[str, object], *, change: str, proposed_by: str, reason: str, actor: Actor, at: datetime
) -> AuditEvent:
    """Records `audit.forked`, which becomes the first leaf of the next generation."""
    data = {**facts, "change": change, "proposed_by": proposed_by}
    trail = Subject("audit", "trail", "audit trail")
    return record(FORKED, actor=actor, subject=trail, at=at, reason=reason, data=data)


def line(using: str = "default") -> Line:
    """Returns the generations of the sealed trail, as its rows say."""
    rows = AuditEvent.objects.using(using).filter(action=FORKED, sealed__isnull=False).order_by("sealed__seq")
    read = (generations.read_fork(canon.encode(), seq) for seq, canon in rows.values_list("sealed__seq", "canon"))
    forks: list[Fork] = [fork for fork in read if fork is not None]
    return Line(generations.number(config.first_origin()), forks)


def wrong_restores(using: str) -> Iterator[str]:
    """Yields a sentence for each declared restore that two people did not propose and confirm."""
    rows = AuditEvent.objects.using(using).filter(action=FORKED).order_by("pk")
    for pk, canon in rows.values_list("pk", "canon"):
        said = dict(json.loads(canon)["data"])
        number, proposed_by = str(said.pop("change", "")).removeprefix("CHG-"), said.pop("proposed_by", "")
        changes = ProposedChange.objects.using(using).filter(pk=number if number.isdigit() else 0, subject=SUBJECT)
        change = changes.first()
        text = canonical.dumps(said).decode()
        if change is None or (change.state, change.content, str(change.proposed_by_id)) != (
            CONFIRMED,
            text,
            proposed_by,
        ):
            yield f"EVT-{pk:07d} declares a restore from a backup that two people did not confirm"
