"""Every way around the append-only trail that we know, tried with the rights of the database connection of the tests.

On PostgreSQL that is a superuser, so what is refused here is refused to everybody. The roles of production are tried
in test_grants. What an owner can do, dropping a trigger, `audit verify` must notice: test_seal_and_verify.
"""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from iamroles.audit import guard
from iamroles.models import AuditCheckpoint, AuditDisclosure, AuditEvent, AuditLeaf, AuditPending, AuditReceipt

from .conftest import NOON, record_one

pytestmark = pytest.mark.django_db

POSTGRESQL = connection.vendor == "postgresql"
COPIED = ", ".join(field.column for field in AuditEvent._meta.concrete_fields if field.column not in {"id", "event_id"})

COPY = f"INSERT INTO audit_event (id, event_id, {COPIED}) SELECT id, event_id, {COPIED}"

EVERYWHERE = [
    "UPDATE audit_event SET actor_name = 'Eve'",
    "UPDATE audit_event SET canon = canon WHERE id = {id}",
    "DELETE FROM audit_event",
    "DELETE FROM audit_event WHERE id = {id}",
    f"{COPY} FROM audit_event WHERE id = {{id}} ON CONFLICT (id) DO UPDATE SET actor_name = 'Eve'",
    "UPDATE audit_leaf SET leaf = leaf",
    "DELETE FROM audit_leaf",
    "UPDATE audit_checkpoint SET note = ''",
    "DELETE FROM audit_checkpoint",
    "UPDATE audit_receipt SET receipt = ''",
    "DELETE FROM audit_receipt",
    "UPDATE audit_pending SET event_id = event_id + 1000",
    "DELETE FROM audit_pending",
    (
        "WITH found AS (SELECT id FROM audit_event) UPDATE audit_event SET actor_name = 'Eve'"
        " WHERE id IN (SELECT id FROM found)"
    ),
]
ONLY_POSTGRESQL = [
    "TRUNCATE audit_event",
    "TRUNCATE audit_event CASCADE",
    "TRUNCATE audit_leaf, audit_checkpoint, audit_receipt",
    "TRUNCATE audit_pending",
    "TRUNCATE audit_disclosure",
    "SET LOCAL session_replication_role = replica; DELETE FROM audit_event",
    "SET LOCAL session_replication_role = replica; TRUNCATE audit_event",
    "CREATE VIEW events AS SELECT * FROM audit_event; UPDATE events SET actor_name = 'Eve'",
    "MERGE INTO audit_event e USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET actor_name = 'Eve'",
    "MERGE INTO audit_event e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "WITH gone AS (DELETE FROM audit_event RETURNING *) SELECT count(*) FROM gone",
]
_REPLACE = f"INTO audit_event (id, event_id, {COPIED}) SELECT {{}}, {COPIED} FROM audit_event WHERE id = {{{{id}}}}"
ONLY_SQLITE = [
    "INSERT OR REPLACE " + _REPLACE.format("id, 'ab'"),
    "REPLACE " + _REPLACE.format("1000, event_id"),
    "UPDATE OR REPLACE audit_event SET event_id = 'ab' WHERE id = {id}",
    "INSERT " + _REPLACE.format("-1, 'ab'"),
    "REPLACE INTO audit_leaf (seq, event_id, leaf) SELECT seq, 1000, leaf FROM audit_leaf",
    "REPLACE INTO audit_leaf (seq, event_id, leaf) SELECT 1000, event_id, leaf FROM audit_leaf WHERE seq = 0",
    "REPLACE INTO audit_checkpoint SELECT * FROM audit_checkpoint",
    "REPLACE INTO audit_receipt SELECT * FROM audit_receipt",
    "REPLACE INTO audit_pending SELECT * FROM audit_pending",
]


def rows() -> list[list[object]]:
    models = (AuditEvent, AuditPending, AuditLeaf, AuditCheckpoint, AuditReceipt, AuditDisclosure)
    return [[str(row) for row in model.objects.order_by("pk").values_list()] for model in models]


@pytest.fixture
def waiting(sealed_trail: list[AuditEvent]) -> AuditEvent:
    event = record_one(8)
    AuditDisclosure.objects.create(event=event, path="data.typed_name", salt=b"s" * 16, value="ada")
    return event


@pytest.mark.parametrize("sql", EVERYWHERE + (ONLY_POSTGRESQL if POSTGRESQL else ONLY_SQLITE))
@pytest.mark.parametrize("recursive", [False] if POSTGRESQL else [False, True])
def test_refuses_sql(sql: str, recursive: bool, waiting: AuditEvent) -> None:
    before = rows()
    with connection.cursor() as cursor:
        if not POSTGRESQL:
            cursor.execute(f"PRAGMA recursive_triggers = {int(recursive)}")
        try:
            with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
                cursor.execute(sql.format(id=waiting.pk))
        finally:
            if not POSTGRESQL:
                cursor.execute("PRAGMA recursive_triggers = 0")
    assert rows() == before


@pytest.mark.parametrize(
    "write",
    [
        lambda event: AuditEvent.objects.update(actor_name="Eve"),
        lambda event: AuditEvent.objects.all().delete(),
        lambda event: event.delete(),
        lambda event: event.save(),
        lambda event: AuditEvent.objects.bulk_update([event], ["canon"]),
        lambda event: AuditEvent.objects.bulk_create(
            [event], update_conflicts=True, unique_fields=["id"], update_fields=["canon"]
        ),
        lambda event: AuditEvent.objects.update_or_create(pk=event.pk, defaults={"canon": "{}"}),
        lambda event: AuditLeaf.objects.update(leaf=b""),
        lambda event: AuditPending.objects.all().delete(),
        lambda event: AuditDisclosure.objects.update(value="eve"),
    ],
)
def test_refuses_every_write_of_the_orm(write: object, waiting: AuditEvent) -> None:
    before = rows()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        write(waiting)  # type: ignore[operator]
    assert rows() == before


def test_refuses_rows_in_the_place_of_others(waiting: AuditEvent) -> None:
    taken = {"seq": 0, "event_id": waiting.pk, "leaf": b"x"}
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditLeaf.objects.create(**taken)
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditCheckpoint.objects.create(size=7, root=b"", frontier=b"", note="", signed_at=NOON)


def test_lets_a_disclosure_be_erased(waiting: AuditEvent) -> None:
    assert AuditDisclosure.objects.all().delete()[0] == 1


def test_notices_a_trigger_that_is_missing_or_disabled() -> None:
    assert guard.missing(connection) == []
    with connection.cursor() as cursor:
        if POSTGRESQL:
            cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_no_update")
            cursor.execute("ALTER TABLE audit_leaf ENABLE TRIGGER audit_leaf_no_delete")
        else:
            cursor.execute("DROP TRIGGER audit_event_no_update")
            cursor.execute("DROP TRIGGER audit_leaf_no_delete")
    assert sorted(guard.missing(connection)) == ["audit_event_no_update", "audit_leaf_no_delete"]
    guard.install(connection)
    assert guard.missing(connection) == []
