"""Is a role or policy the one that our own lost call made? Tags say who claims; only all parts together say who owns.

APPLY.md "Ownership": an earlier create of ours ended unknown, its nonce, its time, and every argument agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from iamroles.aws.gateway import Gateway
from iamroles.blueprints.state import PolicyState, RoleState, State
from iamroles.engine.journal import NONCE
from iamroles.engine.tools import Limits
from iamroles.iam import documents
from iamroles.proposal.calls import Call

_EARLY = timedelta(seconds=5)


def test(
    gateway: Gateway, call: Call, sent_at: tuple[datetime, datetime], observed: State, limits: Limits
) -> str | None:
    """Returns the id of what `call` made, or None when any part of the test fails.

    `call` is exactly as sent, with its nonce; `sent_at` are the first and the last time it was. Raises AwsError.
    """
    made = gateway.making(call.resource)
    if made is None:
        return None
    first, last = sent_at
    if not first - _EARLY <= made.created_at <= last + timedelta(seconds=limits.lease + limits.quiet):
        return None
    tags = {tag["Key"]: tag["Value"] for tag in call.arguments["Tags"]}
    if dict(made.tags) != tags or not tags.get(NONCE):
        return None
    if call.api == "CreateRole":
        found = observed.role is not None and _role_as_sent(observed.role, call.arguments)
    else:
        policy = observed.policies.get(call.resource)
        found = policy is not None and _policy_as_sent(policy, call.arguments)
    return made.entity_id if found else None


def _role_as_sent(role: RoleState, sent: Mapping[str, Any]) -> bool:
    trust = documents.parse(sent["AssumeRolePolicyDocument"], kind="trust")
    return (
        documents.equal(role.trust, trust)
        and (role.path, role.description, role.boundary, role.max_session)
        == (sent["Path"], sent["Description"], sent.get("PermissionsBoundary"), sent["MaxSessionDuration"])
        and not role.inline
    )


def _policy_as_sent(policy: PolicyState, sent: Mapping[str, Any]) -> bool:
    document = documents.parse(sent["PolicyDocument"])
    return documents.equal(policy.document, document) and set(policy.versions) == {"v1"}
