# ruff: noqa: E501  (tables read best with one case a line)
"""Validators: what IAM refuses and simulators accept, each with its sentence."""

from __future__ import annotations

from typing import Any

import pytest

from iamroles.iam import documents, limits
from iamroles.iam.limits import Problem

A = "111122223333"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ecsCodeDeployRole", ()),
        ("a" * 64, ()),
        ("_+=,.@-", ()),
        ("", (Problem("VA01", "Role name is missing. Enter one."),)),
        ("a" * 71, (Problem("VA01", "Role name can have 64 characters. This one has 71."),)),
        ("a b", (Problem("VA01", "Role name can have letters, digits and _+=,.@- only. This one holds a space."),)),
        (
            "a/b",
            (
                Problem(
                    "VA01", "Role name can have letters, digits and _+=,.@- only. This one holds '/', U+002F (solidus)."
                ),
            ),
        ),
        ("role\n", (Problem("VA01", "Role name can have letters, digits and _+=,.@- only. This one holds U+000A."),)),
        ("ro\u200ble", (Problem("VA10", "Role name holds U+200B (zero width space). Type it again."),)),
        (
            "\u0430pp",
            (
                Problem(
                    "VA10",
                    "Role name holds '\u0430', U+0430 (cyrillic small letter a), a Cyrillic letter that can look like a Latin one. Type it again.",
                    look_alike=True,
                ),
            ),
        ),
        (
            "\uff21pp",
            (
                Problem(
                    "VA10",
                    "Role name holds '\uff21', U+FF21 (fullwidth latin capital letter a), which looks like 'A'. Type it again.",
                    look_alike=True,
                ),
            ),
        ),
        ("app\u0661", (Problem("VA10", "Role name holds '\u0661', U+0661 (arabic-indic digit one). Type it again."),)),
    ],
)
def test_role_names(value: str, expected: tuple[Problem, ...]) -> None:
    assert limits.check_role_name(value) == expected


def test_policy_names_may_be_longer() -> None:
    assert limits.check_policy_name("a" * 128) == ()
    assert limits.check_policy_name("a" * 129) == (
        Problem("VA01", "Policy name can have 128 characters. This one has 129."),
    )


@pytest.mark.parametrize(
    ("value", "role", "policy"),
    [
        ("/", True, True),
        ("/a/b/", True, True),
        ("a", False, False),
        ("/a", False, False),
        ("/a//b/", True, False),
        ("/a b/", False, False),
        ("/a*b/", True, False),
        ("/\u00e4/", False, False),
        ("/" + "a" * 510 + "/", True, True),
        ("/" + "a" * 511 + "/", False, False),
    ],
)
def test_paths(value: str, role: bool, policy: bool) -> None:
    assert (limits.check_role_path(value) == (), limits.check_policy_path(value) == ()) == (role, policy)


def test_descriptions() -> None:
    assert limits.check_role_description("Zürich\n" + "a" * 993) == ()
    assert limits.check_role_description("a" * 1001) == (
        Problem("VA03", "A description can have 1,000 characters. This one has 1,001."),
    )
    assert limits.check_role_description("a\u2013b") == (
        Problem("VA03", "IAM does not take '\u2013', U+2013 (en dash) in a description. Remove it."),
    )
    assert limits.check_policy_description("a\u2013b") == ()


@pytest.mark.parametrize(
    ("tags", "options", "expected"),
    [
        ({"team": "orders", "Größe": "5 µm"}, {}, []),
        ([("Team", "a"), ("team", "b")], {}, ["The tag keys Team and team are the same for IAM. Keep one of them."]),
        ({"AWS:x": "1"}, {}, ["Tag keys that begin with aws: are reserved. Rename AWS:x."]),
        ({"Portal:x": "1"}, {}, ["Tag keys that begin with portal: are reserved. Rename Portal:x."]),
        ({"": "1"}, {}, ["A tag key has 1 to 128 characters. This one has 0."]),
        ({"k": "v" * 257}, {}, ["A tag value can have 256 characters. That of k has 257."]),
        ({"k": "*"}, {}, []),
        (
            {"k*": "v"},
            {},
            ["The tag key k* holds '*', U+002A (asterisk). Tags take letters, digits, spaces and _.:/=+-@."],
        ),
        ({"k": "v"}, {"allowed": ["team"]}, ["This AWS account does not take the tag key k. Remove it."]),
        (
            {"Project": "v"},
            {"abac": ["project"]},
            ["The tag Project gives rights in this AWS account. An owner must set it elsewhere."],
        ),
        ({f"k{index}": "" for index in range(51)}, {}, ["A role can have 50 tags. These are 51."]),
    ],
)
def test_tags(tags: Any, options: dict[str, Any], expected: list[str]) -> None:
    assert [(one.id, one.message) for one in limits.check_tags(tags, **options)] == [
        ("VA04", text) for text in expected
    ]


def test_sizes() -> None:
    def sized(count: int) -> documents.Document:
        statement = {"Effect": "Allow", "Action": "s3:Get", "Resource": "arn:aws:s3:::" + "a" * count}
        return documents.parse({"Version": "2012-10-17", "Statement": [statement]})

    fixed = documents.size(sized(1)) - 1
    assert limits.check_document_size(sized(6144 - fixed)) == ()
    assert limits.check_document_size(sized(6145 - fixed)) == (
        Problem("VA05", "A managed policy can have 6,144 characters. This one has 6,145. Split or merge."),
    )
    assert limits.check_document_size(sized(6145 - fixed), "inline") == ()
    assert [one.id for one in limits.check_document_size(sized(2049 - fixed), "trust")] == ["VA05"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "arn:aws:iam::<aws_account_id>:role/<ecsTaskExecutionRole_or_TaskRole_name>",
            ["<aws_account_id>", "<ecsTaskExecutionRole_or_TaskRole_name>"],
        ),
        ("arn:aws:iam::{account}:role/x", ["{account}"]),
        ("REPLACE_ME", ["REPLACE_ME"]),
        ("YOUR_ROLE_NAME", ["YOUR_ROLE_NAME"]),
        ("arn:aws:s3:::x/${aws:username}", []),
        ("your-team-role", []),
        ("todo-app", []),
    ],
)
def test_placeholders(text: str, expected: list[str]) -> None:
    assert limits.check_placeholders(text) == tuple(
        Problem("VA09", f"{one} is a placeholder. Put the real value in its place.") for one in expected
    )


@pytest.mark.parametrize(
    ("action", "condition", "expected"),
    [
        ("ecs:*", "Zürich", []),
        (
            ["ecs:*", "i\u0430m:PassRole"],
            "x",
            [
                (
                    "'\u0430', U+0430 (cyrillic small letter a), a Cyrillic letter that can look like a Latin one",
                    "2",
                    "Action[1]",
                )
            ],
        ),
        (
            "ecs:Run\u200bTask",
            "\u200b\uff41",
            [
                ("U+200B (zero width space)", "8", "Action"),
                (
                    "'\uff41', U+FF41 (fullwidth latin small letter a), which looks like 'a'",
                    "2",
                    "Condition.StringEquals.aws:PrincipalTag/team",
                ),
            ],
        ),
    ],
)
def test_characters_of_documents(action: str | list[str], condition: str, expected: list[tuple[str, str, str]]) -> None:
    test = {"StringEquals": {"aws:PrincipalTag/team": condition}}
    statement = {"Effect": "Allow", "Action": action, "Resource": "*", "Condition": test}
    document = documents.parse({"Version": "2012-10-17", "Statement": [statement]})
    assert [one.message for one in limits.check_document_characters(document)] == [
        f"IAM does not take {sign} in a policy. Type character {place} of Statement[0].{at} again."
        for sign, place, at in expected
    ]


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        (f"arn:aws:iam::{A}:role/path/x", []),
        (
            "arn:aws:iam::999922223333:role/x",
            [("VA08", f"This role is in AWS account 999922223333. Enter a role of {A}.")],
        ),
        (f"arn:aws-cn:iam::{A}:role/x", [("VA08", "This role is in the partition aws-cn. Enter a role of aws.")]),
        (f"arn:aws:iam:us-east-1:{A}:role/x", [("VA08", "IAM ARNs have no region. Remove 'us-east-1'.")]),
        (
            f"arn:aws:iam::{A}:user/someone",
            [
                (
                    "VA08",
                    f"'arn:aws:iam::{A}:user/someone' is not the ARN of an IAM role. A role's ARN looks like arn:aws:iam::{A}:role/name.",
                )
            ],
        ),
        (
            "arn:aws:iam::<aws_account_id>:role/x",
            [("VA09", "<aws_account_id> is a placeholder. Put the real value in its place.")],
        ),
        ("arn:aws:iam::12:role/name-x", [("VA08", "12 stands where 12 digits of an AWS account belong.")]),
        (f"arn:aws:iam::{A}:role/" + "a" * 65, [("VA01", "Role name can have 64 characters. This one has 65.")]),
    ],
)
def test_role_arns(arn: str, expected: list[tuple[str, str]]) -> None:
    assert [(one.id, one.message) for one in limits.check_role_arn_in(arn, "aws", A)] == expected


@pytest.mark.parametrize(
    ("name", "path", "protected"),
    [
        ("ecsCodeDeployRole", "/", False),
        ("x", "/AWS-service-role/ecs/", True),
        ("x", "/aws-reserved/sso/", True),
        ("x", "/Portal/", True),
        ("awsreservedsso_Admin_1", "/", True),
        ("OrganizationAccountAccessRole", "/", True),
        ("OrganizationAccountAccessRole2", "/", False),
        ("AWSControlTowerExecution", "/", True),
        ("stacksets-exec-1", "/", True),
        ("CDK-hnb659fds-deploy", "/", True),
        ("hub", "/", True),
    ],
)
def test_protected_roles(name: str, path: str, protected: bool) -> None:
    assert bool(limits.check_protected(name, path, extra=["HUB"])) is protected
