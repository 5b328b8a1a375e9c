# ruff: noqa: E501  (tables read best with one case a line)
"""Documents: strict parsing, the published canonical bytes, equality by meaning, IAM's size."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from iamroles.iam import documents
from iamroles.iam.documents import DocumentError

SEED_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "",
            "Effect": "Allow",
            "Principal": {"Service": ["codedeploy.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}
GRANT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": ["arn:aws:iam::123456789012:role/ecsTaskExecutionRole"],
            "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        }
    ],
}


def identity(**statement: Any) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **statement}],
    }


class TestCanonical:
    def test_of_the_guides_trust_policy_is_the_published_one(self) -> None:
        document = documents.parse(SEED_TRUST, "trust")
        assert documents.canonical(document) == (
            b'{"Statement":[{"Action":["sts:assumerole"],"Effect":"Allow",'
            b'"Principal":{"Service":["codedeploy.amazonaws.com"]}}],"Version":"2012-10-17"}'
        )
        assert documents.digest(document) == "0cc7cde66830a727dc3c7d83ad3c6dac7a53df1993de41021d107492dd3b109a"
        assert documents.size(document) == 145

    def test_is_idempotent(self) -> None:
        for value, kind in ((SEED_TRUST, "trust"), (GRANT, "identity")):
            first = documents.canonical(documents.parse(value, kind))  # type: ignore[arg-type]
            assert documents.canonical(documents.parse(first, kind)) == first  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (identity(Action="S3:getObject"), identity(Action=["s3:GetObject"])),
            (identity(Sid=""), identity()),
            (identity(Resource=["arn:aws:s3:::b", "arn:aws:s3:::a"]), identity(Resource=["arn:aws:s3:::a", "arn:aws:s3:::b"])),
            (identity(Condition={"Bool": {"AWS:SecureTransport": True}}), identity(Condition={"Bool": {"aws:securetransport": ["true"]}})),
            (identity(Condition={"NumericLessThan": {"s3:max-keys": 10}}), identity(Condition={"NumericLessThan": {"s3:max-keys": "10"}})),
            (identity(Condition={}), identity()),
            ({"Statement": identity()["Statement"]}, {"Version": "2008-10-17", "Statement": identity()["Statement"][0]}),
        ],
    )  # fmt: skip
    def test_makes_spellings_equal(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        assert documents.equal(documents.parse(one), documents.parse(other))
        assert hash(documents.parse(one)) == hash(documents.parse(other))

    @pytest.mark.parametrize(
        "other",
        [
            identity(Resource="arn:aws:s3:::A"),
            identity(Effect="Deny"),
            identity(Sid="Named"),
            identity(Condition={"Bool": {"aws:SecureTransport": "false"}}),
            {"Version": "2008-10-17", "Statement": identity()["Statement"]},
        ],
    )
    def test_keeps_meanings_apart(self, other: dict[str, Any]) -> None:
        assert not documents.equal(documents.parse(identity()), documents.parse(other))

    def test_writes_account_numbers_and_stars_of_principals_in_one_way(self) -> None:
        def trust(principal: Any) -> documents.Document:
            statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
            return documents.parse({"Version": "2012-10-17", "Statement": [statement]}, "trust")

        assert trust("*") == trust({"AWS": "*"})
        assert trust({"AWS": "111122223333"}) == trust({"AWS": "arn:aws:iam::111122223333:root"})

    def test_folds_ascii_only(self) -> None:
        kelvin = documents.parse(identity(Action="s3:Get\u212aey"))
        assert kelvin.as_mapping()["Statement"][0]["Action"] == "s3:Get\u212aey"
        assert not documents.equal(kelvin, documents.parse(identity(Action="s3:GetKey")))


class TestTexts:
    def test_undoes_url_encoding(self) -> None:
        assert documents.equal(documents.parse(quote(json.dumps(GRANT))), documents.parse(GRANT))

    def test_sizes_are_those_of_the_design(self) -> None:
        assert documents.size(documents.parse(json.dumps(GRANT, indent=8))) == 227
        hardened = json.loads(json.dumps(SEED_TRUST))
        hardened["Statement"][0]["Condition"] = {
            "StringEquals": {"aws:SourceAccount": "111122223333"},
            "ArnLike": {"aws:SourceArn": "arn:aws:codedeploy:us-east-1:111122223333:deploymentgroup:myApplication/*"},
        }
        assert documents.size(documents.parse(hardened, "trust")) == 315

    def test_pretty_orders_elements_for_people(self) -> None:
        shuffled = {
            "Statement": {"Action": "sts:AssumeRole", "Principal": {"Service": "x.amazonaws.com"}, "Effect": "Allow", "Sid": "A"},
            "Version": "2012-10-17",
        }  # fmt: skip
        assert documents.pretty(documents.parse(shuffled, "trust")) == (
            '{\n  "Version": "2012-10-17",\n  "Statement": [\n    {\n      "Sid": "A",\n      "Effect": "Allow",\n'
            '      "Principal": {\n        "Service": "x.amazonaws.com"\n      },\n'
            '      "Action": "sts:AssumeRole"\n    }\n  ]\n}'
        )

    def test_minified_is_what_was_given_without_white_space(self) -> None:
        assert documents.minified(documents.parse(json.dumps(GRANT, indent=2))) == json.dumps(
            GRANT, separators=(",", ":")
        )


_DEEP = '{"Statement":' + "[" * 1000 + "]" * 1000 + "}"


@pytest.mark.parametrize(
    ("given", "kind", "code", "at"),
    [
        ("", "identity", "bad_json", "line 1 column 1"),
        ("garbage", "identity", "bad_json", "line 1 column 1"),
        ("\ufeff{}", "identity", "bad_json", "character 0"),
        ('{"Version":NaN}', "identity", "bad_json", "NaN"),
        ('{"Version":"\\ud800"}', "identity", "bad_json", "Version"),
        ('{"Version":"2012-10-17","Version":"2008-10-17"}', "identity", "duplicate_key", "Version"),
        (_DEEP, "identity", "too_deep", "character 24"),
        (" " * 131_073, "identity", "too_large", "character 131072"),
        (identity(Resource="arn:aws:s3:::" + "a" * 131_072), "identity", "too_large", "character 131072"),
        ("[]", "identity", "bad_document", ""),
        ({"Version": "2011-01-01", "Statement": []}, "identity", "bad_document", "Version"),
        ({"Statement": []}, "identity", "bad_document", "Statement"),
        ({"Version": "2012-10-17"}, "identity", "bad_document", "Statement"),
        ({"Statements": []}, "identity", "bad_document", "Statements"),
        (identity(Foo=1), "identity", "bad_document", "Statement[0].Foo"),
        (identity(Effect="allow"), "identity", "bad_document", "Statement[0].Effect"),
        (identity(Sid="no spaces"), "identity", "bad_document", "Statement[0].Sid"),
        (identity(Action=[]), "identity", "bad_document", "Statement[0].Action"),
        (identity(Action="GetObject"), "identity", "bad_document", "Statement[0].Action"),
        (identity(Action=1), "identity", "bad_document", "Statement[0].Action"),
        (identity(NotAction="s3:*"), "identity", "bad_document", "Statement[0]"),
        (identity(Principal="*"), "identity", "bad_document", "Statement[0].Principal"),
        (identity(Condition={"StringEqual": {"a": "b"}}), "identity", "bad_operator", "Statement[0].Condition.StringEqual"),
        (identity(Condition={"ForAnyValue:Null": {"a": "true"}}), "identity", "bad_operator", "Statement[0].Condition.ForAnyValue:Null"),
        (identity(Condition={"StringEquals": {"a": []}}), "identity", "bad_document", "Statement[0].Condition.StringEquals.a"),
        (identity(Condition={"StringEquals": {"a": {"b": 1}}}), "identity", "bad_document", "Statement[0].Condition.StringEquals.a"),
        (identity(Condition={"StringEquals": {"a": "1", "A": "2"}}), "identity", "duplicate_key", "Statement[0].Condition.StringEquals.A"),
        (identity(Condition={"Null": {"a": "maybe"}}), "identity", "bad_document", "Statement[0].Condition.Null.a"),
        ({"Statement": [identity()["Statement"][0]] * 501}, "identity", "too_large", "Statement"),
        (SEED_TRUST, "identity", "bad_document", "Statement[0].Principal"),
        (GRANT, "trust", "bad_document", "Statement[0].Resource"),
        ({"Statement": [{"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*"}] * 2}, "identity", "bad_document", "Statement[1].Sid"),
    ],
)  # fmt: skip
def test_refuses_with_code_and_place(given: Any, kind: Any, code: str, at: str) -> None:
    with pytest.raises(DocumentError) as caught:
        documents.parse(given, kind)
    assert (caught.value.code, caught.value.at) == (code, at)
