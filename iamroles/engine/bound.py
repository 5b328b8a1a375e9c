"""What a request's proposal is bound to and weighed against, out of the portal's own rows.

The observing worker and the claim of a request that goes without a person make the same envelope here.
"""

from __future__ import annotations

from iamroles.blueprints.facts import Facts, RemovalFacts
from iamroles.blueprints.state import State
from iamroles.engine.known import known_of
from iamroles.engine.tools import Tools
from iamroles.models import ManagedPolicy, ManagedRole, Request, current_rules
from iamroles.proposal import Context, Envelope
from iamroles.rules.tool_tags import owner_of


def envelope_of(
    request: Request, facts: Facts, base: State, context: Context, tools: Tools, *, revision: int
) -> Envelope:
    """Returns the envelope by today's rules and records, without a time at which the proposal expires.

    Raises ValueError for a request that names no AWS account.
    """
    account = request.account
    if account is None:
        raise ValueError(f"{request.reference} names no AWS account.")
    return Envelope(
        request=request.reference,
        revision=revision,
        requester=str(request.requester_id),
        owner_group=account.owner.name,
        expires_at="",
        managed_here=_managed_here(request, facts, base) or _was_handed_over(request, base, tools),
        rules=current_rules(),
        environment=account.environment,
        account_rules=account.rules(),
        known=known_of(account, base, context, tools.now()),
        tool_tags=tools.tool_tags,
    )


def _managed_here(request: Request, facts: Facts, base: State) -> bool:
    """By AWS's own ids: whoever made a thing of the same name anew did not make ours.

    A role to which others added something since it was approved is adopted anew, unless it is to lose rights.
    """
    if base.role_arn is None:
        ids = {policy.policy_id for policy in base.policies.values() if policy}
        policies = ManagedPolicy.objects.filter(account=request.account, team=request.team, policy_id__in=ids)
        return bool(ids) and policies.count() == len(ids)
    if base.role is None:
        return False
    rows = ManagedRole.objects.filter(account=request.account, team=request.team, role_id=base.role.role_id)
    row = rows.first()
    if row is None or isinstance(facts, RemovalFacts):
        return row is not None
    return not any(each["live"] is not None for each in row.drift)


def _was_handed_over(request: Request, base: State, tools: Tools) -> bool:
    """The role was handed over for this team before, and another tool manages it still.

    Then it is known by its ARN: its RoleId is for that tool to decide.
    """
    if base.role is None or owner_of(base.role.tags, tools.tool_tags) is None:
        return False
    rows = ManagedRole.objects.filter(account=request.account, team=request.team, arn=base.role.arn)
    return rows.filter(handed_over=True).exists()
