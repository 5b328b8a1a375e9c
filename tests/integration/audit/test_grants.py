"""The database roles of production on PostgreSQL: what the app and the sealer may do to the trail, and what not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from iamroles.audit import grants
from iamroles.audit.seal import Sealer
from iamroles.models import AuditEvent, AuditPending
from iamroles.pages import first_run, operations

from .conftest import NOON, record_one

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no roles"),
]

APP, SEALER = "test_audit_app", "test_audit_sealer"
RIGHTS = {
    "audit_event": ({"SELECT", "INSERT"}, {"SELECT"}),
    "audit_pending": ({"SELECT", "INSERT"}, {"SELECT", "DELETE"}),
    "audit_leaf": ({"SELECT"}, {"SELECT", "INSERT"}),
    "audit_checkpoint": ({"SELECT"}, {"SELECT", "INSERT"}),
    "audit_receipt": ({"SELECT"}, {"SELECT", "INSERT"}),
    "audit_disclosure": ({"SELECT", "INSERT", "DELETE"}, set()),
}


@pytest.fixture
def roles(db: None) -> Iterator[None]:
    """Runs the grants twice (they can be repeated); the transaction of the test takes them back."""
    statements = grants.statements(APP, SEALER)
    grants.run(statements)
    grants.run(statements)
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")


def become(role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {role}")


def has(role: str, table: str) -> set[str]:
    with connection.cursor() as cursor:
        found = set()
        for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES"):
            cursor.execute("SELECT has_table_privilege(%s, %s, %s)", [role, table, right])
            if cursor.fetchone() == (True,):
                found.add(right)
        return found


class TestGrants:
    def test_gives_exactly_these_rights(self, roles: None) -> None:
        assert {table: (has(APP, table), has(SEALER, table)) for table in RIGHTS} == RIGHTS
        assert has(APP, "iamroles_request") == {"SELECT", "INSERT", "UPDATE", "DELETE"}
        assert has(SEALER, "iamroles_request") == set()
        assert (has(APP, "django_migrations"), has(SEALER, "django_migrations")) == ({"SELECT"}, set())

    def test_lets_the_set_up_tell_the_roles_apart(self, roles: None) -> None:
        assert first_run.known(NOON).roles == "one"
        become(APP)
        known = first_run.known(NOON)
        assert (known.roles, known.migrations_due, abs(known.clock_off) < 5) == ("apart", 0, True)

    @pytest.mark.parametrize(
        ("role", "demanded", "tone"),
        [("owner", "apart", "bad"), ("owner", "one", "warn"), ("owner", "any", "ok"), (APP, "apart", "ok")],
    )
    def test_lets_health_say_who_could_rewrite_the_trail(
        self, role: str, demanded: str, tone: str, roles: None, settings: Any
    ) -> None:
        settings.ROLEDESK_DATABASE_ROLES = demanded
        if role == APP:
            become(APP)
        row = operations.health(NOON).rows[0]
        assert (row.name, row.tone) == ("Database", tone)
        assert ("could change events" in row.sentence) == (tone != "ok")

    def test_lets_the_app_record_and_the_sealer_seal(self, roles: None, new_sealer: Callable[[], Sealer]) -> None:
        become(APP)
        record_one(1)
        become(SEALER)
        assert new_sealer().seal(at=NOON).size == 1
        assert not AuditPending.objects.exists()

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE audit_event SET actor_name = 'Eve'",
            "DELETE FROM audit_event",
            "TRUNCATE audit_event",
            "DELETE FROM audit_pending",
            "INSERT INTO audit_leaf (seq, event_id, leaf) VALUES (99, 99, '')",
            "DELETE FROM audit_checkpoint",
            "ALTER TABLE audit_event DISABLE TRIGGER ALL",
            "DROP TRIGGER audit_event_no_update ON audit_event",
            "DROP TABLE audit_event",
            "ALTER TABLE audit_event RENAME TO gone",
            "SET session_replication_role = replica",
            "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        ],
    )
    @pytest.mark.parametrize("role", [APP, SEALER])
    def test_refuses(self, sql: str, role: str, roles: None, new_sealer: Callable[[], Sealer]) -> None:
        record_one(1)
        new_sealer().seal(at=NOON)
        record_one(2)
        if role == SEALER and sql.startswith("INSERT INTO audit_leaf"):
            return  # that is the sealer's work; UNIQUE(seq) and verify watch over it
        become(role)
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
        assert AuditEvent.objects.count() == 2

    def test_lets_verify_notice_a_right_that_was_added(self, roles: None) -> None:
        assert grants.excessive(app=APP, sealer=SEALER) == []
        with connection.cursor() as cursor:
            cursor.execute(f"GRANT UPDATE ON audit_event TO {APP}")
            cursor.execute(f"GRANT DELETE ON audit_checkpoint TO {SEALER}")
            cursor.execute(f"ALTER TABLE audit_leaf OWNER TO {APP}")
        assert grants.excessive(app=APP, sealer=SEALER) == [
            f"the role {APP} may UPDATE on audit_event",
            f"the role {APP} owns audit_leaf",
            f"the role {SEALER} may DELETE on audit_checkpoint",
        ]

    def test_lets_verify_notice_who_may_become_the_owner(self, roles: None) -> None:
        """Without inheriting: no right shows until `SET ROLE`, after which the triggers could be dropped."""
        with connection.cursor() as cursor:
            cursor.execute("CREATE ROLE test_audit_owner")
            cursor.execute("ALTER TABLE audit_event OWNER TO test_audit_owner")
            cursor.execute(f"ALTER ROLE {APP} NOINHERIT")
            cursor.execute(f"GRANT test_audit_owner TO {APP}")
        assert grants.excessive(app=APP, sealer=SEALER) == [f"the role {APP} owns audit_event"]
        become(APP)
        assert grants.may_rewrite()

    def test_does_not_let_the_sealer_forget_an_unsealed_event(self, roles: None) -> None:
        record_one(1, at=NOON + timedelta(seconds=1))
        become(SEALER)
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            AuditPending.objects.all().delete()
