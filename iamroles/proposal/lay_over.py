"""Lays what is wanted over what is live: the target that AWS will read afterwards, and what is kept of others.

Nothing that somebody else put there is removed. A trust policy that is proved narrower than ours and still lets
its service in stays as it is; either of the two managed policies counts as right (AWS.md part 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from iamroles.blueprints import uses
from iamroles.blueprints.desired import Desired
from iamroles.blueprints.grants import grant_document, granted_roles
from iamroles.blueprints.state import PolicyState, RoleState, State
from iamroles.iam import arns, catalogue, documents, trust
from iamroles.iam.documents import Document
from iamroles.iam.phrases import listed, short_name
from iamroles.proposal import older_sessions
from iamroles.proposal.plan import versions_to_drop


@dataclass(frozen=True)
class Kept:
    """One part of the base that stays though nobody asked for it. `kind`: attached, inline, policy, tag, trust."""

    kind: str
    name: str


@dataclass(frozen=True)
class Target:
    """What AWS will read afterwards. `clashes` are sentences that forbid the plan, `replaced` overwritten values."""

    state: State
    kept: tuple[Kept, ...] = ()
    clashes: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


def _is_limited(arn: str) -> bool:
    return arn.endswith(f":policy/{catalogue.CODEDEPLOY_ECS_LIMITED}")


def _is_full(arn: str) -> bool:
    return arn.endswith(f":policy/{catalogue.CODEDEPLOY_ECS}")


def _attach(live: frozenset[str], wanted: frozenset[str]) -> frozenset[str]:
    """Limited is wanted and Full is there: that is right already (seed step S11), nothing is attached for it."""
    if any(_is_full(arn) for arn in live):
        wanted = frozenset(arn for arn in wanted if not _is_limited(arn))
    return live | wanted


def _lay_role(
    live: RoleState, wanted: RoleState, service: str, max_session: int | None
) -> tuple[RoleState, list[Kept], list[str]]:
    account = arns.parse_arn(live.arn).account
    state = trust.trust_state(live.trust, wanted.trust, service, account)
    kept = [Kept("trust", "narrower")] if state == "narrower" else []
    replaced = ["trust"] if state == "different" else []
    boundary = wanted.boundary or live.boundary
    if live.boundary and boundary != live.boundary:
        replaced.append("boundary")
    replaced += [f"tag {key}" for key, value in wanted.tags.items() if live.tags.get(key, value) != value]
    target = replace(
        live,
        trust=wanted.trust if state == "different" else live.trust,
        boundary=boundary,
        max_session=max_session or live.max_session,
        tags={**live.tags, **wanted.tags},
        attached=_attach(live.attached, wanted.attached),
    )
    kept += [Kept("tag", key) for key in sorted(live.tags.keys() - wanted.tags.keys())]
    return target, kept, replaced


def _lay_policy(live: PolicyState | None, wanted: PolicyState, role_arn: str) -> PolicyState | str:
    """Returns the policy as it will read, or the sentence that says why it cannot be."""
    if live is None:
        return wanted
    if granted_roles(wanted.document) is not None:
        return _lay_grant(live, wanted, role_arn)
    return _lay_uses(live, wanted, role_arn)


def _lay_grant(live: PolicyState, wanted: PolicyState, role_arn: str) -> PolicyState | str:
    listed = granted_roles(live.document)
    if listed is None:
        return f"{live.name} exists and is not a PassRole grant of this portal. Enter another policy name."
    asked = granted_roles(wanted.document) or ()
    more = sorted(set(listed) - set(asked))
    names = ", ".join(map(arns.role_name_of, more))
    also = f"also passes {names}" if more else ""
    return _extended(live, also, grant_document((*listed, *asked)), role_arn)


def _lay_uses(live: PolicyState, wanted: PolicyState, role_arn: str) -> PolicyState | str:
    known = uses.pieces_of(live.document)
    if known is None:
        return f"{live.name} exists and was not made by this portal. Enter another policy name."
    asked = uses.pieces_of(wanted.document) or frozenset()
    more = sorted(known - asked)
    also = f"also gives access to {', '.join(short_name(arn) for _, arn in more)}" if more else ""
    return _extended(live, also, uses.document(known | asked), role_arn)


def _extended(live: PolicyState, also: str, both: Document, role_arn: str) -> PolicyState | str:
    """What a policy gives already stays in it; other holders must not get more, nor this role what was theirs."""
    if also and role_arn not in live.users:
        return f"{live.name} exists and {also}: that would be granted too. Enter another policy name."
    if documents.equal(live.document, both):
        return live
    others = sorted(live.users - {role_arn})
    if others:
        return f"{live.name} is also used by {', '.join(others)}. Enter another policy name."
    return replace(live, document=both, default_version=None, drops=versions_to_drop(live, both))


def _take_away(base: State, desired: Desired) -> Target:
    """A policy that somebody else uses too is detached and stays; what others attached to a role goes with the role."""
    if desired.role_arn is None:
        return _take_policies_away(base, desired)
    policies: dict[str, PolicyState | None] = {}
    kept: list[Kept] = []
    for arn in sorted(desired.removes):
        live = base.policies.get(arn)
        shared = live is not None and bool(live.users - {desired.role_arn})
        policies[arn] = live if shared else None
        kept += [Kept("policy", arn)] if shared else []
    if base.role is None or desired.removes_role:
        return Target(State(base.role_arn, None, policies), tuple(kept))
    role = older_sessions.without(replace(base.role, attached=base.role.attached - desired.removes))
    kept += [Kept("attached", arn) for arn in sorted(role.attached)]
    kept += [Kept("inline", name) for name in sorted(role.inline)]
    kept += [Kept("tag", key) for key in sorted(role.tags)]
    return Target(State(base.role_arn, role, policies), tuple(kept))


def _lay_alone(base: State, desired: Desired) -> Target:
    """Policies that belong to no role of the plan: made as asked, or there and exactly so, or not at all."""
    clashes = [
        f"{live.name} exists with other contents. A deployer policy is never changed: enter another policy name."
        for arn, wanted in sorted(desired.policies.items())
        if (live := base.policies.get(arn)) and not documents.equal(live.document, wanted.document)
    ]
    policies = {arn: base.policies.get(arn) or wanted for arn, wanted in desired.policies.items()}
    return Target(State(None, None, policies), clashes=tuple(clashes))


def _take_policies_away(base: State, desired: Desired) -> Target:
    """The team attached them, so the team detaches them first; versions of others are never deleted here."""
    live = [policy for arn in sorted(desired.removes) if (policy := base.policies.get(arn))]
    clashes = [
        f"{policy.name} is still attached to {listed(map(short_name, sorted(policy.users)))}. Detach it there first."
        for policy in live
        if policy.users
    ]
    clashes += [
        f"{policy.name} has versions that this portal did not make. Delete them in AWS first."
        for policy in live
        if len(policy.versions) > 1
    ]
    gone = dict.fromkeys(sorted(desired.removes))
    return Target(State(None, None, base.policies if clashes else gone), clashes=tuple(clashes))


def lay_over(base: State, desired: Desired) -> Target:
    """Returns the target for a base and what is wanted. Pure: the same values give the same target."""
    if desired.removal:
        return _take_away(base, desired)
    if desired.role_arn is None:
        return _lay_alone(base, desired)
    policies: dict[str, PolicyState | None] = {}
    clashes: list[str] = []
    for arn, wanted in desired.policies.items():
        laid = _lay_policy(base.policies.get(arn), wanted, desired.role_arn)
        if isinstance(laid, str):
            clashes.append(laid)
            policies[arn] = base.policies.get(arn)
        else:
            policies[arn] = laid
    if base.role is None:
        if desired.role is None:
            name = arns.role_name_of(desired.role_arn)
            clashes.append(f"The role {name} does not exist in AWS. Request the role itself; it can carry the grants.")
        return Target(State(base.role_arn, desired.role, policies), clashes=tuple(clashes))
    live = older_sessions.without(base.role)
    wanted_role = desired.role or replace(
        base.role, attached=desired.attach, tags={}, trust=base.role.trust, boundary=base.role.boundary
    )
    role, kept, replaced = _lay_role(live, wanted_role, desired.service, desired.max_session)
    kept += [Kept("attached", arn) for arn in sorted(base.role.attached - desired.attach)]
    kept += [Kept("inline", name) for name in sorted(live.inline)]
    return Target(State(base.role_arn, role, policies), tuple(kept), tuple(clashes), tuple(replaced))
