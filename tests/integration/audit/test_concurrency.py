"""Sealing under contention: writers that roll back or commit late, two sealers, and one that dies in the middle.

Whatever happens, each committed event ends with exactly one leaf, places have no gaps, and verification finds nothing.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction

from iamroles.audit import checkpoint
from iamroles.audit.checkpoint import Checkpoint, SigningKey
from iamroles.audit.publish import FilePublisher
from iamroles.audit.reading import read_trail, snapshot
from iamroles.audit.seal import Sealer
from iamroles.audit.verify import Limits, verify_database
from iamroles.models import AuditEvent, AuditLeaf, AuditPending

from .conftest import NOON, ORIGIN, record_one

WRITERS = 16
EACH = 12


class Killed(Exception):
    """The sealer died between two instructions."""


def write(number: int, start: threading.Barrier) -> None:
    """Commits some transactions, rolls others back, and commits some late, after others with larger ids."""
    start.wait(timeout=60)
    for turn in range(EACH):
        with transaction.atomic():
            record_one(number * 100 + turn)
            if turn % 5 == 0:
                record_one(number * 100 + 50 + turn)
            if turn % 4 == number % 4:
                time.sleep(0.02)
            transaction.set_rollback(turn % 3 == 0)


def in_thread(target: Callable[[], object], errors: list[BaseException]) -> threading.Thread:
    def run() -> None:
        try:
            target()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
class TestSealingUnderContention:
    def test_gives_every_committed_event_one_place_though_sealers_are_killed(
        self,
        new_sealer: Callable[[], Sealer],
        key: SigningKey,
        kept: FilePublisher,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        real, signed, killed = checkpoint.sign, itertools.count(1), threading.Event()

        def die_at_every_third(said: Checkpoint, keys: Sequence[SigningKey]) -> str:
            if next(signed) % 3 == 0:
                killed.set()
                raise Killed
            return real(said, keys)

        monkeypatch.setattr(checkpoint, "sign", die_at_every_third)
        start, stop, errors = threading.Barrier(WRITERS + 1), threading.Event(), list[BaseException]()

        def seal() -> None:
            sealer = new_sealer()
            while not stop.wait(0.02):
                try:
                    sealer.seal(at=NOON + timedelta(minutes=1))
                except Killed:
                    sealer = new_sealer()

        sealers = [in_thread(seal, errors) for _ in range(2)]
        writers = [in_thread(lambda n=n: write(n, start), errors) for n in range(WRITERS)]  # type: ignore[misc]
        start.wait(timeout=60)
        for thread in writers:
            thread.join(timeout=120)
        late = 0
        while not killed.wait(0.05):  # writers that had the database to themselves left the sealers few batches
            assert late < 600, "no sealer came to its third batch within 30 seconds"
            with transaction.atomic():
                record_one(WRITERS * 100 + late)
            late += 1
        stop.set()
        for thread in sealers:
            thread.join(timeout=60)
        assert errors == []
        monkeypatch.setattr(checkpoint, "sign", real)
        new_sealer().seal_all(at=NOON + timedelta(minutes=1))
        written = late + WRITERS * sum(1 + (turn % 5 == 0) for turn in range(EACH) if turn % 3)
        places = list(AuditLeaf.objects.order_by("seq").values_list("seq", "event_id"))
        assert [seq for seq, _ in places] == list(range(written))
        assert sorted(event for _, event in places) == sorted(AuditEvent.objects.values_list("pk", flat=True))
        assert not AuditPending.objects.exists()
        for writer in range(WRITERS):
            requests = [f"REQ-{writer * 100 + turn:06d}" for turn in range(EACH)]
            events = AuditEvent.objects.filter(request__in=requests).order_by("sealed__seq")
            in_order = list(events.values_list("request", flat=True))
            assert in_order == sorted(in_order), "what one writer committed first comes first"
        assert problems(key, kept) == []

    def test_seals_an_event_with_a_smaller_id_that_commits_later(
        self, new_sealer: Callable[[], Sealer], key: SigningKey, kept: FilePublisher
    ) -> None:
        if connection.vendor == "sqlite":
            pytest.skip("on SQLite one writer has the whole database, so ids commit in order")
        recorded, go, errors = threading.Event(), threading.Event(), list[BaseException]()

        def late() -> None:
            with transaction.atomic():
                record_one(1)
                recorded.set()
                assert go.wait(timeout=60)

        thread = in_thread(late, errors)
        assert recorded.wait(timeout=60)
        second = record_one(2)
        sealer = new_sealer()
        assert sealer.seal(at=NOON).size == 1
        go.set()
        thread.join(timeout=60)
        assert (errors, sealer.seal(at=NOON).size) == ([], 2)
        assert list(AuditLeaf.objects.order_by("seq").values_list("event_id", flat=True)) == [second.pk, second.pk - 1]
        assert problems(key, kept) == []

    def test_leaves_nothing_behind_when_it_dies_in_the_middle(
        self, new_sealer: Callable[[], Sealer], key: SigningKey, kept: FilePublisher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def die(said: Checkpoint, keys: Sequence[SigningKey]) -> str:
            raise Killed

        record_one(1)
        record_one(2)
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "sign", die)
            with pytest.raises(Killed):
                new_sealer().seal(at=NOON)
        assert (AuditLeaf.objects.count(), AuditPending.objects.count()) == (0, 2)
        with monkeypatch.context() as patch:
            patch.setattr(FilePublisher, "publish", die)
            with pytest.raises(Killed):
                new_sealer().seal(at=NOON)
        assert (AuditLeaf.objects.count(), kept.latest()) == (2, None)
        new_sealer().seal(at=NOON)
        assert problems(key, kept) == []


def problems(key: SigningKey, kept: FilePublisher) -> list[str]:
    notes = kept.notes()
    with snapshot():
        report = verify_database(
            read_trail(),
            keys=[key.verifier],
            origin=ORIGIN,
            kept=notes,
            limits=Limits(now=NOON + timedelta(minutes=1)),
        )
    return [str(problem) for problem in report.problems]
