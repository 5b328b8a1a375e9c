"""What a plan needs room for in its AWS account: roles, policies, versions and characters. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from iamroles.blueprints.state import State
from iamroles.iam import documents
from iamroles.proposal.calls import Call
from iamroles.rules.quotas import Room

_TRUSTS = {"CreateRole": "AssumeRolePolicyDocument", "UpdateAssumeRolePolicy": "PolicyDocument"}


def needed(base: State, plan: Sequence[Call]) -> Room:
    """Returns the most that is there at once while the plan is carried out over the base."""
    apis = [call.api for call in plan]
    return Room(
        roles=apis.count("CreateRole"),
        policies=apis.count("CreatePolicy"),
        attaches="AttachRolePolicy" in apis,
        versions=_versions(base, plan),
        trust=max((_size(call, _TRUSTS[call.api], "trust") for call in plan if call.api in _TRUSTS), default=0),
        inline=_inline(base, plan),
    )


def _versions(base: State, plan: Sequence[Call]) -> dict[str, int]:
    found: dict[str, int] = {}
    for arn, policy in base.policies.items():
        if policy is None:
            continue
        count = len(policy.versions)
        for call in plan:
            if call.resource == arn and call.api == "DeletePolicyVersion":
                count -= 1
            if call.resource == arn and call.api == "CreatePolicyVersion":
                count += 1
                found[policy.name] = max(count, found.get(policy.name, 0))
    return found


def _inline(base: State, plan: Sequence[Call]) -> int:
    """IAM counts all inline policies of a role together."""
    sizes = {name: documents.size(given) for name, given in base.role.inline.items()} if base.role else {}
    most = 0
    for call in plan:
        name = str(call.arguments.get("PolicyName", ""))
        if call.api == "DeleteRolePolicy":
            sizes.pop(name, None)
        if call.api == "PutRolePolicy":
            sizes[name] = _size(call, "PolicyDocument", "identity")
            most = max(most, sum(sizes.values()))
    return most


def _size(call: Call, argument: str, kind: documents.Kind) -> int:
    return documents.size(documents.parse(call.arguments[argument], kind))
