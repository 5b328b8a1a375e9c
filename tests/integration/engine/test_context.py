"""What happens around a request between approval and claim: gained rights send it back, lost ones do not (APPLY.md)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from iamroles.aws.fake import FakeGateway
from iamroles.aws.gateway import AwsError
from iamroles.blueprints import RemovalFacts
from iamroles.blueprints.state import RoleState
from iamroles.engine import observe
from iamroles.engine.look import look_for
from iamroles.iam import documents, trust
from iamroles.iam.documents import Document
from iamroles.models import AuditEvent, Request
from iamroles.proposal import ManagedPolicyVersion
from iamroles.proposal.context import PassedRole
from tests.integration.account_rules import set_account_rule
from tests.integration.engine.world import NUMBER, POLICY, ROLE, SYSTEM, TASK, World

APP = f"arn:aws:iam::{NUMBER}:policy/orders-app"


def policy(*actions: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


def parsed(*actions: str) -> Document:
    return documents.parse(policy(*actions))


def give(world: World, **changes: Any) -> RoleState:
    """The task role, with other rights than before."""
    role = replace(world.aws.roles["orders-api-task"], **changes)
    world.aws.roles["orders-api-task"] = role
    return role


def holding(world: World, *actions: str) -> None:
    world.aws.managed[APP] = ManagedPolicyVersion(APP, "v1", parsed(*actions))
    give(world, attached=frozenset({APP}))


def reopened() -> dict[str, Any]:
    """The data of the one event that tells of it."""
    data: dict[str, Any] = json.loads(AuditEvent.objects.get(action="request.reopened").canon)["data"]
    return data


class TestAfterTheApproval:
    def test_a_passed_role_with_a_new_policy_goes_back_to_review(self, world: World) -> None:
        request = world.approved()
        holding(world, "sqs:SendMessage")
        assert world.apply(request) == "in_review"
        assert (world.sent(), request.state, request.revision_number) == ([], "in_review", 2)
        assert reopened()["differences"] == [f"passed_roles {TASK} attached"]

    def test_the_new_contents_of_its_policy_go_back_to_review(self, world: World) -> None:
        holding(world, "sqs:SendMessage")
        request = world.approved()
        holding(world, "sqs:*")
        assert world.apply(request) == "in_review"
        again = world.approve(request)
        assert world.apply(again) == "applied"

    def test_a_passed_role_that_lost_rights_is_applied(self, world: World) -> None:
        holding(world, "sqs:*", "s3:GetObject")
        request = world.approved()
        holding(world, "sqs:SendMessage")
        assert world.apply(request) == "applied"

    @pytest.mark.parametrize(("lies", "word"), [(5, "applied"), (6, "in_review")])
    def test_a_passed_role_that_reads_as_gone_is_looked_for_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch, lies: int, word: str
    ) -> None:
        request = world.approved()
        asked: list[str] = []
        real = FakeGateway.passed_role

        def passed_role(gateway: FakeGateway, arn: str) -> PassedRole:
            asked.append(arn)
            return PassedRole(arn, None, None) if len(asked) <= lies else real(gateway, arn)

        monkeypatch.setattr(FakeGateway, "passed_role", passed_role)
        assert world.apply(request) == word

    @pytest.mark.parametrize(("stale", "word"), [((2,), "in_review"), ((3, 5, 7), "in_review"), ((2, 3), "applied")])
    def test_one_look_that_shows_the_old_rights_undoes_no_change(
        self, world: World, monkeypatch: pytest.MonkeyPatch, stale: tuple[int, ...], word: str
    ) -> None:
        request = world.approved()
        old = world.aws.roles[TASK.rpartition("/")[2]]
        holding(world, "*")
        new, asked = world.aws.roles[old.name], []
        real = FakeGateway.passed_role

        def passed_role(gateway: FakeGateway, arn: str) -> PassedRole:
            asked.append(arn)
            world.aws.roles[old.name] = old if len(asked) in stale else new
            return real(gateway, arn)

        monkeypatch.setattr(FakeGateway, "passed_role", passed_role)
        assert world.apply(request) == word

    def test_a_passed_role_whose_boundary_went_goes_back_to_review(self, world: World) -> None:
        world.aws.managed["arn:aws:iam::aws:policy/Bound"] = ManagedPolicyVersion("b", "v1", parsed("s3:*"))
        give(world, boundary="arn:aws:iam::aws:policy/Bound", inline={"all": parsed("s3:*", "sqs:*")})
        request = world.approved()
        give(world, boundary=None)
        assert world.apply(request) == "in_review"

    @pytest.mark.parametrize("kind", ["guardrail", "standard"])
    def test_another_guardrail_or_standard_makes_a_new_proposal(self, world: World, kind: str) -> None:
        request = world.approved()
        text = json.dumps(policy("*"))
        set_account_rule(number=NUMBER, kind=kind, text=text, actor=SYSTEM, at=world.clock())
        assert world.apply(request) == "in_review"
        assert (request.state, request.revision_number, world.sent()) == ("in_review", 2, [])
        assert reopened()["cause"] == f"{kind}_changed"
        assert world.apply(world.approve(request)) == "applied"


class TestFindings:
    def ids(self, world: World) -> list[tuple[str, str]]:
        proposal = world.in_review().current_proposal()
        assert proposal is not None
        return [(f["id"], f["severity"]) for f in proposal.findings if not f["standard"] and f["severity"] != "note"]

    def test_a_task_role_with_administrator_rights_is_high(self, world: World) -> None:
        holding(world, "*")
        assert self.ids(world) == [("PR07", "high")]

    def test_an_ordinary_one_is_not(self, world: World) -> None:
        holding(world, "s3:GetObject")
        assert self.ids(world) == []

    def test_a_role_outside_the_guardrail_is_forbidden(self, world: World) -> None:
        text = json.dumps(policy("ecs:*"))
        set_account_rule(number=NUMBER, kind="guardrail", text=text, actor=SYSTEM, at=world.clock())
        assert self.ids(world) == [("GR01", "forbidden")]

    def test_a_trust_that_was_used_lately(self, world: World) -> None:
        today = f"{world.clock():%Y-%m-%d}"
        plain = trust.codedeploy_trust(NUMBER, source_account=False)
        role = RoleState(world.facts().role_arn, "ecsCodeDeployRole", "/", plain, last_used=today)
        world.aws.put_role(role)
        assert ("TR09", "high") in self.ids(world)

    def test_a_trust_that_was_used_long_ago(self, world: World) -> None:
        plain = trust.codedeploy_trust(NUMBER, source_account=False)
        role = RoleState(world.facts().role_arn, "ecsCodeDeployRole", "/", plain, last_used="2020-01-01")
        world.aws.put_role(role)
        assert ("TR09", "high") not in self.ids(world)


def test_a_policy_that_many_roles_hold_is_read_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three passed roles with the same policy: one look at each role, one at the policy, one listing."""
    holding(world, "s3:GetObject")
    others = [f"arn:aws:iam::{NUMBER}:role/task-{number}" for number in range(2)]
    for arn in others:
        name = arn.rsplit("/", 1)[-1]
        world.aws.put_role(RoleState(arn, name, "/", trust.ecs_tasks_trust(), attached=frozenset({APP})))
    calls: list[str] = []
    for method in ("role", "policy", "managed_policy", "passed_role", "roles", "making"):
        real = getattr(FakeGateway, method)

        def counted(self: FakeGateway, *given: str, _real: Any = real, _name: str = method) -> Any:
            if len(calls) == 0 or not calls[-1].startswith("in "):
                calls.append(_name)
                calls.append(f"in {_name}")
                try:
                    return _real(self, *given)
                finally:
                    calls.pop()
            return _real(self, *given)

        monkeypatch.setattr(FakeGateway, method, counted)
    look_for(world.aws.gateway(), world.facts(task_roles=(TASK, *others)), world.clock())
    assert sorted(calls) == ["managed_policy"] * 2 + ["passed_role"] * 3 + ["policy", "role", "roles"]


class TestQuotas:
    def found(self, world: World, request: Request) -> list[dict[str, Any]]:
        proposal = request.current_proposal()
        assert proposal is not None
        return [one for one in proposal.findings if one["id"] == "VA06"]

    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The account summaries that are read from now on."""
        asked: list[str] = []
        real = FakeGateway.account_summary

        def counted(self: FakeGateway) -> Any:
            asked.append("GetAccountSummary")
            return real(self)

        monkeypatch.setattr(FakeGateway, "account_summary", counted)
        return asked

    def test_an_account_without_room_is_said_before_anybody_approves(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.aws.quotas["RolesQuota"] = len(world.aws.roles)
        asked = self.asked(monkeypatch)
        (finding,) = self.found(world, world.in_review())
        assert (finding["severity"], finding["will_not_work"]) == ("medium", True)
        assert finding["message"] == "orders-staging has 1 of 1 roles: AWS would refuse one more."
        assert asked == ["GetAccountSummary"]

    def test_what_came_in_since_the_approval_stops_nothing_but_what_aws_refuses(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Counts are no dependency of an approval: the claim does not even ask for them."""
        request = world.approved()
        world.aws.quotas["RolesQuota"] = 0
        asked = self.asked(monkeypatch)
        assert world.apply(request) == "applied"
        assert asked == []

    def test_quotas_that_may_not_be_read_are_said_and_nothing_waits_for_them(self, world: World) -> None:
        world.aws.forbidden.add("GetAccountSummary")
        request = world.in_review()
        (finding,) = self.found(world, request)
        assert (finding["severity"], finding["will_not_work"]) == ("note", False)
        assert "AWS did not show the quotas of orders-staging (AccessDenied)" in finding["message"]
        assert world.apply(world.approve(request)) == "applied"

    @pytest.mark.parametrize(("code", "state"), [("Throttling", "submitted"), ("UnreadableAnswer", "in_review")])
    def test_what_gets_better_by_looking_again_is_looked_at_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch, code: str, state: str
    ) -> None:
        def fail(_: FakeGateway) -> None:
            raise AwsError(code, api="GetAccountSummary")

        monkeypatch.setattr(FakeGateway, "account_summary", fail)
        request = world.submitted()
        assert observe.observe(request_id=request.pk, tools=world.tools()) == state
        request.refresh_from_db()
        assert request.last_code == (code if state == "submitted" else "")

    def test_a_removal_needs_no_room_and_asks_for_none(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        assert world.apply(world.approved()) == "applied"
        asked = self.asked(monkeypatch)
        facts = world.facts()
        removal = RemovalFacts(
            account=facts.account,
            team=facts.team,
            role_name=facts.role_name,
            role_arn=ROLE,
            policies=(POLICY,),
            whole=True,
        )
        assert self.found(world, world.in_review(removal)) == []
        assert asked == []
