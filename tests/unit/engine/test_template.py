"""What the generated role of the portal lets happen in an AWS account, decided by our evaluator (not AWS's)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from iamroles.aws.template import Record, permissions, template, trust
from iamroles.iam import documents
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import Request, evaluate

N = "111122223333"
BOUNDARY = f"arn:aws:iam::{N}:policy/boundary/EcsCodeDeployBoundary"
RECORD = Record(
    number=N,
    partition="aws",
    external_id="0" * 32,
    portal_role="portal/RoledeskWorker",
    role_path="/codedeploy/",
    policy_path="/codedeploy/",
    boundary=BOUNDARY,
    adopted=(f"arn:aws:iam::{N}:role/old",),
)
ROLE = f"arn:aws:iam::{N}:role/codedeploy/ecsCodeDeployRole"
POLICY = f"arn:aws:iam::{N}:policy/codedeploy/pass"
DEPLOYER = f"arn:aws:iam::{N}:policy/codedeploy/deployer/checkout-Deployer"
LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
INFRASTRUCTURE = "arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
B = {"iam:PermissionsBoundary": BOUNDARY}


def identity(record: Record = RECORD) -> Document:
    text = json.dumps(permissions(record)).replace('{"Ref": "TagKeys"}', '"*"')
    return documents.parse(text)


def allowed(action: str, resource: str, context: dict[str, str] | None = None, record: Record = RECORD) -> bool:
    found = evaluate([identity(record)], None, Request(action, resource, context or {}))
    return found.decision == "allowed"


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("iam:GetRole", f"arn:aws:iam::{N}:role/task", {}),
        ("iam:GetPolicyVersion", LIMITED, {}),
        ("iam:ListEntitiesForPolicy", POLICY, {}),
        ("iam:GetAccountSummary", "*", {}),
        ("iam:CreateRole", ROLE, B),
        ("iam:UpdateAssumeRolePolicy", ROLE, B),
        ("iam:UpdateRole", ROLE, B),
        ("iam:AttachRolePolicy", ROLE, {**B, "iam:PolicyARN": LIMITED}),
        ("iam:AttachRolePolicy", ROLE, {**B, "iam:PolicyARN": POLICY}),
        ("iam:AttachRolePolicy", ROLE, {**B, "iam:PolicyARN": INFRASTRUCTURE}),
        ("iam:CreatePolicy", POLICY, {}),
        ("iam:CreatePolicyVersion", POLICY, {}),
        ("iam:SetDefaultPolicyVersion", POLICY, {}),
        ("iam:DeletePolicyVersion", POLICY, {}),
        ("iam:DeletePolicy", POLICY, {}),
        ("iam:PutRolePolicy", ROLE, B),  # the deny for older sessions, and its going
        ("iam:DeleteRolePolicy", ROLE, B),
        ("iam:DetachRolePolicy", ROLE, {**B, "iam:PolicyARN": POLICY}),
        ("iam:PutRolePermissionsBoundary", ROLE, B),
        ("iam:DeleteRole", ROLE, B),
        ("iam:TagRole", ROLE, {"aws:TagKeys": "portal:nonce"}),
        ("iam:UntagRole", ROLE, {"aws:TagKeys": "team"}),
        ("iam:DetachRolePolicy", f"arn:aws:iam::{N}:role/old", {}),
        ("iam:CreatePolicy", DEPLOYER, {}),
        ("iam:TagPolicy", DEPLOYER, {"aws:TagKeys": "portal:nonce"}),
        ("iam:DeletePolicy", DEPLOYER, {}),
    ],
)
def test_every_needed_call_is_allowed(action: str, resource: str, context: dict[str, str]) -> None:
    assert allowed(action, resource, context)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("iam:CreateRole", ROLE, {}),
        ("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": ADMIN}),
        ("iam:CreateRole", f"arn:aws:iam::{N}:role/admin", B),
        ("iam:AttachRolePolicy", ROLE, {**B, "iam:PolicyARN": ADMIN}),
        ("iam:AttachRolePolicy", ROLE, {"iam:PolicyARN": LIMITED}),
        ("iam:AttachRolePolicy", f"arn:aws:iam::{N}:role/old", {**B, "iam:PolicyARN": LIMITED}),
        ("iam:PutRolePolicy", f"arn:aws:iam::{N}:role/old", {}),
        ("iam:PutRolePolicy", ROLE, {}),
        ("iam:UntagRole", f"arn:aws:iam::{N}:role/portal/RoledeskWorker", {"aws:TagKeys": "team"}),
        ("iam:TagRole", f"arn:aws:iam::{N}:role/old", {"aws:TagKeys": "team"}),
        ("iam:DeleteRolePermissionsBoundary", ROLE, B),
        ("iam:PutRolePermissionsBoundary", ROLE, {"iam:PermissionsBoundary": ADMIN}),
        ("iam:CreatePolicyVersion", BOUNDARY, {}),
        ("iam:CreatePolicyVersion", f"arn:aws:iam::{N}:policy/other", {}),
        ("iam:CreatePolicyVersion", DEPLOYER, {}),
        ("iam:SetDefaultPolicyVersion", DEPLOYER, {}),
        ("iam:DeletePolicyVersion", DEPLOYER, {}),
        ("iam:AttachRolePolicy", ROLE, {**B, "iam:PolicyARN": DEPLOYER}),
        ("iam:AttachUserPolicy", f"arn:aws:iam::{N}:user/x", {"iam:PolicyARN": DEPLOYER}),
        ("iam:AttachGroupPolicy", f"arn:aws:iam::{N}:group/x", {"iam:PolicyARN": DEPLOYER}),
        ("iam:PutRolePermissionsBoundary", ROLE, {"iam:PermissionsBoundary": DEPLOYER}),
        ("iam:UpdateAssumeRolePolicy", f"arn:aws:iam::{N}:role/portal/RoledeskWorker", B),
        ("iam:PutRolePolicy", f"arn:aws:iam::{N}:role/portal/RoledeskWorker", B),
        ("iam:DeleteRole", f"arn:aws:iam::{N}:role/portal/RoledeskWorker", B),
        ("iam:PassRole", ROLE, {}),
        ("iam:CreateUser", f"arn:aws:iam::{N}:user/x", {}),
        ("iam:CreateAccessKey", f"arn:aws:iam::{N}:user/x", {}),
        ("iam:AttachUserPolicy", f"arn:aws:iam::{N}:user/x", {"iam:PolicyARN": POLICY}),
        ("iam:AddUserToGroup", f"arn:aws:iam::{N}:group/x", {}),
        ("iam:CreateLoginProfile", f"arn:aws:iam::{N}:user/x", {}),
        ("iam:CreateServiceLinkedRole", f"arn:aws:iam::{N}:role/aws-service-role/x", {}),
        ("iam:AddRoleToInstanceProfile", f"arn:aws:iam::{N}:instance-profile/x", {}),
        ("iam:CreateSAMLProvider", "*", {}),
        ("sts:AssumeRole", ROLE, {}),
        ("s3:GetObject", "arn:aws:s3:::x/y", {}),
    ],
)
def test_no_escalation_is_allowed(action: str, resource: str, context: dict[str, str]) -> None:
    assert not allowed(action, resource, context)


def test_without_a_path_only_the_listed_roles_and_their_policies() -> None:
    plain = replace(RECORD, role_path="/", policy_path="/", boundary="", adopted=())
    assert allowed("iam:CreateRole", f"arn:aws:iam::{N}:role/ecsCodeDeployRole", record=plain)
    assert allowed("iam:CreatePolicy", f"arn:aws:iam::{N}:policy/ecsCodeDeployRole-PassRole", record=plain)
    assert allowed("iam:CreatePolicyVersion", f"arn:aws:iam::{N}:policy/ecsCodeDeployRole-Deployments", record=plain)
    assert not allowed("iam:CreateRole", f"arn:aws:iam::{N}:role/other", record=plain)
    assert not allowed("iam:CreatePolicy", f"arn:aws:iam::{N}:policy/other", record=plain)
    deployer = f"arn:aws:iam::{N}:policy/deployer/checkout-Deployer"
    assert allowed("iam:CreatePolicy", deployer, record=plain)
    assert not allowed("iam:CreatePolicyVersion", deployer, record=plain)
    assert not allowed(
        "iam:AttachRolePolicy", f"arn:aws:iam::{N}:role/ecsCodeDeployRole", {"iam:PolicyARN": deployer}, plain
    )


def test_trusts_the_exact_hub_with_the_accounts_external_id() -> None:
    hub = "arn:aws:iam::999999999999:role/roledesk-hub"
    assert trust(RECORD, hub) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": hub},
                "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
                "Condition": {
                    "StringEquals": {"sts:ExternalId": "0" * 32},
                    "StringLike": {"sts:RoleSessionName": ["REQ-*", "READ-*"]},
                },
            }
        ],
    }


def test_the_template_makes_one_role_at_the_portals_path() -> None:
    made = template(RECORD, "arn:aws:iam::999999999999:role/hub")["Resources"]
    properties = made["PortalRole"]["Properties"]
    assert list(made) == ["PortalRole"]
    assert (properties["RoleName"], properties["Path"]) == ("RoledeskWorker", "/portal/")
    # inline policies of a role together: 10,240 characters without white space
    assert len(json.dumps(properties["Policies"][0]["PolicyDocument"], separators=(",", ":"))) < 10_240
