"""Decisions are bound to what was seen, by people who may; a refusal stores nothing but its event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from iamroles import signing
from iamroles.audit.reading import wrong_states
from iamroles.blueprints import RoleFacts
from iamroles.models import AuditEvent, Decision, Proposal, Request, User
from iamroles.transitions import WrongState
from iamroles.workflow import decide, draft, submit, withdraw
from iamroles.workflow.verbs import Invalid, NotAllowed, SignInTooOld, StaleDigest
from tests.integration.workflow.conftest import AT, actor, observed, send

pytestmark = pytest.mark.django_db


def give(request: Request, user: User, decision: str = "approve", **changes: Any) -> Request:
    proposal = request.current_proposal()
    arguments: dict[str, Any] = {
        "request_id": request.pk,
        "user": user,
        "decision": decision,
        "seen_digest": proposal.digest if proposal else "",
        "reason": "",
        "acknowledged": [],
        "signed_in_at": AT,
        "actor": actor(user),
        "at": AT + timedelta(minutes=1),
    }
    return decide.decide(**{**arguments, **changes})


def refusals() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.filter(action="verb.refused").values_list("actor_name", "code"))


class TestApprove:
    def test_moves_a_low_request_to_approved_and_signs(self, in_review: Request, approver: User) -> None:
        give(in_review, approver)
        in_review.refresh_from_db()
        row = Decision.objects.get()
        proposal = in_review.current_proposal()
        assert proposal is not None
        assert (in_review.state, row.proposal_digest, row.groups) == ("approved", proposal.digest, ["approvers"])
        assert signing.verify(signing.approval_payload(row), key=row.key_id, signature=row.signature)
        actions = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
        assert actions[-2:] == ["approval.given", "request.approved"]

    def test_the_signature_breaks_when_the_row_is_changed(self, in_review: Request, approver: User) -> None:
        give(in_review, approver)
        row = Decision.objects.get()
        for field, value in (("proposal_digest", "0" * 64), ("approver_id", row.approver_id + 1), ("groups", ["x"])):
            changed = Decision.objects.get()
            setattr(changed, field, value)
            assert not signing.verify(signing.approval_payload(changed), key=row.key_id, signature=row.signature)

    def test_refuses_the_requester_who_is_an_approver_too(self, in_review: Request, requester: User) -> None:
        with pytest.raises(NotAllowed, match="someone else must approve"):
            give(in_review, requester)
        in_review.refresh_from_db()
        assert (in_review.state, Decision.objects.count(), refusals()) == (
            "in_review",
            0,
            [("Rosa", "self_approval")],
        )

    def test_refuses_somebody_without_a_group(self, in_review: Request, outsider: User) -> None:
        with pytest.raises(NotAllowed):
            give(in_review, outsider)
        assert (Decision.objects.count(), refusals()) == (0, [("Eve", "not_involved")])

    def test_refuses_another_digest(self, in_review: Request, approver: User) -> None:
        with pytest.raises(StaleDigest):
            give(in_review, approver, seen_digest="0" * 64)
        assert (Decision.objects.count(), refusals()) == (0, [("Amara", "stale_digest")])

    def test_refuses_what_was_edited_meanwhile(
        self, in_review: Request, requester: User, approver: User, facts: RoleFacts
    ) -> None:
        seen = in_review.current_proposal()
        assert seen is not None
        submit.submit(
            request_id=in_review.pk,
            user=requester,
            facts=replace(facts, hardened=False),
            reason="Now with plain trust",
            actor=actor(requester),
            at=AT,
        )
        with pytest.raises((StaleDigest, WrongState)):
            give(in_review, approver, seen_digest=seen.digest)
        observed(in_review)
        with pytest.raises(StaleDigest):
            give(in_review, approver, seen_digest=seen.digest)
        assert Decision.objects.count() == 0

    def test_counts_the_same_approver_once(self, requester: User, approver: User, facts: RoleFacts) -> None:
        request = send(requester, replace(facts, managed_policy="full", why_full="The hooks are shared"))
        proposal = observed(request)
        ticks = [f["id"] for f in decide.to_acknowledge(proposal)]
        give(request, approver, acknowledged=ticks)
        with pytest.raises(WrongState):
            give(request, approver, acknowledged=ticks)
        request.refresh_from_db()
        assert (request.state, Decision.objects.count()) == ("in_review", 1)

    def test_high_needs_security_too_and_every_tick(
        self, requester: User, approver: User, security: User, facts: RoleFacts
    ) -> None:
        request = send(requester, replace(facts, managed_policy="full", why_full="The hooks are shared"))
        proposal = observed(request)
        assert proposal.risk == "high"
        with pytest.raises(Invalid, match="Tick that you have seen"):
            give(request, approver)
        ticks = [f["id"] for f in decide.to_acknowledge(proposal)]
        give(request, approver, acknowledged=ticks)
        request.refresh_from_db()
        assert request.state == "in_review"
        give(request, security, acknowledged=ticks)
        request.refresh_from_db()
        assert request.state == "approved"

    @pytest.mark.parametrize(("minutes", "allowed"), [(29, True), (31, False)])
    def test_asks_to_sign_in_again_after_30_minutes(
        self, in_review: Request, approver: User, minutes: int, allowed: bool
    ) -> None:
        at = AT + timedelta(minutes=minutes)
        if allowed:
            give(in_review, approver, at=at)
        else:
            with pytest.raises(SignInTooOld):
                give(in_review, approver, at=at)
        assert Decision.objects.count() == int(allowed)


class TestOthers:
    @pytest.mark.parametrize(
        ("decision", "state", "outcome"), [("changes", "changes_requested", ""), ("reject", "closed", "rejected")]
    )
    def test_need_a_reason(self, in_review: Request, approver: User, decision: str, state: str, outcome: str) -> None:
        with pytest.raises(Invalid):
            give(in_review, approver, decision, reason="  ")
        give(in_review, approver, decision, reason="Name the cluster")
        in_review.refresh_from_db()
        assert (in_review.state, in_review.outcome) == (state, outcome)

    def test_unknown_decision_is_refused(self, in_review: Request, approver: User) -> None:
        with pytest.raises(Invalid):
            give(in_review, approver, "approve-all")

    def test_take_back_returns_an_approved_request_to_review(self, in_review: Request, approver: User) -> None:
        give(in_review, approver)
        decide.take_back(request_id=in_review.pk, user=approver, actor=actor(approver), at=AT)
        in_review.refresh_from_db()
        assert (in_review.state, Decision.objects.get().ended_by) == ("in_review", "taken_back")
        give(in_review, approver)
        in_review.refresh_from_db()
        assert in_review.state == "approved"

    def test_editing_voids_approvals(self, requester: User, approver: User, facts: RoleFacts) -> None:
        request = send(requester, replace(facts, managed_policy="full", why_full="The hooks are shared"))
        ticks = [f["id"] for f in decide.to_acknowledge(observed(request))]
        give(request, approver, acknowledged=ticks)
        submit.submit(
            request_id=request.pk,
            user=requester,
            facts=facts,
            reason="Limited is enough",
            actor=actor(requester),
            at=AT,
        )
        assert Decision.objects.get().ended_by == "voided"
        assert AuditEvent.objects.filter(action="approval.voided").count() == 1

    def test_withdraw_is_the_requesters_alone(self, in_review: Request, requester: User, approver: User) -> None:
        with pytest.raises(NotAllowed):
            withdraw.withdraw(request_id=in_review.pk, user=approver, reason="", actor=actor(approver), at=AT)
        withdraw.withdraw(request_id=in_review.pk, user=requester, reason="", actor=actor(requester), at=AT)
        in_review.refresh_from_db()
        assert (in_review.state, in_review.outcome) == ("closed", "withdrawn")
        with pytest.raises(WrongState):
            give(in_review, approver)


class TestSubmit:
    def test_refuses_an_account_that_the_team_may_not_use(
        self, requester: User, person: Callable[..., User], facts: RoleFacts
    ) -> None:
        requester.teams.get().accounts.clear()
        with pytest.raises(NotAllowed, match="not among the AWS accounts of Orders"):
            send(requester, facts)

    def test_refuses_a_team_of_others(self, outsider: User, facts: RoleFacts) -> None:
        with pytest.raises(NotAllowed, match="a team that you belong to"):
            send(outsider, facts)

    def test_refuses_facts_that_name_another_boundary(self, requester: User, facts: RoleFacts) -> None:
        with pytest.raises(NotAllowed, match="record changed"):
            send(requester, replace(facts, account=replace(facts.account, boundary="arn:aws:iam::1:policy/x")))

    def test_refuses_another_spelling_of_a_role_that_is_asked_for(self, requester: User, facts: RoleFacts) -> None:
        send(requester, facts)
        with pytest.raises(Invalid, match="knows this role as ecsCodeDeployRole"):
            send(requester, replace(facts, role_name="ecsCodedeployRole"))

    def test_refuses_a_protected_role(self, requester: User, facts: RoleFacts) -> None:
        with pytest.raises(Invalid):
            send(requester, replace(facts, role_name="OrganizationAccountAccessRole"))
        assert Request.objects.get().state == "draft"


class TestWhatApproversRead:
    def test_typing_after_sending_changes_no_title(self, in_review: Request, requester: User, facts: RoleFacts) -> None:
        before = Request.objects.get()
        draft.save(
            user=requester,
            kind="role",
            answers={"team": "orders", "account": "999988887777", "role_name": "SPOOFED"},
            title="Role SPOOFED in orders-prod",
            actor=actor(requester),
            at=AT,
            request_id=in_review.pk,
        )
        after = Request.objects.get()
        assert (after.title, after.role_name, after.account_id) == (before.title, before.role_name, before.account_id)
        assert after.answers["role_name"] == "SPOOFED"

    def test_words_changed_by_sql_stop_every_decision(self, in_review: Request, approver: User) -> None:
        seen = in_review.current_proposal()
        assert seen is not None
        text = seen.canonical.replace("Creates the role", "Tags the role")
        assert text != seen.canonical
        Proposal.objects.update(canonical=text)
        with pytest.raises(NotAllowed, match="not the one that was made"):
            give(in_review, approver, seen_digest=seen.digest)
        assert Decision.objects.count() == 0
        assert wrong_states() == [f"the proposal of {in_review.reference} (revision 1) is not the one that was made"]

    def test_an_untouched_request_is_explained(self, in_review: Request, approver: User) -> None:
        give(in_review, approver)
        assert wrong_states() == []
