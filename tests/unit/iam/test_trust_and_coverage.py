# ruff: noqa: E501  (tables read best with one case a line)
"""Trust policies that we write or compare, and whether roles are covered: form and evaluator must agree."""

from __future__ import annotations

from typing import Any

import pytest

from iamroles.iam import catalogue, coverage, documents, trust
from iamroles.iam.arns import ArnError, parse_arn, policy_arn, role_arn, role_name_of, split_role
from iamroles.iam.coverage import Coverage

A = "111122223333"
CODEDEPLOY = "codedeploy.amazonaws.com"


class TestWritten:
    def test_forms(self) -> None:
        plain = {"Sid": "", "Effect": "Allow", "Principal": {"Service": [CODEDEPLOY]}, "Action": "sts:AssumeRole"}
        group = f"arn:aws:codedeploy:us-east-1:{A}:deploymentgroup:myApplication/*"

        def mapping(condition: Any) -> dict[str, Any]:
            return {
                "Version": "2012-10-17",
                "Statement": [plain if condition is None else {**plain, "Condition": condition}],
            }

        assert trust.codedeploy_trust(A).as_mapping() == mapping({"StringEquals": {"aws:SourceAccount": A}})
        assert trust.codedeploy_trust(A, source_account=False).as_mapping() == mapping(None)
        both = trust.codedeploy_trust(A, source_arn=group)
        assert both.as_mapping() == mapping(
            {"StringEquals": {"aws:SourceAccount": A}, "ArnLike": {"aws:SourceArn": group}}
        )
        assert documents.size(both) == 315

    def test_lets_in_whom_it_names(self) -> None:
        group = f"arn:aws:codedeploy:*:{A}:deploymentgroup:app/*"
        for document in (
            trust.codedeploy_trust(A),
            trust.codedeploy_trust(A, source_account=False),
            trust.codedeploy_trust(A, source_arn=group),
        ):
            assert trust.lets_in(document, CODEDEPLOY, A)
            assert not trust.lets_in(document, "ecs-tasks.amazonaws.com", A)
        assert not trust.lets_in(trust.codedeploy_trust(A), CODEDEPLOY, "999922223333")
        assert trust.lets_in(
            trust.ecs_tasks_trust(A, source_arn=f"arn:aws:ecs:us-west-2:{A}:*"), "ecs-tasks.amazonaws.com", A
        )


def changed(**elements: Any) -> documents.Document:
    value = trust.codedeploy_trust(A).as_mapping()
    value["Statement"][0].update(elements)
    return documents.parse(value, "trust")


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (trust.codedeploy_trust(A), "equal"),
        (changed(Sid="Named"), "equal"),
        (changed(Action=["sts:AssumeRole", "sts:assumerole"]), "equal"),
        (trust.codedeploy_trust(A, source_arn=f"arn:aws:codedeploy:us-east-1:{A}:deploymentgroup:a/*"), "narrower"),
        (
            trust.codedeploy_trust(A, source_arn="arn:aws:codedeploy:us-east-1:999922223333:deploymentgroup:a/*"),
            "different",
        ),
        (changed(Condition={"StringEquals": {"aws:SourceAccount": A, "aws:PrincipalOrgID": "o-1"}}), "different"),
        (trust.codedeploy_trust(A, source_account=False), "different"),
        (trust.ecs_tasks_trust(A), "different"),
        (changed(Principal={"Service": [CODEDEPLOY, "ec2.amazonaws.com"]}), "different"),
        (changed(Effect="Deny"), "different"),
    ],
)
def test_trust_state(live: documents.Document, expected: str) -> None:
    assert trust.trust_state(live, trust.codedeploy_trust(A), CODEDEPLOY, A) == expected


def test_plain_form_accepts_the_hardened_one_as_narrower() -> None:
    plain = trust.codedeploy_trust(A, source_account=False)
    assert trust.trust_state(trust.codedeploy_trust(A), plain, CODEDEPLOY, A) == "narrower"


LIMITED = [catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("ecsTaskExecutionRole", Coverage(True, None, "Limited already covers ecsTaskExecutionRole.")),
        ("ECSTaskExecutionRole-app", Coverage(True, None, "Limited already covers ECSTaskExecutionRole-app.")),
        ("ECSTaskExecutionX/Admin", Coverage(True, None, "Limited already covers Admin.")),
        (
            "ecsTaskExecutionRole-app",
            Coverage(
                False,
                "case",
                "Deployments with ecsTaskExecutionRole-app will fail: Limited does not cover it, capitals matter.",
            ),
        ),
        (
            "ecsTaskexecutionRole",
            Coverage(
                False,
                "case",
                "Deployments with ecsTaskexecutionRole will fail: Limited does not cover it, capitals matter.",
            ),
        ),
        (
            "apps/ECSTaskExecutionX",
            Coverage(
                False,
                "path",
                "Deployments with ECSTaskExecutionX will fail: Limited does not cover it because of its path /apps/.",
            ),
        ),
        (
            "apps/ecstaskexecutionx",
            Coverage(
                False,
                "case_and_path",
                "Deployments with ecstaskexecutionx will fail: Limited does not cover it, capitals matter, and so does its path /apps/.",
            ),
        ),
        (
            "orders-task",
            Coverage(False, None, "Limited does not let orders-task be passed to ECS tasks. It needs a grant."),
        ),
    ],
)
def test_coverage_by_limited(role: str, expected: Coverage) -> None:
    assert coverage.explain_passrole(f"arn:aws:iam::{A}:role/{role}", LIMITED, "Limited") == expected


def test_a_grant_under_another_condition_does_not_count() -> None:
    statement = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": f"arn:aws:iam::{A}:role/x",
        "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com", "aws:PrincipalTag/a": "b"}},
    }
    document = documents.parse({"Version": "2012-10-17", "Statement": [statement]})
    assert not coverage.covers_passrole([document], f"arn:aws:iam::{A}:role/x")


class TestNeeds:
    HOOK = f"arn:aws:lambda:us-east-1:{A}:function:CodeDeployHook_x"
    TOPIC = f"arn:aws:sns:us-east-1:{A}:alarms"
    BUNDLE = "arn:aws:s3:::bundles/app.zip"

    def test_the_delta_is_what_is_missing_and_no_part_of_it_can_go(self) -> None:
        role = f"arn:aws:iam::{A}:role/"
        needs = [
            coverage.pass_role(role + "ecsTaskExecutionRole"),
            coverage.pass_role(role + "orders-task"),
            coverage.pass_role(role + "orders-task"),
            coverage.call_hook(self.HOOK),
            coverage.publish_to(self.TOPIC),
            coverage.read_bundle(self.BUNDLE, tagged=True),
            coverage.read_bundle(self.BUNDLE, tagged=False),
        ]
        missing = coverage.not_covered(needs, LIMITED)
        assert set(missing) == {needs[1], needs[4], needs[6]}
        assert coverage.not_covered(reversed(needs), LIMITED) == missing
        delta = [need.document for need in missing]
        assert coverage.not_covered(needs, [*LIMITED, *delta]) == ()
        for one in missing:
            rest = [need.document for need in missing if need != one]
            assert one in coverage.not_covered(needs, [*LIMITED, *rest])

    def test_nothing_attached_covers_nothing(self) -> None:
        need = coverage.call_hook(self.HOOK)
        assert coverage.not_covered([need], []) == (need,)


class TestArns:
    def test_roles(self) -> None:
        arn = role_arn("aws", A, "x", "/apps/orders/")
        assert arn == f"arn:aws:iam::{A}:role/apps/orders/x"
        assert (split_role(arn), role_name_of(arn), split_role(role_arn("aws", A, "x"))) == (
            ("/apps/orders/", "x"),
            "x",
            ("/", "x"),
        )
        assert policy_arn("aws-cn", A, "p", "/d/") == f"arn:aws-cn:iam::{A}:policy/d/p"
        assert str(parse_arn("arn:aws:sns:r:1:a:b")) == "arn:aws:sns:r:1:a:b"

    @pytest.mark.parametrize(
        "text",
        ["", "arn", "arn:aws:iam::1:", "arn::iam::1:role/x", f"arn:aws:iam::{A}:user/x", f"arn:aws:iam::{A}:role/x/"],
    )
    def test_refuses_other_texts(self, text: str) -> None:
        with pytest.raises(ArnError):
            role_name_of(text)
