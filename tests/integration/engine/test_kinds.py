"""Every further kind of request, the whole way: sent, observed, approved, applied, remembered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iamroles import canonical
from iamroles.aws.fake import FakeGateway
from iamroles.aws.gateway import AwsError
from iamroles.blueprints import GrantFacts, InfrastructureFacts, RemovalFacts, RoleFacts, RoleState, uses
from iamroles.engine import observe
from iamroles.iam import catalogue, documents, trust
from iamroles.models import AwsAccount, ManagedRole, Request
from iamroles.proposal import ManagedPolicyVersion
from iamroles.workflow import repair
from tests.integration.engine.test_repair import act, person
from tests.integration.engine.world import NUMBER, POLICY, ROLE, TASK, World

LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"


class TestInfrastructureRole:
    def test_is_made_as_aws_documents_it(self, world: World) -> None:
        request = world.approved(InfrastructureFacts(account=world.account.facts(), team="orders"))
        assert world.apply(request) == "applied"
        assert world.sent() == ["CreateRole", "AttachRolePolicy"]
        role = world.aws.roles["ecsinfrastructureroleforloadbalancers"]
        assert documents.equal(role.trust, trust.infrastructure_trust())
        assert role.attached == {catalogue.managed_policy(catalogue.ECS_INFRASTRUCTURE_LB).arn}
        assert ManagedRole.objects.get().arn == role.arn

    def test_asked_for_again_it_is_right_already(self, world: World) -> None:
        facts = InfrastructureFacts(account=world.account.facts(), team="orders")
        world.apply(world.approved(facts))
        again = world.submitted(facts)
        observe.observe(request_id=again.pk, tools=world.tools())
        again.refresh_from_db()
        assert (again.state, again.outcome) == ("closed", "already_right")


class TestScopedRole:
    USES = POLICY.replace("-PassRole", "-Deployments")

    def facts(self, world: World, *services: str) -> RoleFacts:
        here = f"eu-central-1:{world.account.number}"
        return RoleFacts(
            account=world.account.facts(),
            team="orders",
            managed_policy="scoped",
            services=tuple(f"arn:aws:ecs:{here}:service/shop/{name}" for name in services),
            listeners=(f"arn:aws:elasticloadbalancing:{here}:listener/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2",),
            task_roles=(TASK,),
            policy_name="ecsCodeDeployRole-PassRole",
            uses_policy_name="ecsCodeDeployRole-Deployments",
            max_session=7200,
        )

    def made(self, world: World) -> documents.Document:
        found = world.aws.policies[self.USES]
        return found.versions[str(found.state.default_version)]

    def test_is_made_observed_and_removed_with_its_own_policies(self, world: World) -> None:
        facts = self.facts(world, "api")
        assert world.apply(world.approved(facts)) == "applied"
        assert world.sent() == ["CreateRole", "CreatePolicy", "CreatePolicy", "AttachRolePolicy", "AttachRolePolicy"]
        role = world.aws.roles["ecscodedeployrole"]
        assert (role.attached, role.max_session) == ({POLICY, self.USES}, 7200)
        assert self.made(world) == uses.document(uses.scoped_pieces(facts))
        again = world.submitted(facts)
        observe.observe(request_id=again.pk, tools=world.tools())
        again.refresh_from_db()
        assert (again.state, again.outcome) == ("closed", "already_right")
        removal = RemovalFacts(
            account=facts.account,
            team="orders",
            role_name=facts.role_name,
            role_arn=ROLE,
            policies=(POLICY, self.USES),
        )
        assert world.apply(world.approved(removal)) == "applied"
        assert (world.aws.policies, ManagedRole.objects.count()) == ({}, 0)

    def test_a_further_service_extends_the_policy_as_a_new_version(self, world: World) -> None:
        world.apply(world.approved(self.facts(world, "api")))
        world.aws.sent.clear()
        assert world.apply(world.approved(self.facts(world, "web"))) == "applied"
        assert world.sent() == ["CreatePolicyVersion"]
        both = uses.document(uses.scoped_pieces(self.facts(world, "api", "web")))
        assert self.made(world) == both


class TestRemoval:
    def removal(self, world: World, **changes: Any) -> RemovalFacts:
        assert world.apply(world.approved()) == "applied"
        world.aws.sent.clear()
        facts = RemovalFacts(
            account=world.account.facts(),
            team="orders",
            role_name="ecsCodeDeployRole",
            role_arn=ROLE,
            policies=(POLICY,),
        )
        return replace(facts, **changes)

    def test_of_one_policy_leaves_the_role_and_the_inventory_knows(self, world: World) -> None:
        request = world.approved(self.removal(world, whole=False))
        assert world.apply(request) == "applied"
        assert world.sent() == ["DetachRolePolicy", "DeletePolicy"]
        assert POLICY not in world.aws.policies
        assert world.aws.roles["ecscodedeployrole"].attached == {LIMITED}
        stored: Any = canonical.loads(ManagedRole.objects.get().desired)
        assert (stored["policies"], stored["role"]["attached"]) == ({}, [LIMITED])

    def test_a_pause_stops_additions_and_not_proved_removals(self, world: World) -> None:
        request = world.approved(self.removal(world))
        more = world.approved(role_name="another", policy_name="another-PassRole")
        AwsAccount.objects.update(paused_at=world.clock())
        assert world.apply(more) == "waiting"
        assert world.apply(request) == "applied"

    def test_taking_a_deny_away_waits_while_paused(self, world: World) -> None:
        facts = self.removal(world)
        statement = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
        deny = documents.parse({"Version": "2012-10-17", "Statement": [statement]})
        role = world.aws.roles["ecscodedeployrole"]
        world.aws.put_role(replace(role, inline={"guard": deny}))
        request = world.approved(facts)
        AwsAccount.objects.update(paused_at=world.clock())
        assert world.apply(request) == "waiting"
        assert world.sent() == []

    def test_of_a_role_that_is_gone_only_forgets_it(self, world: World) -> None:
        facts = self.removal(world)
        world.aws.roles.clear()
        world.aws.policies.clear()
        request = world.submitted(facts)
        observe.observe(request_id=request.pk, tools=world.tools())
        request.refresh_from_db()
        assert (request.state, request.outcome, ManagedRole.objects.count()) == ("closed", "already_right", 0)
        assert "inventory.released" in world.events(request)

    def test_a_later_grant_does_not_make_the_inventory_forget_the_first(self, world: World) -> None:
        assert world.apply(world.approved()) == "applied"
        other = TASK.replace("orders-api", "orders-worker")
        world.aws.put_role(RoleState(arn=other, name="orders-worker-task", path="/", trust=trust.ecs_tasks_trust()))
        grant = GrantFacts(account=world.account.facts(), team="orders", task_roles=(other,), policy_name="second")
        assert world.apply(world.approved(grant)) == "applied"
        stored: Any = canonical.loads(ManagedRole.objects.get().desired)
        assert sorted(stored["policies"]) == [POLICY, POLICY.replace("ecsCodeDeployRole-PassRole", "second")]


class TestAnotherBoundary:
    """A role of another trust that is adopted into an AWS account with a boundary of its own."""

    DEMANDED, OWN = (f"arn:aws:iam::{NUMBER}:policy/boundary/{name}" for name in ("B", "theirs"))
    THEIRS = f"arn:aws:iam::{NUMBER}:policy/theirs"

    def adopted(self, world: World, within: str) -> tuple[Request, dict[str, Any]]:
        """A request in review, and what its proposal holds; `within` is all that the role's own boundary allows."""
        world.account.boundary = self.DEMANDED
        world.account.save()
        for arn, action in ((self.DEMANDED, "*"), (self.OWN, within), (self.THEIRS, "s3:GetObject")):
            statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
            document = documents.parse({"Version": "2012-10-17", "Statement": [statement]})
            world.aws.managed[arn] = ManagedPolicyVersion(arn, "v1", document)
        inline = documents.parse(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}]}
        )
        role = RoleState(ROLE, "ecsCodeDeployRole", "/", trust.ecs_tasks_trust(), boundary=self.OWN)
        world.aws.put_role(replace(role, attached=frozenset({self.THEIRS}), inline={"queue": inline}))
        request = world.in_review()
        proposal = request.current_proposal()
        assert proposal is not None
        return request, proposal.body

    def test_nothing_is_in_place_while_boundary_and_trust_change(self, world: World) -> None:
        request, body = self.adopted(world, "s3:*")
        assert any(said.startswith("Takes every permission off the role while") for said in body["sentences"])
        assert world.apply(world.approve(request)) == "applied"
        sent = world.sent()
        at = sent.index("PutRolePermissionsBoundary")
        assert sent[:at] == ["DetachRolePolicy", "DeleteRolePolicy"]
        assert sent[at + 1 : at + 3] == ["UpdateAssumeRolePolicy", "PutRolePolicy"]  # which cuts older sessions off
        role = world.aws.roles["ecscodedeployrole"]
        assert (role.boundary, "queue" in role.inline) == (self.DEMANDED, True)
        assert role.attached == {LIMITED, POLICY, self.THEIRS}

    def test_one_that_gives_the_role_nothing_goes_first(self, world: World) -> None:
        request, body = self.adopted(world, "*")
        assert "widens_boundary" not in body
        assert world.apply(world.approve(request)) == "applied"
        assert world.sent()[:2] == ["PutRolePermissionsBoundary", "UpdateAssumeRolePolicy"]
        assert "DetachRolePolicy" not in world.sent()

    def test_a_run_that_stopped_there_goes_on_from_there(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        request, _ = self.adopted(world, "s3:*")
        refused: list[str] = ["UpdateAssumeRolePolicy"]
        sent = FakeGateway.send

        def send(self: FakeGateway, call: Any) -> Any:
            if call.api in refused:
                raise AwsError("LimitExceeded", api=call.api)
            return sent(self, call)

        monkeypatch.setattr(FakeGateway, "send", send)
        assert world.apply(world.approve(request)) == "blocked"
        role = world.aws.roles["ecscodedeployrole"]
        assert (role.attached, role.inline) == (frozenset(), {})
        refused.clear()
        act(repair.retry, world, request, person(world, "oskar"))
        assert world.apply(request) == "applied"
        role = world.aws.roles["ecscodedeployrole"]
        assert (role.attached, "queue" in role.inline) == (frozenset({LIMITED, POLICY, self.THEIRS}), True)
