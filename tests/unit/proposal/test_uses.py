"""Proposals with our own policy: its sentences, what laying over keeps, and what approvers are told of Scoped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iamroles.blueprints import PolicyState, RemovalFacts, RoleFacts, State, uses
from iamroles.iam import catalogue, documents
from iamroles.proposal import Context, Envelope, Proposal, propose
from tests.unit.proposal.conftest import NAME, ROLE_ARN, TASK, absent, as_asked, live

HERE = "eu-central-1:111122223333"
POLICY = f"arn:aws:iam::111122223333:policy/{NAME}-Deployments"
LIMITED = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED)


@pytest.fixture
def scoped(facts: RoleFacts) -> RoleFacts:
    return replace(
        facts,
        managed_policy="scoped",
        execution_roles=(),
        services=(f"arn:aws:ecs:{HERE}:service/shop/api", f"arn:aws:ecs:{HERE}:service/shop/web"),
        listeners=(f"arn:aws:elasticloadbalancing:{HERE}:listener/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2",),
        hooks=(f"arn:aws:lambda:{HERE}:function:smoke",),
        uses_policy_name=f"{NAME}-Deployments",
    )


@pytest.fixture
def mine(envelope: Envelope) -> Envelope:
    return replace(envelope, managed_here=True)


def with_policy(base: State, policy: PolicyState) -> State:
    return replace(base, policies={**base.policies, POLICY: policy})


def holding(document: documents.Document, *users: str) -> PolicyState:
    return PolicyState(
        POLICY, f"{NAME}-Deployments", "/", document, default_version="v1", users=frozenset(users or (ROLE_ARN,))
    )


def made(facts: RoleFacts | RemovalFacts, base: State, context: Context, envelope: Envelope) -> Proposal:
    return propose(facts=facts, base=base, context=context, envelope=envelope)


def test_each_kind_of_thing_has_one_sentence_in_its_own_names(
    scoped: RoleFacts, context: Context, envelope: Envelope
) -> None:
    proposal = made(scoped, absent(scoped), context, envelope)
    by = f"by the policy {NAME}-Deployments."
    assert proposal.sentences[2:] == (
        f"CodeDeploy can now replace tasks and move traffic of shop/api and shop/web and of no other ECS service, {by}",
        f"CodeDeploy can now change the load balancer listener app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2, {by}",
        f"CodeDeploy can now change the load balancer rules app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2/*, {by}",
        f"CodeDeploy can now call the Lambda function smoke, {by}",
        (
            "It can also read every alarm, listener, rule and target group: AWS has no narrower right. "
            f"{NAME}-Deployments is not yet proved on AWS."
        ),
        (
            "CodeDeploy can now hand orders-api-task to ECS tasks (ecs-tasks.amazonaws.com) and to no other service, "
            f"by the policy {NAME}-PassRole."
        ),
    )
    assert (proposal.title, proposal.risk) == (f"Scoped role {NAME} in orders-staging", "low")


def test_scoped_says_that_nobody_tried_it(scoped: RoleFacts, context: Context, envelope: Envelope) -> None:
    findings = made(scoped, absent(scoped), context, envelope).findings
    assert [(f.id, f.severity, f.place) for f in findings if f.id.startswith("SC")] == [
        ("SC01", "note", f"permissions:{NAME}-Deployments")
    ]


def test_beside_limited_it_takes_nothing_away_and_says_so(scoped: RoleFacts, context: Context, mine: Envelope) -> None:
    base = live(scoped, attached=frozenset({LIMITED.arn}))
    proposal = made(scoped, base, context, mine)
    assert [call.api for call in proposal.plan] == ["CreatePolicy"] * 2 + ["AttachRolePolicy"] * 2
    assert "SC02" in {f.id for f in proposal.findings}
    assert f"{LIMITED.name} stays attached: beside it, Scoped narrows nothing." in {
        f.message for f in proposal.findings
    }


def test_as_asked_is_right_already(scoped: RoleFacts, context: Context, mine: Envelope) -> None:
    assert made(scoped, as_asked(scoped), context, mine).already_right


def test_one_that_others_made_is_adopted_as_it_is(scoped: RoleFacts, context: Context, envelope: Envelope) -> None:
    proposal = made(scoped, as_asked(scoped), context, envelope)
    assert (proposal.adopts, proposal.already_right, proposal.plan) == (True, False, ())


def test_a_further_service_extends_the_policy_and_says_only_what_is_new(
    scoped: RoleFacts, context: Context, mine: Envelope
) -> None:
    more = replace(scoped, services=(f"arn:aws:ecs:{HERE}:service/shop/jobs",))
    proposal = made(more, as_asked(scoped), context, mine)
    assert [call.api for call in proposal.plan] == ["CreatePolicyVersion"]
    policy = proposal.target.state.policies[POLICY]
    assert policy is not None
    assert uses.pieces_of(policy.document) == uses.scoped_pieces(scoped) | uses.scoped_pieces(more)
    said = [sentence for sentence in proposal.sentences if "replace tasks" in sentence]
    assert [sentence.split(" of ")[1] for sentence in said] == ["shop/jobs and"]


class TestAPolicyOfThatName:
    def test_of_a_stranger_is_never_touched(self, scoped: RoleFacts, context: Context, mine: Envelope) -> None:
        base = with_policy(live(scoped), holding(LIMITED.document))
        proposal = made(scoped, base, context, mine)
        assert proposal.target.clashes == (
            f"{NAME}-Deployments exists and was not made by this portal. Enter another policy name.",
        )
        assert (proposal.plan, proposal.risk) == ((), "forbidden")

    def test_that_gives_more_is_not_attached(self, scoped: RoleFacts, context: Context, mine: Envelope) -> None:
        other = uses.document([(uses.HOOK, f"arn:aws:lambda:{HERE}:function:other")])
        base = with_policy(absent(scoped), holding(other, "arn:aws:iam::111122223333:role/other"))
        assert made(scoped, base, context, mine).target.clashes == (
            (
                f"{NAME}-Deployments exists and also gives access to other: that would be granted too. "
                "Enter another policy name."
            ),
        )

    def test_that_others_hold_too_is_not_extended(self, scoped: RoleFacts, context: Context, mine: Envelope) -> None:
        part = uses.document([(uses.HOOK, scoped.hooks[0])])
        base = with_policy(live(scoped), holding(part, ROLE_ARN, "arn:aws:iam::111122223333:role/other"))
        assert made(scoped, base, context, mine).target.clashes == (
            f"{NAME}-Deployments is also used by arn:aws:iam::111122223333:role/other. Enter another policy name.",
        )


class TestLongestSession:
    def test_of_an_existing_role_stays_unless_asked(self, facts: RoleFacts, context: Context, mine: Envelope) -> None:
        base = as_asked(facts)
        assert base.role is not None
        base = replace(base, role=replace(base.role, max_session=43200))
        assert made(facts, base, context, mine).already_right

    def test_asked_for_is_set_and_said(self, facts: RoleFacts, context: Context, mine: Envelope) -> None:
        proposal = made(replace(facts, max_session=7200), as_asked(facts), context, mine)
        assert [(call.api, call.arguments["MaxSessionDuration"]) for call in proposal.plan] == [("UpdateRole", 7200)]
        assert proposal.sentences == ("Sets the longest session to 120 minutes.",)


def test_removing_it_says_what_will_fail(scoped: RoleFacts, context: Context, mine: Envelope) -> None:
    base = as_asked(scoped)
    removal = RemovalFacts(
        account=scoped.account, team="orders", role_name=NAME, role_arn=ROLE_ARN, policies=(POLICY,), whole=False
    )
    going = replace(base, policies={POLICY: base.policies[POLICY]})
    proposal = made(removal, going, context, mine)
    assert [(f.id, f.severity) for f in proposal.findings] == [("RM05", "medium")]
    assert f"{NAME}-Deployments" in proposal.findings[0].message
    full = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS)
    assert going.role is not None
    wide = replace(going, role=replace(going.role, attached=going.role.attached | {full.arn}))
    assert [f.id for f in made(removal, wide, context, mine).findings] == []


def test_the_passed_role_needs_its_grant_beside_scoped(scoped: RoleFacts, context: Context, envelope: Envelope) -> None:
    proposal = made(scoped, absent(scoped), context, envelope)
    grant = proposal.target.state.policies[f"arn:aws:iam::111122223333:policy/{NAME}-PassRole"]
    assert grant is not None
    assert TASK in documents.minified(grant.document)
