# ruff: noqa: E501  (tables read best with one case a line)
"""The traps of POLICY.md part 3 that `test_contain` does not hold yet: each name says what a careless proof gets wrong."""

from __future__ import annotations

from typing import Any

import pytest

from iamroles.iam import documents
from iamroles.iam.contain import contains
from iamroles.iam.diff import diff
from iamroles.iam.documents import Document, DocumentError
from iamroles.iam.evaluate import Request, evaluate
from tests.unit.iam.test_contain import ROLE, allow, doc, s3, trust, trusts, word

ROOT = "arn:aws:iam::111122223333:root"
SESSION = "arn:aws:sts::111122223333:assumed-role/R/s"


def verdict(new: Any, reference: Any, **options: Any) -> str:
    """The verdict on two Allows of everything under these conditions."""
    return word(doc(allow(condition=new)), doc(allow(condition=reference)), **options)


class TestVariables:
    def test_two_names_are_two_values(self) -> None:
        one, other = "x/${aws:username}", "x/${aws:userid}"
        assert word(doc(allow(s3(one))), doc(allow(s3(other)))) == "counterexample"
        assert word(doc(allow(s3(one))), doc(allow(s3("x/${AWS:UserName}")))) == "proved"

    def test_a_default_is_another_pattern(self) -> None:
        plain, defaulted = s3("x/${aws:username}"), s3("x/${aws:username, 'a'}")
        assert word(doc(allow(defaulted)), doc(allow(plain))) == "counterexample"  # the key may be absent

    def test_a_value_may_hold_colons_in_any_segment(self) -> None:
        new = doc(allow("arn:aws:s3:${k:region}:1:a"))
        assert word(new, doc(allow("arn:aws:s3:?*:1:a"))) == "counterexample"  # '' and values with colons
        assert evaluate([new], None, Request("s3:GetObject", "arn:aws:s3:a:b:1:a", {"k:region": "a:b"})).allowed

    def test_the_colon_of_a_variables_name_ends_no_segment(self) -> None:
        """`arn:aws:${k:a}` has two colons, not three, and is padded."""
        new = doc(allow("arn:aws:${k:a}"))
        assert evaluate([new], None, Request("s3:GetObject", "arn:aws:s3:r:1:x", {"k:a": "s3"})).allowed
        assert word(new, doc(allow("arn:aws:*:*:*:*"))) == "proved"

    def test_a_value_is_literal(self) -> None:
        new = doc(allow(s3("x/${aws:username}")))
        star = Request("s3:GetObject", "arn:aws:s3:::x/ab", {"aws:username": "*"})
        assert not evaluate([new], None, star).allowed

    def test_several_values_expand_to_nothing(self) -> None:
        new = doc(allow(s3("x/${aws:username}")))
        several = Request("s3:GetObject", "arn:aws:s3:::x/a", {"aws:username": ["a", "b"]})
        assert not evaluate([new], None, several).allowed

    def test_inside_a_negated_test_too_small_is_wrong(self) -> None:
        new, reference = {"StringNotEquals": {"k:x": "${aws:username}"}}, {"StringNotEquals": {"k:x": "a"}}
        assert verdict(new, reference) == "counterexample"
        assert verdict({"StringNotEquals": {"k:x": ["a", "${aws:username}"]}}, reference) == "proved"

    @pytest.mark.parametrize("operator", ["Bool", "NumericEquals", "DateEquals", "IpAddress", "BinaryEquals", "Null"])
    def test_only_strings_and_arns_expand(self, operator: str) -> None:
        statement = allow(condition={operator: {"k:x": "true" if operator in {"Bool", "Null"} else "${aws:username}"}})
        call = Request("s3:GetObject", "*", {"aws:username": "5", "k:x": "5"})
        assert not evaluate([doc(statement)], None, call).allowed


class TestContextValues:
    def test_a_star_takes_the_empty_string_and_a_letter_does_not(self) -> None:
        assert verdict({"StringEquals": {"k:x": ""}}, {"StringLike": {"k:x": "*"}}) == "proved"
        assert verdict({"StringEquals": {"k:x": ""}}, {"StringLike": {"k:x": "?*"}}) == "counterexample"

    def test_present_but_empty_is_not_null(self) -> None:
        assert verdict({"StringEquals": {"k:x": ""}}, {"Null": {"k:x": "false"}}) == "proved"

    @pytest.mark.parametrize(
        ("condition", "absent"),
        [
            ({"StringEquals": {"k:x": "a"}}, False),
            ({"StringNotEquals": {"k:x": "a"}}, True),
            ({"StringEqualsIfExists": {"k:x": "a"}}, True),
            ({"Null": {"k:x": "true"}}, True),
            ({"ForAnyValue:StringEquals": {"k:x": "a"}}, False),
            ({"ForAnyValue:StringEqualsIfExists": {"k:x": "a"}}, True),
            ({"ForAnyValue:StringNotEquals": {"k:x": "a"}}, False),
            ({"ForAllValues:StringEquals": {"k:x": "a"}}, True),
            ({"ForAllValues:StringNotEquals": {"k:x": "a"}}, True),
        ],
    )
    def test_an_absent_key_and_an_empty_list(self, condition: Any, absent: bool) -> None:
        policy = doc(allow(condition=condition))
        for context in ({}, {"k:x": []}):
            assert evaluate([policy], None, Request("s3:GetObject", "*", context)).allowed == absent
        null = {"Null": {"k:x": "true"}}
        new = doc(allow(condition=null))
        assert (contains(new, policy).verdict == "proved") == absent

    def test_all_values_beside_null_still_takes_the_empty_string(self) -> None:
        """In the second reading `['']` is an empty set: present, and all of nothing."""
        new = {"ForAllValues:StringEquals": {"k:x": "a"}, "Null": {"k:x": "false"}}
        assert verdict(new, {"ForAllValues:StringLike": {"k:x": "?"}}) == "proved"
        found = contains(doc(allow(condition=new)), doc(allow(condition={"ForAnyValue:StringLike": {"k:x": "?*"}})))
        assert (found.verdict, found.reason) == ("maybe", "depends on how an empty string in ForAllValues is read")

    def test_bool_and_ignore_case_fold_and_nothing_else_does(self) -> None:
        assert verdict({"StringEquals": {"k:x": "TRUE"}}, {"Bool": {"k:x": "true"}}) == "proved"
        assert verdict({"StringEquals": {"k:x": "A"}}, {"StringEqualsIgnoreCase": {"k:x": "a"}}) == "proved"
        assert verdict({"StringEquals": {"k:x": "A"}}, {"StringLike": {"k:x": "a"}}) == "counterexample"
        assert verdict({"StringEquals": {"K:X": "a"}}, {"StringEquals": {"k:x": "a"}}) == "proved"
        assert word(doc(allow(s3("A"))), doc(allow(s3("a")))) == "counterexample"
        assert word(doc(allow(Action="S3:getobject")), doc(allow())) == "proved"


class TestNotModelled:
    @pytest.mark.parametrize(
        ("operator", "narrow", "wide"),
        [
            ("NumericLessThan", "5", "10"),
            ("DateLessThan", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("IpAddress", "10.0.0.0/16", "10.0.0.0/8"),
            ("NumericEquals", "5", "5.0"),
            ("BinaryEquals", "YQ==", "Yg=="),
        ],
    )
    def test_an_operator_is_a_truth_of_its_own(self, operator: str, narrow: str, wide: str) -> None:
        new, reference = {operator: {"k:x": narrow}}, {operator: {"k:x": wide}}
        assert (verdict(new, reference), verdict(reference, new)) == ("maybe", "maybe")
        assert verdict(new, {operator: {"k:x": [narrow, wide]}}) == "proved"

    def test_a_date_and_its_opposite_are_not_seen(self) -> None:
        before = {"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}
        after = {"DateGreaterThanEquals": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}
        both = doc(allow(condition=before), allow(condition=after))
        assert word(doc(allow(condition={"Null": {"aws:CurrentTime": "false"}})), both) == "maybe"

    def test_empty_lists_are_errors(self) -> None:
        for element in ({"Action": []}, {"Resource": []}, {"condition": {"StringEquals": {"k:x": []}}}):
            with pytest.raises(DocumentError, match="An empty list"):
                doc(allow(**element))


class TestPatterns:
    def test_a_short_deny_of_the_reference_is_padded(self) -> None:
        reference = doc(allow(), allow("arn:aws:s3", Effect="Deny"))
        assert word(doc(allow(s3("a"))), reference) == "counterexample"

    def test_wildcards_stay_in_their_segment_and_green_needs_more(self) -> None:
        """`arn:aws:s3*` may mean any region, account and bucket, or run over all of it."""
        assert word(doc(allow("arn:aws:s3*")), doc(allow("arn:aws:s3*:*:*:*"))) == "proved"
        found = contains(doc(allow("arn:aws:s3:r:1:x:a:b:c")), doc(allow("arn:aws:s3*:a")))
        assert (found.verdict, found.reason) == ("maybe", "depends on how a wildcard (arn:aws:s3*:a) is read")

    def test_escapes_are_the_characters(self) -> None:
        assert word(doc(allow(s3("${*}"))), doc(allow(s3("a")))) == "counterexample"
        assert word(doc(allow(s3("${*}"))), doc(allow(s3("?")))) == "proved"


class TestPrincipals:
    """What an account root may hand on, what a role's sessions are, and what an id is."""

    def test_a_root_may_hand_on_to_whom_the_reference_leaves_out(self) -> None:
        denying = trusts(trust("*"), trust({"AWS": ROLE}, effect="Deny"))
        leaving_out = trusts(trust({"AWS": ROLE}, element="NotPrincipal"))
        for reference in (denying, leaving_out):
            found = contains(trusts(trust({"AWS": "111122223333"})), reference)
            assert (found.verdict, found.reason) == (
                "maybe",
                "AWS account 111122223333 may hand its right to those that are left out",
            )
            assert contains(trusts(trust({"AWS": "444455556666"})), reference).verdict == "proved"

    def test_not_principal_of_new_leaves_out_the_exact_values_only(self) -> None:
        """A session of the role that is left out is somebody else, in one reading."""
        new = trusts(trust({"AWS": ROLE}, element="NotPrincipal"))
        reference = trusts(trust("*"), trust({"AWS": ROLE}, effect="Deny"), trust({"Service": "x"}))
        assert contains(new, reference).verdict != "proved"
        call = Request("sts:AssumeRole", "*", {}, ("AWS", SESSION))
        assert not evaluate([new], None, call).allowed
        assert evaluate([new], None, call, denied_principals="exact").allowed

    def test_a_deny_of_new_takes_away_the_exact_values_only(self) -> None:
        new = trusts(trust({"AWS": ROLE}), trust({"AWS": ROLE}, effect="Deny"))
        assert contains(new, trusts(trust({"Service": "x"}))).verdict == "maybe"  # its sessions
        call = Request("sts:AssumeRole", "*", {}, ("AWS", SESSION))
        assert not evaluate([new], None, call).allowed
        assert evaluate([new], None, call, denied_principals="exact").allowed

    def test_an_id_that_stands_for_a_role_is_that_role(self) -> None:
        root, known = trusts(trust({"AWS": ROOT})), trusts(trust({"AWS": "AROAEXAMPLE"}))
        assert contains(root, known, ids={"AROAEXAMPLE": ROLE}).verdict == "maybe"
        assert contains(root, known).verdict == "counterexample"

    def test_other_wildcards_of_principals_prove_nothing(self) -> None:
        """AWS refuses them; should it read them one day, nothing is green that was not."""
        every = trusts(trust({"Service": "*"}))
        assert contains(trusts(trust({"Service": "a"})), every).verdict != "proved"
        assert contains(every, trusts(trust({"Service": ["*", "a"]}))).verdict == "proved"
        assert contains(every, trusts(trust({"Service": "a"}))).verdict != "proved"

    def test_a_star_is_every_aws_principal_and_no_service(self) -> None:
        assert contains(trusts(trust({"Service": "a"})), trusts(trust("*"))).verdict == "counterexample"
        denied = trusts(trust({"Service": "a"}), trust("*", effect="Deny"))
        assert contains(trusts(trust({"Service": "a"})), denied).verdict == "maybe"  # a Deny of * reaches every type

    def test_not_principal_in_a_deny_is_never_better_than_maybe(self) -> None:
        new = trusts(trust({"AWS": ROLE}))
        reference = trusts(trust({"AWS": ROLE}), trust({"AWS": SESSION}, effect="Deny", element="NotPrincipal"))
        assert contains(new, reference).verdict == "maybe"
        assert contains(new, new).verdict == "proved"


def test_a_new_deny_that_removes_nothing_here_is_told() -> None:
    """It may void another policy."""
    before: Document = doc(allow(s3("a")))
    after = doc(allow(s3("a")), allow(s3("b"), Effect="Deny"))
    found = diff(before, after)
    assert (found.newly_allowed, found.no_longer_allowed, len(found.newly_denied)) == ((), (), 1)


def test_what_only_another_reading_allows_is_told_as_possible() -> None:
    """A `*` that runs over colons also names the bucket that the first statement leaves out."""
    before = doc(allow(), allow("arn:aws:s3:::1:a", Effect="Deny"), allow(s3("b"), Action="s3:PutObject"))
    statement = allow("arn:aws:s3:*:1:a")
    only = doc(statement)
    assert contains(only, before).verdict == "maybe"
    found = diff([before], [only, doc(allow(s3("b"), Action="s3:PutObject"))])
    assert [region.certain for region in found.newly_allowed] == [False]
    assert found.sentences[0].startswith("Can now possibly read ")


def test_a_long_string_is_refused_with_its_place() -> None:
    with pytest.raises(DocumentError) as caught:
        documents.parse({"Statement": allow("arn:aws:s3:::" + "a" * 16_384)})
    assert (caught.value.code, caught.value.at) == ("too_large", "Statement[0].Resource")
