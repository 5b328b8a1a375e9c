"""A deployer policy the whole way: made, remembered by its id, followed by a new name, and removed when unattached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from iamroles import canonical
from iamroles.blueprints import DeployerFacts, RemovalFacts, RoleState, State, build_desired
from iamroles.blueprints.deployer import deployer_document
from iamroles.blueprints.facts import deployer_policy_description
from iamroles.blueprints.grants import grant_document
from iamroles.engine import drift, observe, scans
from iamroles.iam import documents, trust
from iamroles.models import AccountLook, AuditEvent, AwsAccount, Lease, ManagedPolicy, ManagedRole, Request
from iamroles.pages.managed import InventoryFilter
from iamroles.pages.policies import policy_rows
from iamroles.proposal.calls import Call
from iamroles.workflow.verbs import Invalid
from tests.integration.engine.world import NUMBER, ROLE, TASK, World

PIPELINE = f"arn:aws:iam::{NUMBER}:role/pipeline"
FIRST = f"arn:aws:iam::{NUMBER}:policy/deployer/checkout-Deployer"
SECOND = f"{FIRST}-r2"


@pytest.fixture
def facts(world: World) -> DeployerFacts:
    """What is asked for, and the roles that it names in AWS."""
    codedeploy = RoleState(arn=ROLE, name="ecsCodeDeployRole", path="/", trust=trust.codedeploy_trust(NUMBER))
    world.aws.put_role(codedeploy)
    world.aws.put_role(RoleState(arn=PIPELINE, name="pipeline", path="/", trust=trust.ecs_tasks_trust()))
    plain = DeployerFacts(
        account=world.account.facts(),
        team="orders",
        holder=PIPELINE,
        application="checkout",
        cluster="orders",
        service="checkout",
        codedeploy_role=ROLE,
        task_roles=(TASK,),
        policy_name="checkout-Deployer",
    )
    return replace(plain, policy_description=deployer_policy_description(plain))


@pytest.fixture
def made(world: World, facts: DeployerFacts) -> Request:
    request = world.approved(facts)
    assert world.apply(request) == "applied"
    return request


def test_an_aws_account_with_deployer_policies_alone_is_scanned(world: World, made: Request) -> None:
    assert not ManagedRole.objects.exists()
    assert scans.order_due(world.clock()) == 1
    AccountLook.objects.update(answered_at=world.clock(), next_try_at=None)
    assert scans.order_due(world.clock()) == 0
    assert scans.order_due(world.clock() + timedelta(minutes=1)) == 1


def attach(world: World, *arns: str) -> None:
    """What the team does by itself."""
    world.aws.put_role(replace(world.aws.roles["pipeline"], attached=frozenset(arns)))


def removal(world: World, arn: str = FIRST) -> RemovalFacts:
    return RemovalFacts(world.account.facts(), "orders", "pipeline", None, (arn,), whole=False)


class TestMaking:
    def test_is_one_call_and_attached_to_nothing(self, world: World, facts: DeployerFacts, made: Request) -> None:
        assert world.sent() == ["CreatePolicy"]
        live = world.aws.gateway().policy(FIRST)
        assert live is not None
        assert documents.equal(live.document, deployer_document(facts))
        assert (live.path, live.users, list(live.versions)) == ("/deployer/", frozenset(), ["v1"])
        assert live.description == "For pipeline of orders: deploys checkout. Made by Roledesk, never changed."
        assert (made.state, made.outcome, made.role_name) == ("closed", "applied", "pipeline")
        (session,) = [policy for name, policy in world.sessions.opened if not name.startswith("READ-")]
        assert session == '["CreatePolicy"]'

    def test_the_inventory_knows_it_by_its_id_and_no_role(self, world: World, made: Request) -> None:
        row = ManagedPolicy.objects.get()
        live = world.aws.gateway().policy(FIRST)
        assert live is not None
        assert (row.arn, row.policy_id, row.holder, row.name_folded) == (
            FIRST,
            live.policy_id,
            "pipeline",
            "checkout-deployer",
        )
        assert (row.team.slug, row.request_id) == ("orders", made.pk)
        stored: Any = canonical.loads(row.desired)
        state = State.from_mapping(stored)
        assert (state.role_arn, state.resources) == (None, (FIRST,))
        assert documents.equal(state.policies[FIRST].document, live.document)  # type: ignore[union-attr]
        assert ManagedRole.objects.count() == 0

    def test_the_lease_is_on_the_policy(self, world: World, made: Request) -> None:
        assert list(Lease.objects.values_list("resource", "owner")) == [(FIRST.lower(), "")]
        assert (world.run(made).fence, Lease.objects.get().fence) == (1, 1)

    def test_what_the_codedeploy_role_may_do_is_looked_at(self, world: World, facts: DeployerFacts) -> None:
        limited = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
        role = world.aws.roles["ecscodedeployrole"]
        world.aws.put_role(replace(role, attached=frozenset({limited})))
        proposal = world.in_review(facts).current_proposal()
        assert proposal is not None
        seen = proposal.body["dependencies"]["passed_roles"]
        assert list(seen) == [ROLE, TASK]
        assert list(seen[ROLE]["attached"]) == [limited]
        assert [role["arn"] for role in proposal.body["reach"]] == [ROLE, TASK]

    def test_a_name_that_others_took_meanwhile_is_a_conflict(self, world: World, facts: DeployerFacts) -> None:
        request = world.approved(facts)
        world.aws.put_policy(FIRST, deployer_document(facts), facts.policy_description)
        assert world.apply(request) == "conflict"
        assert (world.sent(), ManagedPolicy.objects.count()) == ([], 0)

    def test_a_paused_account_makes_none(self, world: World, facts: DeployerFacts) -> None:
        request = world.approved(facts)
        AwsAccount.objects.update(paused_at=world.clock())
        assert world.apply(request) == "waiting"
        assert world.sent() == []


class TestChanging:
    def test_is_a_new_name_and_no_version(self, world: World, facts: DeployerFacts, made: Request) -> None:
        """Test 63 of the engine's list: new name, 0 versions; the old is deleted once it is unattached."""
        attach(world, FIRST)
        wider = replace(facts, policy_name="checkout-Deployer-r2", service="checkout2")
        assert world.apply(world.approved(wider)) == "applied"
        attach(world, SECOND)
        assert world.apply(world.approved(removal(world))) == "applied"
        assert world.sent() == ["CreatePolicy", "CreatePolicy", "DeletePolicy"]
        assert list(world.aws.policies) == [SECOND]
        assert list(world.aws.policies[SECOND].versions) == ["v1"]
        assert list(ManagedPolicy.objects.values_list("arn", flat=True)) == [SECOND]

    def test_under_the_same_name_is_refused_when_sent(self, world: World, facts: DeployerFacts, made: Request) -> None:
        with pytest.raises(Invalid, match="checkout-deployer exists and a deployer policy is never changed"):
            world.submitted(replace(facts, policy_name="checkout-deployer", service="other"))

    def test_two_requests_never_ask_for_one_name(self, world: World, facts: DeployerFacts) -> None:
        first = world.submitted(facts)
        with pytest.raises(Invalid, match=f"{first.reference} asks for checkout-Deployer already"):
            world.submitted(replace(facts, service="other"))

    def test_no_version_is_made_of_what_others_changed(
        self, world: World, facts: DeployerFacts, made: Request, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also when the sending check is gone: the plan has no call, and nobody can approve it."""
        monkeypatch.setattr("iamroles.workflow.submit._require_new_name", lambda *_: None)
        request = world.in_review(replace(facts, service="other"))
        proposal = request.current_proposal()
        assert proposal is not None
        assert (proposal.rated, proposal.body["plan"]) == ("forbidden", [])


class TestRemoving:
    def test_of_one_that_is_attached_cannot_be_approved(self, world: World, made: Request) -> None:
        attach(world, FIRST)
        proposal = world.in_review(removal(world)).current_proposal()
        assert proposal is not None
        assert (proposal.rated, proposal.body["plan"]) == ("forbidden", [])
        assert proposal.sentences == ["checkout-Deployer is still attached to pipeline. Detach it there first."]

    def test_of_one_that_was_attached_after_the_approval_stops(self, world: World, made: Request) -> None:
        request = world.approved(removal(world))
        attach(world, FIRST)
        assert world.apply(request) == "conflict"
        assert (FIRST in world.aws.policies, ManagedPolicy.objects.count()) == (True, 1)

    def test_goes_on_while_the_account_is_paused(self, world: World, made: Request) -> None:
        request = world.approved(removal(world))
        AwsAccount.objects.update(paused_at=world.clock())
        assert world.apply(request) == "applied"
        assert "inventory.released" in world.events(request)

    def test_of_one_made_anew_by_others_is_a_conflict(self, world: World, facts: DeployerFacts, made: Request) -> None:
        request = world.approved(removal(world))
        world.aws.put_policy(FIRST, deployer_document(facts), facts.policy_description)
        assert world.apply(request) == "conflict"
        assert FIRST in world.aws.policies

    def test_of_one_made_anew_before_it_was_asked_for_is_forbidden(
        self, world: World, facts: DeployerFacts, made: Request
    ) -> None:
        world.aws.put_policy(FIRST, deployer_document(facts), facts.policy_description)
        proposal = world.in_review(removal(world)).current_proposal()
        assert proposal is not None
        assert proposal.rated == "forbidden"

    def test_of_one_that_is_gone_only_forgets_it(self, world: World, made: Request) -> None:
        world.aws.policies.clear()
        request = world.submitted(removal(world))
        observe.observe(request_id=request.pk, tools=world.tools())
        request.refresh_from_db()
        assert (request.outcome, ManagedPolicy.objects.count()) == ("already_right", 0)

    def test_of_another_teams_is_refused(self, world: World, made: Request) -> None:
        with pytest.raises(Invalid, match="deployer policy of your team"):
            world.submitted(replace(removal(world), role_name="another"))


def test_the_worker_makes_the_same_bytes_again(world: World, facts: DeployerFacts) -> None:
    """Preview, submit and worker call one blueprint."""
    request = world.in_review(facts)
    proposal = request.current_proposal()
    assert proposal is not None
    assert proposal.revision.desired_digest == build_desired(facts).digest()


class TestDrift:
    @pytest.fixture
    def scanned(self, world: World, made: Request) -> Callable[[], list[str]]:
        """Returns the parts that a scan finds to read otherwise."""

        def scan() -> list[str]:
            look = AccountLook.objects.create(account=world.account, kind="scan", at=world.clock())
            drift.scan(look, world.tools())
            return [each["part"] for each in ManagedPolicy.objects.get().drift]

        return scan

    def test_none_as_it_was_made(self, scanned: Callable[[], list[str]]) -> None:
        assert scanned() == []
        assert ManagedPolicy.objects.get().observed_at is not None

    def test_a_version_that_somebody_made(self, world: World, scanned: Callable[[], list[str]]) -> None:
        """The one change that gives people rights unseen: told as another document and as a version of others."""
        document = documents.minified(grant_document([TASK]))
        arguments = {"PolicyArn": FIRST, "PolicyDocument": document, "SetAsDefault": True}
        world.aws.gateway().send(Call("CreatePolicyVersion", FIRST, arguments))
        assert scanned() == [f"document {FIRST}", f"version v2 of {FIRST}"]
        assert [row.differs for row in policy_rows(world.owner, InventoryFilter())] == [
            ("Its document is another one than approved.", "Somebody else added version v2.")
        ]
        assert AuditEvent.objects.filter(action="drift.detected").count() == 1

    def test_one_made_anew(self, world: World, facts: DeployerFacts, scanned: Callable[[], list[str]]) -> None:
        world.aws.put_policy(FIRST, deployer_document(facts), facts.policy_description)
        assert scanned() == ["policy id"]

    def test_one_that_is_gone(self, world: World, scanned: Callable[[], list[str]]) -> None:
        world.aws.policies.clear()
        scanned()
        assert [row.differs for row in policy_rows(world.owner, InventoryFilter())] == [("It is not in AWS any more.",)]
