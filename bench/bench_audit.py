"""What the audit trail costs: recording, sealing, verifying, exporting and paging, each against a bare baseline.

It makes a database of its own: SQLite in a temporary folder, or the empty PostgreSQL database that DATABASE_URL names.
EVENTS (default 20000) is how many events the trail holds; the goals of the design are for EVENTS=1000000.
"""

# ruff: noqa: PLC0415  (Django is set up first, for a database in the temporary folder)

from __future__ import annotations

import hashlib
import logging
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.figures import Figure

EVENTS = int(os.environ.get("EVENTS", "20000"))
CHANGES = 300
PAGES = 100
WRITERS = 16
SECONDS = 4.0
ROUNDS = 3
ORIGIN = "bench.example/audit/1"
START = datetime(2026, 1, 1, tzinfo=UTC)


def measure() -> Iterator[Figure]:
    """Yields the figures, baselines first."""
    with tempfile.TemporaryDirectory(prefix="roledesk-bench-") as folder:
        os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings.test"
        os.environ["ROLEDESK_VAR"] = folder
        import django
        from django.core.management import call_command

        django.setup()
        logging.getLogger("iamroles.audit.leaf").setLevel(logging.WARNING)
        call_command("migrate", verbosity=0)
        yield from recording()
        yield from writing_beside_the_sealer(Path(folder))
        fill(EVENTS)
        yield from sealing_and_verifying(Path(folder))
        yield from exporting(Path(folder))
        yield from memory(Path(folder))
        yield from paging()
        yield from proving(Path(folder))


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


def writing_beside_the_sealer(folder: Path) -> Iterator[Figure]:
    """Writers that hold their transactions 5 ms, with and without a sealer beside them, in turn. PostgreSQL only."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return
    sealer = new_sealer(folder, "writers")
    plain, beside = [], []
    for turn in range(ROUNDS):
        plain += write_for(SECONDS, first=turn * 1_000_000)
        with sealing(folder):
            beside += write_for(SECONDS, first=turn * 1_000_000 + 500_000)
        sealer.seal_all(at=datetime.now(UTC))
    baseline = Figure(f"{WRITERS} writers, an event each, no sealer", tuple(plain))
    yield baseline
    yield Figure(f"{WRITERS} writers beside the sealer", tuple(beside), against=baseline)
    rate = [len(found) / (ROUNDS * SECONDS) for found in (plain, beside)]
    events = Figure("events a second, no sealer", (rate[0],), unit="/s")
    yield events
    yield Figure("events a second beside the sealer", (rate[1],), against=events, unit="/s")
    tails = [Figure(name, (found.percentile(0.99),)) for name, found in (("p99, no sealer", baseline),)]
    yield tails[0]
    yield Figure("p99 beside the sealer", (Figure("", tuple(beside)).percentile(0.99),), against=tails[0])


def write_for(seconds: float, *, first: int) -> list[float]:
    """Lets the writers write for so long. Returns how long each transaction took."""
    from django.db import connections, transaction

    from iamroles.audit.record import record

    until, took = time.monotonic() + seconds, list[float]()

    def write(writer: int) -> None:
        number = first + writer * 10_000
        while time.monotonic() < until:
            began = time.perf_counter()
            with transaction.atomic():
                record(**comment(number))
                time.sleep(0.005)
            took.append(time.perf_counter() - began)
            number += 1
        connections.close_all()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


@contextmanager
def sealing(folder: Path) -> Iterator[None]:
    """Seals every second beside the block in a process of its own, as `tend` does, until it ends."""
    script = "import django, sys; django.setup(); from bench.bench_audit import seal_on; seal_on(sys.argv[1])"
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()  # it is there
        try:
            yield
        finally:
            process.stdin.close()
    if process.returncode:
        raise RuntimeError("the sealer failed")


def seal_on(folder: str) -> None:
    """Seals every second until standard input ends; begins with a line to say that it is there."""
    sealer = new_sealer(Path(folder), "writers")
    print(flush=True)
    while not select.select([sys.stdin], [], [], 1)[0]:
        sealer.seal(at=datetime.now(UTC))


def new_sealer(folder: Path, kept: str) -> Any:
    """Returns a sealer with the benchmark's key that publishes to a folder of this name."""
    from iamroles.audit import keys as audit_keys
    from iamroles.audit.publish import FilePublisher
    from iamroles.audit.seal import Sealer

    key = audit_keys.ensure(folder / "audit.key", ORIGIN)
    return Sealer(origin=ORIGIN, keys=[key], vkeys=[key.verifier], publishers=[FilePublisher(folder / kept)])


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
            columns = envelope.project(built)._asdict()
            rows.append(AuditEvent(**columns, canon=canon.decode(), leaf=envelope.leaf_hash(canon)))
        made = AuditEvent.objects.bulk_create(rows, batch_size=1000)
        AuditPending.objects.bulk_create([AuditPending(event_id=row.pk) for row in made], batch_size=1000)


def sealing_and_verifying(folder: Path) -> Iterator[Figure]:
    """All events sealed batch by batch, and verified, against one SHA-256 over their bytes."""
    from django.db import connection

    from iamroles.audit.publish import FilePublisher
    from iamroles.audit.reading import read_trail, snapshot
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
    sealer = new_sealer(folder, "writers")
    kept = FilePublisher(folder / "writers")
    now = datetime.now(UTC)
    yield Figure("seal them all", (timed(lambda: sealer.seal_all(at=now)),), against=baseline)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    def verify(*, fast: bool) -> None:
        with snapshot():
            report = verify_database(
                read_trail(fast=fast),
                keys=sealer.vkeys,
                origin=ORIGIN,
                kept=[kept.latest() or ""],
                limits=Limits(now=now),
            )
        if report.exit != 0:
            raise RuntimeError(report.as_text())

    yield Figure("verify the database", (timed(lambda: verify(fast=False)),), against=baseline)
    yield Figure("verify the database, --fast", (timed(lambda: verify(fast=True)),), against=baseline)


def exporting(folder: Path) -> Iterator[Figure]:
    """Both formats to nowhere, in turn with reading the texts alone; and the verification of an export."""
    from django.db import connection

    from iamroles.audit import EventFilter, export
    from iamroles.audit import keys as audit_keys
    from iamroles.audit.export import files
    from iamroles.audit.verify_files import verify_export
    from iamroles.models import AuditEvent

    texts = AuditEvent.objects.order_by("pk").values_list("canon", flat=True)
    cut = export.find_cut(wait=0)
    took: dict[str, list[float]] = {"read": [], "copy": [], "csv": [], "jsonl": []}
    for _ in range(ROUNDS):
        took["read"].append(timed(lambda: drain(texts.iterator(chunk_size=5000))))
        if connection.vendor == "postgresql":
            took["copy"].append(timed(copy_all))
        for spelled in export.FORMATS:
            took[spelled].append(timed(lambda s=spelled: drain(export.read_chunks(EventFilter(), s, cut))))  # type: ignore[misc]
    baseline = Figure("read the texts", tuple(took["read"]))
    yield baseline
    if took["copy"]:
        baseline = Figure("plain COPY of the texts", tuple(took["copy"]))
        yield baseline
    for spelled in export.FORMATS:
        yield Figure(f"export as {spelled}", tuple(took[spelled]), against=baseline)
    path = folder / "events.jsonl"
    files.write_file(path, (chunk.body for chunk in export.read_chunks(EventFilter(), "jsonl", cut)))
    keys = [audit_keys.ensure(folder / "audit.key", ORIGIN).verifier]

    def verify() -> None:
        report = verify_export(files.read_lines(path), cut.note, keys=keys)
        if report.exit != 0:
            raise RuntimeError(report.as_text())

    yield Figure("verify the JSON lines", (timed(verify),), against=baseline)


def copy_all() -> None:
    """Reads everything by plain COPY: as fast as PostgreSQL gives the texts."""
    from django.db import connection

    with connection.cursor() as cursor, cursor.copy("COPY (SELECT canon FROM audit_event) TO STDOUT") as rows:
        drain(rows)


def memory(folder: Path) -> Iterator[Figure]:
    """Peak memory of a process that exports everything, against one that exports 10,000 events."""
    baseline = Figure("peak memory, export of 10,000", (peak(10_000),), unit="MiB")
    yield baseline
    yield Figure(f"peak memory, export of {EVENTS:,}", (peak(EVENTS),), against=baseline, unit="MiB")


def peak(rows: int) -> float:
    """Returns the peak memory in MiB of a process that exports so many events as JSON lines."""
    script = (
        "import django, itertools, pathlib; django.setup()\n"
        "from iamroles.audit import EventFilter, export\n"
        "made = export.read_chunks(EventFilter(), 'jsonl', export.find_cut(wait=0))\n"
        f"next(count for count in itertools.accumulate(chunk.rows for chunk in made) if count >= {rows})\n"
        # Its own peak: ru_maxrss begins with that of the process that started it.
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(int(status.split('VmHWM:')[1].split()[0]) / 1024)"
    )
    environment = {**os.environ, "DATABASE_URL": os.environ.get("DATABASE_URL", "") or database_path()}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def database_path() -> str:
    """Returns the URL of the SQLite database of this run."""
    from django.conf import settings

    return f"sqlite:///{settings.DATABASES['default']['NAME']}"


def paging() -> Iterator[Figure]:
    """Page 10,000 of the history (or the middle), against page 1, by keyset, for each filter."""
    from iamroles import audit
    from iamroles.audit import EventFilter

    deep = max(1, EVENTS - min(EVENTS // 2, 10_000 * 50))
    filters = {
        "no filter": EventFilter(),
        "action": EventFilter(action="request.commented"),
        "actor": EventFilter(actor="7"),
        "request": EventFilter(request="REQ-000007"),
        "outcome": EventFilter(outcome="success"),
        "tab": EventFilter(tab="decisions"),
        "dates": EventFilter(from_at=START),
    }
    for name, wanted in filters.items():
        first, later = [], []
        audit.find(wanted, before=deep)  # once from the disk
        for _ in range(PAGES):
            first.append(timed(lambda w=wanted: audit.find(w)))  # type: ignore[misc]
            later.append(timed(lambda w=wanted: audit.find(w, before=deep)))  # type: ignore[misc]
        baseline = Figure(f"page 1, {name}", tuple(first))
        yield baseline
        yield Figure(f"the page before EVT-{deep:07d}, {name}", tuple(later), against=baseline)


def proving(folder: Path) -> Iterator[Figure]:
    """The proof of one event: made from the database, and checked without it."""
    from iamroles import audit
    from iamroles.audit import keys as audit_keys
    from iamroles.audit.verify_files import verify_proof
    from iamroles.models import AuditEvent

    event = AuditEvent.objects.order_by("pk")[EVENTS // 3]
    yield Figure("make the proof of one event", (timed(lambda: audit.prove(event)),))
    proof, key = audit.prove(event), audit_keys.ensure(folder / "audit.key", ORIGIN).verifier

    def check() -> None:
        if verify_proof(event.canon.encode(), proof, keys=[key]).exit != 0:
            raise RuntimeError("the proof does not verify")

    yield Figure("check it offline", tuple(timed(check) for _ in range(PAGES)))
