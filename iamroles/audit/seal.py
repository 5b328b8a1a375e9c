"""The sealer: gives waiting events their place in the Merkle tree, signs the new root and publishes it.

One batch is one transaction. There is no other order than the one made here, and nothing is signed that contradicts
what was published before. The sealer reads payloads and never trusts stored hashes of new events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, connections, transaction

from iamroles.audit import checkpoint, generations, merkle
from iamroles.audit.checkpoint import Checkpoint, SigningKey, VerifierKey
from iamroles.audit.continuity import Beginning, Consistency, Halted, Restored, tree_of
from iamroles.audit.derive import contradiction, read
from iamroles.audit.envelope import leaf_hash, write_time
from iamroles.audit.lag import late_since
from iamroles.audit.publish import NotPublished, Publisher
from iamroles.audit.record import record_alone
from iamroles.audit.values import Actor, Subject
from iamroles.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditPending, AuditReceipt

SEALER: Final = Actor(type="system", id="sealer", name="The sealer", channel="tend")
BATCH: Final = {"postgresql": 10_000, "sqlite": 500}
_LOCK: Final = 0x524F4C4553  # any number, the same for every sealer
_TRAIL: Final = Subject("audit", "trail", "audit trail")
_REPEAT_ALARM: Final = timedelta(minutes=5)


class _Busy(Exception):
    """Another sealer holds the lock; there is nothing to do."""


@dataclass(frozen=True)
class Sealed:
    """What one call did: how many events it sealed, the size of the trail now, and the newest note, if any."""

    events: int
    size: int
    note: str | None


@dataclass
class Sealer:
    """Everything that sealing needs. Make one per process; it checks all leaves once, at its first batch.

    `origin` is that of the first generation; the newest stored checkpoint says which one goes on.
    """

    origin: str
    keys: Sequence[SigningKey]
    vkeys: Sequence[VerifierKey]
    publishers: Sequence[Publisher]
    using: str = "default"
    lag: timedelta = timedelta(seconds=30)
    checked: bool = False
    late: bool | None = None  # not known before the first look at the trail

    def seal(self, *, at: datetime) -> Sealed:
        """Seals one batch, publishes the newest checkpoint and returns what was done.

        Raises Halted, after recording `audit.halted`, when the trail contradicts itself or a published checkpoint;
        Restored when it is shorter than that, until its fork is declared.
        A publisher that fails is recorded as `publication.failed` and tried again by the next call.
        """
        self._tell_lag(at)
        try:
            done = self._seal_batch(at, self._require_consistency())
        except _Busy:
            return Sealed(0, *_newest(self.using))
        except Halted as error:
            lost = {"last_note": error.note} if isinstance(error, Restored) else {}
            self._alarm("audit.halted", _TRAIL, {"reason": str(error), **lost}, at)
            raise
        self._publish(at)
        return done

    def seal_all(self, *, at: datetime) -> Sealed:
        """Seals batch after batch until nothing waits. Returns the sum. Raises Halted."""
        done = self.seal(at=at)
        total = done.events
        while done.events:
            done = self.seal(at=at)
            total += done.events
        return Sealed(total, done.size, done.note)

    def _tell_lag(self, at: datetime) -> None:
        """Records `audit.lagged` when sealing or publishing is later than the lag limit, then `audit.recovered`."""
        since = late_since(self.using)
        late = since is not None and at - since > self.lag
        if self.late is None:
            told = AuditEvent.objects.filter(action__in=("audit.lagged", "audit.recovered")).order_by("-pk").first()
            self.late = told is not None and told.action == "audit.lagged"
        if late == self.late:
            return
        self.late = late
        record_alone(
            "audit.lagged" if late else "audit.recovered",
            actor=SEALER,
            subject=_TRAIL,
            at=at,
            outcome="failed" if late else "success",
            data={
                "pending": AuditPending.objects.using(self.using).count(),
                "oldest_at": write_time(since) if since else None,
            },
        )

    def _require_consistency(self) -> Beginning | None:
        """Raises Halted unless the trail fits what is stored and published and, once per process, its leaves."""
        held = Consistency(self.origin, self.vkeys, self.publishers, self.using)
        begins = held.require(leaves=not self.checked)
        self.checked = True
        return begins

    def _seal_batch(self, at: datetime, begins: Beginning | None) -> Sealed:
        with transaction.atomic(using=self.using, durable=True):
            self._lock()
            stored = AuditCheckpoint.objects.using(self.using).order_by("-size").first()
            limit = BATCH[connections[self.using].vendor]
            pending = AuditPending.objects.using(self.using).order_by("event_id")
            ids = list(pending.values_list("event_id", flat=True)[:limit])
            if begins:
                if begins.size != (stored.size if stored else 0):
                    raise _Busy  # another sealer was quicker
                ids = [begins.event_id, *(event_id for event_id in ids if event_id != begins.event_id)]
            if not ids:
                return Sealed(0, stored.size if stored else 0, stored.note if stored else None)
            tree = tree_of(stored) if stored else merkle.Frontier()
            leaves = self._hash(ids, tree)
            try:
                AuditLeaf.objects.using(self.using).bulk_create(leaves, batch_size=1000)
            except IntegrityError as error:  # whoever may add events may also say again that a sealed one waits
                raise Halted("a waiting event is sealed already, or its place is taken") from error
            removed, _ = AuditPending.objects.using(self.using).filter(event_id__in=ids).delete()
            if removed != len(ids):
                raise Halted("waiting events were removed while they were being sealed")
            origin = self._origin(stored, begins)
            signing = [replace(key, name=origin) for key in self.keys if key.signs_at(at)]
            note = checkpoint.sign(Checkpoint(origin, tree.size, tree.root()), signing)
            AuditCheckpoint.objects.using(self.using).create(
                size=tree.size, root=tree.root(), frontier=tree.write(), note=note, signed_at=at
            )
        return Sealed(len(ids), tree.size, note)

    def _origin(self, stored: AuditCheckpoint | None, begins: Beginning | None) -> str:
        if begins:
            return generations.spell(self.origin, begins.generation)
        return checkpoint.read(stored.note).origin if stored else self.origin

    def _lock(self) -> None:
        # SQLite needs none: BEGIN IMMEDIATE has the whole database. UNIQUE(seq) is the guard behind both.
        connection = connections[self.using]
        if connection.vendor != "postgresql":
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            row = cursor.fetchone()
        if row is None or not row[0]:
            raise _Busy

    def _hash(self, ids: Sequence[int], tree: merkle.Frontier) -> list[AuditLeaf]:
        rows = {event.pk: event for event in read(AuditEvent.objects.using(self.using).filter(pk__in=ids))}
        leaves = []
        for pk in ids:
            event = rows.get(pk)
            if event is None:
                raise Halted(f"EVT-{pk:07d} waits to be sealed but does not exist")
            problem = contradiction(event)
            if problem:
                raise Halted(f"{event.reference}: {problem}")
            leaf = leaf_hash(event.text)
            leaves.append(AuditLeaf(seq=tree.size, event_id=pk, leaf=leaf))
            tree.append(leaf)
        return leaves

    def _publish(self, at: datetime) -> None:
        newest = AuditCheckpoint.objects.using(self.using).order_by("-size").first()
        if newest is None:
            return
        receipts = AuditReceipt.objects.using(self.using)
        have = set(receipts.filter(size=newest.size).values_list("publisher", flat=True))
        for publisher in self.publishers:
            if publisher.name in have:
                continue
            try:
                receipt = publisher.publish(newest.note)
            except NotPublished as error:
                data = {"publisher": publisher.name, "size": newest.size, "code": error.code}
                self._alarm("publication.failed", Subject("publisher", publisher.name, publisher.name), data, at)
                continue
            receipts.get_or_create(
                size=newest.size, publisher=publisher.name, defaults={"receipt": receipt, "published_at": at}
            )

    def _alarm(self, action: str, subject: Subject, data: dict[str, object], at: datetime) -> None:
        """Records a failure, but the same one not again within five minutes."""
        recent = AuditEvent.objects.filter(action=action, object_id=subject.id, at__gt=at - _REPEAT_ALARM)
        if not recent.exists():
            record_alone(action, actor=SEALER, subject=subject, at=at, outcome="failed", data=data)


def _newest(using: str) -> tuple[int, str | None]:
    row = AuditCheckpoint.objects.using(using).order_by("-size").first()
    return (row.size, row.note) if row else (0, None)
