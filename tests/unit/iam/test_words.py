# ruff: noqa: E501  (sentences read best on one line)
"""Sentences: for documents, for differences, and words for every action of the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from iamroles.iam import catalogue, documents, trust, wording
from iamroles.iam.diff import diff
from iamroles.iam.documents import Document

A = "111122223333"
FULL = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS).document
LIMITED = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document
TASKS = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


def grant(*names: str, condition: Any = None) -> Document:
    statement = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": [f"arn:aws:iam::{A}:role/{name}" for name in names],
        "Condition": TASKS if condition is None else condition,
    }
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]})


class TestDocuments:
    def test_limited(self) -> None:
        assert wording.sentences(LIMITED) == (
            "May read, start new tasks in, move traffic between task sets of and remove task sets from every ECS service; read every CloudWatch alarm.",
            "May publish to SNS topics named CodeDeployTopic_*.",
            "May read every target group; read and change every load balancer listener; read and change every load balancer rule.",
            "May call Lambda functions named CodeDeployHook_*.",
            "May read and read old versions of every S3 object, if s3:ExistingObjectTag/UseWithCodeDeploy is true.",
            "May pass roles named ecsTaskExecutionRole or ECSTaskExecution* to ECS tasks (ecs-tasks.amazonaws.com), and to no other service.",
        )

    @pytest.mark.parametrize(
        ("document", "expected"),
        [
            (grant("app"), "May pass the role app to ECS tasks (ecs-tasks.amazonaws.com), and to no other service."),
            (
                grant("a", "apps/b"),
                "May pass the roles a and apps/b to ECS tasks (ecs-tasks.amazonaws.com), and to no other service.",
            ),
            (grant("app", condition={}), "May pass the role app to any service."),
            (
                trust.codedeploy_trust(A),
                "CodeDeploy in AWS account 111122223333 may use this role, only for that account's own deployments.",
            ),
            (
                trust.codedeploy_trust(A, source_account=False),
                "CodeDeploy may use this role, for any AWS account: nothing checks whom the service acts for.",
            ),
            (
                trust.ecs_tasks_trust(A),
                "ECS tasks in AWS account 111122223333 may use this role, only for that account.",
            ),
        ],
    )
    def test_one_sentence_a_statement(self, document: Document, expected: str) -> None:
        assert wording.sentences(document) == (expected,)

    def test_unknown_actions_are_quoted(self) -> None:
        statement = {"Effect": "Deny", "Action": ["sqs:SendMessage", "s3:Get*"], "NotResource": "arn:aws:sqs:r:1:q"}
        document = documents.parse({"Version": "2012-10-17", "Statement": statement})
        assert wording.sentences(document) == ("Must never use sqs:SendMessage and s3:Get* on every resource but q.",)

    def test_every_action_of_the_catalogue_has_words(self) -> None:
        for name, action in catalogue.actions().items():
            document = documents.parse({"Statement": {"Effect": "Allow", "Action": name, "Resource": "*"}})
            sentence = wording.sentences(document)[0]
            assert action.verb in sentence, name
            assert name not in sentence, name

    def test_every_action_of_both_managed_policies_is_in_the_catalogue(self) -> None:
        for policy in catalogue.managed_policies():
            for statement in policy.document.statements:
                assert {action.lower() for action in statement.actions} <= set(catalogue.actions())


class TestDiff:
    def test_limited_to_full(self) -> None:
        assert diff(LIMITED, FULL).sentences == (
            "Can now read and read old versions of every S3 object, unless s3:ExistingObjectTag/UseWithCodeDeploy is true.",
            "Can now call every Lambda function, not only those named CodeDeployHook_*.",
            "Can now publish to every SNS topic, not only those named CodeDeployTopic_*.",
            "Can now pass every role to ECS tasks (ecs-tasks.amazonaws.com), not only those named ECSTaskExecution* or ecsTaskExecutionRole.",
        )

    def test_full_to_limited_is_the_reverse(self) -> None:
        there, back = diff(LIMITED, FULL), diff(FULL, LIMITED)
        assert (there.newly_allowed, there.no_longer_allowed) == (back.no_longer_allowed, back.newly_allowed)
        assert back.sentences[1] == "Can no longer call every Lambda function, except those named CodeDeployHook_*."

    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            (grant("a"), grant("a", "b"), ("Can now pass the role b to ECS tasks (ecs-tasks.amazonaws.com).",)),
            (grant("a", "b"), grant("a"), ("Can no longer pass the role b to ECS tasks (ecs-tasks.amazonaws.com).",)),
            (
                grant("a"),
                grant("a", condition={}),
                ("Can now pass the role a to any service, not only to ECS tasks (ecs-tasks.amazonaws.com).",),
            ),
            (
                trust.codedeploy_trust(A),
                trust.codedeploy_trust(A, source_account=False),
                ("CodeDeploy can now use this role, unless aws:SourceAccount is 111122223333.",),
            ),
            (
                trust.codedeploy_trust(A),
                trust.ecs_tasks_trust(A),
                (
                    "ECS tasks can now use this role, if aws:SourceAccount is 111122223333.",
                    "CodeDeploy can no longer use this role, if aws:SourceAccount is 111122223333.",
                ),
            ),
            (None, grant("a"), ("Can now pass the role a to ECS tasks (ecs-tasks.amazonaws.com).",)),
        ],
    )
    def test_changes(self, before: Document | None, after: Document, expected: tuple[str, ...]) -> None:
        assert diff(before, after).sentences == expected

    def test_a_new_deny_is_told_even_if_it_removes_nothing(self) -> None:
        value = grant("a").as_mapping()
        value["Statement"].append({"Effect": "Deny", "Action": "sns:Publish", "Resource": "*"})
        assert diff(grant("a"), documents.parse(value)).sentences == (
            "Is now explicitly denied to publish to every SNS topic.",
        )
