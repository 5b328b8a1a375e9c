"""The demo's three AWS accounts and what the simulated AWS holds before anybody asks. Data only; `fill` makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portal.demo.people import ORDERS_OWNERS, PAYMENTS_OWNERS


@dataclass(frozen=True)
class DemoAccount:
    """One AWS account of the demo. `teams` are the slugs that may use it; `boundary` is a policy name or ""."""

    number: str
    name: str
    environment: str
    is_production: bool
    owner: str
    teams: tuple[str, ...]
    boundary: str = ""


ACCOUNTS = (
    DemoAccount("111122223333", "orders-prod", "production", True, ORDERS_OWNERS, ("orders",), "EcsCodeDeployBoundary"),
    DemoAccount("444455556666", "orders-staging", "staging", False, ORDERS_OWNERS, ("orders", "payments")),
    DemoAccount("777788889999", "payments-prod", "production", True, PAYMENTS_OWNERS, ("payments",)),
)

TEAMS = {"orders": "Orders", "payments": "Payments"}

HUB_ROLE = "arn:aws:iam::123456789012:role/roledesk-hub"  # what the demo's worker runs as
LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
EXECUTION = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"


def trust(service: str, account: str | None = None) -> dict[str, Any]:
    """Returns a trust policy for one service, with `aws:SourceAccount` if an account is given."""
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if account:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return {"Version": "2012-10-17", "Statement": [statement]}


BOUNDARY_DOCUMENT: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "ecs:*",
                "elasticloadbalancing:*",
                "cloudwatch:DescribeAlarms",
                "sns:Publish",
                "lambda:InvokeFunction",
                "s3:GetObject",
                "s3:GetObjectVersion",
            ],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": "arn:aws:iam::*:role/*",
            "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        },
    ],
}


@dataclass(frozen=True)
class DemoRole:
    """One role that the simulated AWS holds at first. `managed_by` is the team whose inventory knows it, or ""."""

    account: str
    name: str
    service: str
    attached: tuple[str, ...] = ()
    inline: dict[str, Any] | None = None
    hardened: bool = False
    managed_by: str = ""
    description: str = ""


AUDIT_BUCKET_POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::orders-deployment-notes/*"},
    ],
}

ROLES = (
    # Roles that tasks run with: two that are right, one that does not trust ECS tasks.
    *(DemoRole(a.number, "ecsTaskExecutionRole", "ecs-tasks.amazonaws.com", (EXECUTION,)) for a in ACCOUNTS),
    DemoRole("111122223333", "orders-api-task", "ecs-tasks.amazonaws.com"),
    DemoRole("111122223333", "orders-worker-task", "ecs-tasks.amazonaws.com"),
    DemoRole("111122223333", "orders-report-task", "lambda.amazonaws.com"),
    DemoRole("444455556666", "orders-api-task", "ecs-tasks.amazonaws.com"),
    DemoRole("777788889999", "payments-api-task", "ecs-tasks.amazonaws.com"),
    # A pipeline that deploys: a deployer policy can be made for it, and the team attaches it.
    DemoRole("444455556666", "orders-pipeline", "codebuild.amazonaws.com"),
    # orders-prod has no CodeDeploy role: a request leads to create.
    # orders-staging: one that is right, one with a wrong trust and no policy, one with somebody else's extra policy.
    DemoRole(
        "444455556666",
        "ecsCodeDeployRole",
        "codedeploy.amazonaws.com",
        (LIMITED,),
        hardened=True,
        managed_by="orders",
        description="CodeDeploy for the Orders services",
    ),
    DemoRole("444455556666", "ecsCodeDeployRole-legacy", "ec2.amazonaws.com"),
    DemoRole(
        "444455556666",
        "ecsCodeDeployRole-shared",
        "codedeploy.amazonaws.com",
        (LIMITED,),
        inline={"deployment-notes": AUDIT_BUCKET_POLICY},
        hardened=True,
    ),
)
