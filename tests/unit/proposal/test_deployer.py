"""Proposals about a deployer policy alone: made or deleted, never versioned, never taken from somebody else."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from iamroles.blueprints import DeployerFacts, PolicyState, RemovalFacts, State, build_desired
from iamroles.blueprints.grants import grant_document
from iamroles.iam import catalogue, documents, trust
from iamroles.proposal import (
    Context,
    Envelope,
    ManagedPolicyVersion,
    PassedRole,
    Proposal,
    calls_between,
    propose,
    same,
)
from tests.unit.blueprints.test_deployer import CODEDEPLOY, FACTS, HOLDER, TASK

((ARN, WANTED),) = build_desired(FACTS).policies.items()
LIMITED = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED)
LIVE = replace(WANTED, default_version="v1", versions={"v1": documents.digest(WANTED.document)}, policy_id="ANPA1")
OTHER = replace(LIVE, document=grant_document([TASK]), versions={"v1": "x"})
REMOVAL = RemovalFacts(FACTS.account, "orders", "pipeline", None, (ARN,), whole=False)
CONTEXT = Context(
    passed={
        CODEDEPLOY: PassedRole(
            CODEDEPLOY, "AROACD", trust.codedeploy_trust(FACTS.account.number), frozenset({LIMITED.arn})
        ),
        TASK: PassedRole(TASK, "AROATASK", trust.ecs_tasks_trust(FACTS.account.number)),
    },
    policies={LIMITED.arn: ManagedPolicyVersion(LIMITED.arn, LIMITED.version, LIMITED.document)},
)


def alone(policy: PolicyState | None) -> State:
    return State(None, None, {ARN: policy})


def proposed(
    envelope: Envelope,
    facts: DeployerFacts | RemovalFacts = FACTS,
    live: PolicyState | None = None,
    context: Context = CONTEXT,
    **changes: Any,
) -> Proposal:
    desired = build_desired(facts)
    base = State(None, None, dict.fromkeys({*desired.policies, *desired.removes}, live))
    return propose(facts=facts, base=base, context=context, envelope=replace(envelope, **changes))


def unfolded(made: Proposal) -> list[tuple[str, str]]:
    return [(f.id, f.severity) for f in made.findings if not f.standard and f.severity != "note"]


class TestScoped:
    def test_is_one_call_and_low(self, envelope: Envelope) -> None:
        made = proposed(envelope)
        assert [(call.api, call.resource) for call in made.plan] == [("CreatePolicy", ARN)]
        assert (made.risk, unfolded(made), made.adopts, made.already_right) == ("low", [], False, False)
        assert made.title == "Scoped deployer policy checkout-Deployer for pipeline in orders-staging"

    def test_says_what_whoever_holds_it_may_do(self, envelope: Envelope) -> None:
        assert proposed(envelope).sentences == (
            "Creates the policy checkout-Deployer in orders-staging (111122223333), for the role pipeline of orders.",
            (
                "Whoever holds it can deploy the application checkout through its deployment group blue, "
                "and stop or continue any deployment of the AWS account."
            ),
            "They can create and change the ECS service checkout of the cluster orders.",
            "They can hand ecsCodeDeployRole to CodeDeploy (codedeploy.amazonaws.com) and to no other service.",
            "They can hand orders-task to ECS tasks (ecs-tasks.amazonaws.com) and to no other service.",
            "They can register task definitions, so they decide what runs with those task roles.",
            "Nothing is attached: orders attaches checkout-Deployer to pipeline itself.",
        )

    def test_notes_who_decides_what_the_task_roles_run(self, envelope: Envelope) -> None:
        assert [f.id for f in proposed(envelope).findings] == ["PE05"]
        assert proposed(envelope, replace(FACTS, task_roles=())).findings == ()

    @pytest.mark.parametrize("number", range(20))
    def test_any_names_are_low(self, envelope: Envelope, number: int) -> None:
        """Nothing above note, whatever people call their things."""
        pick = random.Random(f"deployer {number}")

        def name(signs: str = "") -> str:
            return "".join(pick.choice("abcXYZ019-_" + signs) for _ in range(pick.randrange(1, 40)))

        facts = replace(
            FACTS,
            account=replace(FACTS.account, production=pick.random() < 0.5),
            application=name("+=,.@"),
            deployment_group=pick.choice(("", name("+=,.@"))),
            cluster=name(),
            service=name(),
            region=pick.choice(("", "eu-central-1")),
            task_roles=pick.choice(((), (TASK,))),
        )
        made = proposed(envelope, facts)
        assert (made.risk, unfolded(made)) == ("low", [])


class TestWhatIsWeighed:
    def test_unscoped_is_high(self, envelope: Envelope) -> None:
        made = proposed(envelope, replace(FACTS, scope="unscoped"))
        assert (made.risk, unfolded(made)) == ("high", [("PE02", "high"), ("PE06", "high")])

    def test_a_codedeploy_role_that_is_missing_is_forbidden(self, envelope: Envelope) -> None:
        gone = replace(CONTEXT, passed={**CONTEXT.passed, CODEDEPLOY: PassedRole(CODEDEPLOY, None, None)})
        made = proposed(envelope, context=gone)
        assert (made.risk, unfolded(made)) == ("forbidden", [("PR15", "forbidden")])

    @pytest.mark.parametrize(("arn", "service"), [(CODEDEPLOY, "CodeDeploy"), (TASK, "ECS tasks")])
    def test_a_role_must_trust_the_service_that_gets_it(self, envelope: Envelope, arn: str, service: str) -> None:
        wrong = PassedRole(arn, "AROAX", trust.service_trust("lambda.amazonaws.com", {}))
        made = proposed(envelope, context=replace(CONTEXT, passed={**CONTEXT.passed, arn: wrong}))
        assert unfolded(made) == [("PR08", "high")]
        assert service in next(f.message for f in made.findings if f.id == "PR08")

    def test_swapped_roles_are_told(self, envelope: Envelope) -> None:
        facts = replace(FACTS, codedeploy_role=TASK, task_roles=(CODEDEPLOY,))
        assert unfolded(proposed(envelope, facts)) == [("PR08", "high"), ("PR08", "high")]


class TestNeverChanged:
    def test_no_document_leads_to_a_version(self) -> None:
        """Neither in a plan nor in any look between two calls."""
        for observed in (LIVE, OTHER, replace(OTHER, versions={"v1": "x", "v2": documents.digest(WANTED.document)})):
            assert calls_between(alone(observed), alone(WANTED)) == ()
        assert not same(alone(OTHER), alone(WANTED))
        assert same(alone(LIVE), alone(WANTED))

    def test_another_document_under_the_name_is_forbidden(self, envelope: Envelope) -> None:
        made = proposed(envelope, live=OTHER, managed_here=True)
        assert (made.plan, made.risk) == ((), "forbidden")
        (sentence,) = made.sentences
        assert sentence == (
            "checkout-Deployer exists with other contents. "
            "A deployer policy is never changed: enter another policy name."
        )

    def test_somebody_elses_policy_is_not_adopted(self, envelope: Envelope) -> None:
        made = proposed(envelope, live=LIVE)
        assert (made.plan, made.risk, made.adopts) == ((), "forbidden", False)
        assert made.sentences == (
            "checkout-Deployer exists in orders-staging and was not made for your team. Enter another name.",
        )

    def test_our_own_that_reads_so_needs_nothing(self, envelope: Envelope) -> None:
        assert proposed(envelope, live=LIVE, managed_here=True).already_right


class TestRemoval:
    def test_of_one_that_nobody_holds(self, envelope: Envelope) -> None:
        made = proposed(envelope, REMOVAL, LIVE, managed_here=True)
        assert [call.api for call in made.plan] == ["DeletePolicy"]
        assert (made.risk, '"removes_only":true' in made.canonical) == ("low", True)
        assert made.sentences == ("Deletes the policy checkout-Deployer.",)
        assert made.title == "Remove deployer policy checkout-Deployer of pipeline in orders-staging"

    @pytest.mark.parametrize(
        ("live", "message"),
        [
            (
                replace(LIVE, users=frozenset({HOLDER})),
                "checkout-Deployer is still attached to pipeline. Detach it there first.",
            ),
            (
                replace(LIVE, versions={"v1": "x", "v2": "y"}),
                "checkout-Deployer has versions that this portal did not make. Delete them in AWS first.",
            ),
        ],
    )
    def test_of_one_in_use_is_forbidden(self, envelope: Envelope, live: PolicyState, message: str) -> None:
        made = proposed(envelope, REMOVAL, live, managed_here=True)
        assert (made.plan, made.risk, made.sentences) == ((), "forbidden", (message,))

    def test_of_somebody_elses_is_forbidden(self, envelope: Envelope) -> None:
        made = proposed(envelope, REMOVAL, LIVE)
        assert (made.plan, made.risk) == ((), "forbidden")

    def test_of_one_that_is_gone_changes_nothing(self, envelope: Envelope) -> None:
        assert proposed(envelope, REMOVAL, None).already_right


def test_a_proposal_reads_back(envelope: Envelope) -> None:
    from iamroles.proposal import read

    made = proposed(envelope)
    stored = read(made.canonical)
    assert (stored.target, stored.plan) == (made.target.state, made.plan)
    assert stored.body["resources"] == [ARN]
