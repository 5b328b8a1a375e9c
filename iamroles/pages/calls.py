"""AWS calls and steps in words, for the plan, the progress and what a stopped run left. Nothing here talks to AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from iamroles import canonical
from iamroles.models import Step
from iamroles.proposal.calls import Call
from iamroles.proposal.wording import policy_label


@dataclass(frozen=True)
class CallWords:
    """One call for a page: what it does, and IAM's own operation with the ARN that it changes."""

    sentence: str
    api: str
    resource: str


def _role(arguments: Mapping[str, Any]) -> str:
    return str(arguments.get("RoleName", "the role"))


def _policy(arguments: Mapping[str, Any]) -> str:
    return policy_label(str(arguments.get("PolicyArn") or arguments.get("PolicyName") or "the policy"))


def _create_role(arguments: Mapping[str, Any]) -> str:
    parts = ["its trust policy"]
    if arguments.get("Tags"):
        parts.append("its tags")
    if arguments.get("PermissionsBoundary"):
        parts.append("the permissions boundary")
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"Create the role {_role(arguments)} with {listed}"


def _tags(arguments: Mapping[str, Any]) -> str:
    pairs = ", ".join(f"{tag['Key']} = {tag['Value']}" for tag in arguments.get("Tags", ()))
    return f"Tag the role {_role(arguments)}: {pairs}"


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "CreateRole": _create_role,
    "UpdateAssumeRolePolicy": lambda a: f"Replace the trust policy of {_role(a)}",
    "PutRolePermissionsBoundary": lambda a: f"Set the permissions boundary of {_role(a)}",
    "UpdateRole": lambda a: f"Set description and longest session of {_role(a)}",
    "TagRole": _tags,
    "UntagRole": lambda a: f"Remove the tags {', '.join(a.get('TagKeys', ()))} from the role {_role(a)}",
    "CreatePolicy": lambda a: f"Create the policy {_policy(a)}",
    "CreatePolicyVersion": lambda a: f"Give the policy {_policy(a)} a new default version",
    "SetDefaultPolicyVersion": lambda a: f"Make {a.get('VersionId')} the default version of {_policy(a)}",
    "DeletePolicyVersion": lambda a: f"Delete the unused version {a.get('VersionId')} of {_policy(a)}",
    "DeletePolicy": lambda a: f"Delete the policy {_policy(a)}",
    "AttachRolePolicy": lambda a: f"Attach {_policy(a)} to {_role(a)}",
    "DetachRolePolicy": lambda a: f"Detach {_policy(a)} from {_role(a)}",
    "PutRolePolicy": lambda a: f"Write the inline policy {a.get('PolicyName')} of {_role(a)}",
    "DeleteRolePolicy": lambda a: f"Delete the inline policy {a.get('PolicyName')} of {_role(a)}",
    "DeleteRole": lambda a: f"Delete the role {_role(a)}",
}


def sentence_of(api: str, resource: str, arguments: Mapping[str, Any]) -> str:
    """Returns what a call does, in words; for an operation without words its own name and the resource."""
    words = _WORDS.get(api)
    if words is not None:
        return words(arguments)
    return f"{api} on {resource}" if resource else api


def words_of(call: Call) -> CallWords:
    """Returns a planned call in words."""
    return CallWords(sentence_of(call.api, call.resource, call.arguments), call.api, call.resource)


def step_sentence(step: Step) -> str:
    """Returns a journalled step in words."""
    arguments = canonical.loads(step.arguments)
    return sentence_of(step.api, step.resource, arguments if isinstance(arguments, dict) else {})
