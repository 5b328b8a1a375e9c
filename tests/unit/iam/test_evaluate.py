# ruff: noqa: E501  (tables read best with one case a line)
"""Decisions on single AWS calls: the rules of the policy language, one table a rule, and the traps."""

from __future__ import annotations

from typing import Any

import pytest

from iamroles.iam import documents
from iamroles.iam.documents import DocumentError
from iamroles.iam.evaluate import Decision, Matched, Request, evaluate

ARN = "arn:aws:s3:::bucket/key"


def policy(effect: str = "Allow", version: str = "2012-10-17", **elements: Any) -> documents.Document:
    statement = {"Effect": effect, **elements}
    if "NotAction" not in elements:
        statement.setdefault("Action", "s3:GetObject")
    if "NotResource" not in elements:
        statement.setdefault("Resource", "*")
    return documents.parse({"Version": version, "Statement": [statement]})


def allows(document: documents.Document, resource: str = ARN, action: str = "s3:GetObject", **context: Any) -> bool:
    return evaluate([document], None, Request(action, resource, context.get("context", {}))).allowed


def test_decides_by_explicit_deny_then_allow_within_the_boundary() -> None:
    allow, deny = policy(), policy("Deny")
    other = policy(Action="s3:PutObject")
    request = Request("s3:GetObject", ARN)
    found = Matched(0, 0, "", "Allow")
    assert evaluate([allow], None, request) == Decision("allowed", (found,))
    assert evaluate([], None, request) == Decision("implicit_deny", ())
    assert evaluate([allow, deny], None, request) == Decision("explicit_deny", (found, Matched(1, 0, "", "Deny")))
    assert evaluate([allow], other, request) == Decision("implicit_deny", (found,))
    assert evaluate([allow], allow, request) == Decision("allowed", (found, Matched("boundary", 0, "", "Allow")))
    assert evaluate([allow], deny, request) == Decision("explicit_deny", (found, Matched("boundary", 0, "", "Deny")))
    assert evaluate([], allow, request) == Decision("implicit_deny", (Matched("boundary", 0, "", "Allow"),))


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("S3:getobject", "s3:GetObject", True),
        ("s3:Get*", "s3:GetObject", True),
        ("s3:?etObject", "s3:GetObject", True),
        ("*", "s3:GetObject", True),
        ("s3:Put*", "s3:GetObject", False),
        ("s3:PutKey", "s3:Put\u212aey", False),
    ],
)
def test_actions_ignore_ascii_case_and_take_wildcards(pattern: str, action: str, expected: bool) -> None:
    assert allows(policy(Action=pattern), action=action) is expected


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        ("*", "*", True),
        ("*", ARN, True),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a:b/c", True),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::Bucket/a", False),
        ("arn:aws:*:::bucket", "arn:aws:s3:::bucket", True),
        ("arn:aws:s3*", "arn:aws:s3:::bucket", True),
        ("arn:aws:s3*", "arn:aws:s3:r:1:bucket", True),
        ("arn:*:bucket/key", ARN, False),
        ("arn:*", ARN, True),
        ("arn:*", "*", False),
        ("arn:aws:iam::*:role/x", "arn:aws:iam::1:2:role/x", False),
        ("arn:aws:iam::?:role/x", "arn:aws:iam:::role/x", False),
        ("arn:aws:s3:::${*}", "arn:aws:s3:::*", True),
        ("arn:aws:s3:::${*}", "arn:aws:s3:::a", False),
    ],
)
def test_resources_match_segment_by_segment(pattern: str, resource: str, expected: bool) -> None:
    assert allows(policy(Resource=pattern), resource) is expected


def test_complements_lie_within_the_domain() -> None:
    document = policy(NotAction="s3:Put*", NotResource="arn:aws:s3:::a")
    assert allows(document)
    assert not allows(document, action="s3:PutObject")
    assert not allows(document, "arn:aws:s3:::a")
    assert allows(document, "*")


_ABSENT: dict[str, Any] = {}
_ONE = {"K:X": "a"}


@pytest.mark.parametrize(
    ("operator", "values", "context", "expected"),
    [
        ("StringEquals", "a", _ONE, True),
        ("StringEquals", "a*", {"k:x": "ab"}, False),
        ("StringEquals", "a", _ABSENT, False),
        ("StringEquals", "a", {"k:x": []}, False),
        ("StringNotEquals", "a", _ABSENT, True),
        ("StringEqualsIfExists", "a", _ABSENT, True),
        ("StringEqualsIfExists", "a", {"k:x": "b"}, False),
        ("StringEquals", ["b", "a"], _ONE, True),
        ("StringNotEquals", ["b", "a"], _ONE, False),
        ("StringEquals", "a", {"k:x": ["b", "a"]}, True),
        ("StringNotEquals", "a", {"k:x": ["b", "a"]}, False),
        ("ForAllValues:StringEquals", "a", {"k:x": ["b", "a"]}, False),
        ("ForAllValues:StringEquals", "a", _ABSENT, True),
        ("ForAllValues:StringEquals", "a", {"k:x": [""]}, False),
        ("ForAnyValue:StringEquals", "a", {"k:x": ["b", "a"]}, True),
        ("ForAnyValue:StringEquals", "a", _ABSENT, False),
        ("ForAnyValue:StringEqualsIfExists", "a", _ABSENT, True),
        ("ForAnyValue:StringNotEquals", "a", {"k:x": ["b", "a"]}, True),
        ("ForAnyValue:StringNotEquals", "a", _ABSENT, False),
        ("ForAllValues:StringNotEquals", "a", {"k:x": ["b", "a"]}, False),
        ("Null", "true", _ABSENT, True),
        ("Null", "true", {"k:x": []}, True),
        ("Null", "false", {"k:x": ""}, True),
        ("Null", ["true", "false"], _ABSENT, True),
        ("Null", ["true", "false"], _ONE, True),
        ("StringLike", "*", {"k:x": ""}, True),
        ("StringLike", "?*", {"k:x": ""}, False),
        ("StringEqualsIgnoreCase", "K", {"k:x": "k"}, True),
        ("StringEqualsIgnoreCase", "k", {"k:x": "\u212a"}, False),
        ("Bool", "true", {"k:x": "TRUE"}, True),
        ("Bool", "true", {"k:x": "yes"}, False),
        ("ArnLike", "arn:aws:sns:*:*:t", {"k:x": "arn:aws:sns:r:1:t"}, True),
        ("ArnEquals", "arn:aws:sns:*:*:t*", {"k:x": "arn:aws:sns:r:1:t:u"}, True),
        ("ArnLike", "arn:*", {"k:x": "arn:aws:sns:r:1:t"}, False),
        ("ArnNotLike", "arn:aws:sns:*:*:t", {"k:x": "arn:aws:sns:r:1:t"}, False),
        ("NumericLessThan", "10", {"k:x": "9"}, True),
        ("NumericLessThan", "10", {"k:x": "9x"}, False),
        ("NumericNotEquals", 10, {"k:x": "10.0"}, False),
        ("NumericGreaterThanEquals", "1.5", {"k:x": "1.50"}, True),
        ("DateLessThan", "2026-11-24T00:00:00Z", {"k:x": "2026-11-23T23:59:59.999Z"}, True),
        ("DateEquals", "2026-11-24T01:00:00+01:00", {"k:x": "1795478400"}, True),
        ("DateGreaterThan", "2026-02-30", {"k:x": "2027-01-01"}, False),
        ("IpAddress", "10.0.0.0/8", {"k:x": "10.1.2.3"}, True),
        ("NotIpAddress", "10.0.0.0/8", {"k:x": "11.1.2.3"}, True),
        ("IpAddress", "2001:db8::/32", {"k:x": "2001:db8::1"}, True),
        ("IpAddress", "nonsense", {"k:x": "10.1.2.3"}, False),
        ("BinaryEquals", "QUJD", {"k:x": "QUJD"}, True),
    ],
)  # fmt: skip
def test_conditions(operator: str, values: Any, context: dict[str, Any], expected: bool) -> None:
    assert allows(policy(Condition={operator: {"k:X": values}}), context=context) is expected


@pytest.mark.parametrize(
    ("pattern", "version", "context", "resource", "expected"),
    [
        ("x/${aws:username}", "2012-10-17", {"aws:UserName": "bob"}, "x/bob", True),
        ("x/${aws:username}", "2012-10-17", {"aws:username": "*"}, "x/bob", False),
        ("x/${aws:username}", "2012-10-17", {"aws:username": "a:b/c"}, "x/a:b/c", True),
        ("x/${aws:username}", "2012-10-17", {"aws:username": ""}, "x/", True),
        ("x/${aws:username}", "2012-10-17", {}, "x/", False),
        ("x/${aws:username, 'guest'}", "2012-10-17", {}, "x/guest", True),
        ("x/${aws:username}", "2012-10-17", {"aws:username": ["a", "b"]}, "x/a", False),
        ("x/${aws:username}", "2008-10-17", {"aws:username": "bob"}, "x/bob", False),
        ("x/${aws:username}", "2008-10-17", {}, "x/${aws:username}", True),
    ],
)
def test_variables(pattern: str, version: str, context: dict[str, Any], resource: str, expected: bool) -> None:
    document = policy(version=version, Resource=f"arn:aws:s3:::{pattern}")
    assert allows(document, f"arn:aws:s3:::{resource}", context=context) is expected


def trust(effect: str, principal: Any) -> dict[str, Any]:
    element = (
        {"NotPrincipal": principal["Not"]}
        if isinstance(principal, dict) and "Not" in principal
        else {"Principal": principal}
    )
    return {"Effect": effect, **element, "Action": "sts:AssumeRole"}


ROLE = "arn:aws:iam::111122223333:role/path/R"
SESSION = "arn:aws:sts::111122223333:assumed-role/R/me"


@pytest.mark.parametrize(
    ("statements", "asked", "expected"),
    [
        ([trust("Allow", {"Service": "a.amazonaws.com"})], ("Service", "a.amazonaws.com"), "allowed"),
        ([trust("Allow", {"Service": "a.amazonaws.com"})], ("Service", "A.amazonaws.com"), "implicit_deny"),
        ([trust("Allow", "*")], ("AWS", ROLE), "allowed"),
        ([trust("Allow", "*")], ("Service", "a.amazonaws.com"), "implicit_deny"),
        ([trust("Allow", {"AWS": ROLE})], ("AWS", SESSION), "allowed"),
        ([trust("Allow", {"AWS": SESSION})], ("AWS", ROLE), "implicit_deny"),
        ([trust("Allow", {"AWS": "111122223333"})], ("AWS", ROLE), "implicit_deny"),
        ([trust("Allow", {"AWS": "111122223333"})], ("AWS", "arn:aws:iam::111122223333:root"), "allowed"),
        ([trust("Allow", "*"), trust("Deny", {"AWS": "111122223333"})], ("AWS", ROLE), "explicit_deny"),
        ([trust("Allow", {"AWS": "AROAEXAMPLE"})], ("AWS", ROLE), "allowed"),
        ([trust("Allow", {"AWS": "AROADANGLING"})], ("AWS", ROLE), "implicit_deny"),
        ([trust("Allow", {"Service": "a.amazonaws.com"}), trust("Deny", "*")], ("Service", "a.amazonaws.com"), "explicit_deny"),
        ([trust("Allow", {"Not": {"AWS": ROLE}})], ("AWS", "arn:aws:iam::111122223333:role/S"), "allowed"),
        ([trust("Allow", {"Not": {"AWS": ROLE}})], ("AWS", ROLE), "implicit_deny"),
    ],
)  # fmt: skip
def test_principals(statements: list[dict[str, Any]], asked: tuple[str, str], expected: str) -> None:
    document = documents.parse({"Version": "2012-10-17", "Statement": statements}, "trust")
    request = Request("sts:AssumeRole", "*", {}, asked)
    assert evaluate([document], None, request, ids={"AROAEXAMPLE": ROLE}).decision == expected


@pytest.mark.parametrize(
    "request_",
    [Request("GetObject", ARN), Request("s3:GetObject", "bucket"), Request("s3:GetObject", ARN, {"a": "1", "A": "2"})],
)
def test_refuses_what_is_no_call(request_: Request) -> None:
    with pytest.raises(DocumentError) as caught:
        evaluate([policy()], None, request_)
    assert caught.value.code == "bad_request"


def test_many_stars_stay_fast() -> None:
    document = policy(Resource="arn:aws:s3:::" + "*a" * 40 + "b")
    assert not allows(document, "arn:aws:s3:::" + "a" * 1500)
