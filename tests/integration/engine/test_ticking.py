"""What is due, who rings for it, what expires, and the process that ticks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from celery import current_app
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from kombu.exceptions import OperationalError

from iamroles import doorbell
from iamroles.blueprints.state import RoleState
from iamroles.engine import expire, observe, renew, sweep
from iamroles.engine.sweep import Due
from iamroles.iam import trust
from iamroles.management.commands.tend import ACTOR, Part, Ticking
from iamroles.models import AuditEvent, AwsAccount, Lease, Request, Run
from tests.integration.engine.test_unknown import Died
from tests.integration.engine.world import QUICK, ROLE, World


def due(world: World) -> Due:
    return sweep.find_due(world.clock(), QUICK)


class TestFindDue:
    def test_nothing(self, world: World) -> None:
        assert due(world) == Due((), (), ())

    def test_a_submitted_request_until_it_is_observed(self, world: World) -> None:
        request = world.submitted()
        assert due(world) == Due((request.pk,), (), ())
        observe.observe(request_id=request.pk, tools=world.tools())
        assert due(world) == Due((), (), ())

    def test_an_observation_that_a_dead_worker_left(self, world: World) -> None:
        request = world.submitted()
        Request.objects.update(next_try_at=world.clock() + timedelta(seconds=60))
        assert due(world) == Due((), (), ())
        world.clock.pass_by(61)
        assert due(world) == Due((request.pk,), (), ())

    def test_an_approved_request_until_it_is_applied(self, world: World) -> None:
        request = world.approved()
        assert due(world) == Due((), (request.pk,), ())
        world.apply(request)
        assert due(world) == Due((), (), ())

    def test_a_waiting_run_when_its_time_has_come(self, world: World) -> None:
        request = world.approved()
        AwsAccount.objects.update(paused_at=world.clock())
        world.apply(request)
        assert due(world) == Due((), (), ())
        world.clock.pass_by(61)
        assert due(world) == Due((), (request.pk,), ())

    def test_a_run_whose_worker_died_after_the_quiet_period(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from iamroles.aws.fake import FakeGateway

        def die(*_: Any) -> None:
            raise Died

        request = world.approved()
        monkeypatch.setattr(FakeGateway, "send", die)
        with pytest.raises(Died):
            world.apply(request)
        assert due(world) == Due((), (), ())
        world.clock.pass_by(151)
        assert due(world) == Due((), (request.pk,), ())

    def test_a_stopped_run_is_left_to_people(self, world: World) -> None:
        request = world.approved()
        world.aws.put_role(RoleState(arn=ROLE, name="ecsCodeDeployRole", path="/", trust=trust.ecs_tasks_trust()))
        assert world.apply(request) == "conflict"
        world.clock.pass_by(3600)
        assert due(world) == Due((), (), ())

    def test_a_new_run_that_an_operator_ordered(self, world: World) -> None:
        request = world.approved()
        world.aws.put_role(RoleState(arn=ROLE, name="ecsCodeDeployRole", path="/", trust=trust.ecs_tasks_trust()))
        world.apply(request)
        del world.aws.roles["ecscodedeployrole"]
        stopped = world.run(request)
        Run.objects.create(
            request=request,
            number=2,
            proposal=stopped.proposal,
            state="waiting",
            started_at=world.clock(),
            seen_at=world.clock(),
            next_run_at=world.clock(),
        )
        assert due(world) == Due((), (request.pk,), ())
        assert world.apply(request) == "applied"

    def test_a_proposal_for_an_older_record_however_many_aws_accounts_there_are(
        self, world: World, django_assert_num_queries: Callable[..., AbstractContextManager[object]]
    ) -> None:
        request = world.in_review()
        others = (f"{number:012d}" for number in range(1_100))
        AwsAccount.objects.bulk_create(
            AwsAccount(number=number, name=number, environment="staging", owner=world.account.owner)
            for number in others
        )
        with django_assert_num_queries(5):
            assert renew.find_outdated() == []
        AwsAccount.objects.exclude(pk=world.account.pk).update(environment="test")
        assert renew.find_outdated() == []
        AwsAccount.objects.filter(pk=world.account.pk).update(environment="test")
        assert due(world).renew == (request.pk,)


class TestSweep:
    def test_rings_for_each_by_its_task(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        rung: list[tuple[str, dict[str, int]]] = []
        monkeypatch.setattr(doorbell, "ring", lambda task, **ids: rung.append((task, ids)))
        first, second = world.submitted(), world.approved(role_name="other")
        assert sweep.sweep(world.clock(), QUICK) == 2
        assert rung[-2:] == [
            ("roledesk.observe", {"request_id": first.pk}),
            ("roledesk.apply", {"request_id": second.pk}),
        ]

    def test_the_command_says_how_many(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        rung: list[dict[str, int]] = []
        request = world.submitted()
        monkeypatch.setattr(doorbell, "ring", lambda task, **ids: rung.append(ids))
        out = StringIO()
        call_command("sweep", stdout=out)
        assert (out.getvalue(), rung) == ("1 due.\n", [{"request_id": request.pk}])


class TestDoorbell:
    @pytest.fixture
    def rung(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Every task that was sent to a broker that is not there."""
        sent: list[str] = []

        def refuse(task: str, **_: Any) -> None:
            sent.append(task)
            raise OperationalError("no broker")

        monkeypatch.setattr(doorbell, "_silent_until", 0.0)
        monkeypatch.setattr(current_app, "send_task", refuse)
        return sent

    def test_a_failing_broker_is_not_asked_again_before_the_next_sweep(
        self, rung: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [100.0]
        monkeypatch.setattr(doorbell.time, "monotonic", lambda: now[0])
        doorbell._send(doorbell.APPLY, {"request_id": 1})
        doorbell._send(doorbell.APPLY, {"request_id": 2})
        assert rung == [doorbell.APPLY]
        now[0] += django_settings.ROLEDESK_SWEEP_SECONDS
        doorbell._send(doorbell.OBSERVE, {"request_id": 3})
        assert rung == [doorbell.APPLY, doorbell.OBSERVE]

    def test_nobody_queues_up_behind_a_ring_that_waits(self, rung: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doorbell, "_PATIENCE", 0.01)
        with doorbell._one_at_a_time:
            doorbell._send(doorbell.APPLY, {"request_id": 1})
        assert rung == []


class TestExpire:
    def test_closes_what_nobody_decided_in_time(self, world: World) -> None:
        request = world.in_review()
        assert expire.expire_due(actor=ACTOR, at=world.clock()) == 0
        world.clock.pass_by(8 * 86_400)
        assert expire.expire_due(actor=ACTOR, at=world.clock()) == 1
        request.refresh_from_db()
        assert (request.state, request.outcome) == ("closed", "expired")
        assert AuditEvent.objects.filter(action="request.expired", actor_id="tend").count() == 1

    def test_closes_what_waited_without_a_call(self, world: World) -> None:
        request = world.approved()
        AwsAccount.objects.update(paused_at=world.clock())
        world.apply(request)
        world.clock.pass_by(8 * 86_400)
        assert expire.expire_due(actor=ACTOR, at=world.clock()) == 1
        request.refresh_from_db()
        assert (request.outcome, request.runs.get().stop_reason) == ("expired", "recalled")
        AwsAccount.objects.update(paused_at=None)
        assert world.apply(request) == "not_approved"

    def test_leaves_a_run_whose_first_call_was_intended(self, world: World) -> None:
        request = world.approved()
        AwsAccount.objects.update(paused_at=world.clock())
        world.apply(request)
        request.runs.get().steps.filter(position=1).update(attempt=1)
        world.clock.pass_by(8 * 86_400)
        assert expire.expire_due(actor=ACTOR, at=world.clock()) == 0


class TestTicking:
    def test_one_part_that_fails_does_not_stop_the_others(self) -> None:
        done: list[str] = []

        def fail() -> None:
            raise RuntimeError("broken")

        ticking = Ticking([Part("bad", 1, fail), Part("good", 1, lambda: done.append("good"))])
        ticking.tick(100.0)
        ticking.tick(100.5)
        ticking.tick(101.1)
        assert (done, dict(ticking.failures)) == (["good", "good"], {"bad": 2})

    def test_the_same_error_is_logged_once_a_minute(self) -> None:
        errors = iter(["a", "a", "b", "b", "b"])

        def fail() -> None:
            raise RuntimeError(next(errors))

        ticking = Ticking([Part("bad", 1, fail)])
        with structlog.testing.capture_logs() as logged:
            for now in (100.0, 101.0, 102.0, 103.0, 163.0):
                ticking.tick(now)
        assert [(line["part"], line["failures"]) for line in logged] == [("bad", 1), ("bad", 3), ("bad", 5)]

    @pytest.mark.django_db(transaction=True)
    def test_the_process_ends_cleanly_when_told_to(self, tmp_path: Path) -> None:
        from tests.integration.engine.test_worker import database_url

        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "portal.settings.test",
            "DATABASE_URL": database_url(),
        }
        log = tmp_path / "tend.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "tend"],
                env=environment,
                cwd=django_settings.BASE_DIR,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            try:
                self._wait(lambda: b"tending_failed" in log.read_bytes())
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=20) == 0
            finally:
                process.kill()
        text = log.read_text(encoding="utf-8")
        # this process has no audit key: sealing fails, is logged, and the loop goes on until it is told to end
        assert "BadKey" in text
        assert "tending_ended" in text

    @staticmethod
    def _wait(found: Callable[[], bool]) -> None:
        until = time.monotonic() + 40
        while not found():
            assert time.monotonic() < until
            time.sleep(0.05)


class TestAwsAccounts:
    def test_adds_and_lists(self, world: World) -> None:
        out = StringIO()
        call_command(
            "aws_accounts",
            "add",
            "--number=444455556666",
            "--name=Payments production",
            "--environment=production",
            "--owner=payments-platform",
            "--role-path=/codedeploy/",
            stdout=out,
        )
        account = AwsAccount.objects.get(number="444455556666")
        assert (account.is_production, account.role_path, account.owner.name) == (
            True,
            "/codedeploy/",
            "payments-platform",
        )
        assert len(account.external_id) == 32
        call_command("aws_accounts", "list", stdout=out)
        assert (
            "444455556666  Payments production  production  aws  owner payments-platform  "
            "roles /codedeploy/  policies /  boundary none\n"
        ) in out.getvalue()
        assert account.external_id not in out.getvalue()

    def test_prints_the_portals_role_from_the_record(self, world: World) -> None:
        out = StringIO()
        call_command(
            "aws_accounts", "template", world.account.number, "--hub=arn:aws:iam::999999999999:role/hub", stdout=out
        )
        role = json.loads(out.getvalue())["Resources"]["PortalRole"]["Properties"]
        condition = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
        assert condition["StringEquals"] == {"sts:ExternalId": world.account.external_id}
        with pytest.raises(CommandError, match="There is no AWS account 000000000000"):
            call_command("aws_accounts", "template", "000000000000", "--hub=arn:aws:iam::999999999999:role/hub")
        with pytest.raises(CommandError, match="--hub"):
            call_command("aws_accounts", "template", world.account.number, "--hub=arn:aws:iam::999999999999:root")

    @pytest.mark.parametrize("number", ["12345", "11112222333x", "111122223333"])
    def test_refuses_a_wrong_or_known_number(self, world: World, number: str) -> None:
        with pytest.raises(CommandError, match=number):
            call_command(
                "aws_accounts",
                "add",
                f"--number={number}",
                "--name=X",
                "--environment=test",
                "--owner=x",
                stdout=StringIO(),
            )


def test_leases_are_one_row_a_resource(world: World) -> None:
    world.apply(world.approved())
    assert Lease.objects.filter(resource=ROLE.lower()).count() == 1
