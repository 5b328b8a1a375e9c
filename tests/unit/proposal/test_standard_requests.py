"""What counts as normal: standard requests are Low with nothing unfolded, and each one-step widening is not.

The choices come from a fixed seed. `ROLEDESK_STANDARD_REQUESTS=500` makes the long run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from iamroles.blueprints import AccountFacts, InfrastructureFacts, RoleFacts, RoleState, State, build_desired
from iamroles.iam import catalogue, documents, trust
from iamroles.iam.documents import Document
from iamroles.proposal import Context, Envelope, ManagedPolicyVersion, PassedRole, Proposal, propose
from tests.unit.proposal.conftest import unlimited

REQUESTS = int(os.environ.get("ROLEDESK_STANDARD_REQUESTS", "40"))
LONG = REQUESTS >= 500
MANAGED = {policy.arn: policy for policy in catalogue.managed_policies()}
ROLES = (
    "ecsTaskExecutionRole",
    "ECSTaskExecutionRole-app",
    "ecsTaskExecutionRole-app",
    "orders-api-task",
    "apps/worker",
)


def proposed(facts: RoleFacts | InfrastructureFacts, envelope: Envelope, **passed: Any) -> Proposal:
    desired = build_desired(facts)
    named = (*facts.execution_roles, *facts.task_roles) if isinstance(facts, RoleFacts) else ()
    seen = {arn: PassedRole(arn, f"AROA{place}", trust.ecs_tasks_trust()) for place, arn in enumerate(named)}
    context = Context(
        passed={**seen, **passed},
        managed=managed_in(facts),
    )
    base = State(desired.role_arn, None, dict.fromkeys(desired.policies))
    return propose(facts=facts, base=base, context=context, envelope=envelope)


def managed_in(facts: RoleFacts | InfrastructureFacts) -> dict[str, ManagedPolicyVersion]:
    """What AWS publishes, and the boundary that the AWS account demands."""
    found = {arn: ManagedPolicyVersion(arn, p.version, p.document) for arn, p in MANAGED.items()}
    boundary = facts.account.boundary
    return {**found, boundary: unlimited(boundary)} if boundary else found


def role_arn(account: AccountFacts, name: str) -> str:
    return f"arn:aws:iam::{account.number}:role/{name}"


def standard(number: int) -> RoleFacts | InfrastructureFacts:
    """A request as teams make them every day, by a number."""
    pick = random.Random(f"standard {number}")
    account = AccountFacts(
        f"{pick.randrange(10**11, 10**12)}",
        f"account-{number}",
        production=pick.random() < 0.5,
        role_path=pick.choice(("/", "/codedeploy/")),
        boundary=None,
    )
    account = replace(account, boundary=pick.choice((None, f"arn:aws:iam::{account.number}:policy/boundary/B")))
    name = f"{pick.choice(('ecsCodeDeployRole', 'deploy', 'Blue.Green'))}-{pick.randrange(1000)}"
    if pick.random() < 0.2:
        return InfrastructureFacts(account=account, team="orders", role_name=name, tags={"team": "orders"})
    tasks = [f"{pick.choice(('', 'apps/', 'a/b/'))}svc{pick.randrange(100)}-task" for _ in range(pick.randrange(4))]
    return RoleFacts(
        account=account,
        team="orders",
        role_name=name,
        execution_roles=tuple(role_arn(account, one) for one in pick.sample(ROLES, pick.randrange(3))),
        task_roles=tuple(dict.fromkeys(role_arn(account, one) for one in tasks)),
        hooks=tuple(
            f"arn:aws:lambda:eu-central-1:{account.number}:function:{one}"
            for one in pick.sample(("CodeDeployHook_smoke", "smoke", "codeDeployHook"), pick.randrange(3))
        ),
        topics=tuple(
            f"arn:aws:sns:eu-central-1:{account.number}:{one}"
            for one in pick.sample(("CodeDeployTopic_orders", "alerts"), pick.randrange(3))
        ),
        uses_policy_name=f"{name}-Deployments",
        tags={"team": "orders"},
        policy_name=f"{name}-PassRole",
        policy_description="Managed by Roledesk.",
    )


def test_standard_requests_are_low_with_nothing_unfolded(envelope: Envelope) -> None:
    for number in range(REQUESTS):
        made = proposed(standard(number), envelope)
        unfolded = [f.id for f in made.findings if not f.standard and f.severity != "note"]
        assert (made.risk, unfolded) == ("low", []), (number, unfolded)


def with_task_role(facts: RoleFacts) -> RoleFacts:
    return replace(facts, task_roles=(role_arn(facts.account, "orders-api-task"),))


def passed_as(facts: RoleFacts, live: Document | None, **more: Any) -> dict[str, Any]:
    (arn,) = facts.task_roles
    return {arn: PassedRole(arn, "AROAX" if live else None, live, **more)}


def shared_trust(*services: str) -> Document:
    statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]}, "trust")


WIDENED: dict[str, Callable[[RoleFacts, Envelope], Proposal]] = {
    "Full": lambda facts, envelope: proposed(replace(facts, managed_policy="full"), envelope),
    "plain trust": lambda facts, envelope: proposed(replace(facts, hardened=False), envelope),
    "a role that does not exist": lambda facts, envelope: proposed(
        with_task_role(facts), envelope, **passed_as(with_task_role(facts), None)
    ),
    "a role for another service": lambda facts, envelope: proposed(
        with_task_role(facts), envelope, **passed_as(with_task_role(facts), trust.codedeploy_trust("111122223333"))
    ),
    "a role that Lambda uses too": lambda facts, envelope: proposed(
        with_task_role(facts),
        envelope,
        **passed_as(with_task_role(facts), shared_trust("ecs-tasks.amazonaws.com", "lambda.amazonaws.com")),
    ),
    "an administrator": lambda facts, envelope: proposed(
        with_task_role(facts),
        envelope,
        **passed_as(
            with_task_role(facts), trust.ecs_tasks_trust(), inline={"all": statement(Action="*", Resource="*")}
        ),
    ),
}


@pytest.mark.parametrize("widening", WIDENED)
def test_no_widening_of_them_is_low(widening: str, envelope: Envelope) -> None:
    for number in range(REQUESTS):
        facts = standard(number)
        if isinstance(facts, RoleFacts):
            assert WIDENED[widening](facts, envelope).risk != "low", number


def live(facts: RoleFacts, **changes: Any) -> RoleState:
    role = build_desired(facts).role
    assert role is not None
    return replace(role, role_id="AROAEXAMPLE", **changes)


def statement(**parts: Any) -> Document:
    return documents.parse({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **parts}]})


@pytest.mark.parametrize(
    "document",
    [
        statement(Action="iam:PassRole", Resource="*"),
        statement(Action="lambda:InvokeFunction", Resource="*"),
        statement(Action="s3:GetObject", Resource="*"),
        statement(Action="iam:CreatePolicyVersion", Resource="*"),
    ],
)
def test_a_wide_part_of_others_on_the_role_is_not_low(document: Document, envelope: Envelope) -> None:
    facts = next(f for f in map(standard, range(REQUESTS)) if isinstance(f, RoleFacts))
    role = live(facts, inline={"theirs": document})
    context = Context(managed=managed_in(facts))
    base = State(facts.role_arn, role, dict.fromkeys(build_desired(facts).policies))
    assert propose(facts=facts, base=base, context=context, envelope=envelope).risk != "low"
