"""What the portal's role in an AWS account must and must not be able to do, as concrete calls. Pure.

`template` says it as a policy, here it is said as examples that a test of the connection can try (reads) or decide from
the live policies (writes, which nobody makes for a test).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from iamroles.aws import template
from iamroles.aws.template import Record
from iamroles.blueprints.facts import DEFAULT_ROLE_NAME
from iamroles.iam import catalogue

_TAG: Final = {"aws:TagKeys": "portal:nonce"}


@dataclass(frozen=True)
class Demand:
    """One call: `action` on `resource` with these condition keys."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def reads(record: Record) -> dict[str, dict[str, Any]]:
    """Returns every reading call that the portal makes, with arguments that cost little and change nothing."""
    own = {"RoleName": record.portal_role.rsplit("/", 1)[-1]}
    limited = {"PolicyArn": catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED, record.partition).arn}
    few = {"MaxItems": 1}
    return {
        "GetAccountSummary": {},
        "GetAccountAuthorizationDetails": {"Filter": ["Role"], **few},
        "ListRoles": few,
        "ListPolicies": {"Scope": "Local", **few},
        "GetRole": own,
        "ListRolePolicies": own,
        "GetRolePolicy": {**own, "PolicyName": "roledesk"},
        "ListAttachedRolePolicies": own,
        "ListRoleTags": own,
        "GetPolicy": limited,
        "GetPolicyVersion": {**limited, "VersionId": "v1"},
        "ListPolicyVersions": limited,
        "ListEntitiesForPolicy": {**limited, **few},
    }


def writes(record: Record) -> tuple[Demand, ...]:
    """Returns every changing call that the portal makes, on each role and policy that the record lets it write."""
    bounded = {"iam:PermissionsBoundary": record.boundary} if record.boundary else {}
    found: list[Demand] = []
    policies = _examples(record.policies(), f"{DEFAULT_ROLE_NAME}-PassRole")
    managed = [catalogue.managed_policy(name, record.partition).arn for name in template.ATTACHED]
    for role in _examples(record.roles(), DEFAULT_ROLE_NAME):
        found += [Demand(action, role, bounded) for action in template.WRITES_ROLES]
        attach = [{**bounded, "iam:PolicyARN": arn} for arn in (policies[0], *managed)]
        found += [Demand("iam:AttachRolePolicy", role, context) for context in attach]
        found += [Demand(action, role, _TAG) for action in template.TAGS if action.endswith("Role")]
    for policy in policies:
        found += [Demand(action, policy) for action in template.WRITES_POLICIES]
        found += [Demand(action, policy, _TAG) for action in template.TAGS if action.endswith("Policy")]
    return tuple(found)


def _examples(patterns: list[str], name: str) -> list[str]:
    """An exact ARN stands for itself, a path for one name below it."""
    return [f"{pattern[:-1]}{name}" if pattern.endswith("*") else pattern for pattern in patterns]


def refusals(record: Record) -> dict[str, Demand]:
    """Returns calls that the portal's role must not be able to make, each by what it would do."""
    role = _examples(record.roles(), DEFAULT_ROLE_NAME)[0]
    own = record.iam(f"role/{record.portal_role}")
    administrator = f"arn:{record.partition}:iam::aws:policy/AdministratorAccess"
    bounded = {"iam:PermissionsBoundary": record.boundary} if record.boundary else {}
    found = {
        "give a role administrator rights": Demand(
            "iam:AttachRolePolicy", role, {**bounded, "iam:PolicyARN": administrator}
        ),
        "change the portal's own role": Demand("iam:PutRolePolicy", own, bounded),
        "change who may use the portal's own role": Demand("iam:UpdateAssumeRolePolicy", own, bounded),
        "make a user": Demand("iam:CreateUser", record.iam("user/anybody")),
        "make an access key": Demand("iam:CreateAccessKey", record.iam("user/anybody")),
        "pass a role to a service": Demand("iam:PassRole", role),
        "assume another role": Demand("sts:AssumeRole", role),
    }
    if record.boundary:
        found |= {
            "make a role without the boundary": Demand("iam:CreateRole", role),
            "take the boundary off a role": Demand("iam:DeleteRolePermissionsBoundary", role, bounded),
            "change the boundary itself": Demand("iam:CreatePolicyVersion", record.boundary),
        }
    return found
