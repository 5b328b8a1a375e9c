"""The deployer policy: what a person's or a pipeline's role needs to deploy one ECS service through CodeDeploy.

Scoped by default: `*` stands only where AWS has no resource type (AWS.md 2.5, published tables of resource types).
"Unscoped" is AWS's own list of CodeDeploy actions on everything; ECS service and passed roles are named in both.
"""

from __future__ import annotations

from typing import Any, Final

from iamroles.blueprints.facts import DeployerFacts, deployer_path, passed_services
from iamroles.blueprints.grants import grant_document
from iamroles.blueprints.state import PolicyState
from iamroles.iam import arns, documents, trust
from iamroles.iam.documents import Document

_APPLICATION: Final = (
    "codedeploy:BatchGetApplicationRevisions",
    "codedeploy:BatchGetApplications",
    "codedeploy:CreateApplication",
    "codedeploy:GetApplication",
    "codedeploy:GetApplicationRevision",
    "codedeploy:ListApplicationRevisions",
    "codedeploy:ListDeploymentGroups",
    "codedeploy:RegisterApplicationRevision",
)
_GROUP: Final = (
    "codedeploy:BatchGetDeploymentGroups",
    "codedeploy:BatchGetDeployments",
    "codedeploy:CreateDeployment",
    "codedeploy:CreateDeploymentGroup",
    "codedeploy:GetDeployment",
    "codedeploy:GetDeploymentGroup",
    "codedeploy:ListDeployments",
    "codedeploy:UpdateDeploymentGroup",
)
_CONFIG: Final = ("codedeploy:GetDeploymentConfig",)
_NO_RESOURCE_TYPE: Final = (
    "cloudwatch:DescribeAlarms",
    "codedeploy:ContinueDeployment",
    "codedeploy:GetDeploymentTarget",
    "codedeploy:ListApplications",
    "codedeploy:ListDeploymentConfigs",
    "codedeploy:ListDeploymentTargets",
    "codedeploy:StopDeployment",
    "lambda:ListFunctions",
    "sns:ListTopics",
)
# AWS's own list lacks one action that changes a group; the scoped policy has it on the named group.
_UNSCOPED: Final = tuple(
    sorted({*_APPLICATION, *_GROUP, *_CONFIG, *_NO_RESOURCE_TYPE} - {"codedeploy:UpdateDeploymentGroup"})
)
_SERVICE: Final = ("ecs:CreateService", "ecs:DescribeServices", "ecs:UpdateService")


def deployer_document(facts: DeployerFacts) -> Document:
    """Returns the whole policy: CodeDeploy, the one ECS service, and each passed role for exactly its service."""
    tasks = sorted(arn for arn, service in passed_services(facts).items() if service == trust.ECS_TASKS)
    definitions = ["ecs:DescribeTaskDefinition", *(["ecs:RegisterTaskDefinition"] if tasks else [])]
    service = _arn(facts, "ecs", f"service/{facts.cluster}/{facts.service}")
    statements = [
        *_codedeploy(facts),
        _allow("EcsService", _SERVICE, service),
        _allow("TaskDefinitions", definitions, "*"),
        _passing("PassCodeDeployRole", [facts.codedeploy_role], trust.CODEDEPLOY),
        *([_passing("PassTaskRoles", tasks, trust.ECS_TASKS)] if tasks else []),
    ]
    return documents.parse({"Version": "2012-10-17", "Statement": statements})


def deployer_policy(facts: DeployerFacts) -> PolicyState:
    """Returns the wanted managed policy, at the account's path for deployer policies."""
    account, path = facts.account, deployer_path(facts.account.policy_path)
    return PolicyState(
        arn=arns.policy_arn(account.partition, account.number, facts.policy_name, path),
        name=facts.policy_name,
        path=path,
        document=deployer_document(facts),
        description=facts.policy_description,
    )


def _codedeploy(facts: DeployerFacts) -> list[dict[str, Any]]:
    if facts.scope == "unscoped":
        return [_allow("CodeDeploy", _UNSCOPED, "*")]
    group = f"deploymentgroup:{facts.application}/{facts.deployment_group or '*'}"
    return [
        _allow("Application", _APPLICATION, _arn(facts, "codedeploy", f"application:{facts.application}")),
        _allow("DeploymentGroup", _GROUP, _arn(facts, "codedeploy", group)),
        _allow("DeploymentConfigs", _CONFIG, _arn(facts, "codedeploy", "deploymentconfig:*")),
        _allow("NoResourceType", _NO_RESOURCE_TYPE, "*"),
    ]


def _arn(facts: DeployerFacts, service: str, resource: str) -> str:
    return f"arn:{facts.account.partition}:{service}:{facts.region or '*'}:{facts.account.number}:{resource}"


def _allow(sid: str, actions: tuple[str, ...] | list[str], resource: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def _passing(sid: str, role_arns: list[str], service: str) -> dict[str, Any]:
    (statement,) = grant_document(role_arns, service).as_mapping()["Statement"]
    return {"Sid": sid, **statement}
