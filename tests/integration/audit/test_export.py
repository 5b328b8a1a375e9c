"""Exports: the same events by page and command, the stored bytes as JSON lines, guarded cells as CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from iamroles.audit import EventFilter, export, guard
from iamroles.audit.export.formats import CSV_HEADER, guard_cell
from iamroles.audit.export.rows import Row
from iamroles.audit.seal import Sealer
from iamroles.models import AuditEvent, AuditLeaf

from .conftest import ADA, NOON, record_one

pytestmark = pytest.mark.django_db

AWKWARD = ("plain", "=1", "100 %s", "%", "\x1f\x01\x02\x7f", "a\n\r\n\tb", "“é😀”\u2028\\.", '"', "", None)


def read(wanted: EventFilter, spelled: export.Format) -> tuple[bytes, export.Export]:
    started = export.begin(wanted, spelled, actor=ADA, wait=0, clock=lambda: NOON)
    return b"".join(started), started


class TestExport:
    def test_writes_the_stored_bytes_as_json_lines(self, sealed_trail: list[AuditEvent]) -> None:
        body, _ = read(EventFilter(), "jsonl")
        assert body == b"".join(event.canon.encode() + b"\n" for event in sealed_trail)

    def test_ends_at_the_checkpoint_and_never_contains_itself(self, sealed_trail: list[AuditEvent]) -> None:
        record_one(8)
        _, first = read(EventFilter(), "jsonl")
        _, second = read(EventFilter(), "jsonl")
        assert (first.rows, second.rows, first.sha256 == second.sha256) == (7, 7, True)

    def test_records_its_start_and_its_end(self, sealed_trail: list[AuditEvent]) -> None:
        body, started = read(EventFilter(request="REQ-000003"), "csv")
        recorded = AuditEvent.objects.filter(action__startswith="export.").order_by("pk")
        assert [(event.action, json.loads(event.canon)["data"]) for event in recorded] == [
            (
                "export.started",
                {
                    "format": "csv",
                    "filter": {"request": "REQ-000003"},
                    "size": 7,
                    "root": started.cut.root.hex(),
                },
            ),
            ("export.completed", {"rows": 1, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}),
        ]

    def test_writes_csv_for_reading(self, sealed_trail: list[AuditEvent]) -> None:
        body, _ = read(EventFilter(request="REQ-000003"), "csv")
        third = sealed_trail[2]
        assert body.decode() == (
            ",".join(CSV_HEADER)
            + f"\r\n{third.reference},2,2026-11-24T12:00:03.123456Z,request.commented,"
            + '"Ada Okafor commented on REQ-000003 (revision 1), saying “Comment 3”.",success,,user,7,Ada Okafor,'
            + f"request,REQ-000003,Role for orders,REQ-000003,1,,,Comment 3,192.0.2.7,{third.event_id}\r\n"
        )

    def test_guards_formulas_in_csv_and_leaves_json_lines_alone(self, new_sealer: Callable[[], Sealer]) -> None:
        record_one(1, reason='=1+1,"x"\nnext')
        new_sealer().seal(at=NOON)
        lines, _ = read(EventFilter(), "jsonl")
        table, _ = read(EventFilter(), "csv")
        rows = list(csv.DictReader(io.StringIO(table.decode(), newline="")))
        assert [json.loads(line)["reason"] for line in lines.splitlines()] == ['=1+1,"x"\nnext']
        assert [row["reason"] for row in rows] == ['\'=1+1,"x"\nnext']

    @pytest.mark.parametrize("spelled", export.FORMATS)
    @pytest.mark.parametrize("wanted", [EventFilter(), EventFilter(object="%"), EventFilter(actor="nobody")])
    def test_streams_the_bytes_of_the_rows(
        self, spelled: export.Format, wanted: EventFilter, new_sealer: Callable[[], Sealer]
    ) -> None:
        for number, reason in enumerate((*AWKWARD, *(f"{n} {'long ' * 200}" for n in range(200)))):
            record_one(number, reason=reason)
        new_sealer().seal(at=NOON)
        cut = export.find_cut(wait=0)
        rows = list(export.read_rows(wanted, cut))
        made = list(export.read_chunks(wanted, spelled, cut))
        assert b"".join(chunk.body for chunk in made) == export.write_lines(rows, spelled, header=False)
        assert sum(chunk.rows for chunk in made) == len(rows)
        assert all(chunk.body.endswith(b"\n") for chunk in made)

    def test_keeps_to_what_a_person_may_see(self, sealed_trail: list[AuditEvent]) -> None:
        mine = AuditEvent.objects.filter(request__in=["REQ-000002", "REQ-000005"])
        started = export.begin(EventFilter(), "jsonl", actor=ADA, among=mine, wait=0, clock=lambda: NOON)
        lines = b"".join(started).splitlines()
        assert [json.loads(line)["request"] for line in lines] == ["REQ-000002", "REQ-000005"]

    def test_says_when_nothing_is_sealed(self) -> None:
        with pytest.raises(export.NothingSealed):
            export.begin(EventFilter(), "jsonl", actor=ADA, wait=0, clock=lambda: NOON)

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ({"actor": "okafor"}, 7),
            ({"actor": "7"}, 7),
            ({"actor": "8"}, 0),
            ({"action": "request.*"}, 7),
            ({"action": "run.*"}, 0),
            ({"object": "REQ-000004"}, 1),
            ({"outcome": "failed"}, 0),
            ({"from_at": NOON + timedelta(seconds=3), "to_at": NOON + timedelta(seconds=5)}, 2),
        ],
    )
    def test_filters(self, wanted: dict[str, Any], found: int, sealed_trail: list[AuditEvent]) -> None:
        assert read(EventFilter(**wanted), "jsonl")[1].rows == found


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("  +1", "'  +1"),
        ("-x", "'-x"),
        ("@SUM", "'@SUM"),
        ("\uff1d1", "'\uff1d1"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("a=b", "a=b"),
    ],
)
def test_guard_cell(text: str, cell: str) -> None:
    assert guard_cell(text) == cell


@pytest.mark.django_db(transaction=True)
def test_streams_on_a_connection_of_its_own(new_sealer: Callable[[], Sealer]) -> None:
    events = [record_one(number) for number in range(300)]
    new_sealer().seal(at=NOON)
    chunks = iter(export.read_chunks(EventFilter(), "jsonl", export.find_cut(wait=0)))
    first = next(chunks)
    assert AuditEvent.objects.count() == 300  # asked while the stream is open
    body = first.body + b"".join(chunk.body for chunk in chunks)
    assert body == b"".join(event.canon.encode() + b"\n" for event in events)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("spelled", export.FORMATS)
def test_follows_the_order_of_sealing_where_that_of_ids_is_another(
    spelled: export.Format, new_sealer: Callable[[], Sealer]
) -> None:
    events = [record_one(number) for number in range(5)]
    new_sealer().seal(at=NOON)
    guard.remove(connection)
    AuditLeaf.objects.filter(seq__in=(1, 3)).delete()
    for seq, event in ((1, events[3]), (3, events[1])):
        AuditLeaf.objects.create(seq=seq, event_id=event.pk, leaf=bytes(event.leaf))
    guard.install(connection)
    cut = export.find_cut(wait=0)
    rows = [Row(seq, event.pk, event.canon) for seq, event in enumerate(events[place] for place in (0, 3, 2, 1, 4))]
    assert list(export.read_rows(EventFilter(), cut)) == rows
    assert list(export.read_rows(EventFilter(), cut, after=2)) == rows[3:]
    made = b"".join(chunk.body for chunk in export.read_chunks(EventFilter(), spelled, cut))
    assert made == export.write_lines(rows, spelled, header=False)
