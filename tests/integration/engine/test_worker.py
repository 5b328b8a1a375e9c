"""A real Celery worker process, a real broker, AWS simulated on loopback. Nothing here calls a task."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from celery import Celery
from django.conf import settings as django_settings
from django.db import connection

from iamroles import doorbell
from iamroles.aws.gateway import Gateway
from iamroles.aws.sessions import AwsSessions, Portal
from iamroles.iam import documents, trust
from iamroles.models import ObservationOrder, Request, Team
from iamroles.proposal.calls import Call
from iamroles.workflow import check_role
from tests.contract.simulated import moto_server
from tests.integration.engine.world import POLICY, ROLE, World, actor, people

ROOT = Path(django_settings.BASE_DIR)
LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"

pytestmark = pytest.mark.django_db(transaction=True)


def database_url() -> str:
    """The test database that this process uses, for another process."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    user, password = quote(given["USER"]), quote(given["PASSWORD"] or "", safe="")
    host = given["HOST"] or "127.0.0.1"
    return f"postgresql://{user}:{password}@{host}:{given['PORT'] or 5432}/{given['NAME']}"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def world(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "hub")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hub")
    return people()


@pytest.fixture
def aws(world: World, endpoint: str) -> Gateway:
    """AWS read and changed directly, past the portal. The passed role exists."""
    account = world.account
    gateway = AwsSessions(endpoint).reading(
        Portal(account.number, account.partition, account.external_id, "portal/RoledeskWorker"), "TEST"
    )
    document = documents.minified(trust.ecs_tasks_trust())
    name = {"RoleName": "orders-api-task", "Path": "/", "AssumeRolePolicyDocument": document}
    if gateway.role(f"arn:aws:iam::{account.number}:role/orders-api-task") is None:
        gateway.send(Call("CreateRole", "x", name))
    yield gateway
    for arn in (LIMITED, POLICY):
        role = gateway.role(ROLE)
        if role is not None and arn in role.attached:
            gateway.send(Call("DetachRolePolicy", ROLE, {"RoleName": "ecsCodeDeployRole", "PolicyArn": arn}))
    if gateway.policy(POLICY) is not None:
        gateway.send(Call("DeletePolicy", POLICY, {"PolicyArn": POLICY}))
    if gateway.role(ROLE) is not None:
        gateway.send(Call("DeleteRole", ROLE, {"RoleName": "ecsCodeDeployRole"}))


@pytest.fixture
def environment(endpoint: str, tmp_path: Path, keys: None) -> dict[str, str]:
    broker = tmp_path / "broker"
    (broker / "control").mkdir(parents=True)
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "DATABASE_URL": database_url(),
        "ROLEDESK_TEST_BROKER": str(broker),
        "ROLEDESK_AWS_ENDPOINT": endpoint,
        "ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE": django_settings.ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE,
        "AWS_ACCESS_KEY_ID": "hub",
        "AWS_SECRET_ACCESS_KEY": "hub",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def running(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


WORKER = ["-m", "celery", "-A", "portal.celery", "worker", "--pool=prefork", "--concurrency=1", "--loglevel=INFO"]
WORKER += ["--without-gossip", "--without-mingle", "--without-heartbeat"]


def wait_until(found: Callable[[], Any], log: Path, seconds: float = 150) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace")[-4000:])


def state_is(request: Request, *states: str) -> Callable[[], bool]:
    def check() -> bool:
        request.refresh_from_db()
        return request.state in states

    return check


def assert_right(aws: Gateway, world: World) -> None:
    role = aws.role(ROLE)
    assert role is not None
    assert documents.equal(role.trust, trust.codedeploy_trust(world.account.number, source_account=True))
    assert role.attached == {LIMITED, POLICY}
    assert role.tags["team"] == "orders"


def test_every_ring_lost_and_still_applied(
    world: World, aws: Gateway, environment: dict[str, str], tmp_path: Path
) -> None:
    """The test's process rings a broker that nobody hears: the worker's own sweep finds the rows."""
    log = tmp_path / "worker.log"
    request = world.submitted()
    with running(WORKER, environment, log):
        wait_until(state_is(request, "in_review"), log)
        world.approve(request)
        wait_until(state_is(request, "closed"), log)
    assert request.outcome == "applied"
    assert_right(aws, world)


def ringing(environment: dict[str, str]) -> Celery:
    """This process's own way to the worker's broker: the settings under test may name one that lives in memory."""
    app = Celery("ringing", set_as_current=False)
    app.conf.task_default_queue = django_settings.CELERY_TASK_DEFAULT_QUEUE
    app.conf.broker_url = os.environ.get("REDIS_URL") or "filesystem://"
    if "REDIS_URL" not in os.environ:
        folder = environment["ROLEDESK_TEST_BROKER"]
        app.conf.broker_transport_options = {
            "data_folder_in": folder,
            "data_folder_out": folder,
            "control_folder": f"{folder}/control",
        }
    return app


def test_the_doorbell_wakes_the_worker(
    world: World, aws: Gateway, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the sweep a minute away, only the ring can be what was heard."""
    monkeypatch.setattr(doorbell, "current_app", ringing(environment))
    log = tmp_path / "worker.log"
    with running(WORKER, {**environment, "ROLEDESK_SWEEP_SECONDS": "60"}, log):
        wait_until(lambda: b"ready." in log.read_bytes(), log)
        request = world.submitted()
        wait_until(state_is(request, "in_review"), log)
        world.approve(request)
        wait_until(state_is(request, "closed"), log)
        order = check_role.check_role(
            user=world.requester,
            team=Team.objects.get(),
            account=world.account,
            role_name="ecsCodeDeployRole",
            actor=actor(world.requester),
            at=world.clock(),
        )
        answered = wait_until(
            lambda: ObservationOrder.objects.filter(pk=order.pk, answered_at__isnull=False).first(), log
        )
    assert request.outcome == "applied"
    assert (answered.result["state"], answered.result["missing"]) == ("right", [])
    assert_right(aws, world)


def test_bad_messages_are_refused_and_logged_and_lose_nothing(
    world: World, aws: Gateway, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, old and foreign ids, what is no id, unknown tasks and a pickled body, all before one good ring."""
    app = ringing(environment)
    monkeypatch.setattr(doorbell, "current_app", app)
    log = tmp_path / "worker.log"
    with running(WORKER, {**environment, "ROLEDESK_SWEEP_SECONDS": "60"}, log):
        wait_until(lambda: b"ready." in log.read_bytes(), log)
        old = world.submitted()
        wait_until(state_is(old, "in_review"), log)
        for task in (doorbell.OBSERVE, doorbell.APPLY):
            for row_id in (old.pk, 4711, "1 OR 1=1", [1], None, True, -1, 2**63, 1.5):
                app.send_task(task, kwargs={"request_id": row_id})
            app.send_task(task, kwargs={"order_id": old.pk})
            app.send_task(task, args=[old.pk])
            app.send_task(task)
        app.send_task(doorbell.ANSWER, kwargs={"order_id": old.pk})
        app.send_task("roledesk.drop_everything", kwargs={"request_id": old.pk})
        with app.connection_for_write() as connected:
            producer = connected.Producer(serializer="json")
            producer.publish(
                pickle.dumps({"task": doorbell.APPLY}),
                routing_key=app.conf.task_default_queue,
                content_type="application/x-python-serialize",
                content_encoding="binary",
            )
        world.approve(old)
        wait_until(state_is(old, "closed"), log)
        wait_until(lambda: b"ContentDisallowed" in log.read_bytes(), log)
    text = log.read_text(encoding="utf-8", errors="replace")
    assert old.outcome == "applied"
    assert text.count("message_refused") == 2 * 10
    assert "roledesk.drop_everything" in text
    assert {"not_due", "not_approved"} <= set(re.findall(r"outcome[\"=: ']+(\w+)", text))
    assert "1 OR 1=1" not in "".join(line for line in text.splitlines() if "message_refused" in line)
    assert_right(aws, world)


def test_a_host_without_a_broker_works_once(
    world: World, aws: Gateway, environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "work.log"
    request = world.submitted()
    for expected in ("in_review", "closed"):
        done = subprocess.run(
            [sys.executable, "manage.py", "work", "--once"],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "Nothing is due.\n"), done.stderr
        wait_until(state_is(request, expected), log)
        if expected == "in_review":
            world.approve(request)
    assert request.outcome == "applied"
    assert_right(aws, world)
