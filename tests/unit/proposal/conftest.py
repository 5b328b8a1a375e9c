"""Values that the proposal tests share: one AWS account, one set of facts, and roles as AWS would show them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iamroles.blueprints import AccountFacts, RoleFacts, RoleState, State, build_desired
from iamroles.blueprints.facts import default_policy_description, default_policy_name
from iamroles.iam import catalogue, documents, trust
from iamroles.proposal import Context, Envelope, ManagedPolicyVersion, PassedRole
from iamroles.rules.approval_rules import STARTING_RULES

ACCOUNT = AccountFacts("111122223333", "orders-staging")
NAME = "ecsCodeDeployRole"
ROLE_ARN = f"arn:aws:iam::111122223333:role/{NAME}"
TASK = "arn:aws:iam::111122223333:role/orders-api-task"
EXECUTION = "arn:aws:iam::111122223333:role/ecsTaskExecutionRole"


@pytest.fixture
def facts() -> RoleFacts:
    """Limited with the usual execution role, which it covers, and one task role, which needs a grant."""
    return RoleFacts(
        account=ACCOUNT,
        team="orders",
        execution_roles=(EXECUTION,),
        task_roles=(TASK,),
        policy_name=default_policy_name(NAME),
        policy_description=default_policy_description(NAME),
        tags={"cost-center": "4711"},
    )


@pytest.fixture
def context() -> Context:
    """Both passed roles exist and trust ECS tasks; Limited as published."""
    managed = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED)
    full = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS)
    return Context(
        passed={arn: PassedRole(arn, "AROA" + arn[-4:], trust.ecs_tasks_trust()) for arn in (EXECUTION, TASK)},
        managed={m.arn: ManagedPolicyVersion(m.arn, m.version, m.document) for m in (managed, full)},
    )


@pytest.fixture
def envelope() -> Envelope:
    """A request of person 7 in an account of orders-platform."""
    return Envelope(
        request="REQ-000001",
        revision=1,
        requester="7",
        owner_group="orders-platform",
        expires_at="2026-12-01T00:00:00Z",
        managed_here=False,
        rules=STARTING_RULES,
    )


def absent(facts: RoleFacts) -> State:
    """AWS has neither the role nor our policy."""
    return State(facts.role_arn, None, dict.fromkeys(build_desired(facts).policies))


def as_asked(facts: RoleFacts) -> State:
    """AWS reads exactly as asked."""
    desired = build_desired(facts)
    assert desired.role is not None
    policies = {
        arn: replace(p, default_version="v1", users=frozenset({facts.role_arn})) for arn, p in desired.policies.items()
    }
    return State(facts.role_arn, replace(desired.role, role_id="AROAEXAMPLE"), policies)


def live(facts: RoleFacts, **changes: object) -> State:
    """AWS has the role with other values than asked, and no policy of ours."""
    desired = build_desired(facts)
    assert desired.role is not None
    role: RoleState = replace(desired.role, role_id="AROAEXAMPLE", **changes)  # type: ignore[arg-type]
    return State(facts.role_arn, role, dict.fromkeys(desired.policies))


def unlimited(arn: str) -> ManagedPolicyVersion:
    """A permissions boundary that limits nothing."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    return ManagedPolicyVersion(arn, "v1", documents.parse({"Version": "2012-10-17", "Statement": [statement]}))
