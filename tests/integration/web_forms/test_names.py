"""Failures told early: for every name the form says covered exactly where the evaluator allows the call.

The evaluator shares no matching code with the proofs that the form's answers rest on (UX.md part 9, goal 2).
"""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from iamroles.blueprints import RoleFacts, build_desired, facts
from iamroles.blueprints.desired import managed_policy
from iamroles.iam.evaluate import Request, evaluate
from iamroles.models import Revision
from tests.integration.web_forms.conftest import ROLE_ANSWERS
from tests.integration.web_forms.reading import text_of

ROLES = (
    "ecsTaskExecutionRole",
    "ecstaskexecutionrole",
    "ECSTASKEXECUTIONROLE",
    "EcsTaskExecutionRole",
    "ecsTaskExecutionrole",
    "ecsTaskExecutionRole-app",
    "ecsTaskExecutionRoles",
    "ecsTaskExecutionRol",
    "ecsTaskExecutionRole2",
    "ecsTaskExecutionRole_",
    "xecsTaskExecutionRole",
    "ECSTaskExecution",
    "ECSTaskExecution-app",
    "ECSTaskExecutionRole",
    "ECSTaskExecutionRole-orders.api",
    "ECSTaskExecution+1",
    "ECSTaskExecutio",
    "ECSTaskexecution-app",
    "EcsTaskExecution-app",
    "ecsTaskExecution-app",
    "my-ECSTaskExecution",
    "apps/ecsTaskExecutionRole",
    "apps/ECSTaskExecutionRole-x",
    "a/b/ECSTaskExecutionX",
    "ECSTaskExecutionX/Admin",
    "ECSTaskExecution/ecsTaskExecutionRole",
    "ecsTaskExecutionRole/x",
    "ECSTaskExecutionRoles/deep/er/worker",
    "orders-api-task",
    "service-role/ecsTaskExecutionRole",
    "service-role/ECSTaskExecutionRole",
    "arn:aws:iam::111122223333:role/ecsTaskExecutionRole-arn",
    "arn:aws:iam::111122223333:role/ECSTaskExecution-arn",
    "arn:aws:iam::111122223333:role/apps/ECSTaskExecution-arn",
    "arn:aws:iam::111122223333:role/ECSTaskExecution/arn",
    "Admin",
    "role",
    "ecs",
    "task.role@orders",
    "task=role,orders",
)
HOOKS = ("CodeDeployHook_a", "CodeDeployHook_", "codeDeployHook_a", "CodeDeployHookx", "my-CodeDeployHook_a", "smoke")
TOPICS = ("CodeDeployTopic_a", "CodeDeployTopic-a", "CODEDEPLOYTOPIC_a", "alerts", "a_CodeDeployTopic_")
REFUSED = (
    "arn:aws:iam::999988887777:role/ecsTaskExecutionRole",
    "arn:aws-cn:iam::111122223333:role/ecsTaskExecutionRole",
    "arn:aws-us-gov:iam::111122223333:role/ECSTaskExecution-x",
    "arn:aws:iam::111122223333:user/ecsTaskExecutionRole",
    "arn:aws:iam:eu-central-1:111122223333:role/x",
    "arn:aws:iam::aws:role/x",
    "ECSTaskExecution*",
    "ecsTaskExecutionRol?",
    "<ecsTaskExecutionRole>",
    "ecsTaskExecutiоnRole",
    "r" * 65,
    "a b",
)
USED = {
    "uses_services": "on",
    "services": "shop/orders-api",
    "listeners": "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/orders/50dc6c495c0c9188/f2f7dc8e",
    "uses_hooks": "on",
    "hooks": "\n".join((*HOOKS[:1], *HOOKS[2:])),
    "uses_topics": "on",
    "topics": "\n".join(TOPICS),
    "uses_bundles": "on",
    "bundles": "releases/orders/",
    "region": "eu-central-1",
}


def answers(managed: str, **more: str) -> dict[str, str]:
    roles = {"execution_roles": "\n".join(ROLES[:20]), "task_roles": "\n".join(ROLES[20:])}
    why = {"managed_policy": managed, "why_full": "Limited cannot reach the shared hooks"}
    return {**ROLE_ANSWERS, **roles, **why, **USED, **more}


def said(client: Client, managed: str, **more: str) -> dict[str, tuple[bool, str]]:
    """Returns, by ARN, whether the form calls a named thing covered, and its sentence."""
    response = client.post(
        "/requests/preview/", {"kind": "role", **answers(managed, **more)}, headers={"HX-Request": "true"}
    )
    rows = re.findall(r'data-tone="(ok|info)" data-arn="([^"]+)">.*?<span>(.*?)</span></li>', text_of(response))
    return {html.unescape(arn): (tone == "ok", re.sub(r"<[^>]+>", "", words)) for tone, arn, words in rows}


def sent(client: Client, managed: str) -> RoleFacts:
    location = client.post("/requests/new/role/", answers(managed))["Location"]
    client.post(location)
    read = facts.read(Revision.objects.get().facts)
    assert isinstance(read, RoleFacts)
    return read


def calls(read: RoleFacts) -> dict[str, Request]:
    roles = {
        arn: Request("iam:PassRole", arn, {"iam:PassedToService": "ecs-tasks.amazonaws.com"})
        for arn in (*read.execution_roles, *read.task_roles)
    }
    hooks = {arn: Request("lambda:InvokeFunction", arn, {}) for arn in read.hooks}
    topics = {arn: Request("sns:Publish", arn, {}) for arn in read.topics}
    files = {arn: Request("s3:GetObject", arn.replace("*", "appspec.yaml"), {}) for arn in read.bundles}
    return {**roles, **hooks, **topics, **files}


@pytest.mark.parametrize("managed", ["limited", "full", "scoped"])
def test_the_form_says_covered_exactly_where_the_evaluator_allows(client: Client, managed: str) -> None:
    shown = said(client, managed)
    read = sent(client, managed)
    asked = calls(read)
    policy = managed_policy(read)
    given: Any = [policy.document] if policy else []
    own = [one.document for one in build_desired(read).policies.values()]
    assert len(asked) >= len(ROLES) + 10
    assert {arn: covered for arn, (covered, _) in shown.items()} == {
        arn: bool(given) and evaluate(given, None, request).allowed for arn, request in asked.items()
    }
    assert [arn for arn, request in asked.items() if not evaluate([*given, *own], None, request).allowed] == []
    for arn, (covered, words) in shown.items():
        assert arn.rsplit(":", 1)[-1].removeprefix("role/").removesuffix("*").rsplit("/", 2)[-1] in words
        assert ("already covers" in words) is covered


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_cannot_work_is_refused_and_granted_nothing(client: Client, name: str) -> None:
    response = client.post("/requests/new/role/", {**ROLE_ANSWERS, "task_roles": name})
    assert response.status_code == 422
    assert 'href="#id_task_roles"' in text_of(response)


def test_the_traps_are_told_with_the_ways_out(client: Client) -> None:
    shown = {arn.split(":", 5)[-1]: words for arn, (_, words) in said(client, "limited").items()}
    assert (
        "ecsTaskExecutionRole-app is not covered by Limited, capitals matter." in shown["role/ecsTaskExecutionRole-app"]
    )
    assert "is not covered by Limited because of its path." in shown["role/apps/ECSTaskExecutionRole-x"]
    assert shown["function:codeDeployHook_a"].startswith(
        "codeDeployHook_a is not covered by Limited: capitals matter. A statement for exactly codeDeployHook_a is "
        "added; or rename it CodeDeployHook_a."
    )
    assert "its name does not start with CodeDeployTopic_" in shown["alerts"]
    assert "aws s3api put-object-tagging --bucket releases --key 'orders/appspec.yaml'" in html.unescape(
        shown["releases/orders/*"]
    )
    tagged = {arn: covered for arn, (covered, _) in said(client, "limited", bundles_tagged="on").items()}
    assert tagged["arn:aws:s3:::releases/orders/*"]
