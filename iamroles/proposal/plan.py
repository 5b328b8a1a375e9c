"""The ordered AWS calls that lead from one state to another: one function, for the plan and every look between.

Order (APPLY.md "Order of writes"): remove, then trust, then cut off older sessions, then add. On every prefix a
principal that is new in the trust holds nothing that only the base had, and one that leaves it nothing that only the
target has. A new role gets boundary, trust and tags in the very call that makes it, permissions afterwards.

A boundary that gives nothing goes first of all. One that `widens` goes between removals and additions; if the trust
changes too it does so while no permission is in place, since before it or after it somebody would hold too much.
"""

from __future__ import annotations

from iamroles.blueprints.state import PolicyState, RoleState, State
from iamroles.iam import documents
from iamroles.iam.contain import contains
from iamroles.iam.documents import Document
from iamroles.proposal import older_sessions
from iamroles.proposal.calls import Call
from iamroles.proposal.change import RoleChange, change_of, put_inline

VERSIONS_AT_MOST = 5  # IAM quota "versions per managed policy", fixed (AWS.md part 3)


def calls_between(observed: State, target: State, *, widens: bool = False) -> tuple[Call, ...]:
    """Returns the calls that lead from `observed` to `target`; an empty tuple when nothing is left to do.

    `widens` is what `boundary.widens` said of the base. Policies without a role in the plan are made or deleted, never
    given a new version.
    """
    if target.role_arn is None:
        return (*_new_policies(observed, target), *_unmake_policies(observed, target))
    if target.role is None:
        return (*_unmake_role(observed.role), *_unmake_policies(observed, target))
    first, last = _policies(observed, target)
    calls: list[Call] = []
    staying: RoleState | None = None
    if observed.role is None:
        calls.append(_create_role(target.role))
    else:
        change = RoleChange(observed, target, observed.role, target.role, widens)
        staying = change.staying()
        calls += change.removals(staying)
        calls += first
        calls += change.changes()
    calls += last
    calls += _inline(staying, target.role)
    calls += [
        Call("AttachRolePolicy", target.role.arn, {"RoleName": target.role.name, "PolicyArn": arn})
        for arn in sorted(target.role.attached - (staying.attached if staying else frozenset()))
    ]
    return (*calls, *_drop_versions(observed, target, calls), *_unmake_policies(observed, target))


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


def _inline(live: RoleState | None, target: RoleState) -> list[Call]:
    """What is added inline, last: new parts, parts that gain, and those that were deleted to be put anew."""
    present = live.inline if live else {}
    calls = []
    for name, document in sorted(target.inline.items()):
        if older_sessions.is_ours(name, document):
            continue
        change = change_of(present[name], document) if name in present else "gains"
        if change in ("gains", "both"):
            calls.append(put_inline(target, name))
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
