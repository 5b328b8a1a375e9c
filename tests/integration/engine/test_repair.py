"""Operators' verbs on what does not go on by itself: from a really stopped run to what the worker then does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from iamroles.audit.reading import wrong_states
from iamroles.aws.fake import FakeGateway
from iamroles.aws.gateway import Answer, AwsError
from iamroles.engine import check, observe
from iamroles.engine.writing import call_of
from iamroles.models import AuditEvent, Lease, ManagedRole, Request, Resolution, Run, User
from iamroles.proposal import read
from iamroles.proposal.calls import Call
from iamroles.transitions import WrongState
from iamroles.workflow import organisation, repair, resolve
from iamroles.workflow.verbs import Invalid, NotAllowed, SignInTooOld
from tests.integration.at_once import only_on_postgresql, uncommitted
from tests.integration.engine.test_unknown import Died
from tests.integration.engine.world import ROLE, SYSTEM, World, actor

Verb = Callable[..., Any]


@pytest.fixture
def operator(world: World) -> User:
    return person(world, "oskar")


@pytest.fixture
def second(world: World) -> User:
    return person(world, "ines")


def person(world: World, login: str) -> User:
    return organisation.add_person(
        login=login,
        first_name=login.title(),
        last_name="",
        password=None,
        groups=["operators"],
        teams=[],
        actor=SYSTEM,
        at=world.clock(),
    )


def act(verb: Verb, world: World, request: Request, user: User, **more: Any) -> Any:
    """One verb by an operator who just signed in."""
    at: datetime = world.clock()
    given = {"reason": "Looked into it, OPS-7", "signed_in_at": at, **more}
    return verb(request_id=request.pk, user=user, actor=actor(user), at=at, **given)


def refused(request: Request) -> list[str]:
    rows = AuditEvent.objects.filter(request=request.reference, action="verb.refused").order_by("pk")
    return list(rows.values_list("code", flat=True))


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Operations that AWS refuses with AccessDenied while they are in the set."""
    names: set[str] = set()
    real = FakeGateway.send

    def send(gateway: FakeGateway, call: Call) -> Answer:
        if call.api in names:
            raise AwsError("AccessDenied", f"not authorized to perform iam:{call.api}", api=call.api, request_id="r-1")
        return real(gateway, call)

    monkeypatch.setattr(FakeGateway, "send", send)
    return names


@pytest.fixture
def blocked(world: World, denied: set[str]) -> Request:
    """Approved, and stopped at its first attachment: the role and the policy are there."""
    request = world.approved()
    denied.add("AttachRolePolicy")
    assert world.apply(request) == "blocked"
    return request


@pytest.fixture
def conflicting(world: World) -> Request:
    """Approved, and stopped because somebody else made the role first."""
    request = world.approved()
    world.aws.put_role(replace(target_role(request), description="made by hand", role_id=None))
    assert world.apply(request) == "conflict"
    return request


def target_role(request: Request) -> Any:
    proposal = request.current_proposal()
    assert proposal is not None
    return read(proposal.canonical).target.role


def quarantined(world: World, request: Request) -> None:
    proposal = request.current_proposal()
    assert proposal is not None
    Run.objects.create(
        request=request,
        number=1,
        proposal=proposal,
        state="waiting",
        tries=12,
        started_at=world.clock(),
        seen_at=world.clock(),
    )
    assert world.apply(request) == "quarantined"


class TestRetry:
    def test_a_new_run_goes_on_with_what_is_not_done(
        self, world: World, blocked: Request, denied: set[str], operator: User
    ) -> None:
        assert world.steps(blocked)[0] == ("CreateRole", "ok", 1)
        denied.clear()
        act(repair.retry, world, blocked, operator)
        assert (world.run(blocked).number, world.run(blocked).state) == (2, "waiting")
        assert wrong_states() == []
        assert world.apply(blocked) == "applied"
        assert blocked.outcome == "applied"
        assert world.sent().count("CreateRole") == 1
        event = AuditEvent.objects.get(action="request.retried")
        assert '"from_state":"blocked"' in event.canon
        assert '"reason":"Looked into it, OPS-7"' in event.canon
        assert wrong_states() == []

    def test_stays_blocked_when_nothing_was_repaired(self, world: World, blocked: Request, operator: User) -> None:
        act(repair.retry, world, blocked, operator)
        assert world.apply(blocked) == "blocked"
        assert world.run(blocked).number == 2

    def test_is_for_operators_with_a_reason_and_a_fresh_sign_in(
        self, world: World, blocked: Request, operator: User
    ) -> None:
        with pytest.raises(NotAllowed):
            act(repair.retry, world, blocked, world.approver)
        with pytest.raises(Invalid):
            act(repair.retry, world, blocked, operator, reason="  ")
        with pytest.raises(SignInTooOld):
            act(repair.retry, world, blocked, operator, signed_in_at=world.clock() - timedelta(minutes=5, seconds=1))
        assert refused(blocked) == ["not_operator", "invalid", "sign_in_too_old"]
        assert Run.objects.count() == 1

    def test_refuses_what_is_not_blocked_and_a_second_click(
        self, world: World, blocked: Request, conflicting: Request, operator: User
    ) -> None:
        with pytest.raises(WrongState):
            act(repair.retry, world, conflicting, operator)
        act(repair.retry, world, blocked, operator)
        with pytest.raises(WrongState):
            act(repair.retry, world, blocked, operator)
        assert refused(blocked) == ["wrong_state"]

    @pytest.fixture
    def conflicting(self, world: World, blocked: Request) -> Request:
        request = world.approved(role_name="other")
        world.aws.put_role(replace(target_role(request), description="by hand", role_id=None))
        assert world.apply(request) == "conflict"
        return request


class TestRelease:
    def test_lets_a_quarantined_request_go_on(self, world: World, operator: User) -> None:
        request = world.approved()
        quarantined(world, request)
        act(repair.release, world, request, operator)
        assert world.apply(request) == "applied"
        names = world.events(request)
        assert names.index("run.released") < names.index("request.retried")

    def test_never_by_who_asked_or_approved(self, world: World) -> None:
        request = world.approved()
        quarantined(world, request)
        for user in (world.requester, world.approver):
            user.groups.add(person(world, f"op-{user.pk}").groups.get())
            with pytest.raises(NotAllowed):
                act(repair.release, world, request, User.objects.get(pk=user.pk))
        assert refused(request) == ["involved", "involved"]
        assert Run.objects.count() == 1


class TestRenewPlan:
    def test_a_new_revision_over_what_is_live_and_no_approval_stands(
        self, world: World, conflicting: Request, operator: User
    ) -> None:
        act(repair.renew_plan, world, conflicting, operator)
        conflicting.refresh_from_db()
        assert (conflicting.state, conflicting.revision_number) == ("submitted", 2)
        assert conflicting.decisions.filter(ended_by="").count() == 0
        assert observe.observe(request_id=conflicting.pk, tools=world.tools()) == "in_review"
        assert wrong_states() == []
        conflicting.refresh_from_db()
        world.approve(conflicting)
        conflicting.refresh_from_db()
        assert conflicting.state == "approved"
        assert conflicting.latest_run() is None
        assert world.apply(conflicting) == "applied"

    def test_refuses_when_the_account_demands_something_else_now(
        self, world: World, conflicting: Request, operator: User
    ) -> None:
        world.account.boundary = "arn:aws:iam::111122223333:policy/Boundary"
        world.account.save()
        with pytest.raises(Invalid, match="record changed"):
            act(repair.renew_plan, world, conflicting, operator)
        conflicting.refresh_from_db()
        assert (conflicting.state, conflicting.revision_number) == ("approved", 1)


class TestAbandon:
    def test_lists_what_aws_has_and_has_not(self, world: World, blocked: Request, operator: User) -> None:
        act(repair.abandon, world, blocked, operator)
        blocked.refresh_from_db()
        assert (blocked.state, blocked.outcome) == ("closed", "abandoned")
        said = json.loads(AuditEvent.objects.get(action="request.abandoned").canon)["data"]
        assert [line.split()[1] for line in said["done"]] == ["CreateRole", "CreatePolicy"]
        assert [line.split()[1] for line in said["not_done"]] == ["AttachRolePolicy", "AttachRolePolicy"]
        assert said["unknown"] == []
        role = world.aws.roles["ecscodedeployrole"]
        assert role.attached == frozenset()
        assert wrong_states() == []
        assert world.apply(blocked) == "not_approved"

    def test_lists_an_unknown_outcome_of_an_earlier_run(self, world: World, blocked: Request, operator: User) -> None:
        step = world.run(blocked).steps.get(position=3)
        step.state = "unknown"
        step.save()
        act(repair.abandon, world, blocked, operator)
        said = json.loads(AuditEvent.objects.get(action="request.abandoned").canon)["data"]
        assert [line.split()[0] for line in said["unknown"]] == ["3"]

    def test_names_the_newer_request(self, world: World, blocked: Request, operator: User) -> None:
        for wrong in ("REQ-999999", "REQ-1", blocked.reference, "x"):
            with pytest.raises(Invalid):
                act(repair.abandon, world, blocked, operator, newer=wrong)
        newer = world.submitted()
        act(repair.abandon, world, blocked, operator, newer=newer.reference)
        blocked.refresh_from_db()
        assert blocked.outcome == "superseded"
        event = AuditEvent.objects.get(action="request.superseded")
        assert f'"superseded_by":"{newer.reference}"' in event.canon
        assert wrong_states() == []


class TestTryNow:
    def test_ends_the_wait(self, world: World, operator: User) -> None:
        request = world.approved()
        world.account.paused_at = world.clock()
        world.account.save()
        assert world.apply(request) == "waiting"
        world.account.paused_at = None
        world.account.save()
        assert world.apply(request) == "waiting"
        act(repair.try_now, world, request, operator)
        assert world.apply(request) == "applied"
        with pytest.raises(WrongState):
            act(repair.try_now, world, request, operator)


class TestLookAgain:
    def test_orders_what_was_given_up(self, world: World, operator: User) -> None:
        request = world.submitted()
        with pytest.raises(WrongState):
            act(repair.look_again, world, request, operator)
        Request.objects.filter(pk=request.pk).update(tries=12, next_try_at=None, last_code="AccessDenied")
        assert observe.observe(request_id=request.pk, tools=world.tools()) == "not_due"
        act(repair.look_again, world, request, operator)
        assert observe.observe(request_id=request.pk, tools=world.tools()) == "in_review"


class TestForceLease:
    @pytest.fixture
    def dead(self, world: World, monkeypatch: pytest.MonkeyPatch) -> Request:
        """Its worker died in a call and still holds role and policy."""

        def die(*_: Any) -> None:
            raise Died

        request = world.approved()
        with monkeypatch.context() as patch:
            patch.setattr(FakeGateway, "send", die)
            with pytest.raises(Died):
                world.apply(request)
        return request

    def look(self, world: World, request: Request, user: User) -> None:
        order = resolve.check_against_aws(request_id=request.pk, user=user, actor=actor(user), at=world.clock())
        check.answer_order(order_id=order.pk, tools=world.tools())

    def test_only_after_the_deadline_on_both_clocks(self, world: World, dead: Request, operator: User) -> None:
        self.look(world, dead, operator)
        with pytest.raises(Invalid, match="may still write until"):
            act(repair.force_lease, world, dead, operator)
        Lease.objects.update(hard_until=world.clock() - timedelta(seconds=31))
        dead.looks.update(result={"aws_at": (world.clock() - timedelta(seconds=5)).isoformat()})
        with pytest.raises(Invalid, match="AWS’s clock"):
            act(repair.force_lease, world, dead, operator)
        assert refused(dead) == ["too_early", "aws_clock_unknown"]
        assert Lease.objects.exclude(owner="").count() == 2
        self.look(world, dead, operator)
        act(repair.force_lease, world, dead, operator)
        assert Lease.objects.exclude(owner="").count() == 0
        assert AuditEvent.objects.filter(action="lease.forced").count() == 2
        with pytest.raises(WrongState):
            act(repair.force_lease, world, dead, operator)

    def test_the_next_worker_takes_over_and_looks_first(self, world: World, dead: Request, operator: User) -> None:
        before = Lease.objects.get(resource=ROLE.lower()).fence
        Lease.objects.update(hard_until=world.clock() - timedelta(seconds=31))
        self.look(world, dead, operator)
        act(repair.force_lease, world, dead, operator)
        assert Lease.objects.get(resource=ROLE.lower()).fence == before + 1
        world.clock.pass_by(160)
        assert world.apply(dead) == "applied"
        assert world.sent().count("CreateRole") == 1
        assert "run.taken_over" in world.events(dead)

    def test_locks_leases_before_the_request_as_the_guard_does(
        self, world: World, dead: Request, operator: User
    ) -> None:
        """The other way round, two transactions could wait for each other for ever on PostgreSQL."""
        Lease.objects.update(hard_until=world.clock() - timedelta(seconds=31))
        self.look(world, dead, operator)
        with CaptureQueriesContext(connection) as seen:
            act(repair.force_lease, world, dead, operator)
        asked = [one["sql"] for one in seen]
        leases = next(i for i, sql in enumerate(asked) if 'FROM "iamroles_lease"' in sql)
        locked = next(i for i, sql in enumerate(asked) if 'FROM "iamroles_request"' in sql and "iamroles_team" in sql)
        assert leases < locked

    def test_never_by_who_approved(self, world: World, dead: Request, operator: User) -> None:
        world.approver.groups.add(operator.groups.get())
        with pytest.raises(NotAllowed):
            act(repair.force_lease, world, dead, User.objects.get(pk=world.approver.pk))
        assert refused(dead) == ["involved"]


def assert_resolved_once(world: World, request: Request, proposer: User, confirmer: User) -> None:
    row = Resolution.objects.get()
    assert (row.proposed_by, row.confirmed_by) == (proposer, confirmer)
    told = [name for name in world.events(request) if name.startswith("resolution")]
    assert told == ["resolution.proposed", "resolution.confirmed"]
    assert wrong_states() == []


class TestMarkResolved:
    def look(self, world: World, request: Request, user: User) -> str:
        order = resolve.check_against_aws(request_id=request.pk, user=user, actor=actor(user), at=world.clock())
        return check.answer_order(order_id=order.pk, tools=world.tools())

    def repair_by_hand(self, world: World, request: Request) -> None:
        """An administrator makes the calls that the worker could not make."""
        for step in world.run(request).steps.exclude(state="ok"):
            world.aws.gateway().send(call_of(step))

    def test_two_operators_and_two_looks(
        self, world: World, blocked: Request, denied: set[str], operator: User, second: User
    ) -> None:
        denied.clear()
        self.repair_by_hand(world, blocked)
        assert self.look(world, blocked, operator) == "equal"
        act(resolve.propose_resolution, world, blocked, operator)
        act(resolve.confirm_resolution, world, blocked, second)
        blocked.refresh_from_db()
        assert (blocked.state, blocked.outcome) == ("closed", "resolved")
        assert not ManagedRole.objects.exists()
        assert check.answer_order(order_id=blocked.looks.get(answered_at=None).pk, tools=world.tools()) == "equal"
        assert ManagedRole.objects.get().role_id == world.aws.roles["ecscodedeployrole"].role_id
        assert_resolved_once(world, blocked, operator, second)

    @pytest.mark.django_db(transaction=True)
    @only_on_postgresql
    def test_at_the_same_moment_is_once(
        self, world: World, blocked: Request, denied: set[str], operator: User, second: User
    ) -> None:
        denied.clear()
        self.repair_by_hand(world, blocked)
        self.look(world, blocked, operator)

        def by(verb: Verb, user: User) -> Callable[[], Any]:
            return lambda: act(verb, world, blocked, user)

        assert uncommitted(by(resolve.propose_resolution, operator), by(resolve.propose_resolution, second)) == (
            "WrongState"
        )
        assert uncommitted(by(resolve.confirm_resolution, second), by(resolve.confirm_resolution, operator)) == (
            "WrongState"
        )
        assert_resolved_once(world, blocked, operator, second)

    def test_refuses_the_same_operator_twice(
        self, world: World, blocked: Request, denied: set[str], operator: User
    ) -> None:
        denied.clear()
        self.repair_by_hand(world, blocked)
        self.look(world, blocked, operator)
        act(resolve.propose_resolution, world, blocked, operator)
        with pytest.raises(NotAllowed):
            act(resolve.confirm_resolution, world, blocked, operator)
        assert refused(blocked) == ["four_eyes"]

    def test_refuses_one_person_with_two_sign_ins(
        self, world: World, blocked: Request, denied: set[str], operator: User, second: User
    ) -> None:
        denied.clear()
        self.repair_by_hand(world, blocked)
        self.look(world, blocked, operator)
        act(resolve.propose_resolution, world, blocked, operator)
        User.objects.filter(pk=second.pk).update(email=operator.email.upper())
        with pytest.raises(NotAllowed):
            act(resolve.confirm_resolution, world, blocked, User.objects.get(pk=second.pk))
        User.objects.filter(pk=second.pk).update(email=world.approver.email.upper())
        with pytest.raises(NotAllowed):
            act(resolve.confirm_resolution, world, blocked, User.objects.get(pk=second.pk))
        assert refused(blocked) == ["four_eyes", "involved"]

    def test_a_later_look_at_it_accepts_no_drift_of_a_newer_request(
        self, world: World, blocked: Request, denied: set[str], operator: User, second: User
    ) -> None:
        """One operator's look must not make an old target the desired state again."""
        denied.clear()
        self.repair_by_hand(world, blocked)
        self.look(world, blocked, operator)
        act(resolve.propose_resolution, world, blocked, operator)
        act(resolve.confirm_resolution, world, blocked, second)
        check.answer_order(order_id=blocked.looks.get(answered_at=None).pk, tools=world.tools())
        world.clock.pass_by(60)
        newer = world.approved(tags={**target_role(blocked).tags, "cost-center": "4711"})
        assert world.apply(newer) == "applied"
        role = world.aws.roles["ecscodedeployrole"]
        world.aws.put_role(replace(role, tags=target_role(blocked).tags))
        assert self.look(world, blocked, operator) == "equal"
        row = ManagedRole.objects.get()
        assert (row.request, "cost-center" in json.loads(row.desired)["role"]["tags"]) == (newer, True)

    def test_refuses_while_aws_does_not_read_as_approved(self, world: World, blocked: Request, operator: User) -> None:
        with pytest.raises(Invalid, match="Look first"):
            act(resolve.propose_resolution, world, blocked, operator)
        assert self.look(world, blocked, operator) == "different"
        found = blocked.looks.get().result["parts"]
        assert {part["part"].split()[0] for part in found} == {"attached"}
        with pytest.raises(Invalid, match="does not read as approved"):
            act(resolve.propose_resolution, world, blocked, operator)
        assert refused(blocked) == ["no_fresh_look", "not_equal"]

    def test_a_look_for_another_proposal_does_not_count(
        self, world: World, blocked: Request, denied: set[str], operator: User
    ) -> None:
        denied.clear()
        self.repair_by_hand(world, blocked)
        self.look(world, blocked, operator)
        look = blocked.looks.get()
        look.result["proposal_digest"] = "0" * 64
        look.save()
        with pytest.raises(Invalid, match="Look first"):
            act(resolve.propose_resolution, world, blocked, operator)

    def test_an_old_look_counts_no_more_and_the_confirmation_needs_its_own(
        self, world: World, blocked: Request, denied: set[str], operator: User, second: User
    ) -> None:
        denied.clear()
        self.repair_by_hand(world, blocked)
        self.look(world, blocked, operator)
        act(resolve.propose_resolution, world, blocked, operator)
        world.clock.pass_by(601)
        with pytest.raises(Invalid, match="Look first"):
            act(resolve.confirm_resolution, world, blocked, second)
        del world.aws.roles["ecscodedeployrole"]
        assert self.look(world, blocked, second) == "different"
        with pytest.raises(Invalid, match="does not read as approved"):
            act(resolve.confirm_resolution, world, blocked, second)
        blocked.refresh_from_db()
        assert blocked.state == "approved"

    def test_refuses_who_asked_or_approved(self, world: World, blocked: Request, operator: User) -> None:
        for user in (world.requester, world.approver):
            user.groups.add(operator.groups.get())
            with pytest.raises(NotAllowed):
                act(resolve.propose_resolution, world, blocked, User.objects.get(pk=user.pk))
        assert refused(blocked) == ["involved", "involved"]

    def test_a_role_of_another_id_is_not_the_one_that_was_approved(
        self, world: World, operator: User, denied: set[str]
    ) -> None:
        assert world.apply(world.approved()) == "applied"
        request = world.approved(tags={"team": "orders", "cost-center": "4711"})
        denied.add("TagRole")
        assert world.apply(request) == "blocked"
        world.aws.put_role(replace(target_role(request), role_id=None))
        assert self.look(world, request, operator) == "different"
        parts = request.looks.get().result["parts"]
        assert [part["part"] for part in parts] == ["role id"]
