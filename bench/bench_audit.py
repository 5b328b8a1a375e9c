"""What the audit trail costs: recording, sealing, verifying, exporting and paging, each against a bare baseline.

It makes a database of its own: SQLite in a temporary folder, or the empty PostgreSQL database that DATABASE_URL names.
EVENTS (default 20000) is how many events the trail holds; the goals of the design are for EVENTS=1000000.
"""

# ruff: noqa: PLC0415  (Django is set up first, for a database in the temporary folder)

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.figures import Figure

EVENTS = int(os.environ.get("EVENTS", "20000"))
CHANGES = 300
PAGES = 20
START = datetime(2026, 1, 1, tzinfo=UTC)


def measure() -> Iterator[Figure]:
    """Yields the figures, baselines first."""
    with tempfile.TemporaryDirectory(prefix="roledesk-bench-") as folder:
        os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings.test"
        os.environ["ROLEDESK_VAR"] = folder
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield from recording()
        fill(EVENTS)
        yield from sealing_and_verifying(Path(folder))
        yield from exporting(Path(folder))
        yield from paging()


def timed(act: Callable[[], object]) -> float:
    """Returns the seconds that it takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def drain(rows: Iterable[Any]) -> None:
    """Reads everything and keeps nothing."""
    for _ in rows:
        pass


def recording() -> Iterator[Figure]:
    """A change of one row with its event, against the same change alone; one after the other, in turn."""
    from django.db import transaction

    from iamroles.audit.record import record
    from iamroles.models import User

    user = User.objects.create(username="bench")

    def change(number: int, *, audited: bool) -> None:
        with transaction.atomic():
            User.objects.filter(pk=user.pk).update(first_name=f"Bench {number}")
            if audited:
                record(**comment(number))

    bare, audited = [], []
    for number in range(CHANGES):
        bare.append(timed(lambda n=number: change(n, audited=False)))  # type: ignore[misc]
        audited.append(timed(lambda n=number: change(n, audited=True)))  # type: ignore[misc]
    baseline = Figure("a change without an event", tuple(bare))
    yield baseline
    yield Figure("a change with its event", tuple(audited), against=baseline)


def comment(number: int) -> dict[str, Any]:
    """Returns the arguments of an event of usual size."""
    from iamroles.audit import Actor, Subject

    reference = f"REQ-{number % 5000:06d}"
    return {
        "action": "request.commented",
        "actor": Actor(type="user", id=str(number % 50), name="Ada Okafor", groups=("approvers",), channel="command"),
        "subject": Subject("request", reference, "CodeDeploy role ecsCodeDeployRole"),
        "at": START + timedelta(seconds=number),
        "request": reference,
        "revision": 1,
        "reason": f"Comment {number}",
        "data": {"revision": 1, "comment_digest": f"{number:064x}"},
    }


def fill(count: int) -> None:
    """Inserts events without measuring it, many at a time."""
    from dataclasses import asdict

    from iamroles.audit import envelope
    from iamroles.audit.record import new_event_id
    from iamroles.models import AuditEvent, AuditPending

    missing: dict[str, Any] = dict.fromkeys(("code", "phase", "aws", "correlation", "on_behalf_of"))
    for start in range(0, count, 5000):
        rows = []
        for number in range(start, min(count, start + 5000)):
            built = envelope.build_envelope(
                event_id=new_event_id(), outcome="success", changes=(), **missing, **comment(number)
            )
            canon = envelope.write(built)
            columns = asdict(envelope.project(built))
            rows.append(AuditEvent(**columns, canon=canon.decode(), leaf=envelope.leaf_hash(canon)))
        made = AuditEvent.objects.bulk_create(rows, batch_size=1000)
        AuditPending.objects.bulk_create([AuditPending(event_id=row.pk) for row in made], batch_size=1000)


def sealing_and_verifying(folder: Path) -> Iterator[Figure]:
    """All events sealed batch by batch, and verified, against one SHA-256 over their bytes."""
    from iamroles.audit import keys as audit_keys
    from iamroles.audit.publish import FilePublisher
    from iamroles.audit.reading import read_trail, snapshot
    from iamroles.audit.seal import Sealer
    from iamroles.audit.verify import Limits, verify_database
    from iamroles.models import AuditEvent

    def read() -> Iterator[str]:
        return AuditEvent.objects.order_by("pk").values_list("canon", flat=True).iterator(chunk_size=5000)

    def hash_all() -> None:
        digest = hashlib.sha256()
        for canon in read():
            digest.update(canon.encode())

    baseline = Figure(f"SHA-256 of {EVENTS:,} events as read", (timed(hash_all),))
    yield baseline
    origin = "bench.example/audit/1"
    key = audit_keys.ensure(folder / "audit.key", origin)
    kept = FilePublisher(folder / "checkpoints")
    sealer = Sealer(origin=origin, keys=[key], vkeys=[key.verifier], publishers=[kept])
    now = datetime.now(UTC)
    yield Figure("seal them all", (timed(lambda: sealer.seal_all(at=now)),), against=baseline)

    def verify() -> None:
        with snapshot():
            report = verify_database(
                read_trail(),
                keys=[key.verifier],
                origin=origin,
                kept=[kept.latest() or ""],
                limits=Limits(now=now),
            )
        if report.exit != 0:
            raise RuntimeError(report.as_text())

    yield Figure("verify the database", (timed(verify),), against=baseline)


def exporting(folder: Path) -> Iterator[Figure]:
    """Both formats, and an export verified, against reading the texts alone."""
    from iamroles.audit import EventFilter, checkpoint, export
    from iamroles.audit import keys as audit_keys
    from iamroles.audit.export import files
    from iamroles.audit.verify_files import verify_export
    from iamroles.models import AuditEvent

    path = folder / "events.jsonl"
    texts = AuditEvent.objects.order_by("pk").values_list("canon", flat=True)
    baseline = Figure("read the texts", (timed(lambda: drain(texts.iterator(chunk_size=5000))),))
    yield baseline
    cut = export.find_cut(wait=0)
    for spelled in export.FORMATS:
        rows = export.read_rows(EventFilter(), cut)
        lines = export.write_lines(rows, spelled)
        target = path if spelled == "jsonl" else folder / "events.csv"
        yield Figure(f"export as {spelled}", (timed(lambda c=lines, t=target: files.write_file(t, c)),), baseline)  # type: ignore[misc]
    origin = checkpoint.read(cut.note).origin
    keys = [audit_keys.load(folder / "audit.key", origin)[0].verifier]

    def verify() -> None:
        report = verify_export(files.read_lines(path), cut.note, keys=keys)
        if report.exit != 0:
            raise RuntimeError(report.as_text())

    yield Figure("verify the JSON lines", (timed(verify),), against=baseline)


def paging() -> Iterator[Figure]:
    """The first page of the history, and one in the middle, by keyset."""
    from iamroles import audit
    from iamroles.audit import EventFilter

    wanted = EventFilter(action="request.commented")
    middle = EVENTS // 2
    first = tuple(timed(lambda: audit.find(wanted)) for _ in range(PAGES))
    deep = tuple(timed(lambda: audit.find(wanted, before=middle)) for _ in range(PAGES))
    baseline = Figure("the first page of the history", first)
    yield baseline
    yield Figure(f"the page before EVT-{middle:07d}", deep, against=baseline)
