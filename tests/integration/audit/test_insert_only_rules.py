"""Versions of rules are inserted and never changed: every way by SQL and by the ORM is refused on both databases.

What an owner can do, dropping a trigger, `audit verify` notices: by the trigger that is missing, and by the row that
its event does not explain (test_state_check).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection, transaction

from iamroles.audit import guard
from iamroles.models import AccountRule, ApprovalRules, AwsAccount, ProposedChange, User
from iamroles.models.changes import CONFIRMED

from .conftest import NOON

pytestmark = pytest.mark.django_db

POSTGRESQL = connection.vendor == "postgresql"
TABLES = {"approval_rules": ApprovalRules, "iamroles_accountrule": AccountRule}
EVERYWHERE = [
    "UPDATE {table} SET digest = ''",
    "DELETE FROM {table}",
    "INSERT INTO {table} SELECT * FROM {table} WHERE true ON CONFLICT (id) DO UPDATE SET digest = ''",
]
HERE = ["TRUNCATE {table} CASCADE"] if POSTGRESQL else ["REPLACE INTO {table} SELECT * FROM {table}"]


@pytest.fixture(autouse=True)
def versions() -> None:
    """One version of either kind."""
    people = [User.objects.create(username=name) for name in ("ines", "oskar")]
    change = ProposedChange.objects.create(
        subject="approval_rules",
        before="{}",
        content="{}",
        digest="d",
        reason="r",
        proposed_by=people[0],
        proposed_at=NOON,
        state=CONFIRMED,
        decided_by=people[1],
        decided_at=NOON,
    )
    ApprovalRules.objects.create(version=2, content="{}", digest="d", at=NOON, change=change)
    owner = Group.objects.create(name="owners")
    account = AwsAccount.objects.create(number="111122223333", name="staging", environment="staging", owner=owner)
    AccountRule.objects.create(account=account, kind="guardrail", version=1, documents="[]", set_by="Olu", at=NOON)
    connection.check_constraints()  # PostgreSQL truncates nothing whose foreign keys are still to be checked


def rows() -> list[list[Any]]:
    return [list(model.objects.values_list()) for model in TABLES.values()]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("sql", EVERYWHERE + HERE)
def test_refuses_sql(table: str, sql: str) -> None:
    before = rows()
    with (
        connection.cursor() as cursor,
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
    ):
        cursor.execute(sql.format(table=table))
    assert rows() == before


@pytest.mark.parametrize(
    "write",
    [
        lambda: ApprovalRules.objects.update(content="[]"),
        lambda: ApprovalRules.objects.all().delete(),
        lambda: AccountRule.objects.update(documents="[]"),
        lambda: AccountRule.objects.get().delete(),
        lambda: AccountRule.objects.get().save(),
    ],
)
def test_refuses_the_orm(write: Callable[[], object]) -> None:
    before = rows()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        write()
    assert rows() == before


def test_lets_the_next_version_in() -> None:
    known = AccountRule.objects.get()
    AccountRule.objects.create(account=known.account, kind=known.kind, version=2, documents="[]", set_by="Olu", at=NOON)
    assert AccountRule.objects.count() == 2


def test_verify_asks_for_the_triggers() -> None:
    with connection.cursor() as cursor:
        on_table = " ON approval_rules" if POSTGRESQL else ""
        cursor.execute(f"DROP TRIGGER approval_rules_no_update{on_table}")
    assert guard.missing(connection) == ["approval_rules_no_update"]
