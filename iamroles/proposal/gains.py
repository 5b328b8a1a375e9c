"""Did the context only lose rights since it was observed? Proved, or the request goes back to its approvers.

Compared is what a role may do by all of its policies together within its boundary: a policy that lost a Deny, or a
boundary that went, is a gain like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from iamroles.blueprints.state import State
from iamroles.iam import trust
from iamroles.iam.contain import contains
from iamroles.iam.documents import Document
from iamroles.proposal.context import Context
from iamroles.rules.observed import Rights

_SERVICES = (trust.ECS_TASKS, trust.CODEDEPLOY, trust.ECS)


def only_removed(arn: str, target: State, before: Context, after: Context) -> bool:
    """Returns True when what changed about a dependency is proved to give nobody anything.

    `arn` is a passed role, or a policy of the role itself, whose other parts are those of the target.
    """
    if arn in before.passed:
        return arn in after.passed and _role_only_lost(arn, before, after)
    return _within(_own_rights(target, after), _own_rights(target, before))


def _role_only_lost(arn: str, before: Context, after: Context) -> bool:
    was, now = before.passed[arn], after.passed[arn]
    if now.role_id != was.role_id or now.trust is None or was.trust is None:
        return False
    if contains(now.trust, was.trust).verdict != "proved":
        return False
    account = arn.split(":")[4]
    for service in _SERVICES:  # a role that no longer works for its purpose is worth another look
        if trust.lets_in(was.trust, service, account) and not trust.lets_in(now.trust, service, account):
            return False
    return _within(after.rights_of(arn), before.rights_of(arn))


def _own_rights(target: State, context: Context) -> Rights:
    role = target.role
    if role is None:
        return Rights()
    own = {arn: policy.document for arn, policy in target.policies.items() if policy and arn in role.attached}
    seen = {arn: one.document for arn, one in context.managed.items()}
    known = {**seen, **own}
    listed = [(arn, known[arn]) for arn in sorted(role.attached) if arn in known]
    unseen = [arn for arn in (*role.attached, role.boundary) if arn and arn not in known]
    boundary = known.get(role.boundary or "")
    return Rights((*listed, *role.inline.items()), boundary, role.boundary, tuple(unseen))


def _within(new: Rights, old: Rights) -> bool:
    """What AWS did not show may have held a Deny, or have been the boundary: then nothing is proved."""
    if old.unseen or new.unseen or not _proved(new, old.policies):
        return False
    return old.boundary is None or _proved(new, (old.boundary,))


def _proved(new: Rights, reference: Sequence[Document]) -> bool:
    return contains(new.policies, tuple(reference), boundary=new.boundary).verdict == "proved"
