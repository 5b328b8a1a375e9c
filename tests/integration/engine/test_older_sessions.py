"""Sessions of a principal that leaves the trust: cut off before anything is added, and let go of after 12 hours."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from iamroles.audit.reading import wrong_states
from iamroles.aws.gateway import AwsError, WrongAccount
from iamroles.blueprints.state import RoleState
from iamroles.engine import check, follow_up, observe, sweep
from iamroles.iam import documents, trust
from iamroles.models import AuditEvent, Decision, ManagedRole, Request, Run, User
from iamroles.pages.jobs import jobs
from iamroles.pages.operations import health
from iamroles.proposal import older_sessions
from iamroles.transitions import WrongState
from iamroles.workflow import follow_up as follow_ups
from iamroles.workflow import repair, resolve
from iamroles.workflow.verbs import Invalid, NotAllowed
from tests.integration.engine.test_repair import Verb, act, person
from tests.integration.engine.world import NUMBER, POLICY, QUICK, ROLE, TASK, World, actor

NAME = older_sessions.NAME
CUT = [
    "UpdateAssumeRolePolicy",
    "PutRolePolicy",
    "UpdateRole",
    "TagRole",
    "CreatePolicy",
    "AttachRolePolicy",
    "AttachRolePolicy",
]


@pytest.fixture
def wrong(world: World) -> RoleState:
    """The role exists and lets ECS tasks in, which the target does not."""
    return world.aws.put_role(
        RoleState(arn=ROLE, name="ecsCodeDeployRole", path="/", trust=trust.ecs_tasks_trust(), tags={})
    )


def live(world: World) -> RoleState:
    return world.aws.roles["ecscodedeployrole"]


def denied_until(world: World) -> datetime:
    found = json.loads(documents.minified(live(world).inline[NAME]))
    return datetime.fromisoformat(found["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"])


def applied(world: World) -> Request:
    request = world.approved()
    assert world.apply(request) == "applied"
    return request


class TestCutting:
    def test_puts_the_deny_right_after_the_trust_with_the_time_of_the_change(
        self, world: World, wrong: RoleState
    ) -> None:
        request = world.in_review()
        proposal = request.current_proposal()
        assert proposal is not None
        stored = json.loads(proposal.canonical)
        assert stored["cuts_older_sessions"] is True
        assert [call["api"] for call in stored["plan"]] == [api for api in CUT if api != "UpdateRole"]
        assert older_sessions.OPEN in stored["plan"][1]["arguments"]["PolicyDocument"]
        assert any(sentence.startswith("Cuts off every running session") for sentence in stored["sentences"])
        before = world.clock()
        assert world.apply(world.approve(request)) == "applied"
        assert world.sent() == [api for api in CUT if api != "UpdateRole"]
        until = denied_until(world)
        assert before + timedelta(seconds=58) < until <= world.clock() + timedelta(seconds=60)
        assert until == _seconds(_changed_at(request) + timedelta(seconds=60))

    def test_nobody_leaves_nothing_is_cut(self, world: World) -> None:
        both = documents.parse(trust.codedeploy_trust(world.account.number).canonical_text, kind="trust")
        world.aws.put_role(RoleState(arn=ROLE, name="ecsCodeDeployRole", path="/", trust=both))
        applied(world)
        assert NAME not in live(world).inline

    def test_a_plan_made_anew_cuts_off_who_left_in_the_stopped_run(
        self, world: World, wrong: RoleState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The new base has the new trust already, yet sessions from before it live on."""
        from iamroles.aws.fake import FakeGateway

        sent = FakeGateway.send

        def send(self: FakeGateway, call: Any) -> Any:
            if older_sessions.is_cut(call):
                raise AwsError("AccessDenied", "not authorized", api=call.api)
            return sent(self, call)

        request = world.approved()
        with monkeypatch.context() as denying:
            denying.setattr(FakeGateway, "send", send)
            assert world.apply(request) == "blocked"
        assert NAME not in live(world).inline
        again = world.in_review()
        proposal = again.current_proposal()
        assert proposal is not None
        assert (
            json.loads(proposal.canonical)["base"]["role"]["trust"]
            == json.loads(proposal.canonical)["target"]["role"]["trust"]
        )
        world.clock.pass_by(3600)
        assert world.apply(world.approve(again)) == "applied"
        apis = world.sent()
        assert apis.index("PutRolePolicy") < apis.index("AttachRolePolicy")
        assert denied_until(world) > world.clock()

    def test_nobody_is_cut_off_twice_nor_after_twelve_hours(self, world: World, wrong: RoleState) -> None:
        applied(world)
        for wait in (60, 13 * 3600):
            world.clock.pass_by(wait)
            proposal = world.in_review(managed_policy="full", why_full="Hooks of another name").current_proposal()
            assert proposal is not None
            assert "cuts_older_sessions" not in json.loads(proposal.canonical)

    def test_a_lost_answer_puts_it_again_with_the_same_time(
        self, world: World, wrong: RoleState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first look that showed the trust as approved is journalled; a second run does not move the time."""
        from iamroles.aws.fake import FakeGateway

        sent = FakeGateway.send
        lost: list[datetime] = []

        def send(self: FakeGateway, call: Any) -> Any:
            answer = sent(self, call)
            if older_sessions.is_cut(call) and not lost:
                lost.append(denied_until(world))
                raise AwsError("ReadTimeout", api=call.api)
            return answer

        monkeypatch.setattr(FakeGateway, "send", send)
        request = applied(world)
        assert lost == [denied_until(world)]
        assert [api for api, _, _ in world.steps(request)] == [api for api in CUT if api != "UpdateRole"]

    def test_neither_its_presence_nor_its_absence_disturbs_a_later_request(
        self, world: World, wrong: RoleState
    ) -> None:
        applied(world)
        later = world.approved(tags={"team": "orders", "cost": "7"})
        role = live(world)
        world.aws.roles["ecscodedeployrole"] = replace(
            role, inline={name: document for name, document in role.inline.items() if name != NAME}
        )
        assert world.apply(later) == "applied"
        assert world.sent()[-1] == "TagRole"

    def test_nothing_is_added_once_somebody_took_away_the_deny_that_a_later_plan_relies_on(
        self, world: World, wrong: RoleState
    ) -> None:
        """The later plan puts none: at its base the sessions from before the change of trust were cut off already."""
        applied(world)
        later = world.approved(managed_policy="full", why_full="Hooks of another name")
        world.aws.roles["ecscodedeployrole"] = replace(live(world), inline={})
        sent = world.sent()
        assert world.apply(later) == "conflict"
        assert world.sent() == sent
        (part,) = world.run(later).detail["parts"]
        assert (part["part"], part["live"]) == (f"inline {NAME}", None)
        assert world.run(later).detail["differences"] == [
            f"inline {NAME}: not there, though it was there when this was observed."
        ]
        act(repair.renew_plan, world, later, person(world, "oskar"))
        observe.observe(request_id=later.pk, tools=world.tools())
        later.refresh_from_db()
        assert world.apply(world.approve(later)) == "applied"
        assert world.sent()[len(sent) :] == ["PutRolePolicy", "AttachRolePolicy"]

    def test_nor_while_a_run_is_going(self, world: World, wrong: RoleState, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is looked at before each write, not at the claim alone."""
        from iamroles.aws.fake import FakeGateway

        applied(world)
        other = TASK.replace("orders-api", "orders-worker")
        world.aws.put_role(RoleState(other, "orders-worker-task", "/", trust.ecs_tasks_trust()))
        hook = f"arn:aws:lambda:eu-west-1:{NUMBER}:function:orders-hook"
        later = world.approved(task_roles=(TASK, other), hooks=(hook,), uses_policy_name="orders-Uses")
        sent = FakeGateway.send

        def send(self: FakeGateway, call: Any) -> Any:
            answer = sent(self, call)
            if call.api == "CreatePolicyVersion":
                world.aws.roles["ecscodedeployrole"] = replace(live(world), inline={})
            return answer

        monkeypatch.setattr(FakeGateway, "send", send)
        before = len(world.sent())
        assert world.apply(later) == "conflict"
        assert "CreatePolicyVersion" in world.sent()[before:]
        assert "AttachRolePolicy" not in world.sent()[before:]

    def test_a_deny_that_was_taken_away_in_time_is_not_missed(self, world: World, wrong: RoleState) -> None:
        applied(world)
        later = world.approved(managed_policy="full", why_full="Hooks of another name")
        world.clock.pass_by(12 * 3600 + 75)
        world.aws.roles["ecscodedeployrole"] = replace(live(world), inline={})
        assert world.apply(later) == "applied"
        assert world.sent()[-1] == "AttachRolePolicy"

    def test_a_role_made_anew_has_no_older_sessions(self, world: World, wrong: RoleState) -> None:
        applied(world)
        anew = replace(live(world), role_id=None, inline={}, attached=frozenset())
        world.aws.put_role(anew)
        proposal = world.in_review().current_proposal()
        assert proposal is not None
        assert "cuts_older_sessions" not in json.loads(proposal.canonical)

    def test_it_is_no_drift_but_a_stranger_under_its_name_is(self, world: World, wrong: RoleState) -> None:
        from tests.integration.engine.test_drift import DENY, parts, scan

        applied(world)
        row = ManagedRole.objects.get()
        assert scan(world)["drifted"] == 0
        world.aws.roles["ecscodedeployrole"] = replace(live(world), inline={NAME: DENY})
        scan(world)
        assert parts(row) == [f"inline {NAME}"]


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Operations that AWS refuses while they are in the set."""
    from iamroles.aws.fake import FakeGateway

    names: set[str] = set()
    sent = FakeGateway.send

    def send(self: FakeGateway, call: Any) -> Any:
        if call.api in names:
            raise AwsError("AccessDenied", api=call.api)
        return sent(self, call)

    monkeypatch.setattr(FakeGateway, "send", send)
    return names


def blocked_midway(world: World, refusing: set[str]) -> Request:
    """The trust is changed and the deny in place; what would be added is refused."""
    refusing.add("CreatePolicy")
    request = world.approved()
    assert world.apply(request) == "blocked"
    assert NAME in live(world).inline
    assert POLICY not in live(world).attached
    refusing.clear()
    return request


def _changed_at(request: Request) -> datetime:
    return datetime.fromisoformat(Run.objects.filter(request=request).order_by("number")[0].detail["trust_changed_at"])


def _seconds(at: datetime) -> datetime:
    return at.replace(microsecond=0)


class TestFollowUp:
    def due(self, world: World) -> tuple[int, ...]:
        return sweep.find_due(world.clock(), QUICK).follow_up

    def test_deletes_the_deny_after_twelve_hours_in_a_run_of_its_own(self, world: World, wrong: RoleState) -> None:
        request = applied(world)
        world.clock.pass_by(12 * 3600)
        assert self.due(world) == ()
        world.clock.pass_by(75)
        (run_id,) = self.due(world)
        assert follow_up.follow_up(run_id=run_id, tools=world.tools()) == "followed_up"
        assert NAME not in live(world).inline
        runs = list(Run.objects.filter(request=request).order_by("number"))
        assert [(run.number, run.state) for run in runs] == [(1, "done"), (2, "done")]
        assert [(step.api, step.state, step.attempt) for step in runs[1].steps.all()] == [("DeleteRolePolicy", "ok", 1)]
        request.refresh_from_db()
        assert (request.state, request.outcome) == ("closed", "applied")
        assert self.due(world) == ()
        assert follow_up.follow_up(run_id=run_id, tools=world.tools()) == "not_due"
        assert AuditEvent.objects.filter(action="run.verified", request=request.reference).count() == 2

    def test_an_abandoned_run_leaves_no_deny_behind(self, world: World, wrong: RoleState, refusing: set[str]) -> None:
        request = blocked_midway(world, refusing)
        world.clock.pass_by(12 * 3600 + 75)
        assert self.due(world) == ()  # while the request is open its own runs see to the deny
        act(repair.abandon, world, request, person(world, "oskar"))
        self._when_due(world, "followed_up", wait=0)
        assert NAME not in live(world).inline
        request.refresh_from_db()
        assert (request.state, request.outcome) == ("closed", "abandoned")
        assert self.due(world) == ()
        assert not ManagedRole.objects.exists()
        assert list(wrong_states(using="default")) == []

    def test_nor_does_one_that_was_marked_resolved(
        self, world: World, wrong: RoleState, refusing: set[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = blocked_midway(world, refusing)
        equal = type("Look", (), {"result": {"live_digest": "0" * 64}})()
        monkeypatch.setattr(resolve, "_equal_look", lambda *_: equal)
        verbs: tuple[tuple[Verb, str], ...] = (
            (resolve.propose_resolution, "oskar"),
            (resolve.confirm_resolution, "ines"),
        )
        for each, login in verbs:
            act(each, world, request, person(world, login))
            request.refresh_from_db()
        assert request.outcome == "resolved"
        self._when_due(world, "followed_up")
        assert NAME not in live(world).inline

    def test_a_retried_run_hands_the_follow_up_on(self, world: World, wrong: RoleState, refusing: set[str]) -> None:
        request = blocked_midway(world, refusing)
        act(repair.retry, world, request, person(world, "oskar"))
        assert world.apply(request) == "applied"
        due = Run.objects.filter(request=request).exclude(follow_up_at=None)
        assert [run.number for run in due] == [2]
        self._when_due(world, "followed_up")
        assert NAME not in live(world).inline
        assert self.due(world) == ()

    def test_leaves_the_deny_of_a_later_change_alone(self, world: World, wrong: RoleState) -> None:
        applied(world)
        later = older_sessions.document(f"{world.clock() + timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}")
        world.aws.roles["ecscodedeployrole"] = replace(live(world), inline={NAME: later})
        self._when_due(world, "followed_up")
        assert live(world).inline == {NAME: later}

    def test_leaves_the_same_deny_on_a_role_that_others_made_anew(self, world: World, wrong: RoleState) -> None:
        applied(world)
        anew = world.aws.put_role(replace(live(world), role_id=None))
        sent = world.sent()
        self._when_due(world, "followed_up")
        assert (world.sent(), live(world)) == (sent, anew)

    def test_absence_is_not_believed_from_two_looks(
        self, world: World, wrong: RoleState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A deny that AWS does not show for a moment would stay for ever."""
        from iamroles.aws.fake import FakeGateway

        applied(world)
        real, lies = FakeGateway.role, [None] * 4
        monkeypatch.setattr(FakeGateway, "role", lambda gateway, arn: lies.pop() if lies else real(gateway, arn))
        self._when_due(world, "followed_up")
        assert NAME not in live(world).inline

    def test_a_deny_that_is_gone_needs_no_call(self, world: World, wrong: RoleState) -> None:
        applied(world)
        world.aws.roles["ecscodedeployrole"] = replace(live(world), inline={})
        sent = world.sent()
        self._when_due(world, "followed_up")
        assert world.sent() == sent

    def test_is_held_up_by_a_pause_and_goes_on_later(self, world: World, wrong: RoleState) -> None:
        applied(world)
        world.account.paused_at = world.clock()
        world.account.save()
        self._when_due(world, "waiting")
        assert NAME in live(world).inline
        world.account.paused_at = None
        world.account.save()
        world.clock.pass_by(400)
        self._when_due(world, "followed_up", wait=0)
        assert NAME not in live(world).inline

    def test_a_refusal_that_stays_is_tried_again_an_hour_later(
        self, world: World, wrong: RoleState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from iamroles.aws.fake import FakeGateway

        applied(world)

        def refuse(_: FakeGateway, call: Any) -> None:
            raise AwsError("AccessDenied", api=call.api)

        with monkeypatch.context() as broken:
            broken.setattr(FakeGateway, "send", refuse)
            self._when_due(world, "waiting")
        assert self.due(world) == ()
        world.clock.pass_by(3601)
        self._when_due(world, "followed_up", wait=0)
        assert NAME not in live(world).inline

    def test_one_that_is_tried_for_a_day_is_shown(
        self, world: World, wrong: RoleState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from iamroles.aws.fake import FakeGateway

        request = applied(world)

        def refuse(_: FakeGateway, call: Any) -> None:
            raise AwsError("AccessDenied", api=call.api)

        monkeypatch.setattr(FakeGateway, "send", refuse)
        self._when_due(world, "waiting")
        assert self._stopped_work(world) == "None."
        world.clock.pass_by(24 * 3600 + 1)
        assert "1 follow-up has been tried for a day" in self._stopped_work(world)
        (job,) = jobs(person(world, "oskar"), world.clock()).stuck
        assert (job.request, job.code, job.in_place) == (request, "AccessDenied", "follow-up not done")

    def test_one_on_which_workers_died_is_tried_again_an_hour_later(self, world: World, wrong: RoleState) -> None:
        """Nobody releases a follow-up from quarantine: it starts over by itself."""
        applied(world)
        world.account.paused_at = world.clock()
        world.account.save()
        self._when_due(world, "waiting")
        Run.objects.filter(number=2).update(detail={**Run.objects.get(number=2).detail, "deaths": {"1": 3}})
        world.account.paused_at = None
        world.account.save()
        self._when_due(world, "waiting", wait=400)
        assert Run.objects.get(number=2).detail["code"] == "quarantined"
        self._when_due(world, "followed_up", wait=3601)
        assert NAME not in live(world).inline

    def test_a_changed_proposal_is_never_followed(self, world: World, wrong: RoleState) -> None:
        from django.db import connection

        request = applied(world)
        proposal = request.current_proposal()
        assert proposal is not None
        with connection.cursor() as cursor:
            text = proposal.canonical.replace("orders", "others", 1)
            cursor.execute("UPDATE iamroles_proposal SET canonical = %s WHERE id = %s", [text, proposal.pk])
        self._when_due(world, "invalid")
        assert NAME in live(world).inline
        self._stopped_once(world, request)

    def test_what_nobody_approved_is_never_followed(self, world: World, wrong: RoleState) -> None:
        request = applied(world)
        Decision.objects.update(ended_by="withdrawn")
        self._when_due(world, "invalid")
        assert NAME in live(world).inline
        self._stopped_once(world, request)

    def test_another_account_than_the_approved_one_stops_it_once(
        self, world: World, wrong: RoleState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from iamroles.aws.fake import FakeGateway

        def refuse(*_: Any) -> None:
            raise WrongAccount("111122223333", "999988887777")

        request = applied(world)
        monkeypatch.setattr(FakeGateway, "role", refuse)
        self._when_due(world, "invalid")
        self._stopped_once(world, request)
        assert list(wrong_states("default")) == []

    def test_one_that_stopped_is_tried_again_once_its_cause_is_gone(self, world: World, wrong: RoleState) -> None:
        request = self._invalid(world)
        Decision.objects.update(ended_by="")
        act(follow_ups.retry_follow_up, world, request, person(world, "oskar"))
        assert request.stopped_follow_up() is None
        self._when_due(world, "followed_up", wait=0)
        assert NAME not in live(world).inline
        assert self._stopped_work(world) == "None."
        told = ["follow_up.retried", "run.started", "step.intended", "step.completed", "run.verified"]
        assert world.events(request)[-5:] == told
        assert list(wrong_states("default")) == []

    def test_one_whose_cause_stays_stops_again_and_is_shown_again(self, world: World, wrong: RoleState) -> None:
        request = self._invalid(world)
        act(follow_ups.retry_follow_up, world, request, person(world, "oskar"))
        self._when_due(world, "invalid", wait=0)
        assert NAME in live(world).inline
        assert "1 follow-up is not what was approved" in self._stopped_work(world)
        assert [run.stop_reason for run in request.runs.order_by("number")] == ["", "invalid", "invalid"]

    def test_one_that_stopped_is_ended_once_a_look_shows_the_deny_gone(self, world: World, wrong: RoleState) -> None:
        request, oskar = self._invalid(world), person(world, "oskar")
        with pytest.raises(Invalid, match="not looked at within the last ten minutes"):
            act(follow_ups.settle_follow_up, world, request, oskar)
        assert self._looked(world, request, oskar) == "left"
        with pytest.raises(Invalid, match="still on the role"):
            act(follow_ups.settle_follow_up, world, request, oskar)
        world.aws.roles["ecscodedeployrole"] = replace(live(world), inline={})
        assert self._looked(world, request, oskar) == "gone"
        sent = world.sent()
        act(follow_ups.settle_follow_up, world, request, oskar)
        assert world.sent() == sent
        assert self._stopped_work(world) == "None."
        told = AuditEvent.objects.get(action="follow_up.settled")
        assert (told.request, json.loads(told.canon)["reason"]) == (request.reference, "Looked into it, OPS-7")
        for verb in (follow_ups.settle_follow_up, follow_ups.retry_follow_up):
            with pytest.raises(WrongState, match="without a stopped follow-up"):
                act(verb, world, request, oskar)
        assert self.due(world) == ()
        Decision.objects.update(ended_by="")
        assert list(wrong_states("default")) == []

    def test_a_later_deny_and_a_role_that_is_gone_leave_nothing_to_do(self, world: World, wrong: RoleState) -> None:
        request, oskar = self._invalid(world), person(world, "oskar")
        strange = documents.parse(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
        )
        for given, state in ((strange, "left"), (older_sessions.document("2027-01-01T00:00:00Z"), "gone")):
            world.aws.roles["ecscodedeployrole"] = replace(live(world), inline={NAME: given})
            assert self._looked(world, request, oskar) == state
        del world.aws.roles["ecscodedeployrole"]
        assert self._looked(world, request, oskar) == "gone"

    def test_only_operators_see_to_it(self, world: World, wrong: RoleState) -> None:
        request = self._invalid(world)
        for verb in (follow_ups.settle_follow_up, follow_ups.retry_follow_up):
            with pytest.raises(NotAllowed):
                act(verb, world, request, world.requester)
        assert request.stopped_follow_up() is not None

    def _invalid(self, world: World) -> Request:
        request = applied(world)
        Decision.objects.update(ended_by="withdrawn")
        self._when_due(world, "invalid")
        return request

    def _looked(self, world: World, request: Request, user: User) -> str:
        order = resolve.check_against_aws(request_id=request.pk, user=user, actor=actor(user), at=world.clock())
        return check.answer_order(order_id=order.pk, tools=world.tools())

    def _stopped_work(self, world: World) -> str:
        (said,) = [row.sentence for row in health(world.clock()).rows if row.name == "Stopped work"]
        return said

    def _stopped_once(self, world: World, request: Request) -> None:
        """One run says so, operators are told, and no other begins however long it takes."""
        run = request.runs.order_by("-number")[0]
        assert (run.number, run.state, run.stop_reason) == (2, "stopped", "invalid")
        world.clock.pass_by(24 * 3600)
        assert self.due(world) == ()
        assert AuditEvent.objects.filter(action="run.stopped", request=request.reference).count() == 1
        said = self._stopped_work(world)
        assert "1 follow-up is not what was approved" in said

    def _when_due(self, world: World, word: str, wait: float = 12 * 3600 + 75) -> None:
        world.clock.pass_by(wait)
        (run_id,) = self.due(world)
        assert follow_up.follow_up(run_id=run_id, tools=world.tools()) == word
