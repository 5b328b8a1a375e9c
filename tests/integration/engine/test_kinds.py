"""Every further kind of request, the whole way: sent, observed, approved, applied, remembered."""

from __future__ import annotations

from iamroles.blueprints import InfrastructureFacts
from iamroles.iam import catalogue, documents, trust
from iamroles.models import ManagedRole
from iamroles.workflow.submit import account_facts
from tests.integration.engine.world import World


class TestInfrastructureRole:
    def test_is_made_as_aws_documents_it(self, world: World) -> None:
        request = world.approved(InfrastructureFacts(account=account_facts(world.account), team="orders"))
        assert world.apply(request) == "applied"
        assert world.sent() == ["CreateRole", "AttachRolePolicy"]
        role = world.aws.roles["ecsinfrastructureroleforloadbalancers"]
        assert documents.equal(role.trust, trust.infrastructure_trust())
        assert role.attached == {catalogue.managed_policy(catalogue.ECS_INFRASTRUCTURE_LB).arn}
        assert ManagedRole.objects.get().arn == role.arn

    def test_asked_for_again_it_is_right_already(self, world: World) -> None:
        from iamroles.engine import observe

        facts = InfrastructureFacts(account=account_facts(world.account), team="orders")
        world.apply(world.approved(facts))
        again = world.submitted(facts)
        observe.observe(request_id=again.pk, tools=world.tools())
        again.refresh_from_db()
        assert (again.state, again.outcome) == ("closed", "already_right")
