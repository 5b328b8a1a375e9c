"""What counts as normal: standard requests are Low with nothing unfolded, and each one-step widening is not.

And the grid: for thousands of combinations of facts, what is made allows every needed call and no other, and nothing
of it can be left out. The choices come from a fixed seed. `ROLEDESK_STANDARD_REQUESTS=500` makes the long run over
all of the grid.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from iamroles.blueprints import AccountFacts, InfrastructureFacts, RoleFacts, RoleState, State, build_desired
from iamroles.blueprints.desired import managed_policy
from iamroles.blueprints.grants import grant_document, granted_roles
from iamroles.iam import catalogue, documents, trust
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import Request, evaluate
from iamroles.proposal import Context, Envelope, ManagedPolicyVersion, PassedRole, Proposal, propose

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
        managed={arn: ManagedPolicyVersion(arn, p.version, p.document) for arn, p in MANAGED.items()},
    )
    base = State(desired.role_arn, None, dict.fromkeys(desired.policies))
    return propose(facts=facts, base=base, context=context, envelope=envelope)


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


def passed_as(facts: RoleFacts, live: Document | None) -> dict[str, Any]:
    (arn,) = facts.task_roles
    return {arn: PassedRole(arn, "AROAX" if live else None, live)}


WIDENED: dict[str, Callable[[RoleFacts, Envelope], Proposal]] = {
    "Full": lambda facts, envelope: proposed(replace(facts, managed_policy="full"), envelope),
    "plain trust": lambda facts, envelope: proposed(replace(facts, hardened=False), envelope),
    "a role that does not exist": lambda facts, envelope: proposed(
        with_task_role(facts), envelope, **passed_as(with_task_role(facts), None)
    ),
    "a role for another service": lambda facts, envelope: proposed(
        with_task_role(facts), envelope, **passed_as(with_task_role(facts), trust.codedeploy_trust("111122223333"))
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
    context = Context(managed={arn: ManagedPolicyVersion(arn, p.version, p.document) for arn, p in MANAGED.items()})
    base = State(facts.role_arn, role, dict.fromkeys(build_desired(facts).policies))
    assert propose(facts=facts, base=base, context=context, envelope=envelope).risk != "low"


def grid() -> Iterator[RoleFacts]:
    """Every set of up to three roles as execution and as task roles, for both policies and paths."""
    account = AccountFacts("111122223333", "orders")
    sets = [part for size in range(4) for part in itertools.combinations(ROLES, size)]
    for managed, path, execution, task in itertools.product(("limited", "full"), ("/", "/cd/"), sets, sets):
        yield RoleFacts(
            account=replace(account, role_path=path),
            team="orders",
            managed_policy=managed,  # type: ignore[arg-type]
            execution_roles=tuple(role_arn(account, name) for name in execution),
            task_roles=tuple(role_arn(account, name) for name in task),
            policy_name="pass",
        )


def may_pass(attached: list[Document], arn: str, service: str = "ecs-tasks.amazonaws.com") -> bool:
    return evaluate(attached, None, Request("iam:PassRole", arn, {"iam:PassedToService": service})).allowed


def test_the_grid_allows_what_is_needed_and_nothing_can_be_left_out() -> None:
    count, seen = 0, set()
    for facts in itertools.islice(grid(), 0, None, 1 if LONG else 16):
        count += 1
        needed = frozenset({*facts.execution_roles, *facts.task_roles})
        made = (needed, facts.managed_policy, frozenset(p.document for p in build_desired(facts).policies.values()))
        if made in seen:  # the same question once
            continue
        seen.add(made)
        managed = managed_policy(facts).document
        own = [policy.document for policy in build_desired(facts).policies.values()]
        attached = [managed, *own]
        assert all(may_pass(attached, arn) for arn in needed)
        granted = [arn for document in own for arn in granted_roles(document) or ()]
        assert set(granted) <= needed
        for arn in granted:
            rest = [one for one in granted if one != arn]
            assert not may_pass([managed, *([grant_document(rest)] if rest else [])], arn)
        for document in own:  # what is ours alone passes nothing else, to nobody else, nowhere else
            probes = [*(arn + "x" for arn in needed), role_arn(facts.account, "admin"), facts.role_arn]
            assert not any(may_pass([document], probe) for probe in probes)
            assert not any(may_pass([document], arn, "lambda.amazonaws.com") for arn in needed)
            assert not any(may_pass([document], arn.replace("111122223333", "444455556666")) for arn in needed)
            assert not evaluate([document], None, Request("iam:PassRole", next(iter(needed)), {})).allowed
    assert count == (2704 if LONG else 169)
