"""Standing observation: what a scan finds, records and leaves alone, and when it is ordered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from iamroles.aws.gateway import AwsError
from iamroles.engine import drift, looks, scans, sweep
from iamroles.iam import documents, trust
from iamroles.models import AccountLook, AuditEvent, AwsAccount, ManagedRole, Request
from iamroles.models.looks import SCAN
from tests.integration.engine.world import POLICY, QUICK, ROLE, TASK, World

DENY = documents.parse('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}')
EXTRA = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"


@pytest.fixture
def applied(world: World) -> ManagedRole:
    """The role of the world, applied by the portal."""
    request = world.approved()
    assert world.apply(request) == "applied"
    return ManagedRole.objects.get()


def scan(world: World) -> dict[str, Any]:
    look = AccountLook.objects.create(account=world.account, kind=SCAN, at=world.clock(), next_try_at=world.clock())
    word = looks.answer(look_id=look.pk, tools=world.tools())
    look.refresh_from_db()
    assert word == look.result["state"]
    return look.result


def change(world: World, **changes: Any) -> None:
    role = world.aws.roles["ecscodedeployrole"]
    world.aws.roles["ecscodedeployrole"] = replace(role, **changes)


def parts(row: ManagedRole) -> list[str]:
    row.refresh_from_db()
    return [each["part"] for each in row.drift]


def drift_events() -> list[tuple[str, list[str]]]:
    rows = AuditEvent.objects.filter(action__startswith="drift.").order_by("pk")
    import json

    return [(row.action, json.loads(row.canon)["data"]["changes"]) for row in rows]


class TestScan:
    def test_says_since_when_it_reads_as_approved(self, world: World, applied: ManagedRole) -> None:
        world.clock.pass_by(60)
        assert scan(world) == {"state": "ok", "checked": 1, "drifted": 0}
        before = applied.verified_at
        applied.refresh_from_db()
        assert before is not None
        assert applied.verified_at is not None
        assert applied.verified_at > before
        assert (applied.observed_at, applied.drift, applied.live) == (applied.verified_at, [], "")
        assert drift_events() == []

    @pytest.mark.parametrize(
        ("changes", "found"),
        [
            ({"trust": trust.ecs_tasks_trust()}, ["trust"]),
            ({"inline": {"x": DENY}}, ["inline x"]),
            ({"attached": frozenset()}, None),
            ({"boundary": TASK}, ["boundary"]),
            ({"description": "mine"}, ["description"]),
            ({"max_session": 7200}, ["max_session"]),
            ({"tags": {}}, ["tag team"]),
            ({"role_id": "AROAOTHER"}, ["role id"]),
        ],
    )
    def test_finds_each_foreign_change(
        self, world: World, applied: ManagedRole, changes: dict[str, Any], found: list[str] | None
    ) -> None:
        if found is None:
            found = sorted(f"attached {arn}" for arn in world.aws.roles["ecscodedeployrole"].attached)
        change(world, **changes)
        assert scan(world)["drifted"] == 1
        assert parts(applied) == found
        assert drift_events() == [("drift.detected", found)]

    def test_finds_a_deleted_role_and_a_deleted_policy(self, world: World, applied: ManagedRole) -> None:
        del world.aws.roles["ecscodedeployrole"]
        del world.aws.policies[POLICY]
        scan(world)
        assert {"role", f"policy {POLICY}"} <= set(parts(applied))

    def test_finds_a_changed_document_and_a_version_that_is_not_ours(self, world: World, applied: ManagedRole) -> None:
        policy = world.aws.policies[POLICY]
        policy.versions["v7"] = DENY
        scan(world)
        assert parts(applied) == [f"version v7 of {POLICY}"]
        policy.state = replace(policy.state, default_version="v7")
        scan(world)
        assert parts(applied) == [f"document {POLICY}", f"version v7 of {POLICY}"]

    def test_finds_who_else_uses_the_policy_of_a_role(self, world: World, applied: ManagedRole) -> None:
        world.aws.users[POLICY] = frozenset({"arn:aws:iam::111122223333:user/eve"})
        scan(world)
        applied.refresh_from_db()
        eve = {"part": f"user of {POLICY}", "desired": None, "live": "arn:aws:iam::111122223333:user/eve"}
        assert applied.drift == [eve]
        assert drift_events() == [("drift.detected", [f"user of {POLICY}"])]

    def test_finds_a_document_that_nobody_can_read(self, world: World, applied: ManagedRole) -> None:
        world.aws.unreadable.add(ROLE)
        scan(world)
        assert parts(applied) == [f"unreadable {ROLE}"]

    def test_a_tag_that_nobody_asked_for_is_no_drift(self, world: World, applied: ManagedRole) -> None:
        change(world, tags={"team": "orders", "cost-tool": "7"})
        assert scan(world)["drifted"] == 0

    def test_is_recorded_once_repaired_never_and_cleared_when_gone(self, world: World, applied: ManagedRole) -> None:
        sent = world.sent()
        attached = world.aws.roles["ecscodedeployrole"].attached
        change(world, attached=attached | {EXTRA})
        scan(world)
        scan(world)
        applied.refresh_from_db()
        since = applied.drift_since
        assert since is not None
        assert applied.live
        change(world, attached=attached)
        scan(world)
        applied.refresh_from_db()
        assert (applied.drift, applied.drift_since, applied.live) == ([], None, "")
        assert drift_events() == [
            ("drift.detected", [f"attached {EXTRA}"]),
            ("drift.cleared", [f"attached {EXTRA}"]),
        ]
        assert world.sent() == sent

    def test_leaves_a_role_alone_that_a_worker_holds(self, world: World, applied: ManagedRole) -> None:
        from iamroles.models import Lease

        change(world, description="in between")
        Lease.objects.filter(resource=ROLE.lower()).update(owner="worker-2")
        assert scan(world) == {"state": "ok", "checked": 0, "drifted": 0}
        assert parts(applied) == []

    def test_a_failing_scan_is_recorded_after_three_tries(
        self, world: World, applied: ManagedRole, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise AwsError("AccessDenied", api="AssumeRole")

        monkeypatch.setattr(world.sessions, "reading", refuse)
        look = AccountLook.objects.create(account=world.account, kind=SCAN, at=world.clock(), next_try_at=world.clock())
        for _ in range(3):
            world.clock.pass_by(400)
            assert looks.answer(look_id=look.pk, tools=world.tools()) == "failed"
        assert looks.answer(look_id=look.pk, tools=world.tools()) == "not_due"
        look.refresh_from_db()
        assert look.result == {"state": "failed", "error": "AccessDenied"}
        (event,) = AuditEvent.objects.filter(action="scan.failed")
        assert event.outcome == "failed"


class TestAdopting:
    def test_a_new_request_for_a_drifted_role_is_reviewed_as_adopting(self, world: World, applied: ManagedRole) -> None:
        change(world, attached=world.aws.roles["ecscodedeployrole"].attached | {EXTRA})
        scan(world)
        request = world.in_review()
        proposal = request.current_proposal()
        assert proposal is not None
        assert proposal.adopts
        world.approve(request)
        assert world.apply(request) == "applied"
        applied.refresh_from_db()
        assert (applied.drift, applied.foreign) == ([], [["attached", EXTRA]])
        assert [event for event, _ in drift_events()] == ["drift.detected", "drift.accepted"]
        assert scan(world)["drifted"] == 0

    def test_what_earlier_requests_gave_is_never_foreign(self, world: World, applied: ManagedRole) -> None:
        other = TASK.replace("orders-api", "orders-worker")
        world.aws.put_role(
            replace(world.aws.roles["orders-api-task"], arn=other, name="orders-worker-task", role_id=None)
        )
        change(world, tags={"team": "orders", "cost-tool": "7"})
        request = world.approved(task_roles=(TASK, other), tags={})
        assert world.apply(request) == "applied"
        applied.refresh_from_db()
        assert applied.foreign == [["tag", "cost-tool"]]


class TestHandedOver:
    def test_is_watched_for_its_target(self, world: World) -> None:
        request = world.approved()
        Request.objects.filter(pk=request.pk).update(state="closed", outcome="handed_over", closed_at=world.clock())
        scan(world)
        row = ManagedRole.objects.get()
        assert (row.handed_over, row.role_id, row.verified_at) == (True, "", None)
        assert row.drift
        assert drift_events() == []
        proposal = request.current_proposal()
        assert proposal is not None
        _run_terraform(world, proposal.canonical)
        scan(world)
        row.refresh_from_db()
        assert row.drift == []
        assert row.verified_at is not None
        change(world, description="by hand")
        scan(world)
        assert drift_events()[-1] == ("drift.detected", ["description"])


def _run_terraform(world: World, text: str) -> None:
    from iamroles.proposal.propose import read

    target = read(text).target
    assert target.role is not None
    world.aws.put_role(target.role)
    for arn, policy in target.policies.items():
        assert policy is not None
        world.aws.put_policy(arn, policy.document, policy.description)


class TestOrdering:
    def test_one_and_ten_minutes_after_applied_then_daily(self, world: World, applied: ManagedRole) -> None:
        ordered = []
        began = world.clock()
        # The first one is due at once: nothing was ever scanned.
        assert scans.order_due(began) == 1
        assert scans.order_due(began) == 0
        _answer(world)
        for minutes in (0, 1, 2, 9, 10, 11, 1449, 1450, 1451, 2889, 2890, 2891):
            if scans.order_due(began + timedelta(minutes=minutes)):
                ordered.append(minutes)
                _answer(world)
        assert ordered == [1, 10, 10 + 1440, 10 + 2880]

    def test_costs_one_query_however_many_aws_accounts_have_nothing_due(
        self, world: World, applied: ManagedRole, django_assert_num_queries: Callable[..., AbstractContextManager[Any]]
    ) -> None:
        scans.order_due(world.clock())
        _answer(world)
        for number in range(3):
            other = AwsAccount.objects.create(
                number=f"{number:012d}", name=f"other-{number}", environment="staging", owner=world.account.owner
            )
            AccountLook.objects.create(account=other, kind=SCAN, at=world.clock(), answered_at=world.clock())
            applied.pk, applied.account = None, other
            applied.save(force_insert=True)
        with django_assert_num_queries(1):
            assert scans.order_due(world.clock()) == 0

    def test_the_sweep_rings_for_it(self, world: World, applied: ManagedRole) -> None:
        scans.order_due(world.clock())
        look = AccountLook.objects.get()
        assert sweep.find_due(world.clock(), QUICK).look == (look.pk,)
        assert looks.answer(look_id=look.pk, tools=world.tools()) == "ok"
        assert sweep.find_due(world.clock(), QUICK).look == ()


def _answer(world: World) -> None:
    AccountLook.objects.filter(answered_at=None).update(answered_at=world.clock(), next_try_at=None)


def test_drift_never_raises_for_an_empty_account(world: World) -> None:
    look = AccountLook.objects.create(account=world.account, kind=SCAN, at=world.clock(), next_try_at=world.clock())
    assert drift.scan(look, world.tools()) == {"state": "ok", "checked": 0, "drifted": 0}
