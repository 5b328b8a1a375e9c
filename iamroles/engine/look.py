"""Looks at AWS: the resources of a plan and their context, through one reading session. Writes no rows.

`look_at` serves observing and every look between two calls, `look_around` observing and the claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

from iamroles.aws.gateway import AwsError, Gateway
from iamroles.blueprints.desired import build_desired
from iamroles.blueprints.facts import Facts, RemovalFacts, RoleFacts
from iamroles.blueprints.state import RoleState, State
from iamroles.iam import trust
from iamroles.proposal.context import Context, ManagedPolicyVersion
from iamroles.proposal.propose import resources
from iamroles.rules.quotas import Quotas

RECENT = timedelta(days=90)  # a role that was used since is in use (TR09)


def look_at(gateway: Gateway, role_arn: str | None, policy_arns: Iterable[str]) -> State:
    """Returns the live state of exactly these resources; without `role_arn` of the policies alone.

    Raises AwsError; its code is RoleAtOtherPath when the name belongs to a role of another ARN.
    """
    role = gateway.role(role_arn) if role_arn else None
    if role is not None and role.arn != role_arn:
        raise AwsError("RoleAtOtherPath", f"The name belongs to {role.arn}.", api="GetRole")
    return State(role_arn=role_arn, role=role, policies={arn: gateway.policy(arn) for arn in sorted(policy_arns)})


def look_around(gateway: Gateway, passed: Iterable[str], managed: Iterable[str]) -> Context:
    """Returns what is looked at but not changed. A managed policy that AWS does not have is left out.

    Costs three calls for each passed role and one for each of its inline policies, and two for each managed policy,
    however many roles hold it.
    """
    roles = {arn: gateway.passed_role(arn) for arn in sorted(passed)}
    theirs = {arn for role in roles.values() for arn in (*role.attached, role.boundary) if arn}
    own = set(managed)
    found = {arn: _version(gateway, arn, theirs - own) for arn in sorted(own | theirs)}
    seen = {arn: version for arn, version in found.items() if version is not None}
    return Context(
        passed=roles,
        managed={arn: version for arn, version in seen.items() if arn in own},
        policies={arn: version for arn, version in seen.items() if arn in theirs},
    )


def _version(gateway: Gateway, arn: str, optional: set[str]) -> ManagedPolicyVersion | None:
    """A passed role's policy that cannot be read is a finding, not a reason to stop."""
    try:
        return gateway.managed_policy(arn)
    except AwsError as error:
        if arn in optional and error.code == "UnreadableDocument":
            return None
        raise


def look_for(gateway: Gateway, facts: Facts, at: datetime) -> tuple[State, Context]:
    """Returns base and context for facts: what a proposal is made from. Raises AwsError."""
    role_arn, policy_arns, passed = resources(facts)
    base = look_at(gateway, role_arn, policy_arns)
    attached = base.role.attached if base.role else frozenset()
    boundaries = {arn for arn in (base.role and base.role.boundary, facts.account.boundary) if arn}
    managed = (attached | build_desired(facts).attach | boundaries) - set(policy_arns)
    context = look_around(gateway, passed, managed)
    fitting = tuple(_used_by_tasks(gateway)) if isinstance(facts, RoleFacts) else ()
    return base, replace(context, fitting=fitting, last_used=_recently_used(base.role, at))


def quotas_for(gateway: Gateway, facts: Facts) -> Quotas:
    """Returns the quotas of the AWS account, by one call; a removal needs no room and asks for none.

    Quotas that AWS will not show are a finding; what gets better by looking again fails the look as any other.
    """
    if isinstance(facts, RemovalFacts):
        return Quotas()
    try:
        return Quotas(gateway.account_summary())
    except AwsError as error:
        if error.kind in ("wait", "blocked") or error.code == "UnreadableAnswer":
            return Quotas(code=error.code)
        raise


def _used_by_tasks(gateway: Gateway) -> Iterator[str]:
    """Yields the roles of the AWS account that ECS tasks may use; one whose trust cannot be read counts."""
    for role in gateway.roles():
        if role.trust is None or trust.lets_in(role.trust, trust.ECS_TASKS, role.arn.split(":")[4]):
            yield role.arn


def _recently_used(role: RoleState | None, at: datetime) -> str:
    if role is None or role.last_used is None or at.date() - date.fromisoformat(role.last_used) > RECENT:
        return ""
    return role.last_used
