"""Taking rights away: in order, known to be gone, and also while an AWS account is paused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from iamroles.aws.fake import FakeGateway
from iamroles.aws.gateway import Answer, AwsError
from iamroles.blueprints.facts import RemovalFacts
from iamroles.blueprints.state import RoleState
from iamroles.engine.renew import find_outdated
from iamroles.models import AwsAccount, ManagedRole, Request
from iamroles.proposal.calls import Call
from tests.integration.account_rules import set_account_rule
from tests.integration.engine.world import NUMBER, POLICY, QUICK, ROLE, SYSTEM, World

REMOVED = ["DetachRolePolicy", "DetachRolePolicy", "DeleteRole", "DeletePolicy"]


@pytest.fixture
def removal(world: World) -> Request:
    """An approved removal of a role that was made by an earlier request."""
    assert world.apply(world.approved()) == "applied"
    world.aws.sent.clear()
    facts = RemovalFacts(
        account=world.account.facts(),
        team="orders",
        role_name="ecsCodeDeployRole",
        role_arn=ROLE,
        policies=(POLICY,),
    )
    return world.approved(facts=facts)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[FakeGateway, Call], Answer]], None]:
    """Lets the first call of an API be answered by a function instead."""
    real = FakeGateway.send

    def arrange(api: str, answer: Callable[[FakeGateway, Call], Answer]) -> None:
        left = [1]

        def send(self: FakeGateway, call: Call) -> Answer:
            if call.api == api and left[0]:
                left[0] -= 1
                return answer(self, call)
            return real(self, call)

        monkeypatch.setattr(FakeGateway, "send", send)

    return arrange


def test_takes_role_and_policy_away_and_forgets_them(world: World, removal: Request) -> None:
    assert world.apply(removal) == "applied"
    assert sorted(world.sent()) == sorted(REMOVED)
    assert world.sent()[:3] == REMOVED[:3]
    assert ("ecscodedeployrole" in world.aws.roles, POLICY in world.aws.policies) == (False, False)
    assert ManagedRole.objects.count() == 0


def test_goes_on_in_a_paused_account_because_it_is_proved(world: World, removal: Request) -> None:
    AwsAccount.objects.update(paused_at=world.clock())
    assert world.apply(removal) == "applied"


def test_no_guardrail_or_standard_holds_up_what_is_proved_to_add_nothing(world: World, removal: Request) -> None:
    for kind in ("guardrail", "standard"):
        text = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
        set_account_rule(number=NUMBER, kind=kind, text=text, actor=SYSTEM, at=world.clock())
    Request.objects.filter(pk=removal.pk).update(state="in_review")
    assert find_outdated() == []
    Request.objects.filter(pk=removal.pk).update(state="approved")
    assert world.apply(removal) == "applied"


def test_goes_on_while_the_audit_trail_is_late_because_it_is_proved(world: World, removal: Request) -> None:
    world.clock.pass_by(301)
    assert world.apply(removal, limits=replace(QUICK, sealing=300)) == "applied"


def test_a_role_that_reads_as_gone_is_deleted_all_the_same(
    world: World, removal: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absence is never believed from reads alone: they lie once the attachments are gone."""
    real = FakeGateway.role

    def lying(self: FakeGateway, arn: str) -> RoleState | None:
        found = real(self, arn)
        return None if found is not None and arn == ROLE and not found.attached else found

    monkeypatch.setattr(FakeGateway, "role", lying)
    assert world.apply(removal) == "applied"
    assert "DeleteRole" in world.sent()
    assert "ecscodedeployrole" not in world.aws.roles


def test_a_role_that_others_deleted_is_looked_for_five_times(world: World, removal: Request, answering: Any) -> None:
    def gone(_gateway: FakeGateway, call: Call) -> Answer:
        del world.aws.roles["ecscodedeployrole"]
        raise AwsError("NoSuchEntity", api=call.api, http_status=404)

    answering("DeleteRole", gone)
    world.pauses.clear()
    assert world.apply(removal) == "applied"
    assert len(world.pauses) == 4
    assert ("DeleteRole", "ok", 1) in world.steps(removal)


def test_a_role_that_aws_wrongly_called_gone_is_deleted_again(world: World, removal: Request, answering: Any) -> None:
    def wrong(_gateway: FakeGateway, call: Call) -> Answer:
        raise AwsError("NoSuchEntity", api=call.api, http_status=404)

    answering("DeleteRole", wrong)
    assert world.apply(removal) == "applied"
    assert "ecscodedeployrole" not in world.aws.roles
    assert ("DeleteRole", "ok", 2) in world.steps(removal)


def test_a_role_deleted_before_the_claim_is_a_conflict(world: World, removal: Request) -> None:
    del world.aws.roles["ecscodedeployrole"]
    assert world.apply(removal) == "conflict"
    assert world.sent() == []


def test_a_lost_deletion_is_looked_up(world: World, removal: Request, answering: Any) -> None:
    real = FakeGateway.send

    def lost(gateway: FakeGateway, call: Call) -> Answer:
        real(gateway, call)
        raise AwsError("ReadTimeout", api=call.api)

    answering("DeleteRole", lost)
    assert world.apply(removal) == "applied"
    assert world.sent().count("DeleteRole") == 1
