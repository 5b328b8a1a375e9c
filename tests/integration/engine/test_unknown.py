"""Outcomes that nobody knows, ownership after a lost create, dead workers, clocks: over an AWS account in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection

from iamroles.aws.fake import FakeGateway
from iamroles.aws.gateway import Answer, AwsError
from iamroles.engine import guard, journal
from iamroles.models import AuditEvent, Lease, Request, Run, Step
from iamroles.proposal.calls import Call
from tests.integration.engine.world import ROLE, World

Struck = Callable[[FakeGateway, Call], Answer]
CREATED = ["CreateRole", "CreatePolicy", "AttachRolePolicy", "AttachRolePolicy"]


class Died(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


@pytest.fixture
def strike(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Struck], None]:
    """Lets the first call of an API be answered by a function instead."""
    real = FakeGateway.send

    def arrange(api: str, answer: Struck) -> None:
        left = [1]

        def send(self: FakeGateway, call: Call) -> Answer:
            if call.api == api and left[0]:
                left[0] -= 1
                return answer(self, call)
            return real(self, call)

        monkeypatch.setattr(FakeGateway, "send", send)

    return arrange


def lost(gateway: FakeGateway, call: Call) -> Answer:
    _do(gateway, call)
    raise AwsError("ReadTimeout", api=call.api)


def never_arrived(_gateway: FakeGateway, call: Call) -> Answer:
    raise AwsError("ConnectionClosed", api=call.api)


_real_send = FakeGateway.send


def _do(gateway: FakeGateway, call: Call) -> None:
    _real_send(gateway, call)


class TestLostCreate:
    def test_is_recognised_by_nonce_time_and_contents(self, world: World, strike: Any) -> None:
        request = world.approved()
        strike("CreateRole", lost)
        assert world.apply(request) == "applied"
        assert world.sent() == CREATED
        assert world.steps(request)[0] == ("CreateRole", "ok", 1)
        looked = AuditEvent.objects.get(action="step.looked_up")
        assert '"found":"done"' in looked.canon

    @pytest.mark.parametrize(
        "changes",
        [
            {"tags": {"team": "orders", "portal:nonce": "0" * 32}},
            {"tags": {"team": "orders"}},
            {"description": "theirs"},
            {"max_session": 7200},
            {"boundary": "arn:aws:iam::111122223333:policy/b"},
        ],
        ids=["nonce", "no nonce", "description", "session", "boundary"],
    )
    def test_is_not_adopted_when_any_part_differs(self, world: World, strike: Any, changes: dict[str, Any]) -> None:
        def theirs(gateway: FakeGateway, call: Call) -> Answer:
            _do(gateway, call)
            world.aws.roles["ecscodedeployrole"] = replace(world.aws.roles["ecscodedeployrole"], **changes)
            raise AwsError("ReadTimeout", api=call.api)

        request = world.approved()
        strike("CreateRole", theirs)
        assert world.apply(request) == "conflict"
        assert world.sent() == ["CreateRole"]

    def test_is_not_adopted_when_made_at_another_time(self, world: World, strike: Any) -> None:
        def old(gateway: FakeGateway, call: Call) -> Answer:
            _do(gateway, call)
            made = world.aws.made[ROLE]
            world.aws.made[ROLE] = replace(made, created_at=made.created_at - timedelta(seconds=60))
            raise AwsError("ReadTimeout", api=call.api)

        request = world.approved()
        strike("CreateRole", old)
        assert world.apply(request) == "conflict"

    def test_that_did_not_land_waits_out_the_quiet_period_before_it_is_repeated(
        self, world: World, strike: Any
    ) -> None:
        request = world.approved()
        strike("CreateRole", never_arrived)
        assert world.apply(request) == "waiting"
        assert (world.run(request).detail["code"], world.sent()) == ("QuietPeriod", [])
        world.clock.pass_by(100)
        assert world.apply(request) in ("busy", "waiting")
        assert world.sent() == []
        world.clock.pass_by(51)
        assert world.apply(request) == "applied"
        assert world.sent() == CREATED
        assert world.steps(request)[0] == ("CreateRole", "ok", 2)

    def test_that_lands_late_is_ours_all_the_same(self, world: World, strike: Any) -> None:
        kept: list[tuple[FakeGateway, Call]] = []

        def later(gateway: FakeGateway, call: Call) -> Answer:
            kept.append((gateway, call))
            raise AwsError("ReadTimeout", api=call.api)

        request = world.approved()
        strike("CreateRole", later)
        assert world.apply(request) == "waiting"
        _do(*kept[0])
        world.clock.pass_by(151)
        assert world.apply(request) == "applied"
        assert world.sent() == CREATED


class TestLostOthers:
    def test_a_repeatable_call_is_looked_up_and_not_repeated(self, world: World, strike: Any) -> None:
        request = world.approved()
        strike("AttachRolePolicy", lost)
        assert world.apply(request) == "applied"
        assert world.sent() == CREATED

    def test_a_repeatable_call_that_did_not_land_is_repeated_at_once(self, world: World, strike: Any) -> None:
        request = world.approved()
        strike("AttachRolePolicy", never_arrived)
        assert world.apply(request) == "applied"
        assert world.sent() == CREATED
        assert [attempt for api, _, attempt in world.steps(request) if api == "AttachRolePolicy"] == [2, 1]


class TestDeadWorker:
    @pytest.mark.parametrize("api", ["CreateRole", "CreatePolicy", "AttachRolePolicy"])
    @pytest.mark.parametrize("lands", [True, False])
    def test_another_takes_over_after_the_quiet_period(self, world: World, strike: Any, api: str, lands: bool) -> None:
        def die(gateway: FakeGateway, call: Call) -> Answer:
            if lands:
                _do(gateway, call)
            raise Died

        request = world.approved()
        strike(api, die)
        with pytest.raises(Died):
            world.apply(request)
        assert world.apply(request) == "busy"
        world.clock.pass_by(151)
        assert world.apply(request) == "applied"
        assert world.sent() == CREATED
        assert "run.taken_over" in world.events(request)

    def test_three_deaths_on_one_call_quarantine_the_run(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def die(_self: FakeGateway, _call: Call) -> Answer:
            raise Died

        request = world.approved()
        monkeypatch.setattr(FakeGateway, "send", die)
        for _ in range(3):
            with pytest.raises(Died):
                world.apply(request)
            world.clock.pass_by(151)
        assert world.apply(request) == "quarantined"
        assert world.run(request).stop_reason == "quarantined"

    def test_a_worker_that_wakes_late_writes_nothing(self, world: World, strike: Any) -> None:
        """It wakes inside its own guard: the lease is another's by then, so no intent and no call."""
        request = world.approved()
        tools = world.tools()
        woken: list[str] = []

        def takeover(_seconds: float) -> None:
            if not woken:
                woken.append("once")
                Lease.objects.update(owner="other", fence=9)

        strike("CreateRole", never_arrived_then_look(takeover))
        assert world.apply(request) == "fenced_out"
        assert world.sent() == []
        assert (Step.objects.filter(state="ok").count(), Run.objects.get().state) == (0, "going")
        assert tools.worker == "worker-1"

    def test_the_guard_asks_for_the_lease(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Taken over between the look and the guard: no intent, no call."""
        request = world.approved()
        opened = world.sessions.writing

        def taken(*given: Any, **more: Any) -> Any:
            Lease.objects.update(owner="other", fence=9)
            return opened(*given, **more)

        monkeypatch.setattr(world.sessions, "writing", taken)
        assert world.apply(request) == "fenced_out"
        assert (world.sent(), world.steps(request)[0]) == ([], ("CreateRole", "planned", 0))


def never_arrived_then_look(takeover: Callable[[float], None]) -> Struck:
    def answer(_gateway: FakeGateway, call: Call) -> Answer:
        takeover(0)
        raise AwsError("Throttling", api=call.api, http_status=400)

    return answer


class TestClocks:
    @pytest.mark.parametrize("ahead", [-300, 300])
    def test_a_wrong_clock_of_the_worker_has_no_effect(self, world: World, ahead: int) -> None:
        request = world.approved()
        local = world.clock
        shifted = world.tools(local=lambda: local() + timedelta(seconds=ahead))

        def clock(_self: FakeGateway) -> Any:
            from iamroles.aws.gateway import ServerClock

            return ServerClock(at=world.clock(), local=shifted.local())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FakeGateway, "clock", clock)
            assert world.apply(request, local=shifted.local) == "applied"

    @pytest.mark.parametrize("ahead", [-300, -11, 11, 300])
    def test_a_wrong_clock_of_the_database_writes_nothing(self, world: World, ahead: int) -> None:
        request = world.approved()
        clock = world.clock
        assert world.apply(request, now=lambda: clock() + timedelta(seconds=ahead)) == "waiting"
        assert (world.run(request).detail["code"], world.sent()) == ("ClockSkew", [])


class TestErrors:
    @pytest.mark.parametrize("code", ["LimitExceeded", "InvalidInput", "NeverHeardOf"])
    def test_a_refusal_that_stays_is_blocked_with_call_and_code(self, world: World, strike: Any, code: str) -> None:
        def refuse(_gateway: FakeGateway, call: Call) -> Answer:
            raise AwsError(code, "because", api=call.api, request_id="r-1", http_status=400)

        request = world.approved()
        strike("CreatePolicy", refuse)
        assert world.apply(request) == "blocked"
        detail = world.run(request).detail
        assert {key: detail[key] for key in ("api", "code", "message", "aws_request_id", "step")} == {
            "api": "CreatePolicy",
            "code": code,
            "message": "because",
            "aws_request_id": "r-1",
            "step": 2,
        }
        assert [state for _, state, _ in world.steps(request)] == ["ok", "failed", "planned", "planned"]

    def test_throttling_waits_and_goes_on(self, world: World, strike: Any) -> None:
        def throttle(_gateway: FakeGateway, call: Call) -> Answer:
            raise AwsError("Throttling", api=call.api, http_status=400)

        request = world.approved()
        strike("CreatePolicy", throttle)
        assert world.apply(request) == "waiting"
        world.clock.pass_by(5)
        assert world.apply(request) == "applied"
        assert world.sent() == CREATED

    def test_already_exists_on_a_first_call_is_a_conflict(self, world: World, strike: Any) -> None:
        def exists(_gateway: FakeGateway, call: Call) -> Answer:
            raise AwsError("EntityAlreadyExists", api=call.api, http_status=409)

        request = world.approved()
        strike("CreatePolicy", exists)
        assert world.apply(request) == "conflict"
        assert world.run(request).detail["code"] == "EntityAlreadyExists"


class TestBudget:
    def test_writes_are_spread_by_the_accounts_rate(self, world: World) -> None:
        """By their intents: how long a call then takes to leave is not what the budget holds apart."""
        request = world.approved()
        limits = replace(world.tools().limits, writes_per_second=2)
        assert world.apply(request, limits=limits, pause=world.clock.pass_by) == "applied"
        at = list(Step.objects.order_by("started_at").values_list("started_at", flat=True))
        assert len(at) == 4
        assert min(later - earlier for earlier, later in pairwise(at)) >= timedelta(seconds=0.499)

    def test_a_throttle_halves_it_for_a_minute_though_the_step_was_made_again(self, world: World, strike: Any) -> None:
        def throttle(_gateway: FakeGateway, call: Call) -> Answer:
            raise AwsError("Throttling", api=call.api, http_status=400)

        strike("CreateRole", throttle)
        request = world.approved()
        limits = replace(world.tools().limits, writes_per_second=2)
        at: list[float] = []
        real = journal.intend

        def intend(going: Any, step: Step, arguments: Any, now: datetime) -> None:
            at.append(now.timestamp())
            real(going, step, arguments, now)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, "intend", intend)
            while world.apply(request, limits=limits, pause=world.clock.pass_by) == "waiting":
                world.clock.pass_by(0.1)
        assert request.outcome == "applied"
        assert len(at) == 5
        assert min(later - earlier for earlier, later in pairwise(at)) >= 0.999
        last = Step.objects.latest("started_at").started_at
        assert last is not None
        guard._check_budget(world.account, last + timedelta(minutes=1), 2)
        with pytest.raises(guard.Later):
            guard._check_budget(world.account, last + timedelta(seconds=0.6), 2)


@pytest.mark.django_db(transaction=True)
def test_four_workers_on_one_account_never_exceed_its_rate(world: World) -> None:
    """Each has a request of its own; only AWS account and journal are common to them."""
    rate = 10
    requests = [world.approved(role_name=f"codedeploy-{number}", policy_name=f"pass-{number}") for number in range(4)]
    limits = replace(world.tools().limits, writes_per_second=rate)
    words: list[str] = []

    def work(request: Request) -> None:
        try:
            words.append(world.apply(request, limits=limits, pause=time.sleep, worker=f"worker-{request.pk}"))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words == ["applied"] * 4
    at = sorted(row.timestamp() for row in Step.objects.values_list("started_at", flat=True) if row)
    assert len(at) == 16
    assert min(later - earlier for earlier, later in pairwise(at)) >= 1 / rate - 0.002
