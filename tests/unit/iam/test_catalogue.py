# ruff: noqa: E501  (rows read best on one line)
"""The catalogue: what it carries is what AWS publishes, and the script that builds it is repeatable."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from iamroles.iam import catalogue, documents
from iamroles.iam.lint import lint

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


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_catalogue", ROOT / "scripts" / "build_catalogue.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_build_of_the_policies_is_repeatable() -> None:
    module = builder()
    text = module.POLICIES.read_text()
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
    assert module.build_policies(export, stored["about"]["read_on"]) == text


class TestActions:
    """Built from a reference in the shape of AWS's: `Annotations.Properties` of actions, `Types` of condition keys."""

    stored: Any = json.loads(builder().ACTIONS.read_text())
    marks: dict[str, dict[str, bool]] = {
        "Read": {},
        "Write": {"IsWrite": True},
        "List": {"IsList": True},
        "Permissions management": {"IsPermissionManagement": True, "IsWrite": True},
    }

    def reference(self, *services: str) -> dict[str, Any]:
        """A reference that says what is stored."""
        kinds = {"list_keys": "ArrayOfString", "arn_keys": "ARN"}
        types = {key: [kind] for name, kind in kinds.items() for key in self.stored[name]}
        return {
            service: {
                "Actions": [
                    {"Name": name.partition(":")[2], "Annotations": {"Properties": self.marks[one["level"]]}}
                    for name, one in self.stored["actions"].items()
                    if name.startswith(f"{service}:")
                ],
                "ConditionKeys": [
                    {"Name": f"{service}:{key}", "Types": types.get(f"{service}:{key}", ["String"])}
                    for key in self.stored["keys"].get(service, ())
                ],
            }
            for service in services
        }

    def test_the_build_is_repeatable(self) -> None:
        module = builder()
        text = module.ACTIONS.read_text()
        assert module.build_actions(self.stored, {}, self.stored["about"]["date"]) == text
        built = module.build_actions(self.stored, self.reference("ecs", "s3", "iam"), self.stored["about"]["date"])
        assert json.loads(built)["actions"] == self.stored["actions"]
        for kind in ("list_keys", "arn_keys"):
            assert sorted(json.loads(built)[kind]) == sorted(self.stored[kind])

    def test_levels_and_kinds_are_those_of_the_reference(self) -> None:
        reference = self.reference("ecs")
        first = reference["ecs"]["Actions"][0]
        first["Annotations"]["Properties"] = {"IsTaggingOnly": True, "IsWrite": True}
        reference["ecs"]["ConditionKeys"] = [{"Name": "ecs:cluster", "Types": ["ArrayOfARN"]}]
        built = json.loads(builder().build_actions(self.stored, reference, "2027-01-02"))
        assert built["actions"][f"ecs:{first['Name']}"]["level"] == "Tagging"
        assert ("ecs:cluster" in built["list_keys"], "ecs:service" in built["arn_keys"]) == (True, False)
        assert built["about"]["date"] == "2027-01-02"

    def test_an_action_that_aws_no_longer_has_stops_the_build(self) -> None:
        module = builder()
        reference = self.reference("ecs")
        gone = reference["ecs"]["Actions"].pop()["Name"]
        with pytest.raises(module.Unknown, match=f"has no action {gone}"):
            module.build_actions(self.stored, reference, "2027-01-02")

    def test_each_file_names_source_date_and_licence(self) -> None:
        for path in (builder().ACTIONS, builder().POLICIES):
            about = json.loads(path.read_text())["about"]
            day = about.get("date") or about["read_on"]
            assert about["source"]
            assert about["licence"]
            assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", day)

    def test_an_unknown_action_or_key_is_a_dated_note(self) -> None:
        statement = {"Effect": "Allow", "Action": "ecs:Teleport", "Resource": "arn:aws:ecs:r:1:x"}
        value = {"Version": "2012-10-17", "Statement": [{**statement, "Condition": {"Bool": {"ecs:new": "true"}}}]}
        notes = [one for one in lint(value, "identity", "111122223333") if one.id == "DU06"]
        day = catalogue.data_date()
        assert [(one.severity, one.message) for one in notes] == [
            ("note", f"The action ecs:Teleport is not in our catalogue of {day}."),
            ("note", f"The condition key ecs:new is not in our catalogue of {day}."),
        ]


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
