"""The ordered AWS calls that lead from one state to another: one function, for the plan and every look between.

Order (APPLY.md "Order of writes"): remove, then boundary and trust, then cut off older sessions, then add. On every
prefix a principal that is new in the trust holds nothing that only the base had, and one that leaves it nothing that
only the target has. A new role gets boundary, trust and tags in the very call that makes it, permissions afterwards.
"""

from __future__ import annotations

from typing import Literal

from iamroles.blueprints.state import PolicyState, RoleState, State
from iamroles.iam import documents
from iamroles.iam.contain import contains
from iamroles.iam.documents import Document
from iamroles.proposal import older_sessions
from iamroles.proposal.calls import Call

VERSIONS_AT_MOST = 5  # IAM quota "versions per managed policy", fixed (AWS.md part 3)
Change = Literal["same", "loses", "gains", "both"]


def calls_between(observed: State, target: State) -> tuple[Call, ...]:
    """Returns the calls that lead from `observed` to `target`; an empty tuple when nothing is left to do.

    Policies without a role in the plan are made or deleted, never given a new version.
    """
    if target.role_arn is None:
        return (*_new_policies(observed, target), *_unmake_policies(observed, target))
    if target.role is None:
        return (*_unmake_role(observed.role), *_unmake_policies(observed, target))
    first, last = _policies(observed, target)
    calls: list[Call] = []
    attached: frozenset[str] = frozenset()
    if observed.role is None:
        calls.append(_create_role(target.role))
    else:
        detached = _detached(observed, target, observed.role, target.role)
        attached = observed.role.attached - detached
        calls += _remove(observed.role, target.role, detached)
        calls += first
        calls += _change(observed.role, target.role)
    calls += last
    calls += _inline(observed.role, target.role)
    calls += [
        Call("AttachRolePolicy", target.role.arn, {"RoleName": target.role.name, "PolicyArn": arn})
        for arn in sorted(target.role.attached - attached)
    ]
    return (*calls, *_drop_versions(observed, target, calls), *_unmake_policies(observed, target))


def change_of(live: Document, wanted: Document) -> Change:
    """Returns what a document does to the rights of its holder; what is not proved counts as a change."""
    if documents.equal(live, wanted):
        return "same"
    loses = contains(live, wanted).verdict != "proved"
    gains = contains(wanted, live).verdict != "proved"
    return "both" if loses and gains else "loses" if loses else "gains"


def _goes_first(change: Change, live: RoleState, target: RoleState) -> bool:
    """What both loses and gains is taken away before the trust changes, and put back after it."""
    return change == "loses" or (change == "both" and not documents.equal(live.trust, target.trust))


def _detached(observed: State, target: State, live: RoleState, wanted: RoleState) -> frozenset[str]:
    """The attachments that go, for good or until their policy has changed."""
    for_now = set()
    for arn in live.attached & wanted.attached:
        before, after = observed.policies.get(arn), target.policies.get(arn)
        if before and after and change_of(before.document, after.document) == "both":
            for_now |= {arn} if _goes_first("both", live, wanted) else set()
    return live.attached - wanted.attached | for_now


def _create_role(role: RoleState) -> Call:
    arguments: dict[str, object] = {
        "RoleName": role.name,
        "Path": role.path,
        "AssumeRolePolicyDocument": documents.minified(role.trust),
        "Description": role.description,
        "MaxSessionDuration": role.max_session,
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(role.tags.items())],
    }
    if role.boundary:
        arguments["PermissionsBoundary"] = role.boundary
    return Call("CreateRole", role.arn, arguments)


def _remove(live: RoleState, target: RoleState, detached: frozenset[str]) -> list[Call]:
    calls = [Call("DetachRolePolicy", live.arn, {"RoleName": live.name, "PolicyArn": arn}) for arn in sorted(detached)]
    for name, document in sorted(live.inline.items()):
        if older_sessions.is_ours(name, document):
            continue
        change = change_of(document, target.inline[name]) if name in target.inline else "both"
        if name not in target.inline or (change == "both" and _goes_first(change, live, target)):
            calls.append(Call("DeleteRolePolicy", live.arn, {"RoleName": live.name, "PolicyName": name}))
        elif change == "loses":
            calls.append(_put_inline(target, name))
    return calls


def _put_inline(target: RoleState, name: str) -> Call:
    document = documents.minified(target.inline[name])
    return Call("PutRolePolicy", target.arn, {"RoleName": target.name, "PolicyName": name, "PolicyDocument": document})


def _change(live: RoleState, target: RoleState) -> list[Call]:
    calls = []
    if target.boundary and target.boundary != live.boundary:
        calls.append(
            Call(
                "PutRolePermissionsBoundary",
                live.arn,
                {"RoleName": live.name, "PermissionsBoundary": target.boundary},
            )
        )
    if not documents.equal(live.trust, target.trust):
        calls.append(
            Call(
                "UpdateAssumeRolePolicy",
                live.arn,
                {"RoleName": live.name, "PolicyDocument": documents.minified(target.trust)},
            )
        )
    cut = target.inline.get(older_sessions.NAME)
    there = live.inline.get(older_sessions.NAME)
    if cut is not None and older_sessions.is_ours(older_sessions.NAME, cut):
        calls += [] if there is not None and documents.equal(there, cut) else [_put_inline(target, older_sessions.NAME)]
    if (live.description, live.max_session) != (target.description, target.max_session):
        calls.append(
            Call(
                "UpdateRole",
                live.arn,
                {
                    "RoleName": live.name,
                    "Description": target.description,
                    "MaxSessionDuration": target.max_session,
                },
            )
        )
    gone = sorted(live.tags.keys() - target.tags.keys())
    if gone:
        calls.append(Call("UntagRole", live.arn, {"RoleName": live.name, "TagKeys": gone}))
    changed = {key: value for key, value in target.tags.items() if live.tags.get(key) != value}
    if changed:
        tags = [{"Key": key, "Value": value} for key, value in sorted(changed.items())]
        calls.append(Call("TagRole", live.arn, {"RoleName": live.name, "Tags": tags}))
    return calls


def _inline(live: RoleState | None, target: RoleState) -> list[Call]:
    """What is added inline, last: new parts, parts that gain, and those that were deleted to be put anew."""
    present = live.inline if live else {}
    calls = []
    for name, document in sorted(target.inline.items()):
        if older_sessions.is_ours(name, document):
            continue
        change = change_of(present[name], document) if name in present else "gains"
        if change in ("gains", "both"):
            calls.append(_put_inline(target, name))
    return calls


def _new_policies(observed: State, target: State) -> list[Call]:
    missing = {arn: p for arn, p in target.policies.items() if p and observed.policies.get(arn) is None}
    return [_create_policy(policy) for _, policy in sorted(missing.items())]


def _policies(observed: State, target: State) -> tuple[list[Call], list[Call]]:
    """Returns the calls on managed policies that go before the trust changes, and those that go after it."""
    first: list[Call] = []
    last: list[Call] = []
    for live, wanted in _changed_policies(observed, target):
        loses = change_of(live.document, wanted.document) == "loses" and observed.role is not None
        (first if loses else last).extend(_new_version(live, wanted))
    return first, [*_new_policies(observed, target), *last]


def _changed_policies(observed: State, target: State) -> list[tuple[PolicyState, PolicyState]]:
    pairs = [(observed.policies.get(arn), wanted) for arn, wanted in sorted(target.policies.items())]
    return [(a, b) for a, b in pairs if a and b and not documents.equal(a.document, b.document)]


def _create_policy(policy: PolicyState) -> Call:
    return Call(
        "CreatePolicy",
        policy.arn,
        {
            "PolicyName": policy.name,
            "Path": policy.path,
            "PolicyDocument": documents.minified(policy.document),
            "Description": policy.description,
        },
    )


def _new_version(live: PolicyState, wanted: PolicyState) -> list[Call]:
    """A version that carries the target already becomes the default; at five, the oldest other one goes first."""
    digest = documents.digest(wanted.document)
    for version, known in sorted(live.versions.items()):
        if known == digest:
            return [Call("SetDefaultPolicyVersion", live.arn, {"PolicyArn": live.arn, "VersionId": version})]
    calls = []
    if len(live.versions) >= VERSIONS_AT_MOST:
        spare = sorted((v for v in live.versions if v != live.default_version), key=_version_number)
        calls.append(Call("DeletePolicyVersion", live.arn, {"PolicyArn": live.arn, "VersionId": spare[0]}))
    document = documents.minified(wanted.document)
    arguments = {"PolicyArn": live.arn, "PolicyDocument": document, "SetAsDefault": True}
    return [*calls, Call("CreatePolicyVersion", live.arn, arguments)]


def versions_to_drop(live: PolicyState, wanted: Document) -> tuple[str, ...]:
    """Returns the versions of a policy that must not outlive its change to `wanted`, oldest first.

    Whoever may set the default could bring them back. The one that was in force stays if it is proved inside `wanted`.
    """
    digest = documents.digest(wanted)
    carrying = sorted((v for v, known in live.versions.items() if known == digest), key=_version_number)
    kept = set(carrying[:1])
    if live.default_version and contains(live.document, wanted).verdict == "proved":
        kept.add(live.default_version)
    return tuple(sorted(live.versions.keys() - kept, key=_version_number))


def _drop_versions(observed: State, target: State, before: list[Call]) -> list[Call]:
    """Old versions go once the new one is in force; one that went before to make room is not deleted twice."""
    gone = {(call.resource, call.arguments["VersionId"]) for call in before if call.api == "DeletePolicyVersion"}
    calls = []
    for arn, wanted in sorted(target.policies.items()):
        live = observed.policies.get(arn)
        if wanted is None or live is None:
            continue
        in_force = documents.equal(live.document, wanted.document)
        for version in wanted.drops:
            default = in_force and version == live.default_version
            if version in live.versions and not default and (arn, version) not in gone:
                calls.append(Call("DeletePolicyVersion", arn, {"PolicyArn": arn, "VersionId": version}))
    return calls


def _version_number(version: str) -> int:
    return int(version.removeprefix("v").split(".", 1)[0])


def _unmake_role(role: RoleState | None) -> tuple[Call, ...]:
    if role is None:
        return ()
    return (
        *(
            Call("DetachRolePolicy", role.arn, {"RoleName": role.name, "PolicyArn": arn})
            for arn in sorted(role.attached)
        ),
        *(
            Call("DeleteRolePolicy", role.arn, {"RoleName": role.name, "PolicyName": name})
            for name in sorted(role.inline)
        ),
        Call("DeleteRole", role.arn, {"RoleName": role.name}),
    )


def _unmake_policies(observed: State, target: State) -> tuple[Call, ...]:
    calls: list[Call] = []
    for arn, live in sorted(observed.policies.items()):
        if live is None or target.policies.get(arn) is not None:
            continue
        others = sorted((v for v in live.versions if v != live.default_version), key=_version_number)
        calls += [Call("DeletePolicyVersion", arn, {"PolicyArn": arn, "VersionId": v}) for v in others]
        calls.append(Call("DeletePolicy", arn, {"PolicyArn": arn}))
    return tuple(calls)


def same(observed: State, target: State) -> bool:
    """Returns True when AWS reads as the target: nothing to call, and the RoleId, where known, is the same.

    Tags are compared as they are given; `explain.fit` leaves out those that the plan does not name. Versions and users
    are not compared, but for those that the target drops. A policy with another document is never the same, also where
    no call of ours would change it.
    """
    if target.role is None and _changed_policies(observed, target):
        return False
    known_id = target.role.role_id if target.role else None
    if known_id is not None and (observed.role is None or observed.role.role_id != known_id):
        return False
    return not calls_between(observed, target)
