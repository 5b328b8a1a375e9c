"""Sealing and verifying: an untouched trail answers 0; what a database administrator can do to it answers 1."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from iamroles.audit import guard, merkle
from iamroles.audit.checkpoint import SigningKey
from iamroles.audit.continuity import Halted
from iamroles.audit.publish import FilePublisher
from iamroles.audit.reading import read_trail, snapshot
from iamroles.audit.report import Report
from iamroles.audit.seal import Sealed, Sealer
from iamroles.audit.verify import Limits, verify_database
from iamroles.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditPending, AuditReceipt

from .conftest import NOON, ORIGIN, record_one

TOO_OLD = "2026-11-24T12:00:08.123456Z"

pytestmark = pytest.mark.django_db


@pytest.fixture
def verify(key: SigningKey, kept: FilePublisher) -> Callable[[], Report]:
    def run() -> Report:
        notes = kept.notes()
        with snapshot():
            return verify_database(
                read_trail(),
                keys=[key.verifier],
                origin=ORIGIN,
                kept=notes,
                limits=Limits(now=NOON + timedelta(minutes=2)),
            )

    return run


@pytest.fixture
def dba() -> Callable[[str], None]:
    """Runs SQL with the triggers lifted and puts them back, as a database owner can."""

    def run(sql: str) -> None:
        guard.remove(connection)
        with connection.cursor() as cursor:
            cursor.execute(sql)
        guard.install(connection)

    return run


class TestSeal:
    def test_gives_each_waiting_event_a_leaf_in_order(self, sealed_trail: list[AuditEvent]) -> None:
        assert list(AuditLeaf.objects.order_by("seq").values_list("seq", "event_id")) == [
            (seq, event.pk) for seq, event in enumerate(sealed_trail)
        ]
        assert not AuditPending.objects.exists()

    def test_signs_the_roots_over_the_leaves_and_publishes_them(
        self, sealed_trail: list[AuditEvent], kept: FilePublisher
    ) -> None:
        leaves = [bytes(event.leaf) for event in sealed_trail]
        assert [(row.size, bytes(row.root)) for row in AuditCheckpoint.objects.order_by("size")] == [
            (3, merkle.root(leaves[:3])),
            (7, merkle.root(leaves)),
        ]
        assert kept.latest() == AuditCheckpoint.objects.get(size=7).note
        assert list(AuditReceipt.objects.order_by("size").values_list("size", "publisher", "receipt")) == [
            (3, "file", "000000000003.note"),
            (7, "file", "000000000007.note"),
        ]

    def test_does_nothing_when_nothing_waits(self, new_sealer: Callable[[], Sealer]) -> None:
        assert new_sealer().seal(at=NOON) == Sealed(0, 0, None)

    def test_tells_when_it_was_late_and_when_it_has_caught_up(self, new_sealer: Callable[[], Sealer]) -> None:
        sealer = new_sealer()
        record_one(1)
        for minutes in (5, 6, 7, 8):
            sealer.seal(at=NOON + timedelta(minutes=minutes, seconds=2))
        told = AuditEvent.objects.filter(action__startswith="audit.").order_by("pk")
        assert [(event.action, event.outcome, json.loads(event.canon)["data"]) for event in told] == [
            ("audit.lagged", "failed", {"pending": 1, "oldest_at": "2026-11-24T12:00:01.123456Z"}),
            ("audit.recovered", "success", {"pending": 0, "oldest_at": None}),
        ]

    def test_goes_on_after_a_publisher_failed(self, new_sealer: Callable[[], Sealer], tmp_path: Path) -> None:
        (tmp_path / "checkpoints").write_text("a file in the way of the directory")
        record_one(1)
        new_sealer().seal(at=NOON)
        failed = AuditEvent.objects.get(action="publication.failed")
        assert (failed.outcome, failed.object_id) == ("failed", "file")
        (tmp_path / "checkpoints").unlink()
        new_sealer().seal(at=NOON + timedelta(seconds=1))
        assert [row.size for row in AuditReceipt.objects.all()] == [2]

    @pytest.mark.parametrize(
        ("sql", "message"),
        [
            ("UPDATE audit_event SET actor_name = 'Eve' WHERE id = {last}", "EVT-{last:07d}: the column actor_name"),
            ("DELETE FROM audit_event WHERE id = {last}", "EVT-{last:07d} waits to be sealed but does not exist"),
            (
                "INSERT INTO audit_pending (event_id) SELECT event_id FROM audit_leaf WHERE seq = 2",
                "a waiting event is sealed already",
            ),
            ("DELETE FROM audit_checkpoint WHERE size = 7", "the checkpoint of size 7 was published to file but"),
            ("DELETE FROM audit_leaf WHERE seq = 2", "leaf 2 is missing"),
            ("UPDATE audit_checkpoint SET frontier = root WHERE size = 7", "the checkpoint of size 7 is damaged"),
        ],
    )
    def test_halts_with_an_event(
        self,
        sql: str,
        message: str,
        sealed_trail: list[AuditEvent],
        new_sealer: Callable[[], Sealer],
        dba: Callable[[str], None],
    ) -> None:
        last = record_one(8).pk
        dba(sql.format(last=last))
        with pytest.raises(Halted) as halted:
            new_sealer().seal(at=NOON)
        assert str(halted.value).startswith(message.format(last=last))
        assert AuditEvent.objects.get(action="audit.halted").outcome == "failed"
        assert AuditCheckpoint.objects.filter(size__gt=7).count() == 0

    def test_halts_on_a_restored_backup(
        self, sealed_trail: list[AuditEvent], new_sealer: Callable[[], Sealer], dba: Callable[[str], None]
    ) -> None:
        dba("DELETE FROM audit_leaf WHERE seq > 2")
        dba("DELETE FROM audit_checkpoint WHERE size > 3")
        with pytest.raises(Halted, match="the checkpoint of size 7 was published to file but is not in the database"):
            new_sealer().seal(at=NOON)


class TestVerifyDatabase:
    def test_answers_0_on_an_untouched_trail(
        self, sealed_trail: list[AuditEvent], verify: Callable[[], Report]
    ) -> None:
        report = verify()
        assert (report.exit, report.size, report.covered, report.waiting) == (0, 7, 7, 0)
        assert report.root == merkle.root(bytes(event.leaf) for event in sealed_trail)

    def test_answers_0_while_young_events_wait(
        self, sealed_trail: list[AuditEvent], verify: Callable[[], Report]
    ) -> None:
        record_one(8, at=NOON + timedelta(minutes=2))
        report = verify()
        assert (report.exit, report.size, report.waiting) == (0, 7, 1)

    def test_answers_2_when_events_wait_too_long(
        self, sealed_trail: list[AuditEvent], verify: Callable[[], Report]
    ) -> None:
        record_one(8)
        report = verify()
        assert (report.exit, [str(problem) for problem in report.problems]) == (
            2,
            [
                f"1 events are not sealed yet, the oldest since {TOO_OLD}: they are not covered by any checkpoint",
            ],
        )

    def test_answers_2_when_nothing_is_kept_outside(
        self, sealed_trail: list[AuditEvent], verify: Callable[[], Report], tmp_path: Path
    ) -> None:
        for path in (tmp_path / "checkpoints").iterdir():
            path.unlink()
        assert [str(problem) for problem in verify().problems] == [
            "no checkpoint is kept outside the database, so there is nothing to compare with"
        ]
        assert verify().exit == 2

    @pytest.mark.parametrize(
        ("sql", "reason"),
        [
            (
                "UPDATE audit_event SET canon = replace(canon, 'Comment 3', 'Comment 9') WHERE id = {third}",
                "{third_name} (seq 2): the text does not have the stored hash",
            ),
            (
                "UPDATE audit_event SET actor_name = 'Eve' WHERE id = {third}",
                "{third_name} (seq 2): the column actor_name is not what the text says",
            ),
            (
                "UPDATE audit_event SET revision = 2 WHERE id = {third}",
                "{third_name} (seq 2): the column revision is not what the text says",
            ),
            ("DELETE FROM audit_event WHERE id = {third}", "{third_name} (seq 2): the event was deleted"),
            ("DELETE FROM audit_leaf WHERE seq = 2", "seq 2: the leaf is missing"),
            ("DELETE FROM audit_leaf WHERE seq = 6", "{last_name}: the event has no leaf and does not wait for one"),
            (
                "INSERT INTO audit_pending (event_id) VALUES ({third})",
                "{third_name}: the event waits to be sealed a second time",
            ),
            (
                "UPDATE audit_checkpoint SET frontier = root WHERE size = 7",
                "the stored checkpoint of size 7 has a frontier that does not give its root",
            ),
            (
                "DELETE FROM audit_checkpoint WHERE size = 3",
                "the checkpoint of size 3 was published but is not stored any more",
            ),
        ],
    )
    def test_names_the_first_bad_event(
        self,
        sql: str,
        reason: str,
        sealed_trail: list[AuditEvent],
        verify: Callable[[], Report],
        dba: Callable[[str], None],
    ) -> None:
        third, last = sealed_trail[2], sealed_trail[6]
        dba(sql.format(third=third.pk))
        report = verify()
        named = [str(problem) for problem in report.problems]
        assert reason.format(third_name=third.reference, last_name=last.reference) in named
        assert report.exit == 1

    def test_finds_a_deleted_waiting_event(
        self, sealed_trail: list[AuditEvent], verify: Callable[[], Report], dba: Callable[[str], None]
    ) -> None:
        event = record_one(8, at=NOON + timedelta(minutes=2))
        dba(f"DELETE FROM audit_event WHERE id = {event.pk}")
        assert [str(problem) for problem in verify().problems] == [
            f"{event.reference}: the event was deleted while it waited to be sealed"
        ]

    def test_finds_a_deleted_pending_row(
        self, sealed_trail: list[AuditEvent], verify: Callable[[], Report], dba: Callable[[str], None]
    ) -> None:
        event = record_one(8, at=NOON + timedelta(minutes=2))
        dba(f"DELETE FROM audit_pending WHERE event_id = {event.pk}")
        assert [str(problem) for problem in verify().problems] == [
            f"{event.reference}: the event has no leaf and does not wait for one"
        ]

    def test_finds_a_missing_trigger(self, sealed_trail: list[AuditEvent], verify: Callable[[], Report]) -> None:
        on_table = " ON audit_event" if connection.vendor == "postgresql" else ""
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER audit_event_no_update{on_table}")
        report = verify()
        guard.install(connection)
        assert [str(problem) for problem in report.problems] == [
            "the trigger audit_event_no_update is missing or disabled"
        ]
        assert report.exit == 1

    def test_finds_a_trail_that_was_rewritten_as_a_whole(
        self,
        sealed_trail: list[AuditEvent],
        verify: Callable[[], Report],
        dba: Callable[[str], None],
        key: SigningKey,
    ) -> None:
        for table in ("audit_leaf", "audit_checkpoint", "audit_receipt", "audit_event"):
            dba(f"DELETE FROM {table}")
        for number in range(1, 8):
            record_one(number, reason="Nothing to see")
        Sealer(origin=ORIGIN, keys=[key], vkeys=[key.verifier], publishers=[]).seal(at=NOON)
        report = verify()
        assert report.exit == 1
        assert str(report.first_bad) == (
            f"3 events up to EVT-{AuditLeaf.objects.get(seq=2).event_id:07d} (seq 0 to 2) are not what was published "
            "at size 3"
        )
