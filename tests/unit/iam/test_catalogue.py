# ruff: noqa: E501  (rows read best on one line)
"""The catalogue: what it carries is what AWS publishes, and the script that builds it is repeatable."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from iamroles.iam import catalogue, documents

ROOT = Path(__file__).parents[3]


def test_the_managed_policies_are_pinned_by_arn_version_and_digest() -> None:
    assert [(one.arn, one.version, one.date, documents.digest(one.document)[:16]) for one in catalogue.managed_policies()] == [
        ("arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS", "v3", "2019-09-23", "097d840325957b95"),
        ("arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited", "v3", "2019-09-23", "00e055460113c3ed"),
        ("arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy", "v1", "2017-11-16", "aad187a0378aef21"),
        ("arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers", "v6", "2026-02-12", "242ab5a807a86269"),
    ]  # fmt: skip


def test_limited_reads_as_in_the_guide() -> None:
    guide = """{"Version":"2012-10-17","Statement":[
     {"Action":["ecs:DescribeServices","ecs:CreateTaskSet","ecs:UpdateServicePrimaryTaskSet","ecs:DeleteTaskSet",
       "cloudwatch:DescribeAlarms"],"Resource":"*","Effect":"Allow"},
     {"Action":["sns:Publish"],"Resource":"arn:aws:sns:*:*:CodeDeployTopic_*","Effect":"Allow"},
     {"Action":["elasticloadbalancing:DescribeTargetGroups","elasticloadbalancing:DescribeListeners",
       "elasticloadbalancing:ModifyListener","elasticloadbalancing:DescribeRules","elasticloadbalancing:ModifyRule"],
       "Resource":"*","Effect":"Allow"},
     {"Action":["lambda:InvokeFunction"],"Resource":"arn:aws:lambda:*:*:function:CodeDeployHook_*","Effect":"Allow"},
     {"Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":"*",
       "Condition":{"StringEquals":{"s3:ExistingObjectTag/UseWithCodeDeploy":"true"}},"Effect":"Allow"},
     {"Action":["iam:PassRole"],"Effect":"Allow",
       "Resource":["arn:aws:iam::*:role/ecsTaskExecutionRole","arn:aws:iam::*:role/ECSTaskExecution*"],
       "Condition":{"StringLike":{"iam:PassedToService":["ecs-tasks.amazonaws.com"]}}}]}"""
    assert catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document == documents.parse(guide)


def test_full_reads_as_in_the_guide() -> None:
    guide = """{"Version":"2012-10-17","Statement":[
     {"Action":["ecs:DescribeServices","ecs:CreateTaskSet","ecs:UpdateServicePrimaryTaskSet","ecs:DeleteTaskSet",
       "elasticloadbalancing:DescribeTargetGroups","elasticloadbalancing:DescribeListeners",
       "elasticloadbalancing:ModifyListener","elasticloadbalancing:DescribeRules","elasticloadbalancing:ModifyRule",
       "lambda:InvokeFunction","cloudwatch:DescribeAlarms","sns:Publish","s3:GetObject","s3:GetObjectVersion"],
       "Resource":"*","Effect":"Allow"},
     {"Action":["iam:PassRole"],"Effect":"Allow","Resource":"*",
       "Condition":{"StringLike":{"iam:PassedToService":["ecs-tasks.amazonaws.com"]}}}]}"""
    assert catalogue.managed_policy(catalogue.CODEDEPLOY_ECS).document == documents.parse(guide)


def test_another_partition_is_not_verified() -> None:
    policy = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED, "aws-cn")
    assert (policy.arn, policy.verified) == ("arn:aws-cn:iam::aws:policy/AWSCodeDeployRoleForECSLimited", False)
    assert '"arn:aws:' not in documents.minified(policy.document)


def test_an_unknown_policy_is_an_error() -> None:
    with pytest.raises(KeyError, match="AdministratorAccess"):
        catalogue.managed_policy("AdministratorAccess")


def test_the_build_is_repeatable() -> None:
    spec = importlib.util.spec_from_file_location("build_catalogue", ROOT / "scripts" / "build_catalogue.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.TARGET.read_text()
    stored = json.loads(text)
    export = {
        name: {
            "Path": one["path"],
            "DefaultVersionId": one["version"],
            "UpdateDate": f"{one['date']}T00:00:00+00:00",
            "Document": one["document"],
        }
        for name, one in stored["policies"].items()
    }
    assert module.build(export, stored["about"]["read_on"]) == text


@pytest.mark.parametrize(
    ("key", "known", "listed", "arn", "principal"),
    [
        ("aws:SourceArn", True, False, True, False),
        ("AWS:tagkeys", True, True, False, False),
        ("aws:PrincipalTag/Team", True, False, False, True),
        ("s3:ExistingObjectTag/x", True, False, False, False),
        ("aws:SourceArns", False, False, False, False),
    ],
)
def test_keys(key: str, known: bool, listed: bool, arn: bool, principal: bool) -> None:
    found = (
        catalogue.knows_key(key),
        catalogue.is_list_key(key),
        catalogue.is_arn_key(key),
        catalogue.is_principal_key(key),
    )
    assert found == (known, listed, arn, principal)
