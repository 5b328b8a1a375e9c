"""People and workers at the same moment, each on a connection of its own: one effect, one event, nothing half done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from iamroles.audit.reading import wrong_states
from iamroles.engine import apply, observe
from iamroles.models import AuditEvent, KillSwitch, ProposedChange, Request, Run, User
from iamroles.workflow import changes, decide, pauses, people, withdraw
from tests.integration.at_once import only_on_postgresql, uncommitted
from tests.integration.engine.test_apply import CREATED
from tests.integration.engine.test_fresh_look import DAY, approve, order, standing
from tests.integration.engine.test_repair import person
from tests.integration.engine.world import World, actor
from tests.integration.workflow.test_changes import two_of_security

pytestmark = [pytest.mark.django_db(transaction=True), only_on_postgresql]


def told(*actions: str) -> int:
    return AuditEvent.objects.filter(action__in=actions).count()


def look(world: World, request: Request) -> Callable[[], str]:
    return lambda: observe.observe(request_id=request.pk, tools=world.tools())


def claim(world: World, request: Request) -> Callable[[], str]:
    return lambda: apply.apply(request_id=request.pk, tools=world.tools())


def withdrawing(world: World, request: Request) -> Callable[[], Request]:
    user = world.requester
    return lambda: withdraw.withdraw(request_id=request.pk, user=user, reason="", actor=actor(user), at=world.clock())


def taking_back(world: World, request: Request) -> Callable[[], Request]:
    user = world.approver
    return lambda: decide.take_back(request_id=request.pk, user=user, actor=actor(user), at=world.clock())


def after(request: Request) -> tuple[str, str]:
    """Returns state and outcome, once every row is as its events left it."""
    request.refresh_from_db()
    assert wrong_states() == []
    return request.state, request.outcome


class TestLookingAgain:
    @pytest.fixture
    def old(self, world: World) -> Request:
        """Needs two approvals, has one, and its look is a day old."""
        request = world.in_review(managed_policy="full", why_full="The hooks are shared")
        approve(world, request, world.approver)
        world.clock.pass_by(DAY + 60)
        return request

    def test_is_ordered_once(self, world: World, old: Request) -> None:
        said = uncommitted(lambda: order(world, old, world.requester), lambda: order(world, old, world.security))
        assert (said, told("observation.ordered")) == ("WrongState", 1)

    def test_is_not_ordered_for_what_is_just_withdrawn(self, world: World, old: Request) -> None:
        said = uncommitted(withdrawing(world, old), lambda: order(world, old, world.security))
        assert (said, told("observation.ordered"), after(old)) == ("WrongState", 0, ("closed", "withdrawn"))

    def test_finds_what_is_just_withdrawn_closed(self, world: World, old: Request) -> None:
        order(world, old, world.requester)
        looks = told("base.observed")
        uncommitted(withdrawing(world, old), look(world, old))
        assert (told("base.observed"), after(old)) == (looks, ("closed", "withdrawn"))

    def test_approves_nothing_by_itself(self, world: World, old: Request) -> None:
        order(world, old, world.requester)
        said = uncommitted(look(world, old), lambda: approve(world, old, world.security))
        assert (said, after(old)) == ("done", ("approved", ""))
        assert (standing(old), told("request.approved")) == ([("amara", 1), ("mei", 1)], 1)

    def test_that_finds_another_role_takes_no_approval_of_the_moment_along(self, world: World, old: Request) -> None:
        order(world, old, world.requester)
        world.aws.put_role(replace(world.aws.roles["orders-api-task"], role_id="AROAOTHER"))
        said = uncommitted(look(world, old), lambda: approve(world, old, world.security))
        assert said in ("StaleDigest", "LookTooOld")
        assert (after(old), old.revision_number, standing(old)) == (("in_review", ""), 2, [])


class TestApproving:
    """Whoever loses the right while their approval is on its way may still be counted, but never when it is applied."""

    def loses(self, world: World, request: Request, act: Callable[[], object]) -> None:
        said = uncommitted(act, lambda: approve(world, request, world.approver))
        request.refresh_from_db()
        assert (said, request.state) in {
            ("done", "approved"),
            ("NotAllowed", "in_review"),
            ("StaleDigest", "in_review"),
        }
        claim(world, request)()
        assert (after(request), world.sent()) == (("in_review", ""), [])

    def test_while_deactivated(self, world: World) -> None:
        request, oskar, at = world.in_review(), person(world, "oskar"), world.clock()
        self.loses(
            world,
            request,
            lambda: people.deactivate(
                person_id=world.approver.pk, user=oskar, reason="Left", signed_in_at=at, actor=actor(oskar), at=at
            ),
        )

    def test_while_taken_out_of_the_group(self, world: World) -> None:
        request, at = world.in_review(), world.clock()
        oskar, ines = person(world, "oskar"), person(world, "ines")
        change = propose(oskar, at, "group", "approvers", {"members": ["mei"]})
        self.loses(world, request, lambda: confirm(ines, at, change))

    def test_while_the_rules_change(self, world: World) -> None:
        request, at = world.in_review(), world.clock()
        oskar, ines = person(world, "oskar"), person(world, "ines")
        change = propose(oskar, at, "approval_rules", "", two_of_security())
        self.loses(world, request, lambda: confirm(ines, at, change))


def propose(user: User, at: datetime, subject: str, target: str, content: object) -> ProposedChange:
    return changes.propose(
        subject=subject,
        target=target,
        content=content,
        reason="As agreed on Monday",
        user=user,
        signed_in_at=at,
        actor=actor(user),
        at=at,
    )


def confirm(user: User, at: datetime, change: ProposedChange) -> ProposedChange:
    return changes.confirm(
        change_id=change.pk, seen_digest=change.digest, user=user, signed_in_at=at, actor=actor(user), at=at
    )


class TestClaiming:
    def test_starts_no_run_of_what_is_just_withdrawn(self, world: World) -> None:
        request = world.approved()
        uncommitted(withdrawing(world, request), claim(world, request))
        assert (after(request), world.sent()) == (("closed", "withdrawn"), [])
        assert [run.state for run in Run.objects.all() if run.state in ("going", "waiting")] == []

    def test_starts_no_run_of_what_is_just_taken_back(self, world: World) -> None:
        request = world.approved()
        uncommitted(taking_back(world, request), claim(world, request))
        assert (after(request), world.sent()) == (("in_review", ""), [])
        assert [run.state for run in Run.objects.all() if run.state in ("going", "waiting")] == []
        approve(world, request, world.approver)
        assert (claim(world, request)(), world.sent()) == ("applied", CREATED)

    def test_writes_nothing_past_the_kill_switch(self, world: World) -> None:
        request, oskar = world.approved(), person(world, "oskar")

        def stop() -> KillSwitch:
            at = world.clock()
            return pauses.pause_everything(user=oskar, reason="Odd", signed_in_at=at, actor=actor(oskar), at=at)

        assert uncommitted(stop, claim(world, request)) == "done"
        assert (world.sent(), after(request), world.run(request).state) == ([], ("approved", ""), "waiting")
        KillSwitch.objects.all().delete()
        stops = told("account.paused")
        assert (uncommitted(stop, stop), told("account.paused")) == ("WrongState", stops + 1)
