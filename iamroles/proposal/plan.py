"""The ordered AWS calls that lead from one state to another: one function, for the plan and every look between.

Order (AWS.md part 4): remove, then boundary and trust, then add; a new role gets boundary, trust and tags in the very
call that makes it, and permissions only afterwards.
"""

from __future__ import annotations

from iamroles.blueprints.state import PolicyState, RoleState, State
from iamroles.iam import documents
from iamroles.proposal.calls import Call

VERSIONS_AT_MOST = 5  # IAM quota "versions per managed policy", fixed (AWS.md part 3)


def calls_between(observed: State, target: State) -> tuple[Call, ...]:
    """Returns the calls that lead from `observed` to `target`; an empty tuple when nothing is left to do.

    Policies without a role in the plan are made or deleted, never given a new version.
    """
    if target.role_arn is None:
        return (*_new_policies(observed, target), *_unmake_policies(observed, target))
    if target.role is None:
        return (*_unmake_role(observed.role), *_unmake_policies(observed, target))
    calls: list[Call] = []
    if observed.role is None:
        calls.append(_create_role(target.role))
        live_attached: frozenset[str] = frozenset()
    else:
        calls += _remove(observed.role, target.role)
        calls += _change(observed.role, target.role)
        live_attached = observed.role.attached
    calls += _policies(observed, target)
    if observed.role is not None or target.role.inline:
        calls += _inline(observed.role, target.role)
    calls += [
        Call("AttachRolePolicy", target.role.arn, {"RoleName": target.role.name, "PolicyArn": arn})
        for arn in sorted(target.role.attached - live_attached)
    ]
    return (*calls, *_unmake_policies(observed, target))


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


def _remove(live: RoleState, target: RoleState) -> list[Call]:
    calls = [
        Call("DetachRolePolicy", live.arn, {"RoleName": live.name, "PolicyArn": arn})
        for arn in sorted(live.attached - target.attached)
    ]
    return calls + [
        Call("DeleteRolePolicy", live.arn, {"RoleName": live.name, "PolicyName": name})
        for name in sorted(live.inline.keys() - target.inline.keys())
    ]


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
    changed = {key: value for key, value in target.tags.items() if live.tags.get(key) != value}
    if changed:
        tags = [{"Key": key, "Value": value} for key, value in sorted(changed.items())]
        calls.append(Call("TagRole", live.arn, {"RoleName": live.name, "Tags": tags}))
    return calls


def _inline(live: RoleState | None, target: RoleState) -> list[Call]:
    present = live.inline if live else {}
    return [
        Call(
            "PutRolePolicy",
            target.arn,
            {"RoleName": target.name, "PolicyName": name, "PolicyDocument": documents.minified(document)},
        )
        for name, document in sorted(target.inline.items())
        if name not in present or not documents.equal(present[name], document)
    ]


def _new_policies(observed: State, target: State) -> list[Call]:
    missing = {arn: p for arn, p in target.policies.items() if p and observed.policies.get(arn) is None}
    return [_create_policy(policy) for _, policy in sorted(missing.items())]


def _policies(observed: State, target: State) -> list[Call]:
    calls = _new_policies(observed, target)
    for live, wanted in _changed_policies(observed, target):
        calls += _new_version(live, wanted)
    return calls


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

    Tags that the target does not name, versions and users are not compared. A policy with another document is never
    the same, also where no call of ours would change it.
    """
    if target.role is None and _changed_policies(observed, target):
        return False
    known_id = target.role.role_id if target.role else None
    if known_id is not None and (observed.role is None or observed.role.role_id != known_id):
        return False
    return not calls_between(observed, target)
