"""The infrastructure role for native blue/green: whom it must let in, and what counts as normal for it."""

from __future__ import annotations

from dataclasses import replace

from iamroles.blueprints import InfrastructureFacts, RoleState, State, build_desired
from iamroles.iam import catalogue, documents, trust
from iamroles.proposal import Context, Envelope, ManagedPolicyVersion, Proposal, propose
from tests.unit.proposal.conftest import ACCOUNT

FACTS = InfrastructureFacts(account=ACCOUNT, team="orders")
POLICY = catalogue.managed_policy(catalogue.ECS_INFRASTRUCTURE_LB)


def proposed(envelope: Envelope, live: RoleState | None = None, facts: InfrastructureFacts = FACTS) -> Proposal:
    context = Context(managed={POLICY.arn: ManagedPolicyVersion(POLICY.arn, POLICY.version, POLICY.document)})
    return propose(facts=facts, base=State(facts.role_arn, live), context=context, envelope=envelope)


def wanted() -> RoleState:
    role = build_desired(FACTS).role
    assert role is not None
    return replace(role, role_id="AROAEXAMPLE")


def test_a_new_one_is_low_and_has_only_what_aws_documents(envelope: Envelope) -> None:
    made = proposed(envelope)
    assert [(call.api, call.resource) for call in made.plan] == [
        ("CreateRole", FACTS.role_arn),
        ("AttachRolePolicy", FACTS.role_arn),
    ]
    assert (made.risk, [f.id for f in made.findings if not f.standard]) == ("low", [])
    assert made.title == "Infrastructure role ecsInfrastructureRoleForLoadBalancers in orders-staging"


def test_production_does_not_raise_it(envelope: Envelope) -> None:
    assert proposed(envelope, facts=replace(FACTS, account=replace(ACCOUNT, production=True))).risk == "low"


def test_a_role_that_reads_so_already_needs_nothing(envelope: Envelope) -> None:
    assert proposed(replace(envelope, managed_here=True), wanted()).already_right


def test_a_narrower_trust_stays(envelope: Envelope) -> None:
    condition = {"StringEquals": {"aws:SourceAccount": ACCOUNT.number}}
    live = replace(wanted(), trust=trust.service_trust(trust.ECS, condition))
    made = proposed(replace(envelope, managed_here=True), live)
    assert (made.plan, made.already_right) == ((), True)
    assert made.sentences == ("Keeps the live trust policy: it is narrower than ours and still lets ECS in.",)


def test_a_codedeploy_role_of_that_name_is_told_and_high(envelope: Envelope) -> None:
    live = replace(wanted(), trust=trust.codedeploy_trust(ACCOUNT.number))
    made = proposed(replace(envelope, managed_here=True), live)
    assert [call.api for call in made.plan] == ["UpdateAssumeRolePolicy"]
    assert documents.equal(made.target.state.role.trust, trust.infrastructure_trust())  # type: ignore[union-attr]
    assert [(f.id, f.message) for f in made.findings if f.severity == "high"] == [
        ("TR09", "This stops codedeploy.amazonaws.com from using this role.")
    ]
    assert made.risk == "high"


def test_another_policy_on_it_is_not_folded(envelope: Envelope) -> None:
    full = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS)
    live = replace(wanted(), attached=frozenset({POLICY.arn, full.arn}))
    context = Context(managed={m.arn: ManagedPolicyVersion(m.arn, m.version, m.document) for m in (POLICY, full)})
    made = propose(facts=FACTS, base=State(FACTS.role_arn, live), context=context, envelope=envelope)
    assert made.risk == "high"
