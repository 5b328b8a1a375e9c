# ruff: noqa: E501  (tables read best with one case a line)
"""Containment: the traps that once gave false proofs, the goals of the design, laws, budgets, and what stays open."""

from __future__ import annotations

from typing import Any

import pytest

from iamroles.iam import catalogue, documents
from iamroles.iam.contain import Budget, contains
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import evaluate

FULL = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS).document
LIMITED = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document


def allow(resource: Any = "*", condition: Any = None, **elements: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource, **elements}
    if condition is not None:
        statement["Condition"] = condition
    return statement


def doc(*statements: dict[str, Any], version: str = "2012-10-17") -> Document:
    return documents.parse({"Version": version, "Statement": list(statements)})


def s3(*tails: str) -> list[str]:
    return [f"arn:aws:s3:::{tail}" for tail in tails]


def word(new: Document, reference: Document, **options: Any) -> str:
    """The verdict, after checking that every counterexample really is one."""
    verdict = contains(new, reference, **options)
    if verdict.verdict == "counterexample":
        assert verdict.witness is not None
        assert evaluate([new], options.get("boundary"), verdict.witness).allowed
        assert not evaluate([reference], None, verdict.witness).allowed
        assert verdict.regions
    else:
        assert verdict.witness is None
    return verdict.verdict


class TestManagedPolicies:
    def test_limited_lies_inside_full(self) -> None:
        assert contains(LIMITED, FULL).verdict == "proved"

    def test_full_exceeds_limited_in_exactly_four_regions(self) -> None:
        def region(actions: list[str], but_not: list[str], conditions: list[dict[str, Any]]) -> dict[str, Any]:
            return {
                "action": {"matches": [actions], "but_not": []},
                "resource": {"matches": [], "but_not": but_not},
                "conditions": conditions,
                "certain": True,
            }

        tag = {"key": "s3:existingobjecttag/usewithcodedeploy", "matches": [], "but_not": ["true"], "absent": True}
        tasks = {
            "key": "iam:passedtoservice",
            "matches": [["ecs-tasks.amazonaws.com"]],
            "but_not": [],
            "absent": False,
        }
        roles = ["arn:aws:iam::*:role/ECSTaskExecution*", "arn:aws:iam::*:role/ecsTaskExecutionRole"]
        verdict = contains(FULL, LIMITED)
        assert verdict.verdict == "counterexample"
        assert [one.as_mapping() for one in verdict.regions] == [
            region(["s3:GetObject", "s3:GetObjectVersion"], [], [tag]),
            region(["lambda:InvokeFunction"], ["arn:aws:lambda:*:*:function:CodeDeployHook_*"], []),
            region(["sns:Publish"], ["arn:aws:sns:*:*:CodeDeployTopic_*"], []),
            region(["iam:PassRole"], roles, [tasks]),
        ]


USER = "x/${aws:username}"


class TestTraps:
    """Each of these, but the last group, once gave a false proof somewhere."""

    @pytest.mark.parametrize("reference", ["x/?", "x/?*", "x/a*", "x/v0"])
    def test_a_variable_is_not_one_letter(self, reference: str) -> None:
        assert word(doc(allow(s3(USER))), doc(allow(s3(reference)))) == "counterexample"

    def test_a_variable_may_be_empty_long_and_hold_colons(self) -> None:
        assert word(doc(allow(s3(USER))), doc(allow(s3("x/*")))) == "proved"
        assert word(doc(allow("arn:aws:s3:::x/${aws:username}/y")), doc(allow("arn:aws:s3:::x/*"))) == "proved"

    def test_a_variable_meets_the_boundarys_literal(self) -> None:
        assert word(doc(allow(s3(USER))), doc(allow(s3("x/cd"))), boundary=doc(allow(s3("x/ab")))) == "counterexample"

    def test_a_variable_meets_a_second_condition(self) -> None:
        condition = {"StringLike": {"aws:username": "a*"}, "StringEquals": {"s3:prefix": "${aws:username}"}}
        new = doc(allow(condition=condition))
        assert word(new, doc(allow(condition={"StringLike": {"s3:prefix": "b*"}}))) == "counterexample"

    def test_a_variable_in_a_deny_of_new_proves_nothing(self) -> None:
        new = doc(allow(s3("x/*")), allow(s3(USER), Effect="Deny"))
        assert word(new, doc(allow(s3("y/*")))) == "counterexample"

    def test_a_variable_in_a_deny_of_the_reference_counts_in_full(self) -> None:
        reference = doc(allow(), allow(s3(USER), Effect="Deny"))
        assert word(doc(allow(s3("x/a"))), reference) == "counterexample"

    def test_a_variable_covers_itself_letter_by_letter(self) -> None:
        reference = doc(allow([*s3(USER), *s3("other")]))
        assert word(doc(allow(s3(USER))), reference) == "proved"
        assert word(doc(allow(s3("x/${aws:userid}"))), reference) == "counterexample"

    def test_a_variable_is_plain_text_in_the_old_version(self) -> None:
        old = doc(allow(s3(USER)), version="2008-10-17")
        assert word(old, doc(allow(s3("x/${$}{aws:username}")))) == "proved"

    def test_the_empty_string_is_a_value(self) -> None:
        anything, something = {"StringLike": {"k:x": "*"}}, {"StringLike": {"k:x": "?*"}}
        assert word(doc(allow(condition=anything)), doc(allow(condition=something))) == "counterexample"
        assert word(doc(allow(condition=something)), doc(allow(condition=anything))) == "proved"

    def test_an_empty_list_is_absent(self) -> None:
        condition = {"ForAllValues:StringEquals": {"k:x": "a"}, "Null": {"k:x": "false"}}
        reference = {"ForAnyValue:StringEquals": {"k:x": "a"}}
        verdict = contains(doc(allow(condition=condition)), doc(allow(condition=reference)))
        assert (verdict.verdict, verdict.reason) == ("maybe", "depends on how an empty string in ForAllValues is read")

    def test_unicode_folds_nothing(self) -> None:
        kelvin = {"StringEqualsIgnoreCase": {"k:x": "\u212a"}}
        assert (
            word(doc(allow(condition=kelvin)), doc(allow(condition={"StringEquals": {"k:x": "k"}}))) == "counterexample"
        )
        assert word(doc(allow(Action="s3:Get\u212a")), doc(allow(Action="s3:Getk"))) == "counterexample"

    def test_null_with_both_values_limits_nothing(self) -> None:
        both = doc(allow(condition={"Null": {"k:x": ["true", "false"]}}))
        assert word(both, doc(allow(condition={"Null": {"k:x": "true"}}))) == "counterexample"
        assert word(doc(allow()), both) == "proved"

    def test_answers_do_not_outlive_a_call(self) -> None:
        new, reference = doc(allow(s3("*a*b*c*d"))), doc(allow(s3("*a*c*d", "*b*d*d")))
        assert contains(new, reference, budget=Budget(stop=lambda: True, states=1)).verdict in {"unknown", "proved"}
        assert word(new, reference) == "proved"

    def test_several_members_need_not_be_the_same_one(self) -> None:
        new = {"StringEquals": {"k:x": "a"}}
        reference = {"StringNotEquals": {"k:x": "b"}}
        assert word(doc(allow(condition=new)), doc(allow(condition=reference))) == "counterexample"


class TestReadings:
    def test_green_needs_both_readings_of_a_wildcard(self) -> None:
        new, reference = doc(allow("arn:aws:s3:::*")), doc(allow("arn:aws:s3:*"))
        assert word(new, reference) == "proved"
        verdict = contains(doc(allow("arn:aws:s3:r:1:::a")), doc(allow("arn:aws:*:::a")))
        assert (verdict.verdict, verdict.reason) == ("maybe", "depends on how a wildcard (arn:aws:*:::a) is read")

    def test_a_short_pattern_is_padded_and_does_not_vanish(self) -> None:
        assert word(doc(allow("arn:aws:s3")), doc(allow("arn:aws:sns:*"))) == "counterexample"


class TestStaysOpen:
    @pytest.mark.parametrize(
        ("new", "reference", "reason"),
        [
            ({"NumericLessThan": {"k:x": "5"}}, {"NumericLessThan": {"k:x": "10"}}, "NumericLessThan is not modelled"),
            ({"ArnLike": {"k:x": "arn:aws:*"}}, {"StringLike": {"k:y": "*"}}, "k:x is compared with a pattern of fewer than six segments"),
            ({"StringEquals": {"aws:TagKeys": "a"}}, {"StringEquals": {"aws:TagKeys": ["a", "b"]}}, "aws:TagKeys is a list, and StringEquals is made for single values"),
        ],
    )  # fmt: skip
    def test_what_is_not_modelled_is_maybe(self, new: Any, reference: Any, reason: str) -> None:
        verdict = contains(doc(allow(condition=new)), doc(allow(condition=reference)))
        assert (verdict.verdict, verdict.reason) == ("maybe", reason)

    def test_uninterpreted_tests_still_prove(self) -> None:
        narrow = {"NumericLessThan": {"k:x": "5"}, "StringEquals": {"k:y": "a"}}
        assert word(doc(allow(condition=narrow)), doc(allow(condition={"NumericLessThan": {"k:x": "5"}}))) == "proved"
        assert word(doc(allow(condition=narrow)), doc(allow())) == "proved"

    def test_mixed_operators_on_one_key_are_unknown(self) -> None:
        new = doc(allow(condition={"StringEquals": {"k:x": "a"}}))
        reference = doc(allow(condition={"ForAnyValue:StringEquals": {"K:x": "a"}}))
        verdict = contains(new, reference)
        assert (verdict.verdict, verdict.reason) == (
            "unknown",
            "K:x is tested with and without ForAnyValue or ForAllValues",
        )

    def test_budgets_end_in_unknown(self) -> None:
        hard = [f"*{'?' * index}a{'?' * (14 - index)}b*" for index in range(14)]
        new = doc(allow(condition={"StringLike": {"k:x": hard[:1]}}, Resource="*"))
        reference = doc(allow(condition={"StringLike": {"k:x": [one + "?c" for one in hard]}}))
        assert contains(new, reference, budget=Budget(pieces=0)).reason == "more than 0 pieces in one question"
        many = doc(allow(condition={"StringLike": {"k:x": "*a*b*"}}))
        few = doc(allow(condition={"StringLike": {"k:x": ["*ab*", "*a?b*"]}}))
        assert contains(many, few, budget=Budget(states=1)).verdict == "unknown"
        assert word(many, few) == "counterexample"

    def test_stop_ends_a_long_search(self) -> None:
        asked: list[int] = []

        def stop() -> bool:
            asked.append(1)
            return len(asked) >= 3

        patterns = [f"*a{'?' * count}b*" for count in range(9, 18)]
        new = doc(allow(condition={"StringLike": {"k:x": "*" + "?" * 40 + "*"}}))
        reference = doc(allow(condition={"StringNotLike": {"k:x": patterns}}))
        verdict = contains(reference, new, budget=Budget(stop=stop))
        assert verdict.verdict in {"unknown", "counterexample"}


class TestAccount:
    def test_limits_iam_actions_and_no_others(self) -> None:
        new = doc(allow("arn:aws:iam::*:role/x", Action="iam:PassRole"))
        reference = doc(allow("arn:aws:iam::111122223333:role/x", Action="iam:PassRole"))
        assert word(new, reference) == "counterexample"
        assert word(new, reference, account="111122223333") == "counterexample"  # a role of the account aws
        everywhere = doc(allow("arn:*:*:*:*:*", Action="iam:PassRole"))
        here = doc(allow(["arn:*:*:*:111122223333:*", "arn:*:*:*:aws:*"], Action="iam:PassRole"))
        assert word(everywhere, here) == "counterexample"
        assert word(everywhere, here, account="111122223333") == "proved"
        other = doc(allow("arn:aws:sns:*:*:t", Action="sns:Publish"))
        own = doc(allow("arn:aws:sns:*:111122223333:t", Action="sns:Publish"))
        assert word(other, own, account="111122223333") == "counterexample"


def trust(principal: Any, condition: Any = None, effect: str = "Allow", element: str = "Principal") -> dict[str, Any]:
    statement = {"Effect": effect, element: principal, "Action": "sts:AssumeRole"}
    return statement if condition is None else {**statement, "Condition": condition}


def trusts(*statements: dict[str, Any]) -> Document:
    return documents.parse({"Version": "2012-10-17", "Statement": list(statements)}, "trust")


ROLE = "arn:aws:iam::111122223333:role/R"


class TestTrust:
    @pytest.mark.parametrize(
        ("new", "reference", "expected"),
        [
            (trusts(trust({"Service": "a.amazonaws.com"})), trusts(trust({"Service": ["a.amazonaws.com", "b"]})), "proved"),
            (trusts(trust({"Service": "b"})), trusts(trust({"Service": "a.amazonaws.com"})), "counterexample"),
            (trusts(trust({"AWS": ROLE})), trusts(trust("*")), "proved"),
            (trusts(trust("*")), trusts(trust({"AWS": ROLE})), "counterexample"),
            (trusts(trust({"AWS": "arn:aws:sts::111122223333:assumed-role/R/s"})), trusts(trust({"AWS": ROLE})), "proved"),
            (trusts(trust({"AWS": ROLE})), trusts(trust({"AWS": "arn:aws:sts::111122223333:assumed-role/R/s"})), "counterexample"),
            (trusts(trust({"AWS": "111122223333"})), trusts(trust({"AWS": ROLE})), "maybe"),
            (trusts(trust({"AWS": ROLE})), trusts(trust({"AWS": "111122223333"})), "maybe"),
            (trusts(trust({"AWS": "444455556666"})), trusts(trust({"AWS": ROLE})), "counterexample"),
            (trusts(trust({"AWS": ROLE})), trusts(trust("*"), trust({"AWS": "111122223333"}, effect="Deny")), "maybe"),
            (trusts(trust({"AWS": ROLE})), trusts(trust("*"), trust({"AWS": ROLE}, effect="Deny")), "counterexample"),
            (trusts(trust("*"), trust({"AWS": ROLE}, effect="Deny")), trusts(trust("*")), "proved"),
            (trusts(trust("*"), trust({"AWS": ROLE}, effect="Deny", element="NotPrincipal")), trusts(trust("*")), "maybe"),
            (trusts(trust("*", {"StringEquals": {"aws:PrincipalArn": ROLE}})), trusts(trust("*")), "maybe"),
        ],
    )  # fmt: skip
    def test_principals(self, new: Document, reference: Document, expected: str) -> None:
        assert contains(new, reference).verdict == expected

    def test_an_id_is_an_arn_only_if_it_is_said(self) -> None:
        new, reference = trusts(trust({"AWS": "AROAEXAMPLE"})), trusts(trust({"AWS": ROLE}))
        assert contains(new, reference, ids={"AROAEXAMPLE": ROLE}).verdict == "proved"
        assert contains(new, reference).verdict == "counterexample"

    def test_does_not_mix_with_identity_policies(self) -> None:
        with pytest.raises(ValueError, match="Trust policies"):
            contains(trusts(trust("*")), LIMITED)


class TestAdversarial:
    """The cases of the design's baseline; a slow answer would time the suite out."""

    @staticmethod
    def like(patterns: Any) -> Document:
        return doc(allow(condition={"StringLike": {"k:x": patterns}}))

    def test_stars(self) -> None:
        stars = {count: "*a" * count + "*" for count in (19, 20)}
        assert word(self.like(stars[20]), self.like(stars[19])) == "proved"
        assert word(self.like(stars[19]), self.like(stars[20])) == "counterexample"

    def test_question_marks(self) -> None:
        assert word(self.like("*a" + "?" * 20), self.like("*" + "?" * 21)) == "proved"

    def test_large_unions(self) -> None:
        names = [f"*foo{index:02d}*" for index in range(20)]
        assert word(self.like(names), self.like([*names[::-1], "z"])) == "proved"
        prefixes = s3(*(f"bucket{index:03d}-*" for index in range(200)))
        assert word(doc(allow(prefixes)), doc(allow(prefixes[:-1]))) == "counterexample"
