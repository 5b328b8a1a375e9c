"""The state check over a request that was really made, approved and applied: clean as it is, and each edit is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from iamroles.audit import guard
from iamroles.audit.reading import wrong_states
from iamroles.models import (
    AccountRule,
    AuditEvent,
    AuditPending,
    AwsAccount,
    Decision,
    ManagedRole,
    Membership,
    Request,
    Revision,
    Run,
    Step,
    Team,
)
from iamroles.rules import account_rules
from tests.integration.account_rules import set_account_rule

from .world import SYSTEM, World

pytestmark = pytest.mark.django_db


@pytest.fixture
def applied(world: World) -> Request:
    request = world.approved()
    assert world.apply(request) == "applied"
    assert wrong_states() == []
    return request


def step(**values: Any) -> Callable[[World], object]:
    return lambda world: Step.objects.filter(position=1).update(**values)


def role(**values: Any) -> int:
    return ManagedRole.objects.update(**values)


def made_up() -> None:
    """Somebody else's role, so that it would be changed without being adopted."""
    row = ManagedRole.objects.get()
    row.pk, row.arn, row.name_folded, row.role_id = None, f"{row.arn}-other", "other", "AROAOTHER"
    row.save(force_insert=True)


ATTACKS: list[tuple[str, Callable[[World], object], str]] = [
    ("requester", lambda w: Request.objects.update(requester=w.approver), "has another requester"),
    ("team", lambda w: Request.objects.update(team=Team.objects.create(slug="x", name="X")), "was sent for the team"),
    (
        "account",
        lambda w: Request.objects.update(
            account=AwsAccount.objects.create(number="1" * 12, name="x", owner=w.account.owner)
        ),
        "was sent for AWS account",
    ),
    ("role", lambda w: Request.objects.update(role_name="other"), "was sent for the role ecsCodeDeployRole, but is"),
    ("facts", lambda w: Revision.objects.update(facts="{}"), "the facts of REQ-"),
    ("approval's digest", lambda w: Decision.objects.update(proposal_digest="00" * 32), "but no event tells of it"),
    (
        "approver",
        lambda w: Decision.objects.filter(approver=w.approver).update(approver=w.requester),
        "but no event tells",
    ),
    ("step's state", step(state="failed"), "says otherwise"),
    ("step's arguments", step(arguments="{}"), "is another call than its events tell of"),
    ("step's resource", step(resource="arn:aws:iam::1:role/x"), "is another call than its events tell of"),
    ("step's operation", step(api="DeleteRole"), "is another call than its events tell of"),
    ("step's attempts", step(attempt=7), "counts 7 attempts, but its events 1"),
    ("step's request id", step(aws_request_id="none"), "has another AWS request id"),
    ("run's state", lambda w: Run.objects.update(state="going"), "is going, but EVT-"),
    ("group", lambda w: w.requester.groups.add(Group.objects.get(name="approvers")), "is in approvers, but no event"),
    ("group gone", lambda w: w.approver.groups.clear(), "but no event took them out"),
    (
        "team membership",
        lambda w: Membership.objects.create(team=Team.objects.get(), user=w.approver, since=w.clock()),
        "is in team:orders, but no event put them there",
    ),
    ("managed for another", lambda w: role(team=Team.objects.create(slug="x", name="X")), "for the team x, but EVT-"),
    ("managed role's id", lambda w: role(role_id="AROAOTHER"), "for the team orders, but EVT-"),
    ("managed role's documents", lambda w: role(desired="{}"), "for the team orders, but EVT-"),
    ("managed role gone", lambda w: ManagedRole.objects.all().delete(), "is gone from the inventory, but EVT-"),
    ("managed role made up", lambda w: made_up(), "other is in the inventory for the team orders, but no event tells"),
    ("pause", lambda w: AwsAccount.objects.update(paused_at=w.clock()), "is paused, but no event paused it"),
]


@pytest.mark.parametrize(("name", "attack", "said"), ATTACKS, ids=[row[0] for row in ATTACKS])
def test_names_what_was_changed_by_sql(
    name: str, attack: Callable[[World], object], said: str, world: World, applied: Request
) -> None:
    attack(world)
    assert [sentence for sentence in wrong_states() if said in sentence]


class TestRules:
    @pytest.fixture
    def rule(self, world: World) -> AccountRule:
        text = json.dumps(
            [{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]}]
        )
        made: AccountRule = set_account_rule(
            number=world.account.number, kind=account_rules.GUARDRAIL, text=text, actor=SYSTEM, at=world.clock()
        )
        assert wrong_states() == []
        return made

    def test_names_a_rule_that_was_changed(self, rule: AccountRule) -> None:
        guard.remove(connection)  # as the owner of the database could
        AccountRule.objects.update(documents="[]")
        (said,) = wrong_states()
        assert "version 1, is not the one that EVT-" in said

    def test_names_a_rule_that_nobody_set(self, rule: AccountRule) -> None:
        AccountRule.objects.create(
            account=rule.account, kind=rule.kind, version=2, documents="[]", set_by="Eve", at=rule.at
        )
        (said,) = wrong_states()
        assert said.endswith("version 2, exists, but no event tells of it")

    def test_names_a_rule_that_is_gone(self, rule: AccountRule) -> None:
        guard.remove(connection)
        AccountRule.objects.all().delete()
        (said,) = wrong_states()
        assert "version 1, is gone, but EVT-" in said


def test_what_an_earlier_version_put_into_the_inventory_is_explained_by_its_request(
    applied: Request,
) -> None:
    guard.remove(connection)
    event = AuditEvent.objects.get(action="inventory.updated")
    AuditPending.objects.filter(event_id=event.pk).delete()
    event.delete()
    assert wrong_states() == []
    ManagedRole.objects.update(request=None)
    assert [said for said in wrong_states() if "no event tells of it" in said]
