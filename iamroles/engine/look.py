"""Looks at AWS: the resources of a plan and their context, through one reading session. Writes no rows.

The same two functions serve observing, the claim, and every look between two calls.
"""

from __future__ import annotations

from collections.abc import Iterable

from iamroles.aws.gateway import AwsError, Gateway
from iamroles.blueprints.desired import build_desired
from iamroles.blueprints.facts import Facts
from iamroles.blueprints.state import State
from iamroles.proposal.context import Context
from iamroles.proposal.propose import resources


def look_at(gateway: Gateway, role_arn: str, policy_arns: Iterable[str]) -> State:
    """Returns the live state of exactly these resources.

    Raises AwsError; its code is RoleAtOtherPath when the name belongs to a role of another ARN.
    """
    role = gateway.role(role_arn)
    if role is not None and role.arn != role_arn:
        raise AwsError("RoleAtOtherPath", f"The name belongs to {role.arn}.", api="GetRole")
    return State(role_arn=role_arn, role=role, policies={arn: gateway.policy(arn) for arn in sorted(policy_arns)})


def look_around(gateway: Gateway, passed: Iterable[str], managed: Iterable[str]) -> Context:
    """Returns what is looked at but not changed. A managed policy that AWS does not have is left out."""
    found = {arn: gateway.managed_policy(arn) for arn in sorted(managed)}
    return Context(
        passed={arn: gateway.passed_role(arn) for arn in sorted(passed)},
        managed={arn: version for arn, version in found.items() if version is not None},
    )


def look_for(gateway: Gateway, facts: Facts) -> tuple[State, Context]:
    """Returns base and context for facts: what a proposal is made from. Raises AwsError."""
    role_arn, policy_arns, passed = resources(facts)
    base = look_at(gateway, role_arn, policy_arns)
    attached = base.role.attached if base.role else frozenset()
    managed = (attached | build_desired(facts).attach) - set(policy_arns)
    return base, look_around(gateway, passed, managed)
