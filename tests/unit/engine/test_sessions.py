"""The session policy of planned calls, shown whole, and what AssumeRole must answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from iamroles.aws import boto, sessions
from iamroles.aws.gateway import AwsError, WrongAccount
from iamroles.aws.sessions import AwsSessions, Portal, fitting, session_policy
from iamroles.iam import documents
from iamroles.iam.evaluate import Request, evaluate
from iamroles.proposal.calls import Call

UNTIL = datetime(2026, 11, 24, 12, 2, 0, 999, tzinfo=UTC)
ROLE = "arn:aws:iam::111122223333:role/codedeploy/ecsCodeDeployRole"
BOUNDARY = "arn:aws:iam::111122223333:policy/boundary/B"
POLICY = "arn:aws:iam::111122223333:policy/codedeploy/role/pass"
PORTAL = Portal("111122223333", "aws", "0" * 32, "portal/RoledeskWorker")
DEADLINE = {"DateLessThan": {"aws:CurrentTime": "2026-11-24T12:02:00Z"}}


def test_one_statement_a_call_each_with_the_deadline() -> None:
    calls = [
        Call("CreateRole", ROLE, {"PermissionsBoundary": BOUNDARY, "Tags": [{"Key": "a", "Value": "b"}]}),
        Call("CreatePolicy", POLICY, {"Tags": [{"Key": "portal:nonce", "Value": ""}]}),
        Call("AttachRolePolicy", ROLE, {"PolicyArn": POLICY}),
        Call("PutRolePolicy", ROLE, {"PolicyName": "x"}),
    ]
    assert json.loads(session_policy(calls, UNTIL)) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["iam:CreateRole", "iam:TagRole"],
                "Resource": ROLE,
                "Condition": {**DEADLINE, "StringEquals": {"iam:PermissionsBoundary": BOUNDARY}},
            },
            {
                "Effect": "Allow",
                "Action": ["iam:CreatePolicy", "iam:TagPolicy"],
                "Resource": POLICY,
                "Condition": DEADLINE,
            },
            {
                "Effect": "Allow",
                "Action": "iam:AttachRolePolicy",
                "Resource": ROLE,
                "Condition": {**DEADLINE, "ArnEquals": {"iam:PolicyARN": POLICY}},
            },
            {"Effect": "Allow", "Action": "iam:PutRolePolicy", "Resource": ROLE, "Condition": DEADLINE},
        ],
    }


OTHER = f"{ROLE}-other"
CALLS = [
    Call("CreateRole", ROLE, {"PermissionsBoundary": BOUNDARY}),
    Call("CreateRole", ROLE, {"PermissionsBoundary": POLICY}),
    Call("CreateRole", OTHER, {"PermissionsBoundary": BOUNDARY}),
    Call("UpdateRole", ROLE, {}),
    Call("UpdateAssumeRolePolicy", ROLE, {}),
    Call("TagRole", ROLE, {}),
    Call("UntagRole", ROLE, {}),
    Call("PutRolePermissionsBoundary", ROLE, {"PermissionsBoundary": BOUNDARY}),
    Call("PutRolePermissionsBoundary", ROLE, {"PermissionsBoundary": POLICY}),
    Call("PutRolePolicy", ROLE, {"PolicyName": "x"}),
    Call("DeleteRolePolicy", ROLE, {"PolicyName": "x"}),
    Call("AttachRolePolicy", ROLE, {"PolicyArn": POLICY}),
    Call("AttachRolePolicy", ROLE, {"PolicyArn": BOUNDARY}),
    Call("AttachRolePolicy", OTHER, {"PolicyArn": POLICY}),
    Call("DetachRolePolicy", ROLE, {"PolicyArn": POLICY}),
    Call("DetachRolePolicy", ROLE, {"PolicyArn": BOUNDARY}),
    Call("DeleteRole", ROLE, {}),
    Call("CreatePolicy", POLICY, {}),
    Call("CreatePolicyVersion", POLICY, {}),
    Call("SetDefaultPolicyVersion", POLICY, {}),
    Call("DeletePolicyVersion", POLICY, {}),
    Call("DeletePolicy", POLICY, {}),
    Call("TagPolicy", POLICY, {}),
    Call("UntagPolicy", POLICY, {}),
]


def passes(call: Call, covered: Call, at: str) -> bool:
    """Whether AWS would let the call pass in a session that was opened for another, by our own evaluator."""
    context = {"aws:CurrentTime": at}
    for key, argument in (("iam:PermissionsBoundary", "PermissionsBoundary"), ("iam:PolicyARN", "PolicyArn")):
        if argument in call.arguments:
            context[key] = str(call.arguments[argument])
    policy = documents.parse(json.loads(session_policy([covered], UNTIL)))
    return evaluate([policy], None, Request(f"iam:{call.api}", call.resource, context)).allowed


@pytest.mark.parametrize("covered", CALLS, ids=lambda call: f"{call.api} {list(call.arguments.values())}")
def test_no_other_call_and_no_late_one_passes_in_a_calls_session(covered: Call) -> None:
    passing = [call for call in CALLS if passes(call, covered, "2026-11-24T12:01:59Z")]
    assert passing == [covered]
    assert not passes(covered, covered, "2026-11-24T12:02:00Z")


def test_a_session_covers_as_many_calls_as_its_policy_holds() -> None:
    long = [Call("AttachRolePolicy", f"{ROLE}{'x' * 40}{n}", {"PolicyArn": POLICY}) for n in range(20)]
    chosen = fitting(long, UNTIL)
    assert 1 < len(chosen) < 8
    assert len(session_policy(chosen, UNTIL)) <= 2048 < len(session_policy(long[: len(chosen) + 1], UNTIL))


class Sts:
    """Stands for AssumeRole alone: answers in turn what it is given, and keeps what it was asked."""

    def __init__(self, *answers: str | AwsError) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, *, arguments: dict[str, Any], **_: Any) -> tuple[str, dict[str, str], int | None]:
        self.asked.append(arguments)
        answer = self.answers.pop(0)
        if isinstance(answer, AwsError):
            raise answer
        return answer, {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c"}, 37


def answering(monkeypatch: pytest.MonkeyPatch, *answers: str | AwsError) -> Sts:
    sts = Sts(*answers)
    monkeypatch.setattr(boto, "assume_role", sts)
    return sts


GOOD = "arn:aws:sts::111122223333:assumed-role/RoledeskWorker/REQ-000142-r1"


def test_assumes_the_portals_role_and_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sts = answering(monkeypatch, GOOD)
    call = Call("DeleteRolePolicy", ROLE, {"PolicyName": "x"})
    found = AwsSessions("http://127.0.0.1:9").writing(
        PORTAL, "REQ-000142-r1", identity="approver-7", calls=[call], until=UNTIL
    )
    assert (found.calls, found.until, found.packed) == ((call,), UNTIL, 37)
    assert sts.asked == [
        {
            "RoleArn": "arn:aws:iam::111122223333:role/portal/RoledeskWorker",
            "RoleSessionName": "REQ-000142-r1",
            "ExternalId": "0" * 32,
            "DurationSeconds": 900,
            "Policy": session_policy([call], UNTIL),
            "SourceIdentity": "approver-7",
        }
    ]


@pytest.mark.parametrize(
    "answered",
    [
        "arn:aws:sts::999999999999:assumed-role/RoledeskWorker/REQ-000142-r1",
        "arn:aws:sts::111122223333:assumed-role/Other/REQ-000142-r1",
        "arn:aws-cn:sts::111122223333:assumed-role/RoledeskWorker/REQ-000142-r1",
        "arn:aws:sts::111122223333:assumed-role/RoledeskWorker/REQ-000143-r1",
    ],
    ids=["account", "role", "partition", "session"],
)
def test_drops_credentials_of_another_identity(monkeypatch: pytest.MonkeyPatch, answered: str) -> None:
    answering(monkeypatch, answered)
    with pytest.raises(WrongAccount) as caught:
        AwsSessions().writing(
            PORTAL, "REQ-000142-r1", identity="approver-7", calls=[Call("DeleteRole", ROLE, {})], until=UNTIL
        )
    assert (caught.value.expected, caught.value.answered) == (GOOD, answered)


def test_halves_the_calls_when_the_packed_policy_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    sts = answering(monkeypatch, AwsError("PackedPolicyTooLarge"), AwsError("PackedPolicyTooLarge"), GOOD)
    calls = [Call("DeleteRolePolicy", ROLE, {"PolicyName": str(n)}) for n in range(4)]
    found = AwsSessions("http://127.0.0.1:9").writing(PORTAL, "REQ-000142-r1", identity="x1", calls=calls, until=UNTIL)
    assert found.calls == tuple(calls[:1])
    assert [len(json.loads(asked["Policy"])["Statement"]) for asked in sts.asked] == [4, 2, 1]


def test_one_call_that_is_too_large_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, AwsError("PackedPolicyTooLarge"))
    with pytest.raises(AwsError) as caught:
        AwsSessions().writing(PORTAL, "REQ-1", identity="x1", calls=[Call("DeleteRole", ROLE, {})], until=UNTIL)
    assert (caught.value.code, caught.value.kind) == ("SessionPolicyTooLarge", "blocked")


def test_a_look_may_only_read() -> None:
    assert json.loads(sessions.READ_ONLY) == {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["iam:Get*", "iam:List*"], "Resource": "*"}],
    }
