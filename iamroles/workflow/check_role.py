"""Ordering a look at one role ("Check a role"): no request is made; a worker answers and the page waits for it."""

from __future__ import annotations

from datetime import datetime

from iamroles import audit, doorbell, permissions
from iamroles.audit import Actor
from iamroles.blueprints import answers
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.facts import RoleFacts
from iamroles.models import AwsAccount, ObservationOrder, Team, User
from iamroles.workflow.verbs import Invalid, require, verb


@verb("check_role")
def check_role(
    *, user: User, team: Team, account: AwsAccount, role_name: str, actor: Actor, at: datetime
) -> ObservationOrder:
    """Stores the order and rings a worker. The role is held against the guide: either policy, CodeDeploy in its trust.

    Raises NotAllowed (not the team's AWS account) or Invalid (no possible role name).
    """
    require(permissions.may_request(user, team, account))
    facts = RoleFacts(
        account=account.facts(),
        team=team.slug,
        role_name=role_name,
        policy_name=facts_module.default_policy_name(role_name),
        hardened=False,
    )
    problems = [p for p in answers.check(facts) if p.field == "role_name"]
    if problems:
        raise Invalid(problems[0].message, "role_name", problems[0].id)
    order = ObservationOrder.objects.create(
        account=account, ordered_by=user, role_name=role_name, facts=facts_module.write(facts), at=at, next_try_at=at
    )
    audit.record(
        "check.ordered",
        actor=actor,
        subject=audit.Subject("role", facts.role_arn, role_name),
        at=at,
        data={"account": account.number, "role_name": role_name},
    )
    doorbell.ring(doorbell.ANSWER, order_id=order.pk)
    return order
