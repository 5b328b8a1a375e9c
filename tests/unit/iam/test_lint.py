# ruff: noqa: E501  (tables read best with one case a line)
"""Findings: each rule has a document that gives it and a near miss that does not; the standard folds what it gives."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from iamroles.iam import catalogue, documents, trust
from iamroles.iam.documents import Document
from iamroles.iam.lint import Finding, LintFacts, lint

A = "111122223333"
FULL = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS).document
LIMITED = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document
STANDARD = LintFacts(standard=(LIMITED, trust.codedeploy_trust(A)))
ROLE = f"arn:aws:iam::{A}:role/orders-task"
TASKS = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


def identity(*statements: dict[str, Any], version: str = "2012-10-17") -> Document:
    return documents.parse({"Version": version, "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", condition: Any = None) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return statement if condition is None else {**statement, "Condition": condition}


def passing(resource: Any = ROLE, condition: Any = TASKS) -> Document:
    return identity(allow("iam:PassRole", resource, condition))


def trusting(
    principal: Any = None, condition: Any = None, action: Any = "sts:AssumeRole", element: str = "Principal"
) -> Document:
    statement = {"Effect": "Allow", element: principal or {"Service": "codedeploy.amazonaws.com"}, "Action": action}
    if condition is not None:
        statement["Condition"] = condition
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]}, "trust")


def ids(document: Document, facts: LintFacts | None = None, *, folded: bool = False) -> list[str]:
    found = lint(document, document.kind, A, facts)
    return [one.id for one in found if folded or not one.standard]


def rated(document: Document, facts: LintFacts | None = None) -> list[tuple[str, str, bool]]:
    return [(one.id, one.severity, one.will_not_work) for one in lint(document, document.kind, A, facts)]


OWN = {"StringEquals": {"aws:SourceAccount": A}}


class TestStandard:
    def test_limited_with_the_hardened_trust_has_nothing_unfolded(self) -> None:
        assert ids(LIMITED, STANDARD) == []
        assert ids(trust.codedeploy_trust(A), STANDARD) == []
        assert ids(LIMITED, STANDARD, folded=True) == ["PR03", "PR11", "PR11", "RS05", "RS04", "PE05"]

    def test_full_stands_out_by_what_it_adds(self) -> None:
        assert ids(FULL, STANDARD) == ["PR02", "RS01", "RS02", "RS03", "PE05"]

    def test_nothing_folds_without_a_standard(self) -> None:
        assert ids(LIMITED) == ids(LIMITED, STANDARD, folded=True)

    def test_500_standard_requests_have_nothing_unfolded(self) -> None:
        rng = random.Random(500)
        letters = string.ascii_letters + string.digits + "+=,.@-_"
        for _ in range(500):
            account = "".join(rng.choices(string.digits, k=12))
            names = ["".join(rng.choices(letters, k=rng.randint(1, 64))) for _ in range(rng.randint(1, 3))]
            arns = [f"arn:aws:iam::{account}:role/{name}" for name in names]
            hardened = trust.codedeploy_trust(account)
            facts = LintFacts(standard=(LIMITED, hardened), expected_trust=("codedeploy.amazonaws.com",))
            grant = passing(arns)
            assert lint(grant, "identity", account, facts) == ()
            assert lint(hardened, "trust", account, facts) == ()

    @pytest.mark.parametrize(
        "document",
        [
            passing([ROLE, f"arn:aws:iam::{A}:role/orders-*"]),
            passing("*"),
            passing(ROLE, {"StringLike": {"iam:PassedToService": "*"}}),
            passing(ROLE, {"StringEquals": {"iam:PassedToService": ["ecs-tasks.amazonaws.com", "ec2.amazonaws.com"]}}),
            passing(ROLE, {"StringEqualsIfExists": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}),
            passing(ROLE, {}),
            passing(f"arn:aws:iam::*:role/{A}"),
            identity(allow(["iam:PassRole", "sts:AssumeRole"], "*", TASKS)),
            trusting({"Service": ["codedeploy.amazonaws.com", "ec2.amazonaws.com"]}, OWN),
            trusting(None, {"StringLike": {"aws:SourceAccount": "*"}}),
            trusting(None, {"StringEquals": {"aws:SourceAccount": [A, "999922223333"]}}),
            trusting(None, {"StringEqualsIfExists": {"aws:SourceAccount": A}}),
            trusting({"AWS": "*"}),
            trusting(None, OWN, "sts:*"),
        ],
    )
    def test_no_widening_of_one_is_without_a_finding(self, document: Document) -> None:
        found = [one for one in lint(document, document.kind, A, STANDARD) if not one.standard]
        assert {one.severity for one in found} & {"medium", "high", "forbidden"}


class TestBeyondTheStandard:
    def test_needs_are_not_beyond_it_and_more_is(self) -> None:
        facts = LintFacts(standard=STANDARD.standard, needs=(passing(),))
        assert rated(passing(), facts) == []
        assert rated(passing([ROLE, ROLE + "-b"]), facts) == [("ST01", "medium", False)]
        assert rated(identity(allow("sqs:SendMessage", f"arn:aws:sqs:eu-central-1:{A}:q")), facts) == [
            ("ST01", "medium", False)
        ]
        assert ids(FULL, facts) == ["PR02", "RS01", "RS02", "RS03", "PE05"]


class TestPassRole:
    @pytest.mark.parametrize(
        ("document", "expected"),
        [
            (passing(), []),
            (passing("*", {}), [("PR01", "forbidden", False)]),
            (passing(f"arn:aws:iam::{A}:role/*"), [("PR02", "high", False)]),
            (passing(ROLE + "*"), [("PR03", "high", False)]),
            (passing([ROLE, ROLE + "-b", "arn:aws:sns:*:*:t*"]), []),
            (passing(ROLE, {}), [("PR04", "high", False)]),
            (
                passing(ROLE, {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
                [("PR05", "medium", False)],
            ),
            (
                passing(ROLE, {"StringEqualsIfExists": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}),
                [("PR06", "high", False)],
            ),
            (passing("arn:aws:iam::999922223333:role/x"), [("PR10", "high", True)]),
            (passing("arn:aws:iam::*:role/x"), [("PR11", "medium", False)]),
            (passing(f"arn:aws:iam::{A}:role/aws-service-role/x"), [("PR12", "medium", False)]),
            (passing(ROLE, {**TASKS, "StringLike": {"aws:ResourceTag/team": "a"}}), [("PR13", "medium", False)]),
        ],
    )
    def test_each_rule(self, document: Document, expected: list[tuple[str, str, bool]]) -> None:
        assert rated(document) == expected

    def test_owned_prefixes_are_milder(self) -> None:
        assert rated(passing(ROLE + "*"), LintFacts(owned_prefixes=("orders-",))) == [("PR03", "medium", False)]

    def test_not_action_reaches_it(self) -> None:
        document = identity({"Effect": "Allow", "NotAction": "s3:*", "Resource": ROLE, "Condition": TASKS})
        assert "PR14" in ids(document)

    def test_expected_grants_make_another_service_high(self) -> None:
        facts = LintFacts(expected_grants={ROLE: "codedeploy.amazonaws.com"})
        assert rated(passing(), facts) == [("PR05", "high", False)]

    def test_a_deny_takes_findings_away(self) -> None:
        deny = {"Effect": "Deny", "Action": "iam:PassRole", "Resource": "*"}
        document = identity(allow("iam:PassRole", "*"), deny)
        assert not [one for one in ids(document) if one.startswith("PR")]

    def test_messages_name_what_the_person_wrote(self) -> None:
        assert lint(passing("arn:aws:iam::999922223333:role/x"), "identity", A) == (
            Finding(
                id="PR10",
                severity="high",
                will_not_work=True,
                statement=0,
                message="x is a role of AWS account 999922223333. Roles cannot be passed across accounts.",
                fix="Name a role of AWS account 111122223333.",
            ),
        )


class TestReach:
    @pytest.mark.parametrize(
        ("document", "expected"),
        [
            (identity(allow("lambda:InvokeFunction")), [("RS01", "high", False)]),
            (identity(allow("lambda:InvokeFunction", f"arn:aws:lambda:us-east-1:{A}:function:hook")), []),
            (identity(allow("s3:GetObject")), [("RS02", "high", False)]),
            (identity(allow("s3:GetObject", "*", {"StringEquals": {"s3:ExistingObjectTag/x": "y"}})), []),
            (
                identity(allow("s3:GetObject", "*", {"StringEqualsIfExists": {"s3:ExistingObjectTag/x": "y"}})),
                [("RS02", "high", False)],
            ),
            (identity(allow("sns:Publish")), [("RS03", "medium", False)]),
            (identity(allow("elasticloadbalancing:ModifyRule")), [("RS04", "medium", False)]),
            (identity(allow("ecs:DeleteTaskSet")), [("RS05", "medium", False)]),
            (
                identity(
                    allow(
                        "ecs:CreateTaskSet", "*", {"ArnEquals": {"ecs:cluster": f"arn:aws:ecs:us-east-1:{A}:cluster/c"}}
                    )
                ),
                [],
            ),
        ],
    )
    def test_each_rule(self, document: Document, expected: list[tuple[str, str, bool]]) -> None:
        assert rated(document) == expected


class TestTrust:
    @pytest.mark.parametrize(
        ("document", "expected"),
        [
            (trusting(None, OWN), []),
            (trusting(), [("TR03", "medium", False)]),
            (trusting("*"), [("TR01", "forbidden", False)]),
            (
                trusting({"Service": ["codedeploy.amazonaws.com", "ec2.amazonaws.com"]}, OWN),
                [("TR02", "medium", False)],
            ),
            (trusting({"Service": "codedeploy.eu-west-1.amazonaws.com"}, OWN), [("TR02", "note", False)]),
            (trusting({"AWS": ROLE}), [("TR02", "medium", False)]),
            (
                trusting(
                    None,
                    {
                        **OWN,
                        "ArnLike": {"aws:SourceArn": "arn:aws:codedeploy:us-east-1:999922223333:deploymentgroup:a/b"},
                    },
                ),
                [("TR04", "medium", True)],
            ),
            (trusting({"AWS": ROLE}, None, "sts:AssumeRole", "NotPrincipal"), [("TR05", "forbidden", False)]),
            (trusting(None, {"StringEquals": {"aws:SourceAccount": "999922223333"}}), [("TR06", "forbidden", False)]),
            (
                trusting(None, {"ArnLike": {"aws:SourceArn": "arn:aws:codedeploy:*:*:deploymentgroup:a/*"}}),
                [("TR06", "forbidden", False)],
            ),
            (trusting(None, {"ArnLike": {"aws:SourceArn": f"arn:aws:codedeploy:*:{A}:deploymentgroup:a/*"}}), []),
            (trusting(None, OWN, ["sts:AssumeRole", "sts:TagSession"]), [("TR08", "high", False)]),
        ],
    )
    def test_each_rule(self, document: Document, expected: list[tuple[str, str, bool]]) -> None:
        assert rated(document) == expected

    def test_expected_principals_make_others_high(self) -> None:
        facts = LintFacts(expected_trust=("codedeploy.amazonaws.com",))
        assert rated(trust.ecs_tasks_trust(A), facts) == [("TR02", "high", False)]


class TestEscalation:
    @pytest.mark.parametrize(
        ("actions", "expected"),
        [
            ("iam:CreatePolicyVersion", ["PE01"]),
            ("iam:Attach*", ["PE01"]),
            ("sts:AssumeRole", ["PE01"]),
            ("organizations:LeaveOrganization", ["PE01"]),
            ("organizations:DescribeAccount", []),
            ("ecs:ExecuteCommand", ["PE03"]),
            ("cloudformation:CreateChangeSet", []),
            (["cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"], ["PE03"]),
            ("codedeploy:UpdateDeploymentGroup", ["PE06"]),
            (["ecs:CreateTaskSet"], ["RS05"]),
        ],
    )
    def test_alone(self, actions: Any, expected: list[str]) -> None:
        assert ids(identity(allow(actions))) == expected

    def test_pass_role_and_compute(self) -> None:
        run = allow("ecs:RunTask")
        assert ids(identity(allow("iam:PassRole", ROLE, TASKS), run)) == ["PE02"]
        assert (
            ids(
                identity(
                    allow("iam:PassRole", ROLE, {"StringEquals": {"iam:PassedToService": "codedeploy.amazonaws.com"}}),
                    run,
                )
            )
            == []
        )

    def test_registering_for_ones_own_service_is_what_a_deployer_does(self) -> None:
        """Named roles, named service: a note. Any other role, any other service, or running tasks alone: high."""
        service = "arn:aws:ecs:*:111122223333:service/orders/checkout"
        facts = LintFacts(expected_grants={ROLE: "ecs-tasks.amazonaws.com"})
        passes, registers = allow("iam:PassRole", ROLE, TASKS), allow("ecs:RegisterTaskDefinition")
        updates = allow("ecs:UpdateService", service)
        assert ids(identity(passes, registers, updates), facts) == ["PE05"]
        assert ids(identity(passes, registers, updates)) == ["PE02", "PE05"]
        assert ids(identity(passes, registers, allow("ecs:UpdateService")), facts) == ["PE02", "PE05"]
        assert ids(identity(passes, registers, updates, allow("ecs:RunTask")), facts) == ["PE02", "PE05"]
        more = allow("iam:PassRole", [ROLE, f"{ROLE}-admin"], TASKS)
        assert ids(identity(more, registers, updates), facts) == ["PE02", "PE05"]
        any_role = LintFacts(expected_grants={"*": "ecs-tasks.amazonaws.com"})
        assert ids(identity(passes, registers, updates), any_role) == ["PE02", "PE05"]

    def test_across_policies(self) -> None:
        assert ids(passing(), LintFacts(rest=(identity(allow("ecs:RunTask")),))) == ["PE04"]


class TestForm:
    @pytest.mark.parametrize(
        ("document", "expected"),
        [
            (
                identity(allow("sns:Publish", "arn:aws:sns:*:*:t"), allow("sns:*", "arn:aws:sns:*:*:t*")),
                [("DU01", "note", False)],
            ),
            (
                identity(
                    allow(
                        "sqs:Send",
                        "arn:aws:sqs:a:b:c",
                        {"StringEquals": {"aws:userid": "a"}, "Null": {"aws:userid": "true"}},
                    )
                ),
                [("DU02", "note", False)],
            ),
            (identity(allow("sqs:Send", "*", {"StringEquals": {"aws:userid": "a*"}})), [("DU03", "medium", False)]),
            (
                identity(allow("sqs:Send", "*", {"StringLike": {"aws:SourceArn": "arn:aws:sqs:a:b:c*"}})),
                [("DU04", "note", False)],
            ),
            (
                identity(allow("sqs:Send", "*", {"ForAllValues:StringEquals": {"aws:TagKeys": "a"}})),
                [("DU05", "high", False)],
            ),
            (
                identity(
                    allow(
                        "sqs:Send",
                        "*",
                        {"ForAllValues:StringEquals": {"aws:TagKeys": "a"}, "Null": {"aws:TagKeys": "false"}},
                    )
                ),
                [],
            ),
            (identity(allow("ecs:CreateTaskSets", "*")), [("DU06", "note", False)]),
            (identity(allow("sqs:Send", "*", {"StringEquals": {"aws:username2": "a"}})), [("DU06", "note", False)]),
            (
                identity(allow("sqs:Send", "arn:aws:sqs:a:b:${aws:username}"), version="2008-10-17"),
                [("DU07", "medium", True)],
            ),
            (
                identity(allow("sqs:Send", [f"arn:aws:sqs:a:b:{index:0100d}" for index in range(60)])),
                [("DU08", "medium", True)],
            ),
            (identity(allow("sqs:Send", "arn:aws:sqs:a:<aws_account_id>:c")), [("VA09", "medium", True)]),
            (identity(allow("sqs:Send", "arn:aws:sqs:a:b:\u0421")), [("VA10", "high", True)]),
        ],
    )
    def test_each_rule(self, document: Document, expected: list[tuple[str, str, bool]]) -> None:
        assert rated(document) == expected

    @pytest.mark.parametrize(
        ("text", "rule"), [("{", "VA11"), ('{"a":1,"a":2}', "VA11"), ("[" * 50, "VA12"), (" " * 200_000, "VA12")]
    )
    def test_a_malformed_document_is_a_finding(self, text: str, rule: str) -> None:
        found = lint(text)
        assert [(one.id, one.severity, one.will_not_work, one.statement) for one in found] == [
            (rule, "medium", True, None)
        ]


class TestNeeds:
    def test_the_traps_in_the_persons_own_names(self) -> None:
        def role(name: str) -> str:
            return f"arn:aws:iam::{A}:role/{name}"

        facts = LintFacts(
            standard=STANDARD.standard,
            execution_roles=(
                role("ecsTaskExecutionRole-app"),
                role("apps/ECSTaskExecutionX"),
                role("runner"),
                role("ECSTaskExecutionY"),
            ),
            task_roles=(role("orders-task"),),
            hooks=(f"arn:aws:lambda:us-east-1:{A}:function:hook",),
            topics=(f"arn:aws:sns:us-east-1:{A}:CodeDeployTopic_x",),
            bundles=("arn:aws:s3:::bundles/app.zip",),
            bundles_tagged=False,
        )
        found = [one for one in lint(LIMITED, "identity", A, facts) if not one.standard]
        assert [(one.id, one.message) for one in found] == [
            (
                "LM02",
                "Deployments with ecsTaskExecutionRole-app will fail: Limited does not cover it, capitals matter.",
            ),
            (
                "LM03",
                "Deployments with ECSTaskExecutionX will fail: Limited does not cover it because of its path /apps/.",
            ),
            ("LM01", "Limited does not let runner be passed to ECS tasks. It needs a grant."),
            ("LM06", "Limited does not let orders-task be passed to ECS tasks. It needs a grant."),
            (
                "LM07",
                "Deployments with hook will fail: Limited does not reach it, its name does not start with CodeDeployHook_.",
            ),
            (
                "LM07",
                "Deployments with bundles/app.zip will fail: Limited does not reach it, it lacks the tag UseWithCodeDeploy = true.",
            ),
        ]
        assert {(one.severity, one.will_not_work) for one in found} == {("medium", True)}

    def test_a_grant_ends_the_need(self) -> None:
        facts = LintFacts(standard=STANDARD.standard, task_roles=(ROLE,), rest=(passing(),))
        assert ids(LIMITED, facts) == ["PE05"]

    def test_full_makes_a_grant_redundant(self) -> None:
        assert "LM04" in ids(passing(), LintFacts(rest=(FULL,), policy_label="Full"))
        assert "LM04" not in ids(passing(), LintFacts(rest=(LIMITED,)))

    def test_a_passed_role_must_trust_the_tasks(self) -> None:
        wrong, right = trusting(None, OWN), trust.ecs_tasks_trust(A)
        both = documents.parse(
            {
                "Version": "2012-10-17",
                "Statement": [*right.as_mapping()["Statement"], {**wrong.as_mapping()["Statement"][0], "Sid": "B"}],
            },
            "trust",
        )
        assert rated(passing(), LintFacts(passed={ROLE: wrong})) == [("PR08", "high", True)]
        assert rated(passing(), LintFacts(passed={ROLE: right})) == []
        assert rated(passing(), LintFacts(passed={ROLE: both})) == [("PR09", "medium", False)]


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ("arn:aws:iam::1234:role/x", "An AWS account has 12 digits, not '1234' as in arn:aws:iam::1234:role/x."),
        ("arn:aws:iam:eu-central-1:111122223333:role/x", "IAM ARNs have no region. Remove 'eu-central-1' from arn:aws:iam:eu-central-1:111122223333:role/x."),
        ("arn:aws-mars:sqs:::q", "There is no AWS partition 'aws-mars', as in arn:aws-mars:sqs:::q."),
        (["arn:aws:sqs:r::q", "arn:aws-cn:sqs:r::q"], "ARNs of aws and of aws-cn stand in one document. Split it."),
        ("arn:aws:s3:::" + "a" * 2040, f"An ARN can have 2,048 characters. arn:aws:s3:::{'a' * 47}… has 2,053."),
        (["arn:*:iam::*:role/x", "arn:aws:iam::aws:policy/p", "arn:aws:iam::${aws:userid}:role/x", "arn:aws:s3:::a"], ""),
    ],
)  # fmt: skip
def test_arns_of_a_document(resource: Any, message: str) -> None:
    found = [one for one in lint(identity(allow("s3:GetObject", resource)), "identity", A) if one.id == "VA08"]
    assert [(one.severity, one.will_not_work, one.message) for one in found] == (
        [("medium", True, message)] if message else []
    )
