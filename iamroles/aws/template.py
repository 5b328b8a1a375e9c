"""The portal's own role in an AWS account, as CloudFormation generated from the account's record (AWS.md part 7).

Pure. It says what the worker may do there at most; each session narrows that again to the planned calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from iamroles.blueprints.facts import default_policy_name, default_uses_policy_name, deployer_path
from iamroles.iam import catalogue

READS_ACCOUNT: Final = (
    "iam:GetAccountSummary",
    "iam:GetAccountAuthorizationDetails",
    "iam:ListRoles",
    "iam:ListPolicies",
)
READS_ROLES: Final = (
    "iam:GetRole",
    "iam:ListRolePolicies",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRoleTags",
)
READS_POLICIES: Final = (
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListPolicyVersions",
    "iam:ListEntitiesForPolicy",
)
WRITES_ROLES: Final = (
    "iam:CreateRole",
    "iam:UpdateRole",
    "iam:PutRolePolicy",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:DeleteRole",
)
WRITES_POLICIES: Final = (
    "iam:CreatePolicy",
    "iam:CreatePolicyVersion",
    "iam:SetDefaultPolicyVersion",
    "iam:DeletePolicyVersion",
    "iam:DeletePolicy",
)
WRITES_DEPLOYERS: Final = ("iam:CreatePolicy", "iam:DeletePolicy")  # people hold them: never a version, never attached
VERSIONS: Final = ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicyVersion")
TAGS: Final = ("iam:TagRole", "iam:UntagRole", "iam:TagPolicy", "iam:UntagPolicy")
ATTACHED: Final = (catalogue.CODEDEPLOY_ECS, catalogue.CODEDEPLOY_ECS_LIMITED, catalogue.ECS_INFRASTRUCTURE_LB)
OTHER_IDENTITIES: Final = (
    "iam:*User*",
    "iam:*Group*",
    "iam:*LoginProfile*",
    "iam:*AccessKey*",
    "iam:*MFA*",
    "iam:*SAML*",
    "iam:*OpenIDConnect*",
    "iam:*InstanceProfile*",
    "iam:PassRole",
    "iam:CreateServiceLinkedRole",
    "sts:AssumeRole",
)


@dataclass(frozen=True)
class Record:
    """The part of an AWS account's record that the template depends on.

    `role_names` are the exact roles at the path "/"; with a path of its own every role under it is allowed. `adopted`
    are ARNs of roles that do not carry the boundary: rights can be taken from them, never given.
    """

    number: str
    partition: str
    external_id: str
    portal_role: str
    role_path: str = "/"
    policy_path: str = "/"
    boundary: str = ""
    role_names: tuple[str, ...] = ("ecsCodeDeployRole",)
    adopted: tuple[str, ...] = ()

    def iam(self, resource: str) -> str:
        """Returns the ARN of an IAM resource of this account."""
        return f"arn:{self.partition}:iam::{self.number}:{resource}"

    def roles(self) -> list[str]:
        """Returns the ARNs of the roles that the portal may write."""
        if self.role_path != "/":
            return [self.iam(f"role{self.role_path}*")]
        return [self.iam(f"role/{name}") for name in self.role_names]

    @property
    def deployers(self) -> str:
        """The ARNs of the deployer policies, which lie apart below the policy path."""
        return self.iam(f"policy{deployer_path(self.policy_path)}*")

    def policies(self) -> list[str]:
        """Returns the ARNs of the managed policies of roles that the portal may write."""
        if self.policy_path != "/":
            return [self.iam(f"policy{self.policy_path}*")]
        named = (default_policy_name, default_uses_policy_name)
        return [self.iam(f"policy/{made(name)}") for name in self.role_names for made in named]


def _allow(
    sid: str, actions: Sequence[str], resource: object, condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def permissions(record: Record) -> dict[str, Any]:
    """Returns the identity policy of the portal's role."""
    bounded = {"StringEquals": {"iam:PermissionsBoundary": record.boundary}} if record.boundary else {}
    managed = [catalogue.managed_policy(name, record.partition).arn for name in ATTACHED]
    aws_policies = f"arn:{record.partition}:iam::aws:policy/*"
    attach = {**bounded, "ArnLike": {"iam:PolicyARN": [*record.policies(), *managed]}}
    tagged = {"ForAllValues:StringLike": {"aws:TagKeys": ["portal:*", {"Ref": "TagKeys"}]}}
    statements = [
        _allow("ReadAccount", READS_ACCOUNT, "*"),
        _allow("ReadRoles", READS_ROLES, record.iam("role/*")),
        _allow("ReadPolicies", READS_POLICIES, [record.iam("policy/*"), aws_policies]),
        _allow("WriteRolesOnlyWithBoundary" if bounded else "WriteListedRoles", WRITES_ROLES, record.roles(), bounded),
        _allow("AttachOnlyListed", ["iam:AttachRolePolicy"], record.roles(), attach),
        _allow("Tags", TAGS, [*record.roles(), *record.policies(), record.deployers], tagged),
        _allow("RolePolicies", WRITES_POLICIES, record.policies()),
        _allow("DeployerPolicies", WRITES_DEPLOYERS, record.deployers),
        {"Sid": "DenyDeployerVersions", "Effect": "Deny", "Action": list(VERSIONS), "Resource": record.deployers},
        {
            "Sid": "DenyDeployerAttachment",
            "Effect": "Deny",
            "Action": ["iam:AttachRolePolicy"],
            "Resource": "*",
            "Condition": {"ArnLike": {"iam:PolicyARN": record.deployers}},
        },
        {
            "Sid": "DenyBoundaryRemoval",
            "Effect": "Deny",
            "Action": ["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary"],
            "Resource": "*",
        },
        {
            "Sid": "DenyBoundaryAndSelfEdit",
            "Effect": "Deny",
            "NotAction": ["iam:Get*", "iam:List*", "iam:Simulate*"],
            "Resource": [
                record.iam("policy/boundary/*"),
                record.iam("role/portal/*"),
                record.iam("policy/portal/*"),
                *([record.boundary] if record.boundary else []),
            ],
        },
        {"Sid": "DenyOtherIdentities", "Effect": "Deny", "Action": list(OTHER_IDENTITIES), "Resource": "*"},
    ]
    if record.adopted:
        shrink = _allow("ShrinkWithoutB", ["iam:DetachRolePolicy", "iam:DeleteRolePolicy"], list(record.adopted))
        statements.insert(5, shrink)
    return {"Version": "2012-10-17", "Statement": statements}


def trust(record: Record, hub: str) -> dict[str, Any]:
    """Returns the trust policy: the exact hub role, the account's external id, and our session names alone."""
    condition = {
        "StringEquals": {"sts:ExternalId": record.external_id},
        "StringLike": {"sts:RoleSessionName": ["REQ-*", "READ-*"]},
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": hub},
        "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def template(record: Record, hub: str) -> dict[str, Any]:
    """Returns the CloudFormation template of the portal's role in one AWS account."""
    path, name = f"/{record.portal_role}".rsplit("/", 1)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Roledesk: the portal's role in AWS account {record.number}.",
        "Parameters": {
            "TagKeys": {
                "Type": "String",
                "Default": "*",
                "Description": "Tag keys that the portal may set besides portal:*, e.g. team*. The default allows all.",
            }
        },
        "Resources": {
            "PortalRole": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": name,
                    "Path": f"{path}/",
                    "MaxSessionDuration": 3600,
                    "AssumeRolePolicyDocument": trust(record, hub),
                    "Policies": [{"PolicyName": "roledesk", "PolicyDocument": permissions(record)}],
                },
            }
        },
        "Outputs": {"PortalRoleArn": {"Value": {"Fn::GetAtt": ["PortalRole", "Arn"]}}},
    }
