"""The good way, the claim's refusals, and foreign changes: over an AWS account in memory."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, connections

from iamroles.audit import checkpoint
from iamroles.audit.checkpoint import Checkpoint, SigningKey
from iamroles.audit.continuity import Halted
from iamroles.audit.publish import FilePublisher
from iamroles.audit.reading import wrong_states
from iamroles.audit.seal import Sealer
from iamroles.blueprints.state import RoleState
from iamroles.engine import guard, observe
from iamroles.iam import documents, trust
from iamroles.models import AwsAccount, Decision, Lease, ManagedRole, Proposal, Request, Revision, Run, User
from iamroles.proposal.propose import digest_of
from iamroles.transitions import WrongState
from iamroles.workflow import decide, withdraw
from tests.integration.engine.world import POLICY, QUICK, ROLE, TASK, World, actor

LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
CREATED = ["CreateRole", "CreatePolicy", "AttachRolePolicy", "AttachRolePolicy"]


class TestApply:
    def test_makes_exactly_what_was_approved(self, world: World) -> None:
        request = world.approved()
        assert world.apply(request) == "applied"
        assert (request.state, request.outcome) == ("closed", "applied")
        assert world.sent() == CREATED
        role = world.aws.roles["ecscodedeployrole"]
        assert role.arn == ROLE
        assert documents.equal(role.trust, trust.codedeploy_trust(world.account.number, source_account=True))
        assert role.attached == {LIMITED, POLICY}
        assert role.tags["team"] == "orders"
        assert set(role.tags) == {"team", "portal:nonce"}
        assert world.steps(request) == [(api, "ok", 1) for api in CREATED]
        run = world.run(request)
        assert (run.state, run.stop_reason, run.tries) == ("done", "", 0)
        kept = ManagedRole.objects.get()
        assert (kept.arn, kept.role_id, kept.team.slug, kept.request_id) == (ROLE, role.role_id, "orders", request.pk)

    def test_journals_each_intent_before_its_outcome(self, world: World) -> None:
        request = world.approved()
        world.apply(request)
        events = world.events(request)
        start = events.index("run.started")
        assert events[start:] == [
            "run.started",
            *["step.intended", "step.completed"] * 4,
            "run.verified",
            "request.applied",
            "inventory.updated",
        ]

    def test_applying_again_writes_nothing(self, world: World) -> None:
        request = world.approved()
        world.apply(request)
        assert world.apply(request) == "not_approved"
        assert world.sent() == CREATED

    def test_gives_the_lease_back(self, world: World) -> None:
        request = world.approved()
        world.apply(request)
        assert list(Lease.objects.order_by("resource").values_list("resource", "owner", "fence")) == [
            (POLICY.lower(), "", 1),
            (ROLE.lower(), "", 1),
        ]

    def test_leaves_a_busy_role_alone(self, world: World) -> None:
        request = world.approved()
        Lease.objects.create(
            account=world.account, resource=ROLE.lower(), owner="other", fence=7, hard_until=world.clock()
        )
        assert world.apply(request) == "busy"
        assert (world.sent(), Run.objects.count()) == ([], 0)

    def test_adopts_and_repairs_a_role_keeping_foreign_parts(self, world: World) -> None:
        wrong = trust.ecs_tasks_trust()
        foreign = "arn:aws:iam::111122223333:policy/theirs"
        world.aws.put_policy(foreign, world.aws.managed[LIMITED].document)
        world.aws.put_role(
            RoleState(
                arn=ROLE,
                name="ecsCodeDeployRole",
                path="/",
                trust=wrong,
                attached=frozenset({foreign}),
                tags={"cost": "7"},
            )
        )
        request = world.approved()
        assert world.apply(request) == "applied"
        role = world.aws.roles["ecscodedeployrole"]
        assert role.attached == {foreign, LIMITED, POLICY}
        assert role.tags == {"cost": "7", "team": "orders"}
        assert world.sent() == [
            "UpdateAssumeRolePolicy",
            "PutRolePolicy",  # cuts off the sessions of whoever leaves the trust
            "TagRole",
            "CreatePolicy",
            "AttachRolePolicy",
            "AttachRolePolicy",
        ]
        assert "inventory.adopted" in world.events(request)

    def test_a_role_that_is_right_needs_no_approval(self, world: World) -> None:
        world.apply(world.approved())
        again = world.submitted()
        assert observe.observe(request_id=again.pk, tools=world.tools()) == "closed"
        again.refresh_from_db()
        assert (again.state, again.outcome) == ("closed", "already_right")
        assert wrong_states() == []
        assert world.sent() == CREATED


def applies_nothing(world: World, request: Request) -> tuple[str, str, list[str]]:
    word = world.apply(request)
    run = Run.objects.filter(request=request).order_by("-number").first()
    return word, run.stop_reason if run else "", world.sent()


class TestProof:
    """Whatever is changed after the approval, nothing reaches AWS."""

    def test_a_proposal_edited_by_sql(self, world: World) -> None:
        request = world.approved()
        row = Proposal.objects.get()
        Proposal.objects.update(canonical=row.canonical.replace("orders-api-task", "orders-api-tusk"))
        assert applies_nothing(world, request) == ("invalid", "invalid", [])
        assert "run.stopped" in world.events(request)

    def test_a_proposal_edited_together_with_its_digest(self, world: World) -> None:
        request = world.approved()
        text = Proposal.objects.get().canonical.replace("orders-api-task", "orders-api-tusk")
        Proposal.objects.update(canonical=text, digest=digest_of(text))
        assert applies_nothing(world, request) == ("invalid", "invalid", [])

    def test_a_proposal_edited_with_digest_and_approval(self, world: World) -> None:
        request = world.approved()
        text = Proposal.objects.get().canonical.replace("orders-api-task", "orders-api-tusk")
        Proposal.objects.update(canonical=text, digest=digest_of(text))
        Decision.objects.update(proposal_digest=digest_of(text))
        assert applies_nothing(world, request) == ("invalid", "invalid", [])

    def test_facts_edited_by_sql(self, world: World) -> None:
        request = world.approved()
        row = Revision.objects.get()
        Revision.objects.update(facts=row.facts.replace("orders-api-task", "orders-api-tusk"))
        assert applies_nothing(world, request) == ("invalid", "invalid", [])

    def test_another_requester_by_sql(self, world: World) -> None:
        request = world.approved()
        Request.objects.update(requester=world.owner)
        assert applies_nothing(world, request) == ("invalid", "invalid", [])

    def test_a_state_set_to_approved_by_sql(self, world: World) -> None:
        request = world.in_review()
        Request.objects.update(state="approved")
        assert applies_nothing(world, request)[0::2] == ("in_review", [])

    def test_an_approver_who_left_the_group(self, world: World) -> None:
        request = world.approved()
        world.approver.groups.clear()
        assert applies_nothing(world, request) == ("in_review", "", [])
        assert (request.state, world.events(request)[-1]) == ("in_review", "request.reopened")

    def test_an_approver_who_was_deactivated(self, world: World) -> None:
        request = world.approved()
        User.objects.filter(pk=world.approver.pk).update(is_active=False)
        assert applies_nothing(world, request) == ("in_review", "", [])

    def test_a_risk_lowered_by_sql(self, world: World) -> None:
        request = world.approved()
        world.approver.groups.clear()
        Proposal.objects.update(risk="low", adopts=False)
        assert applies_nothing(world, request) == ("in_review", "", [])

    def test_a_signature_of_another_key(self, world: World) -> None:
        request = world.approved()
        Decision.objects.update(key_id="0" * 16)
        assert applies_nothing(world, request) == ("invalid", "invalid", [])

    def test_an_expired_approval(self, world: World) -> None:
        request = world.approved()
        world.clock.pass_by(8 * 86_400)
        assert applies_nothing(world, request) == ("expired", "", [])


class TestForeignChanges:
    def test_a_role_made_by_others_meanwhile(self, world: World) -> None:
        request = world.approved()
        world.aws.put_role(
            RoleState(
                arn=ROLE,
                name="ecsCodeDeployRole",
                path="/",
                trust=trust.codedeploy_trust(world.account.number, source_account=True),
                tags={"team": "orders"},
            )
        )
        assert applies_nothing(world, request) == ("conflict", "conflict", [])
        detail = world.run(request).detail
        assert detail["code"] == "NotExplainable"
        assert next(found["part"] for found in detail["parts"]) == "role id"
        assert detail["live"]["role"]["arn"] == ROLE

    def test_a_policy_attached_by_others_meanwhile(self, world: World) -> None:
        self.existing(world)
        request = world.approved()
        role = world.aws.roles["ecscodedeployrole"]
        world.aws.roles["ecscodedeployrole"] = replace(role, attached=role.attached | {"arn:aws:iam::aws:policy/Admin"})
        assert applies_nothing(world, request) == ("conflict", "conflict", [])

    def test_a_role_deleted_and_made_anew(self, world: World) -> None:
        self.existing(world)
        request = world.approved()
        role = world.aws.roles.pop("ecscodedeployrole")
        world.aws.put_role(replace(role, role_id=None))
        assert applies_nothing(world, request) == ("conflict", "conflict", [])

    def test_a_tag_of_a_cost_tool_disturbs_nothing(self, world: World) -> None:
        self.existing(world)
        request = world.approved()
        role = world.aws.roles["ecscodedeployrole"]
        world.aws.roles["ecscodedeployrole"] = replace(role, tags={**role.tags, "cost": "8", "new": "1"})
        assert world.apply(request) == "applied"
        assert world.aws.roles["ecscodedeployrole"].tags == {"cost": "8", "new": "1", "team": "orders"}

    def test_a_passed_role_that_trusts_others_now(self, world: World) -> None:
        request = world.approved()
        task = world.aws.roles["orders-api-task"]
        world.aws.roles["orders-api-task"] = replace(task, trust=trust.codedeploy_trust(world.account.number))
        assert world.apply(request) == "in_review"
        assert (request.state, request.revision_number, world.sent()) == ("in_review", 2, [])
        assert Decision.objects.get().ended_by == "voided"
        proposal = request.current_proposal()
        assert proposal is not None
        assert world.apply(world.approve(request)) == "applied"

    def test_two_approved_requests_for_one_role(self, world: World) -> None:
        first, second = world.approved(), world.approved(tags={"team": "payments"})
        assert world.apply(first) == "applied"
        assert world.apply(second) == "conflict"
        assert world.aws.roles["ecscodedeployrole"].tags["team"] == "orders"

    @staticmethod
    def existing(world: World) -> None:
        world.aws.put_role(
            RoleState(arn=ROLE, name="ecsCodeDeployRole", path="/", trust=trust.ecs_tasks_trust(), tags={"cost": "7"})
        )


class TestPause:
    def test_a_paused_account_waits(self, world: World) -> None:
        request = world.approved()
        world.account.paused_at = world.clock()
        world.account.save()
        assert world.apply(request) == "waiting"
        assert world.sent() == []
        world.account.paused_at = None
        world.account.save()
        assert world.apply(request) == "waiting"
        world.clock.pass_by(61)
        assert world.apply(request) == "applied"


class TestLateSealing:
    """Nothing here seals, so the events of the request itself wait: 301 s later adding rights is held up."""

    def test_holds_up_adding_rights_until_it_has_caught_up(self, world: World) -> None:
        request = world.approved()
        world.clock.pass_by(301)
        assert world.apply(request, limits=replace(QUICK, sealing=300)) == "waiting"
        assert (world.sent(), Run.objects.get().detail["code"]) == ([], "SealingLate")
        world.clock.pass_by(61)
        assert world.apply(request) == "applied"

    def test_holds_it_up_at_once_while_the_trail_contradicts_what_was_published(
        self, world: World, tmp_path: Path
    ) -> None:
        key = SigningKey("test.example/audit/1", Ed25519PrivateKey.generate())
        kept = FilePublisher(tmp_path / "kept")
        kept.publish(checkpoint.sign(Checkpoint(key.name, 10_000, b"r" * 32), [key]))
        sealer = Sealer(origin=key.name, keys=[key], vkeys=[key.verifier], publishers=[kept])
        request = world.approved()
        with pytest.raises(Halted, match="size 10000 was published to file but is not in the database"):
            sealer.seal(at=world.clock())
        assert world.apply(request) == "waiting"
        assert (world.sent(), Run.objects.get().detail["code"]) == ([], "SealingHalted")


@pytest.mark.parametrize("request_id", [0, 999_999, 2**62])
def test_unknown_ids_are_refused_quietly(world: World, request_id: int) -> None:
    from iamroles.engine import apply, check

    tools = world.tools()
    assert apply.apply(request_id=request_id, tools=tools) == "not_approved"
    assert observe.observe(request_id=request_id, tools=tools) == "not_due"
    assert check.answer_order(order_id=request_id, tools=tools) == "not_due"
    assert TASK in {role.arn for role in world.aws.roles.values()}


class TestRecall:
    """What goes back or is closed before its first call leaves nothing behind, and comes back only by new approvals."""

    def test_a_taken_back_approval_restored_by_sql_is_not_applied(self, world: World) -> None:
        request = world.approved()
        decide.take_back(request_id=request.pk, user=world.approver, actor=actor(world.approver), at=world.clock())
        Decision.objects.update(ended_by="", ended_at=None)
        Request.objects.update(state="approved")
        assert applies_nothing(world, request) == ("invalid", "invalid", [])
        assert [s for s in wrong_states() if "its events left it ended" in s]

    def test_a_requester_who_lost_the_account_gets_nothing(self, world: World) -> None:
        request = world.approved()
        world.account.teams.clear()
        assert applies_nothing(world, request) == ("in_review", "", [])

    def test_an_approval_that_expired_while_waiting_is_not_applied(self, world: World) -> None:
        request = world.approved()
        AwsAccount.objects.update(paused_at=world.clock())
        world.apply(request)
        world.clock.pass_by(8 * 86_400)
        AwsAccount.objects.update(paused_at=None)
        assert world.apply(request) == "expired"
        assert world.sent() == []

    def test_after_going_back_it_is_approved_anew_and_applied(self, world: World) -> None:
        request = world.approved()
        AwsAccount.objects.update(paused_at=world.clock())
        world.apply(request)
        group = world.approver.groups.get()
        world.approver.groups.clear()
        AwsAccount.objects.update(paused_at=None)
        world.clock.pass_by(3600)
        assert world.apply(request) == "in_review"
        assert [(run.state, run.stop_reason) for run in Run.objects.all()] == [("stopped", "recalled")]
        world.approver.groups.add(group)
        world.approve(request)
        assert world.apply(request) == "applied"
        assert world.sent() == CREATED


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="on SQLite the guard holds the whole database")
def test_a_withdrawal_waits_for_the_guard(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = world.approved()
    real, said = guard.check, []

    def withdraw_meanwhile() -> None:
        try:
            withdraw.withdraw(
                request_id=request.pk,
                user=world.requester,
                reason="",
                actor=actor(world.requester),
                at=world.clock(),
            )
            said.append("withdrawn")
        except WrongState:
            said.append("too late")
        finally:
            connections.close_all()

    racer = threading.Thread(target=withdraw_meanwhile)

    def checked_then_raced(*arguments: Any, **named: Any) -> Any:
        at = real(*arguments, **named)
        if not racer.ident:
            racer.start()
            racer.join(1)
        return at

    monkeypatch.setattr(guard, "check", checked_then_raced)
    assert world.apply(request) == "applied"
    racer.join(10)
    request.refresh_from_db()
    assert (said, request.outcome, world.sent()) == (["too late"], "applied", CREATED)
