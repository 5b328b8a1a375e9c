"""A look at AWS that is too old to approve by: it is made again, and what it finds decides about the approvals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iamroles.aws.fake import FakeSessions
from iamroles.aws.gateway import AwsError
from iamroles.engine import observe
from iamroles.engine.sweep import find_due
from iamroles.models import AuditEvent, Decision, Request, Revision, User
from iamroles.pages.requests import WHILE_READ, WHILE_WORKED_ON, request_page
from iamroles.pages.review import review_page
from iamroles.proposal import read
from iamroles.transitions import WrongState
from iamroles.workflow import decide, fresh_look, withdraw
from iamroles.workflow.verbs import Invalid, LookTooOld, NotAllowed
from tests.integration.engine.test_unattended import set_rules, unattended
from tests.integration.engine.world import QUICK, World, actor

DAY = 24 * 3600


def order(world: World, request: Request, user: User) -> Request:
    return fresh_look.order_look(request_id=request.pk, user=user, actor=actor(user), at=world.clock())


def approve(world: World, request: Request, user: User, **more: Any) -> Request:
    proposal = request.current_proposal()
    assert proposal is not None
    return decide.decide(
        request_id=request.pk,
        user=user,
        decision="approve",
        seen_digest=proposal.digest,
        reason="",
        acknowledged=[finding["id"] for finding in decide.to_acknowledge(proposal)],
        signed_in_at=world.clock(),
        actor=actor(user),
        at=world.clock(),
        **more,
    )


def look(world: World, request: Request) -> str:
    word = observe.observe(request_id=request.pk, tools=world.tools())
    request.refresh_from_db()
    return word


def digest_of(request: Request) -> str:
    proposal = request.current_proposal()
    assert proposal is not None
    return proposal.digest


def standing(request: Request) -> list[tuple[str, int]]:
    rows = Decision.objects.filter(request=request, ended_by="").order_by("pk")
    return [(row.approver.username, row.revision.number) for row in rows]


@pytest.fixture
def half(world: World) -> Request:
    """Needs two approvals, has one, and its look is a day old."""
    request = world.in_review(managed_policy="full", why_full="The hooks are shared")
    approve(world, request, world.approver)
    world.clock.pass_by(DAY + 60)
    request.refresh_from_db()
    assert standing(request) == [("amara", 1)]
    return request


@pytest.fixture
def old(world: World) -> Request:
    request = world.in_review()
    world.clock.pass_by(DAY + 60)
    return request


class TestTooOld:
    def test_nobody_approves_by_it_and_nothing_is_stored(self, world: World, half: Request) -> None:
        with pytest.raises(LookTooOld):
            approve(world, half, world.security)
        assert standing(half) == [("amara", 1)]
        refusal = AuditEvent.objects.get(action="verb.refused", request=half.reference)
        assert (refusal.actor_name, refusal.code) == ("Mei", "look_too_old")

    def test_it_holds_to_the_last_minute(self, world: World) -> None:
        request = world.in_review()
        world.clock.pass_by(DAY - 60)
        assert approve(world, request, world.approver).state == "approved"

    def test_it_holds_as_long_as_the_portal_is_told(self, world: World, old: Request, settings: Any) -> None:
        settings.ROLEDESK_LOOK_HOLDS_HOURS = 48
        assert approve(world, old, world.approver).state == "approved"

    def test_sending_back_and_rejecting_need_no_fresh_look(self, world: World, old: Request) -> None:
        request = decide.decide(
            request_id=old.pk,
            user=world.approver,
            decision="changes",
            seen_digest=digest_of(old),
            reason="Name the second role",
            signed_in_at=world.clock(),
            actor=actor(world.approver),
            at=world.clock(),
        )
        assert request.state == "changes_requested"

    def test_what_is_approved_already_is_applied(self, world: World) -> None:
        request = world.approved()
        world.clock.pass_by(DAY + 60)
        assert world.apply(request) == "applied"


class TestOrdering:
    @pytest.mark.parametrize("who", ["requester", "approver"])
    def test_the_requester_and_whoever_may_decide_order_it(self, world: World, old: Request, who: str) -> None:
        user = getattr(world, who)
        order(world, old, user)
        old.refresh_from_db()
        assert (old.state, old.revision_number, old.tries) == ("in_review", 1, 0)
        assert find_due(world.clock(), QUICK).observe == (old.pk,)
        event = AuditEvent.objects.get(action="observation.ordered")
        assert (event.actor_name, event.request) == (user.display_name, old.reference)

    def test_nobody_else_does(self, world: World, old: Request) -> None:
        with pytest.raises(NotAllowed):
            order(world, old, world.security)
        assert find_due(world.clock(), QUICK).observe == ()

    def test_not_while_the_last_one_holds(self, world: World) -> None:
        request = world.in_review()
        with pytest.raises(Invalid):
            order(world, request, world.requester)

    def test_not_twice(self, world: World, old: Request) -> None:
        order(world, old, world.requester)
        with pytest.raises(WrongState):
            order(world, old, world.requester)

    def test_not_once_it_is_decided(self, world: World, old: Request) -> None:
        user = world.requester
        withdraw.withdraw(request_id=old.pk, user=user, reason="", actor=actor(user), at=world.clock())
        with pytest.raises(WrongState):
            order(world, old, user)


class TestSame:
    def test_keeps_digest_revision_and_approvals(self, world: World, half: Request) -> None:
        before = digest_of(half)
        order(world, half, world.requester)
        assert look(world, half) == "in_review"
        assert (digest_of(half), half.revision_number, standing(half)) == (before, 1, [("amara", 1)])
        assert (half.next_try_at, half.last_code) == (None, "")
        assert world.events(half)[-2:] == ["observation.ordered", "base.observed"]
        assert approve(world, half, world.security).state == "approved"
        half.refresh_from_db()
        assert world.apply(half) == "applied"

    def test_does_not_live_longer_for_it(self, world: World, old: Request) -> None:
        proposal = old.current_proposal()
        assert proposal is not None
        order(world, old, world.requester)
        look(world, old)
        after = old.current_proposal()
        assert after is not None
        assert after.expires_at == proposal.expires_at
        assert after.observed_at > proposal.observed_at

    def test_an_open_page_learns_of_it(self, world: World, old: Request) -> None:
        order(world, old, world.requester)
        old.refresh_from_db()
        before = request_page(old, world.requester)
        assert before.poll_seconds == WHILE_WORKED_ON
        look(world, old)
        after = request_page(old, world.requester)
        assert after.poll_seconds == WHILE_READ
        assert before.marker != after.marker


class TestChanged:
    @pytest.fixture
    def changed(self, world: World, half: Request) -> Request:
        """Somebody made the role by hand in the meantime; a worker has looked."""
        proposal = half.current_proposal()
        assert proposal is not None
        role = proposal_role(half)
        world.aws.put_role(replace(role, description="made by hand", tags={"owner": "ada"}, role_id=None))
        order(world, half, world.requester)
        assert look(world, half) == "in_review"
        return half

    def test_makes_a_new_revision_that_needs_its_own_approvals(self, world: World, changed: Request) -> None:
        first, second = Revision.objects.filter(request=changed).order_by("number")
        assert (second.number, second.cause, second.created_by) == (2, "look_too_old", world.requester)
        assert first.proposal.digest != second.proposal.digest == digest_of(changed)
        assert standing(changed) == []
        assert world.events(changed)[-6:] == [
            "observation.ordered",
            "approval.voided",
            "revision.created",
            "plan.renewed",
            "base.observed",
            "revision.proposed",
        ]

    def test_loses_nothing_that_was_typed(self, changed: Request) -> None:
        first, second = Revision.objects.filter(request=changed).order_by("number")
        assert (second.facts, second.reason) == (first.facts, first.reason)

    def test_the_old_digest_is_of_no_use(self, world: World, changed: Request) -> None:
        old_digest = Revision.objects.get(request=changed, number=1).proposal.digest
        with pytest.raises(decide.StaleDigest):
            decide.decide(
                request_id=changed.pk,
                user=world.security,
                decision="approve",
                seen_digest=old_digest,
                reason="",
                signed_in_at=world.clock(),
                actor=actor(world.security),
                at=world.clock(),
            )

    def test_the_approver_sees_why(self, world: World, changed: Request) -> None:
        proposal = changed.current_proposal()
        assert proposal is not None
        why = (
            "Revision 2 was proposed anew: the look at AWS had become too old, and AWS reads differently now. "
            "Approvals of earlier revisions do not count."
        )
        assert review_page(changed, proposal, world.security, {}).anew == why
        assert request_page(changed, world.requester).anew == why

    def test_what_was_made_by_hand_exactly_so_is_right_already(self, world: World, old: Request) -> None:
        applied = world.approved()
        assert world.apply(applied) == "applied"
        order(world, old, world.requester)
        assert look(world, old) == "closed"
        assert old.outcome == "already_right"


def proposal_role(request: Request) -> Any:
    proposal = request.current_proposal()
    assert proposal is not None
    return read(proposal.canonical).target.role


class TestFailing:
    def test_tries_again_and_says_so_without_losing_an_approval(
        self, world: World, half: Request, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        order(world, half, world.requester)
        with monkeypatch.context() as patch:
            patch.setattr(FakeSessions, "reading", _throttled)
            assert look(world, half) == "in_review"
        assert (half.last_code, half.tries, standing(half)) == ("Throttling", 1, [("amara", 1)])
        assert half.next_try_at is not None
        assert "Throttling" in request_page(half, world.requester).next_step
        world.clock.pass_by(600)
        assert look(world, half) == "in_review"
        assert (half.last_code, half.next_try_at) == ("", None)
        assert approve(world, half, world.security).state == "approved"

    def test_after_the_last_try_it_can_be_ordered_again(self, world: World, old: Request) -> None:
        Request.objects.filter(pk=old.pk).update(next_try_at=None, tries=12, last_code="AccessDenied")
        order(world, old, world.requester)
        old.refresh_from_db()
        assert (old.tries, old.last_code) == (0, "")
        assert look(world, old) == "in_review"


class TestMeeting:
    def test_a_look_that_comes_after_the_withdrawal_stores_nothing(
        self, world: World, old: Request, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        order(world, old, world.requester)
        real = observe.see

        def see(*given: Any, **named: Any) -> Any:
            seen = real(*given, **named)
            user = world.requester
            withdraw.withdraw(request_id=old.pk, user=user, reason="", actor=actor(user), at=world.clock())
            return seen

        monkeypatch.setattr(observe, "see", see)
        assert look(world, old) == "not_due"
        assert (old.state, old.outcome) == ("closed", "withdrawn")
        assert world.events(old)[-1] == "request.withdrawn"

    def test_rules_that_changed_meanwhile_send_it_back_for_that(self, world: World, old: Request) -> None:
        order(world, old, world.requester)
        set_rules(world, unattended("grant"))
        assert look(world, old) == "in_review"
        assert Revision.objects.get(request=old, number=2).cause == "rule_changed"

    def test_an_approval_taken_back_orders_no_look(self, world: World) -> None:
        request = world.approved()
        user = world.approver
        decide.take_back(request_id=request.pk, user=user, actor=actor(user), at=world.clock())
        assert find_due(world.clock(), QUICK).observe == ()


def _throttled(*_given: Any, **_named: Any) -> Any:
    raise AwsError("Throttling", "slow down", api="GetRole", request_id="r-1")
