"""VA06 and DU08 by observed quotas: each with the figures that raise it and the nearest that do not."""

from __future__ import annotations

from typing import Any

import pytest

from iamroles.blueprints import AccountFacts, RoleState
from iamroles.iam import documents, trust
from iamroles.rules import checks, quotas
from iamroles.rules.checks import Around
from iamroles.rules.findings import Finding
from iamroles.rules.quotas import Quotas, Room

A = "111122223333"
ACCOUNT = AccountFacts(A, "orders-prod")
ROLE = f"arn:aws:iam::{A}:role/ecsCodeDeployRole"


def found(room: Room, code: str = "", **figures: int) -> list[tuple[str, str]]:
    return [(one.id, one.message) for one in quotas.check(ACCOUNT, room, Quotas(figures, code))]


def role(count: int) -> RoleState:
    attached = frozenset(f"arn:aws:iam::{A}:policy/p{number}" for number in range(count))
    return RoleState(ROLE, "ecsCodeDeployRole", "/", trust.codedeploy_trust(A), attached=attached)


@pytest.mark.parametrize(
    ("room", "figures", "message"),
    [
        (
            Room(roles=1),
            {"Roles": 1000, "RolesQuota": 1000},
            "orders-prod has 1,000 of 1,000 roles: AWS would refuse one more.",
        ),
        (
            Room(policies=2),
            {"Policies": 1499, "PoliciesQuota": 1500},
            "orders-prod has 1,499 of 1,500 customer managed policies: AWS would refuse 2 more.",
        ),
        (
            Room(versions={"orders": 6}),
            {"VersionsPerPolicyQuota": 5},
            "orders would have 6 versions at once. orders-prod takes 5 for each policy.",
        ),
    ],
)
def test_va06_names_both_figures(room: Room, figures: dict[str, int], message: str) -> None:
    assert found(room, **figures) == [("VA06", message)]
    fewer = {name: value + 1 if name.endswith("Quota") else value for name, value in figures.items()}
    assert found(room, **fewer) == []


@pytest.mark.parametrize(
    ("room", "name"), [(Room(trust=2049), "AssumeRolePolicySizeQuota"), (Room(inline=10241), "RolePolicySizeQuota")]
)
def test_du08_by_the_size_that_the_account_takes(room: Room, name: str) -> None:
    size = max(room.trust, room.inline)
    ((finding, message),) = found(room, **{name: size - 1})
    assert (finding, f"{size - 1:,} characters in orders-prod. This has {size:,}." in message) == ("DU08", True)
    assert found(room, **{name: size}) == []


def test_a_plan_that_needs_no_room_finds_nothing_where_all_is_full() -> None:
    figures = {"Roles": 9, "RolesQuota": 9, "Policies": 9, "PoliciesQuota": 9, "RolePolicySizeQuota": 0}
    assert found(Room(), code="AccessDenied") == []
    assert found(Room(), **figures) == []


def test_quotas_that_aws_does_not_show_are_said_and_stop_nothing() -> None:
    (said,) = quotas.check(ACCOUNT, Room(roles=1), Quotas(code="AccessDenied"))
    assert (said.id, said.severity, said.will_not_work) == ("VA06", "note", False)
    assert said.message == (
        "AWS did not show the quotas of orders-prod (AccessDenied): whether there is room is not known."
    )
    assert found(Room(roles=1)) == []


class TestAttached:
    def ids(self, before: int, after: int, quota: int | None) -> list[str]:
        figures = {} if quota is None else {"AttachedPoliciesPerRoleQuota": quota}
        room = Room(attaches=after > before)
        return [one.message for one in quotas.attached(ACCOUNT, role(before), role(after), room, Quotas(figures))]

    def test_the_accounts_own_quota_counts(self) -> None:
        assert self.ids(12, 13, 20) == []
        assert self.ids(20, 21, 20) == ["The role would hold 21 managed policies. orders-prod takes 20 for each role."]
        assert self.ids(10, 11, 10) == ["The role would hold 11 managed policies. orders-prod takes 10 for each role."]

    def test_what_is_attached_already_needs_no_room(self) -> None:
        assert self.ids(12, 12, 10) == []

    def test_without_it_aws_default_counts_unless_the_role_shows_more(self) -> None:
        assert self.ids(9, 10, None) == []
        assert len(self.ids(10, 11, None)) == 1
        assert self.ids(12, 12, None) == []


def test_a_raised_trust_quota_is_believed() -> None:
    """2,048 is AWS's default: an account with more takes a longer trust policy, one without says so once."""
    principals = [f"arn:aws:iam::{A}:role/deployer-{number:040}" for number in range(30)]
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"AWS": principals}, "Action": "sts:AssumeRole"}
    document = documents.parse({"Version": "2012-10-17", "Statement": [statement]}, kind="trust")
    size = documents.size(document)
    assert 2048 < size < 4096

    def sizes(around: Around) -> list[Finding]:
        target = RoleState(ROLE, "ecsCodeDeployRole", "/", document)
        every = checks.check_proposal(account=ACCOUNT, live=None, target=target, attached=(), passed=(), around=around)
        return [one for one in every if one.id == "DU08"]

    def around(quota: int) -> Around:
        return Around(room=Room(trust=size), quotas=Quotas({"AssumeRolePolicySizeQuota": quota}))

    assert sizes(around(4096)) == []
    assert [one.message for one in sizes(around(2048))] == [
        f"A trust policy can have 2,048 characters in orders-prod. This has {size:,}."
    ]
    assert len(sizes(Around())) == 1
