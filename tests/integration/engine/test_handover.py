"""Roles that another tool manages: reviewed like any, then handed over as text; no call of ours changes them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from iamroles.audit.reading import wrong_states
from iamroles.aws.fake import FakeGateway
from iamroles.blueprints import terraform
from iamroles.blueprints.facts import RemovalFacts
from iamroles.blueprints.state import RoleState
from iamroles.engine import drift, observe
from iamroles.iam import trust
from iamroles.models import AccountLook, AuditEvent, ManagedRole, Request
from iamroles.pages.requests import request_page
from iamroles.proposal import read
from iamroles.rules.tool_tags import read_tool_tags
from tests.integration.engine.world import POLICY, ROLE, World

TERRAFORM = {"ManagedBy": "Terraform"}


def live_role(**changes: Any) -> RoleState:
    usual = RoleState(arn=ROLE, name="ecsCodeDeployRole", path="/", trust=trust.ecs_tasks_trust(), tags=TERRAFORM)
    return replace(usual, **changes)


@pytest.fixture
def owned(world: World) -> Request:
    """Approved, for a role that Terraform manages."""
    world.aws.put_role(live_role())
    return world.approved()


def body_of(request: Request) -> dict[str, Any]:
    proposal = request.current_proposal()
    assert proposal is not None
    return proposal.body


class TestHandOver:
    def test_the_review_says_so_before_anybody_approves(self, world: World) -> None:
        world.aws.put_role(live_role())
        request = world.in_review()
        assert body_of(request)["owned_by"] == {"tool": "Terraform", "tag": "ManagedBy = Terraform"}
        proposal = request.current_proposal()
        assert proposal is not None
        assert proposal.sentences[0] == (
            "Terraform manages this role (tag ManagedBy = Terraform): Roledesk calls nothing that changes it."
        )

    def test_closes_without_a_call_and_shows_the_text(self, world: World, owned: Request) -> None:
        before = world.aws.roles["ecscodedeployrole"]
        assert world.apply(owned) == "handed_over"
        assert (owned.state, owned.outcome) == ("closed", "handed_over")
        assert world.sent() == []
        assert world.aws.roles["ecscodedeployrole"] == before
        assert not owned.runs.exists()
        shown = request_page(owned, world.requester).terraform
        assert 'resource "aws_iam_role" "ecsCodeDeployRole" {' in shown
        assert 'id = "ecsCodeDeployRole"' in shown
        said = json.loads(AuditEvent.objects.get(action="request.handed_over").canon)["data"]
        assert said["terraform_digest"] == hashlib.sha256(shown.encode()).hexdigest()
        assert wrong_states() == []

    def test_scans_watch_for_the_target(self, world: World, owned: Request) -> None:
        world.apply(owned)
        look = AccountLook.objects.create(account=world.account, kind="scan", at=world.clock())
        drift.scan(look, world.tools())
        row = ManagedRole.objects.get()
        assert (row.handed_over, row.request, bool(row.drift)) == (True, owned, True)

    def test_needs_the_same_approvals(self, world: World) -> None:
        world.aws.put_role(live_role())
        request = world.in_review()
        assert world.apply(request) == "not_approved"
        assert [needed["group"] for needed in body_of(request)["requirements"]] == ["orders-platform", "security"]

    def test_which_tags_count_is_configuration(self, world: World) -> None:
        world.aws.put_role(live_role(tags={"pulumi:project": "orders"}))
        request = world.submitted()
        observe.observe(request_id=request.pk, tools=world.tools(tool_tags=read_tool_tags("Pulumi/pulumi:project")))
        request.refresh_from_db()
        assert body_of(request)["owned_by"]["tool"] == "Pulumi"


class TestTakenOver:
    def test_a_tag_since_the_approval_sends_it_back(self, world: World) -> None:
        world.aws.put_role(live_role(tags={}))
        request = world.approved()
        world.aws.put_role(replace(world.aws.roles["ecscodedeployrole"], tags=TERRAFORM))
        assert world.apply(request) == "in_review"
        assert world.sent() == []
        assert request.revision_number == 2
        assert "owned_by" in body_of(request)
        assert AuditEvent.objects.filter(
            action="request.reopened", canon__contains='"cause":"owned_elsewhere"'
        ).exists()
        world.approve(request)
        request.refresh_from_db()
        assert world.apply(request) == "handed_over"
        assert world.sent() == []

    def test_a_tag_in_mid_run_stops_as_a_conflict(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        request = world.approved()
        real = FakeGateway.send

        def send(gateway: Any, call: Any) -> Any:
            answer = real(gateway, call)
            if call.api == "CreateRole":
                made = world.aws.roles["ecscodedeployrole"]
                world.aws.roles["ecscodedeployrole"] = replace(made, tags={**made.tags, **TERRAFORM})
            return answer

        monkeypatch.setattr(FakeGateway, "send", send)
        assert world.apply(request) == "conflict"
        assert world.sent() == ["CreateRole"]
        assert world.run(request).detail["code"] == "OwnedElsewhere"

    def test_a_tag_that_the_request_asks_for_claims_nothing(self, world: World) -> None:
        request = world.approved(tags={"team": "orders", "managed-by": "terraform"})
        assert world.apply(request) == "applied"


class TestRemoval:
    def test_hands_over_what_to_delete(self, world: World) -> None:
        assert world.apply(world.approved()) == "applied"
        world.aws.sent.clear()
        live = world.aws.roles["ecscodedeployrole"]
        world.aws.roles["ecscodedeployrole"] = replace(live, tags={**live.tags, **TERRAFORM})
        facts = RemovalFacts(
            account=world.account.facts(),
            team="orders",
            role_name="ecsCodeDeployRole",
            role_arn=ROLE,
            policies=(POLICY,),
        )
        request = world.approved(facts=facts)
        assert world.apply(request) == "handed_over"
        assert world.sent() == []
        shown = request_page(request, world.requester).terraform
        assert shown.splitlines() == [
            "# Delete the blocks of these from the configuration. The plan must destroy exactly these:",
            "# aws_iam_role ecsCodeDeployRole",
            f"# aws_iam_role_policy_attachment ecsCodeDeployRole/{POLICY}",
            "# aws_iam_role_policy_attachment ecsCodeDeployRole/arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited",
            f"# aws_iam_policy {POLICY}",
        ]

    def test_of_a_role_that_was_handed_over_before(self, world: World, owned: Request) -> None:
        world.apply(owned)
        stored = read(owned.current_proposal().canonical)  # type: ignore[union-attr]
        drift.scan(AccountLook.objects.create(account=world.account, kind="scan", at=world.clock()), world.tools())
        assert stored.target.role is not None
        facts = RemovalFacts(
            account=world.account.facts(), team="orders", role_name="ecsCodeDeployRole", role_arn=ROLE, policies=()
        )
        request = world.in_review(facts=facts)
        assert body_of(request)["risk"] != "forbidden"
        assert "owned_by" in body_of(request)


def test_nothing_gone_is_the_plain_text(world: World, owned: Request) -> None:
    stored = read(owned.current_proposal().canonical)  # type: ignore[union-attr]
    assert terraform.hand_over(stored.target, stored.base) == terraform.render(stored.target, stored.base)
