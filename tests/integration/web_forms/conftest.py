"""Two teams, three AWS accounts and their people: enough to ask for roles, rightly and wrongly."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from iamroles.models import AwsAccount, ManagedRole, Membership, Team, User
from iamroles.workflow import memberships

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BOUNDARY = "arn:aws:iam::111122223333:policy/EcsCodeDeployBoundary"

# The published fields of UX.md P3 and P3b: a POST of these alone is complete.
ROLE_ANSWERS = {
    "team": "orders",
    "account": "111122223333",
    "role_name": "ecsCodeDeployRole",
    "managed_policy": "limited",
    "execution_roles": "ecsTaskExecutionRole",
    "task_roles": "orders-api-task",
    "description": "CodeDeploy for the Orders API",
    "tags": "service=orders-api\ncost-centre=4711",
    "reason": "Orders API moves to blue/green, ORD-17",
}
GRANT_ANSWERS = {
    "team": "orders",
    "account": "111122223333",
    "role_name": "ecsCodeDeployRole",
    "execution_roles": "",
    "task_roles": "orders-api-task\norders-worker-task",
    "policy_name": "orders-pass",
    "description": "Lets CodeDeploy pass the Orders roles",
    "reason": "The worker service joins, ORD-18",
}


@dataclass(frozen=True)
class World:
    """The rows that tests name."""

    people: dict[str, User]
    teams: dict[str, Team]
    accounts: dict[str, AwsAccount]


def _person(login: str, *groups: Group) -> User:
    user = User.objects.create_user(login, f"{login}@example.org", "correct horse battery", first_name=login.title())
    for group in groups:
        memberships.join(user, group, datetime.now(UTC))
    return user


@pytest.fixture
def world(db: None) -> World:
    groups = {
        name: Group.objects.get_or_create(name=name)[0] for name in ("approvers", "security", "auditors", "owners")
    }
    people = {
        "requester": _person("requester"),
        "colleague": _person("colleague"),
        "outsider": _person("outsider"),
        "approver": _person("approver", groups["approvers"]),
        "security": _person("security", groups["security"]),
        "auditor": _person("auditor", groups["auditors"]),
    }
    rows = (
        ("111122223333", "orders-prod", "production", True, BOUNDARY),
        ("444455556666", "orders-staging", "staging", False, ""),
        ("777788889999", "payments-prod", "production", True, ""),
    )
    accounts = {
        name: AwsAccount.objects.create(
            number=number, name=name, environment=kind, is_production=prod, boundary=boundary, owner=groups["owners"]
        )
        for number, name, kind, prod, boundary in rows
    }
    orders = Team.objects.create(name="Orders", slug="orders")
    orders.accounts.set([accounts["orders-prod"], accounts["orders-staging"]])
    payments = Team.objects.create(name="Payments", slug="payments")
    payments.accounts.set([accounts["orders-staging"], accounts["payments-prod"]])
    for login in ("requester", "colleague"):
        Membership.objects.create(team=orders, user=people[login], since=AT)
    Membership.objects.create(team=payments, user=people["outsider"], since=AT)
    return World(people, {"orders": orders, "payments": payments}, accounts)


@pytest.fixture
def signed_in(world: World) -> Callable[[str], Client]:
    """Returns a client signed in as somebody."""

    def make(login: str) -> Client:
        client = Client()
        client.force_login(world.people[login], backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make


@pytest.fixture
def client(signed_in: Callable[[str], Client]) -> Client:
    """The requester's browser."""
    return signed_in("requester")


@pytest.fixture
def managed(world: World) -> Callable[..., ManagedRole]:
    """Puts a role into the inventory."""

    def make(account: str, team: str, name: str = "ecsCodeDeployRole", desired: str = "{}") -> ManagedRole:
        row = world.accounts[account]
        return ManagedRole.objects.create(
            account=row,
            team=world.teams[team],
            arn=f"arn:aws:iam::{row.number}:role/{name}",
            role_id="AROAEXAMPLE",
            name_folded=name.lower(),
            desired=desired,
            since=AT,
            verified_at=AT,
        )

    return make


@pytest.fixture
def key() -> Callable[[], str]:
    """Returns fresh idempotency keys."""
    return lambda: str(uuid.uuid4())
