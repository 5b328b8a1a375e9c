"""What a look may be believed, and what may be called because of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iamroles.aws.fake import FakeGateway
from iamroles.blueprints.grants import grant_document
from iamroles.blueprints.state import PolicyState, RoleState
from iamroles.engine import observe
from iamroles.iam import documents, trust
from iamroles.models import ManagedRole, Proposal, Request, Team
from iamroles.proposal import read
from tests.integration.engine.world import POLICY, ROLE, TASK, World, now

LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"


def managed(world: World, *attached: str) -> RoleState:
    """A role that is right already, in the inventory of the Orders team."""
    role = world.aws.put_role(
        RoleState(
            arn=ROLE,
            name="ecsCodeDeployRole",
            path="/",
            trust=trust.codedeploy_trust(world.account.number, source_account=True),
            attached=frozenset({LIMITED, *attached}),
            tags={"team": "orders"},
        )
    )
    ManagedRole.objects.create(
        account=world.account,
        team=Team.objects.get(),
        arn=ROLE,
        role_id=str(role.role_id),
        name_folded="ecscodedeployrole",
        desired="{}",
        since=now(),
        verified_at=now(),
    )
    return role


class TestConfirming:
    def test_one_look_that_reads_as_approved_is_not_enough(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        role = managed(world)
        request = world.approved(tags={"team": "payments"}, task_roles=())
        real = FakeGateway.role
        looks = [0]

        def too_early(self: FakeGateway, arn: str) -> RoleState | None:
            looks[0] += 1
            if arn == ROLE and looks[0] == 1:
                return replace(role, tags={"team": "payments"})
            return real(self, arn)

        monkeypatch.setattr(FakeGateway, "role", too_early)
        assert world.apply(request) == "applied"
        assert world.sent() == ["TagRole"]
        assert world.aws.roles["ecscodedeployrole"].tags == {"team": "payments"}

    def test_an_own_success_that_is_not_shown_yet_is_waited_for(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        role = managed(world)
        request = world.approved(tags={"team": "payments"}, task_roles=())
        real = FakeGateway.role
        stale = [3]

        def late(self: FakeGateway, arn: str) -> RoleState | None:
            if arn == ROLE and world.sent() and stale[0]:
                stale[0] -= 1
                return role
            return real(self, arn)

        monkeypatch.setattr(FakeGateway, "role", late)
        assert world.apply(request) == "applied"
        assert (world.sent(), stale) == (["TagRole"], [0])

    def test_an_own_success_that_is_never_shown_is_a_conflict(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        role = managed(world)
        request = world.approved(tags={"team": "payments"}, task_roles=())
        monkeypatch.setattr(FakeGateway, "role", lambda _self, arn: role if arn == ROLE else world.aws.roles.get(arn))
        words = set()
        for _ in range(30):
            words.add(world.apply(request))
            world.clock.pass_by(31)
        assert (world.run(request).stop_reason, world.run(request).detail["code"]) == ("conflict", "NotShown")
        assert (world.sent(), words) == (["TagRole"], {"waiting", "conflict", "stopped"})


class TestOutsideThePlan:
    def test_a_version_that_others_made_is_not_made_the_default(self, world: World) -> None:
        world.aws.put_policy(POLICY, grant_document((f"{TASK}-old",)))
        managed(world, POLICY)
        request = world.approved()
        target = read(Proposal.objects.get().canonical).target.policies[POLICY]
        assert target is not None
        world.aws.policies[POLICY].versions["v2"] = target.document
        assert world.apply(request) == "conflict"
        assert (world.run(request).detail["code"], world.sent()) == ("OutsidePlan", [])

    def test_reads_of_different_ages_are_looked_at_again(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The version that we just made is listed already, while the policy still tells its old default."""
        world.aws.put_policy(POLICY, grant_document((f"{TASK}-old",)))
        managed(world, POLICY)
        request = world.approved()
        before = world.aws.gateway().policy(POLICY)
        assert before is not None
        real, stale = FakeGateway.policy, [2]

        def mixed(self: FakeGateway, arn: str) -> PolicyState | None:
            live = real(self, arn)
            if arn == POLICY and live and world.sent() and stale[0]:
                stale[0] -= 1
                return replace(before, versions=live.versions)
            return live

        monkeypatch.setattr(FakeGateway, "policy", mixed)
        assert world.apply(request) == "applied"
        assert (world.sent(), stale) == (["CreatePolicyVersion"], [0])

    def test_a_policy_that_others_took_with_our_last_call_is_a_conflict(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.aws.put_policy(POLICY, grant_document((f"{TASK}-old",)))
        managed(world, POLICY)
        request = world.approved()
        real = FakeGateway.policy
        stranger = f"arn:aws:iam::{world.account.number}:role/theirs"

        def taken(self: FakeGateway, arn: str) -> PolicyState | None:
            live = real(self, arn)
            return replace(live, users=live.users | {stranger}) if arn == POLICY and live and world.sent() else live

        monkeypatch.setattr(FakeGateway, "policy", taken)
        assert world.apply(request) == "conflict"
        assert (world.run(request).detail["code"], world.sent()) == ("ForeignUser", ["CreatePolicyVersion"])

    def test_a_policy_that_others_use_meanwhile_is_not_changed(self, world: World) -> None:
        world.aws.put_policy(POLICY, grant_document((f"{TASK}-old",)))
        managed(world, POLICY)
        request = world.approved()
        task = world.aws.roles["orders-api-task"]
        world.aws.roles["orders-api-task"] = replace(task, boundary=POLICY)
        assert world.apply(request) in ("conflict", "in_review")
        assert world.sent() == []


class TestVersions:
    def test_at_five_the_oldest_goes_one_is_made_and_one_old_one_stays(self, world: World) -> None:
        world.aws.put_policy(POLICY, grant_document((f"{TASK}-old",)))
        for number in range(2, 6):
            world.aws.policies[POLICY].versions[f"v{number}"] = grant_document((f"{TASK}-{number}",))
            next(world.aws.policies[POLICY].numbers)
        world.aws.policies[POLICY].state = replace(world.aws.policies[POLICY].state, default_version="v5")
        managed(world, POLICY)
        request = world.approved()
        assert world.apply(request) == "applied"
        assert world.sent() == ["DeletePolicyVersion", "CreatePolicyVersion", *["DeletePolicyVersion"] * 3]
        policy = world.aws.gateway().policy(POLICY)
        assert policy is not None
        assert (policy.default_version, sorted(policy.versions)) == ("v6", ["v5", "v6"])
        assert documents.equal(policy.document, grant_document((f"{TASK}-5", TASK)))


class TestProofOfTime:
    def test_a_longer_life_by_sql_is_refused(self, world: World) -> None:
        """Only the digest covers it: nothing else in the rows repeats it."""
        request: Request = world.approved()
        row: Any = Proposal.objects.get()
        expires = read(row.canonical).body["expires_at"]
        Proposal.objects.update(canonical=row.canonical.replace(expires, "2036-01-01T00:00:00Z"))
        assert world.apply(request) == "invalid"
        assert world.sent() == []


class TestObserving:
    def test_a_worker_that_wakes_up_after_another_has_observed_stores_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = world.submitted()
        real, slept = FakeGateway.role, [False]

        def role(self: FakeGateway, arn: str) -> RoleState | None:
            if not slept[0]:
                slept[0] = True
                world.clock.pass_by(61)
                assert observe.observe(request_id=request.pk, tools=world.tools()) == "in_review"
            return real(self, arn)

        monkeypatch.setattr(FakeGateway, "role", role)
        assert observe.observe(request_id=request.pk, tools=world.tools()) == "not_due"
        assert Proposal.objects.filter(revision__request=request).count() == 1
        assert world.events(request).count("base.observed") == 1
