"""Pauses hold up the very next call of a run that is under way: an AWS account's its additions, the kill switch all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from iamroles.audit.reading import wrong_states
from iamroles.aws.fake import FakeGateway
from iamroles.aws.gateway import Answer
from iamroles.blueprints import RemovalFacts
from iamroles.models import AuditEvent, AwsAccount, KillSwitch, Request, User
from iamroles.proposal.calls import Call
from iamroles.transitions import WrongState
from iamroles.workflow import pauses
from iamroles.workflow.verbs import Invalid, NotAllowed, SignInTooOld
from tests.integration.engine.test_repair import person
from tests.integration.engine.world import POLICY, ROLE, World, actor


@pytest.fixture
def operator(world: World) -> User:
    return person(world, "oskar")


def act(verb: Callable[..., Any], world: World, user: User, **more: Any) -> Any:
    at = world.clock()
    given = {"reason": "Something is odd, OPS-9", "signed_in_at": at, **more}
    return verb(user=user, actor=actor(user), at=at, **given)


def pause_account(world: World, user: User) -> None:
    act(pauses.pause_account, world, user, number=world.account.number)


def resume_account(world: World, user: User) -> None:
    act(pauses.resume_account, world, user, number=world.account.number)


def pause_everything(world: World, user: User) -> None:
    act(pauses.pause_everything, world, user)


def resume_everything(world: World, user: User) -> None:
    act(pauses.resume_everything, world, user)


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], None]], None]:
    """Does something right after AWS has done the first call of this name."""

    def arrange(api: str, something: Callable[[], None]) -> None:
        real = FakeGateway.send

        def send(gateway: FakeGateway, call: Call) -> Answer:
            answer = real(gateway, call)
            if call.api == api:
                something()
            return answer

        monkeypatch.setattr(FakeGateway, "send", send)

    return arrange


@pytest.mark.parametrize(
    ("pause", "resume", "code"),
    [
        (pause_account, resume_account, "AccountPaused"),
        (pause_everything, resume_everything, "EverythingPaused"),
    ],
)
def test_a_pause_in_mid_run_stops_before_the_next_call(
    world: World,
    operator: User,
    during: Callable[..., None],
    pause: Callable[[World, User], None],
    resume: Callable[[World, User], None],
    code: str,
) -> None:
    request = world.approved()
    during("CreateRole", lambda: pause(world, operator))
    assert world.apply(request) == "waiting"
    assert world.sent() == ["CreateRole"]
    assert world.run(request).detail["code"] == code
    world.clock.pass_by(61)
    assert world.apply(request) == "waiting"
    assert world.sent() == ["CreateRole"]
    resume(world, operator)
    world.clock.pass_by(61)
    assert world.apply(request) == "applied"
    assert world.sent().count("CreateRole") == 1


class TestRemovals:
    @pytest.fixture
    def removal(self, world: World) -> Request:
        assert world.apply(world.approved()) == "applied"
        del world.aws.sent[:]
        facts = RemovalFacts(
            account=world.account.facts(),
            team="orders",
            role_name="ecsCodeDeployRole",
            role_arn=ROLE,
            whole=True,
            policies=(POLICY,),
        )
        return world.approved(facts)

    def test_pass_a_paused_account(self, world: World, operator: User, removal: Request) -> None:
        pause_account(world, operator)
        assert world.apply(removal) == "applied"

    def test_do_not_pass_the_kill_switch(self, world: World, operator: User, removal: Request) -> None:
        pause_everything(world, operator)
        assert world.apply(removal) == "waiting"
        assert world.sent() == []


class TestVerbs:
    def test_each_is_an_event_with_its_reason(self, world: World, operator: User) -> None:
        pause_account(world, operator)
        assert AwsAccount.objects.get().pause_reason == "Something is odd, OPS-9"
        resume_account(world, operator)
        assert (AwsAccount.objects.get().paused_at, AwsAccount.objects.get().pause_reason) == (None, "")
        pause_everything(world, operator)
        assert KillSwitch.objects.get().turned_on_by == operator
        resume_everything(world, operator)
        assert not KillSwitch.objects.exists()
        rows = AuditEvent.objects.filter(action__startswith="account.", actor_id=str(operator.pk)).order_by("pk")
        assert list(rows.values_list("action", "object_id")) == [
            ("account.paused", world.account.number),
            ("account.resumed", world.account.number),
            ("account.paused", "portal"),
            ("account.resumed", "portal"),
        ]
        assert all('"reason":"Something is odd, OPS-9"' in row.canon for row in rows)

    def test_the_state_check_notices_a_switch_that_was_turned_by_sql(self, world: World, operator: User) -> None:
        assert wrong_states() == []
        pause_everything(world, operator)
        assert wrong_states() == []
        KillSwitch.objects.all().delete()
        (found,) = wrong_states()
        assert found.startswith("the kill switch is off, but EVT-")

    @pytest.mark.parametrize("act_on", [pause_account, pause_everything])
    def test_twice_is_refused(self, world: World, operator: User, act_on: Callable[[World, User], None]) -> None:
        act_on(world, operator)
        with pytest.raises(WrongState):
            act_on(world, operator)

    @pytest.mark.parametrize("act_on", [resume_account, resume_everything])
    def test_nothing_to_resume_is_refused(
        self, world: World, operator: User, act_on: Callable[[World, User], None]
    ) -> None:
        with pytest.raises(WrongState):
            act_on(world, operator)

    def test_is_for_operators_with_a_reason_and_a_fresh_sign_in(self, world: World, operator: User) -> None:
        number = world.account.number
        old = world.clock() - timedelta(minutes=6)
        for verb, more in (
            (pauses.pause_account, {"number": number}),
            (pauses.resume_account, {"number": number}),
            (pauses.pause_everything, {}),
            (pauses.resume_everything, {}),
        ):
            for user, given, error in (
                (world.approver, {}, NotAllowed),
                (operator, {"reason": " "}, Invalid),
                (operator, {"signed_in_at": old}, SignInTooOld),
            ):
                with pytest.raises(error):
                    act(verb, world, user, **more, **given)
        codes = AuditEvent.objects.filter(action="verb.refused").order_by("pk").values_list("code", flat=True)
        assert list(codes) == ["not_operator", "invalid", "sign_in_too_old"] * 4
        assert not KillSwitch.objects.exists()
        assert AwsAccount.objects.get().paused_at is None
