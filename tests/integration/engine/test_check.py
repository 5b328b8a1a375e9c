""" "Check a role" and failing observations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from iamroles.aws.gateway import AwsError
from iamroles.blueprints.state import RoleState
from iamroles.engine import check, observe
from iamroles.iam import trust
from iamroles.models import AuditEvent, ObservationOrder, Team
from iamroles.workflow import check_role
from tests.integration.engine.world import ROLE, World, actor

LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
FULL = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"


def order(world: World) -> ObservationOrder:
    return check_role.check_role(
        user=world.requester,
        team=Team.objects.get(),
        account=world.account,
        role_name="ecsCodeDeployRole",
        actor=actor(world.requester),
        at=world.clock(),
    )


def answer(world: World) -> dict[str, Any]:
    row = order(world)
    word = check.answer_order(order_id=row.pk, tools=world.tools())
    row.refresh_from_db()
    assert row.answered_at is not None
    assert word == row.result["state"]
    return row.result


class TestAnswerOrder:
    def test_a_missing_role(self, world: World) -> None:
        found = answer(world)
        assert (found["state"], found["role"], found["missing"], found["sentences"]) == ("missing", None, [], [])

    @pytest.mark.parametrize("policy", [LIMITED, FULL])
    @pytest.mark.parametrize("source_account", [True, False])
    def test_a_role_that_is_right_by_either_policy_and_either_trust(
        self, world: World, policy: str, source_account: bool
    ) -> None:
        document = trust.codedeploy_trust(world.account.number, source_account=source_account)
        world.aws.put_role(
            RoleState(arn=ROLE, name="ecsCodeDeployRole", path="/", trust=document, attached=frozenset({policy}))
        )
        found = answer(world)
        assert (found["state"], found["missing"]) == ("right", [])
        assert f"{policy.rsplit('/', 1)[-1]} is attached." in found["sentences"]
        assert found["role"]["arn"] == ROLE

    def test_a_role_with_a_wrong_trust_and_no_policy(self, world: World) -> None:
        world.aws.put_role(RoleState(arn=ROLE, name="ecsCodeDeployRole", path="/", trust=trust.ecs_tasks_trust()))
        found = answer(world)
        assert (found["state"], found["missing"]) == (
            "different",
            [
                "The trust policy does not let CodeDeploy, and CodeDeploy alone, assume the role.",
                "Neither AWSCodeDeployRoleForECS nor AWSCodeDeployRoleForECSLimited is attached.",
            ],
        )

    def test_gives_up_after_three_tries_and_says_the_code(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        row = order(world)
        broken(world, monkeypatch, "AccessDenied")
        for expected in (None, None, {"error": "AccessDenied"}):
            world.clock.pass_by(61)
            assert check.answer_order(order_id=row.pk, tools=world.tools()) == "failed"
            row.refresh_from_db()
            assert (row.result if row.answered_at else None) == expected
        assert check.answer_order(order_id=row.pk, tools=world.tools()) == "not_due"


def broken(world: World, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    def refuse(*_: Any) -> Any:
        raise AwsError(code, api="GetRole", http_status=403)

    monkeypatch.setattr(world.sessions, "reading", refuse)


class TestObserve:
    def test_a_failing_look_stays_submitted_with_code_and_next_try(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = world.submitted()
        broken(world, monkeypatch, "Throttling")
        before = world.clock()
        assert observe.observe(request_id=request.pk, tools=world.tools()) == "submitted"
        request.refresh_from_db()
        assert (request.state, request.tries, request.last_code) == ("submitted", 1, "Throttling")
        assert request.next_try_at is not None
        assert timedelta(0) <= request.next_try_at - before <= timedelta(seconds=5)
        event = AuditEvent.objects.get(action="observation.failed")
        assert (event.outcome, event.code) == ("failed", "Throttling")

    def test_after_twelve_tries_it_is_not_due_any_more(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        request = world.submitted()
        broken(world, monkeypatch, "Throttling")
        for _ in range(12):
            world.clock.pass_by(61)
            assert observe.observe(request_id=request.pk, tools=world.tools()) == "submitted"
        request.refresh_from_db()
        assert (request.tries, request.next_try_at) == (12, None)
        assert observe.observe(request_id=request.pk, tools=world.tools()) == "not_due"

    def test_an_error_of_our_own_is_counted_too(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any) -> Any:
            raise ValueError("not an answer of AWS")

        request = world.submitted()
        monkeypatch.setattr(world.sessions, "reading", broken)
        assert observe.observe(request_id=request.pk, tools=world.tools()) == "submitted"
        request.refresh_from_db()
        assert (request.tries, request.last_code) == (1, "ValueError")

    def test_two_rings_make_one_proposal(self, world: World) -> None:
        request = world.submitted()
        assert observe.observe(request_id=request.pk, tools=world.tools()) == "in_review"
        assert observe.observe(request_id=request.pk, tools=world.tools()) == "not_due"

    def test_an_edit_during_the_look_wins(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        request = world.submitted()
        reading = world.sessions.reading

        def edit(*given: Any) -> Any:
            from iamroles.models import Request

            Request.objects.filter(pk=request.pk).update(version=request.version + 1)
            return reading(*given)

        monkeypatch.setattr(world.sessions, "reading", edit)
        assert observe.observe(request_id=request.pk, tools=world.tools()) == "not_due"
        request.refresh_from_db()
        assert (request.state, request.current_proposal()) == ("submitted", None)

    def test_a_role_on_another_path_is_told(self, world: World) -> None:
        world.aws.put_role(
            RoleState(
                arn=ROLE.replace(":role/", ":role/other/"),
                name="ecsCodeDeployRole",
                path="/other/",
                trust=trust.ecs_tasks_trust(),
            )
        )
        request = world.submitted()
        assert observe.observe(request_id=request.pk, tools=world.tools()) == "submitted"
        request.refresh_from_db()
        assert request.last_code == "RoleAtOtherPath"
