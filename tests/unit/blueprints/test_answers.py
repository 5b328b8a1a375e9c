"""Bad input in the form's fields: each gets its own sentence, and good input is tidied."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iamroles.blueprints import AccountFacts, GrantFacts, InfrastructureFacts, RoleFacts, check
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.answers import (
    check_typed_role,
    checked_reason,
    read_roles,
    read_tags,
    tidy_account_number,
    tidy_role_name,
)

ACCOUNT = AccountFacts("111122223333", "orders-prod")
GOOD = RoleFacts(
    account=ACCOUNT,
    team="orders",
    execution_roles=("arn:aws:iam::111122223333:role/ecsTaskExecutionRole",),
    policy_name="ecsCodeDeployRole-PassRole",
    policy_description="x",
)


class TestTagsOfTheAccount:
    @pytest.mark.parametrize(
        ("allowed", "required", "given", "said"),
        [
            ((), (), {"any": "x"}, ""),
            (("Team", "cost"), (), {"team": "orders"}, ""),
            (("team",), (), {"project": "payments"}, "does not take the tag key project"),
            ((), ("Cost-Center",), {"cost-center": "7"}, ""),
            ((), ("cost-center", "owner"), {"team": "orders"}, "must carry the tags cost-center and owner. Add each"),
            (("cost-center",), ("cost-center",), {}, "must carry the tag cost-center."),
        ],
    )
    def test_are_held_against_its_lists(
        self, allowed: tuple[str, ...], required: tuple[str, ...], given: dict[str, str], said: str
    ) -> None:
        account = replace(ACCOUNT, tag_keys=allowed, required_tags=required)
        for facts in (replace(GOOD, account=account, tags=given), InfrastructureFacts(account, "orders", tags=given)):
            problems = check(facts)
            assert [(p.field, p.id) for p in problems] == ([("tags", "VA04")] if said else [])
            assert said in " ".join(p.message for p in problems)

    def test_are_kept_with_the_facts_and_change_nothing_where_there_are_none(self) -> None:
        listed = replace(GOOD, account=replace(ACCOUNT, tag_keys=("a", "b"), required_tags=("a",)))
        assert facts_module.read(facts_module.write(listed)) == listed
        assert "tag_keys" not in facts_module.write(GOOD)


class TestReadRoles:
    def test_takes_names_and_arns_one_a_line(self) -> None:
        text = ' ecsTaskExecutionRole \n"arn:aws:iam::111122223333:role/apps/api"\n\napi,'
        assert read_roles(text, ACCOUNT, "task_roles") == (
            (
                "arn:aws:iam::111122223333:role/ecsTaskExecutionRole",
                "arn:aws:iam::111122223333:role/apps/api",
                "arn:aws:iam::111122223333:role/api",
            ),
            (),
        )

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("arn:aws:iam::999988887777:role/x", "999988887777"),
            ("arn:aws:iam::<aws_account_id>:role/<ecsTaskExecutionRole_or_TaskRole_name>", "aws_account_id"),
            ("arn:aws-cn:iam::111122223333:role/x", "aws-cn"),
            ("*", "name each role"),
            ("arn:aws:iam::111122223333:role/*", "name each role"),
            ("r" * 65, "65"),
            ("ecsTaskExecutіonRole", "U+0456"),
        ],
    )
    def test_names_what_is_wrong(self, line: str, words: str) -> None:
        _, problems = read_roles(line, ACCOUNT, "task_roles")
        assert words in " ".join(p.message for p in problems)
        assert {p.field for p in problems} == {"task_roles"}


class TestReadTags:
    def test_reads_pairs(self) -> None:
        assert read_tags("team=orders\ncost-center = 4711\n") == ({"team": "orders", "cost-center": "4711"}, ())

    @pytest.mark.parametrize(
        ("text", "words"),
        [("Team=a\nteam=b", "team"), ("team", "key=value"), ("aws:x=1", "aws:"), ("portal:x=1", "portal:")],
    )
    def test_names_what_is_wrong(self, text: str, words: str) -> None:
        _, problems = read_tags(text)
        assert words in " ".join(p.message for p in problems)


class TestCheck:
    def test_good_facts_have_no_problem(self) -> None:
        assert check(GOOD) == ()

    @pytest.mark.parametrize(
        ("change", "field", "words"),
        [
            ({"role_name": "x" * 71}, "role_name", "Role name can have 64 characters. This one has 71."),
            ({"role_name": "<ROLE>"}, "role_name", ""),
            ({"role_name": "awsreservedSSO_Admin"}, "role_name", ""),
            ({"role_name": "OrganizationAccountAccessRole"}, "role_name", ""),
            ({"role_name": "cdk-deploy"}, "role_name", ""),
            ({"role_name": "roledeskworker"}, "role_name", "never changed here"),
            ({"role_name": "AWSServiceRoleForECS"}, "role_name", "never changed here"),
            ({"policy_name": "a b"}, "policy_name", ""),
            ({"description": "x" * 1001}, "description", "1,000"),
            ({"execution_roles": ("arn:aws:iam::111122223333:role/ecsCodeDeployRole",)}, "execution_roles", "own role"),
        ],
    )
    def test_finds(self, change: dict[str, object], field: str, words: str) -> None:
        problems = check(replace(GOOD, **change))  # type: ignore[arg-type]
        assert field in {p.field for p in problems}
        assert words in " ".join(p.message for p in problems)

    def test_a_grant_needs_a_role(self) -> None:
        facts = GrantFacts(account=ACCOUNT, team="orders", policy_name="p", policy_description="")
        assert [p.field for p in check(facts)] == ["execution_roles"]


@pytest.mark.parametrize(("text", "count"), [("too short", 1), ("long enough", 0), ("x" * 2001, 1), ("         x", 1)])
def test_reason(text: str, count: int) -> None:
    assert len(checked_reason(text)) == count


def test_tidies_pasted_texts() -> None:
    assert tidy_account_number("1111-2222-3333") == "111122223333"
    assert tidy_role_name(' "arn:aws:iam::111122223333:role/apps/ecsCodeDeployRole" ') == "ecsCodeDeployRole"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ecsCodeDeployRole", ""),
        ("arn:aws:iam::111122223333:role/ecsCodeDeployRole", ""),
        ("arn:aws:iam::999988887777:role/ecsCodeDeployRole", "999988887777"),
        ("arn:aws:iam::111122223333:role/portal/RoledeskWorker", "this one is at /portal/"),
    ],
)
def test_an_arn_for_a_role_name_must_mean_this_role(text: str, words: str) -> None:
    problems = check_typed_role(text, ACCOUNT)
    assert bool(problems) == bool(words)
    assert words in " ".join(p.message for p in problems)
