# ruff: noqa: E501  (questions read best on one line)
"""`python -m iamroles.iam`: published formats, exit codes, bad input without a traceback, no Django on import."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from iamroles.iam import questions
from iamroles.iam.emptiness import Budget

ALLOW = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a"}],
}
MORE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::a", "arn:aws:s3:::b"]}],
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
REGION = {
    "action": {"matches": [["s3:GetObject"]], "but_not": []},
    "resource": {"matches": [["arn:aws:s3:::b"]], "but_not": []},
    "conditions": [],
    "certain": True,
}


def ask(command: str, question: Any) -> tuple[dict[str, Any], int]:
    text = question if isinstance(question, bytes) else json.dumps(question).encode()
    return questions.answer(command, text, budget=Budget(), clock=lambda: 0.0)


class TestAnswers:
    def test_contains(self) -> None:
        answer = {"id": 7, "verdict": "proved", "witness": None, "ms": 0.0, "reason": "", "regions": []}
        assert ask("contains", {"id": 7, "new": ALLOW, "reference": MORE}) == (answer, 0)
        witness = {"action": "s3:GetObject", "resource": "arn:aws:s3:::b", "context": {}}
        answer = {
            "id": 7,
            "verdict": "counterexample",
            "witness": witness,
            "ms": 0.0,
            "reason": "",
            "regions": [REGION],
        }
        assert ask("contains", {"id": 7, "new": MORE, "reference": ALLOW}) == (answer, 1)

    def test_contains_without_an_answer_ends_with_3(self) -> None:
        mixed = json.loads(json.dumps(ALLOW))
        mixed["Statement"][0]["Condition"] = {"StringEquals": {"a:b": "c"}, "ForAnyValue:StringEquals": {"a:b": "c"}}
        answer, code = ask("contains", {"id": 1, "new": mixed, "reference": ALLOW})
        assert (answer["verdict"], code) == ("unknown", 3)

    def test_contains_of_trust_names_the_principal(self) -> None:
        other = json.loads(json.dumps(TRUST).replace("codedeploy", "ecs"))
        answer, code = ask("contains", {"id": 1, "new": TRUST, "reference": other})
        assert (answer["witness"], code) == (
            {
                "action": "sts:AssumeRole",
                "resource": "*",
                "context": {},
                "principal": {"Service": "codedeploy.amazonaws.com"},
            },
            1,
        )

    def test_evaluate(self) -> None:
        request = {"action": "s3:GetObject", "resource": "arn:aws:s3:::a", "context": {"k": ["v"]}}
        statements = [{"policy": 0, "index": 0, "sid": "", "effect": "Allow"}]
        answer = {"id": "e", "decision": "allowed", "statements": statements}
        assert ask("evaluate", {"id": "e", "policies": [ALLOW], "boundary": None, "request": request}) == (answer, 0)

    def test_lint(self) -> None:
        finding = {
            "id": "TR03",
            "severity": "medium",
            "will_not_work": False,
            "statement": 0,
            "message": "Nothing checks for which AWS account the service acts (confused deputy).",
            "fix": "Add aws:SourceAccount, or aws:SourceArn of the deployment group or stack.",
            "standard": False,
        }
        question = {"id": None, "document": TRUST, "kind": "trust", "account": "111122223333"}
        assert ask("lint", question) == ({"id": None, "findings": [finding]}, 0)
        folded = {"id": None, "findings": [{**finding, "standard": True}]}
        assert ask("lint", {**question, "facts": {"standard": [TRUST]}}) == (folded, 0)
        answer, code = ask("lint", {"id": 1, "document": '{"a":1,"a":2}', "kind": "identity", "account": None})
        assert ([one["id"] for one in answer["findings"]], code) == (["VA11"], 1)

    def test_diff(self) -> None:
        nothing: dict[str, list[Any]] = {"newly_denied": [], "no_longer_denied": []}
        sentence = "Can now read the S3 object b."
        answer = {"id": 1, "newly_allowed": [REGION], "no_longer_allowed": [], **nothing, "sentences": [sentence]}
        assert ask("diff", {"id": 1, "before": ALLOW, "after": [MORE]}) == (answer, 1)
        empty = {"id": 1, "newly_allowed": [], "no_longer_allowed": [], **nothing, "sentences": []}
        assert ask("diff", {"id": 1, "before": None, "after": None}) == (empty, 0)

    def test_canonical(self) -> None:
        answer = {
            "id": 1,
            "canonical": '{"Statement":[{"Action":["sts:assumerole"],"Effect":"Allow","Principal":{"Service":["codedeploy.amazonaws.com"]}}],"Version":"2012-10-17"}',
            "sha256": "0cc7cde66830a727dc3c7d83ad3c6dac7a53df1993de41021d107492dd3b109a",
            "size": 134,
        }
        assert ask("canonical", {"id": 1, "document": json.dumps(TRUST, indent=2)}) == (answer, 0)


@pytest.mark.parametrize("command", sorted(questions.COMMANDS))
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"garbage",
        b"[]",
        b"{}",
        b'{"id":1}',
        b"\xff",
        b'{"id":1,"document":1}',
        b'{"id":1,"new":1,"reference":[]}',
        b"[" * 5000,
        b'{"a":1,"a":2}',
        b" " * 1_048_577,
        b'{"id":1,"policies":[{}],"request":{}}',
        b'{"id":NaN}',
    ],
)
def test_bad_input_is_an_error_with_a_code(command: str, text: bytes) -> None:
    answer, code = ask(command, text)
    if "error" not in answer:  # lint answers a malformed document with a finding
        assert (command, code) == ("lint", 1)
        return
    assert set(answer["error"]) == {"code", "message", "at"}
    assert answer["error"]["code"] in {
        "bad_json",
        "duplicate_key",
        "too_deep",
        "too_large",
        "bad_document",
        "bad_operator",
        "bad_request",
    }
    assert code == 2


IDENTITY = {"id": 9, "kind": "identity", "account": "111122223333"}
CALL = {"action": "s3:GetObject", "resource": "arn:aws:s3:::a"}
LONG = {"Statement": {**ALLOW["Statement"][0], "Condition": {"StringLike": {"k": "*" + "a" * 9000 + "?b*"}}}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("command", "question", "code", "at"),
    [
        ("contains", {"id": 9, "new": None, "reference": ALLOW}, "bad_request", "new"),
        ("contains", {"id": 9, "new": ALLOW, "reference": {"Statement": []}}, "bad_document", "reference.Statement"),
        ("contains", {"id": 9, "new": ALLOW, "reference": '{"a":1,"a":2}'}, "duplicate_key", "reference.a"),
        ("contains", {"id": 9, "new": ALLOW, "reference": TRUST}, "bad_request", "reference"),
        ("contains", {"id": 9, "new": ALLOW, "reference": ALLOW, "boundary": []}, "bad_request", "boundary"),
        ("contains", {"id": 9, "new": ALLOW, "reference": ALLOW, "ids": {"AROA": 1}}, "bad_request", "ids.AROA"),
        ("contains", {"id": 9, "new": ALLOW, "reference": ALLOW, "account": 111122223333}, "bad_request", "account"),
        ("evaluate", {"id": 9, "policies": ALLOW, "request": CALL}, "bad_request", "policies"),
        ("evaluate", {"id": 9, "policies": [ALLOW, 5], "request": CALL}, "bad_request", "policies[1]"),
        ("evaluate", {"id": 9, "policies": [ALLOW], "request": {"action": "s3:GetObject"}}, "bad_request", "request.resource"),
        ("evaluate", {"id": 9, "policies": [ALLOW], "request": {**CALL, "action": "s3"}}, "bad_request", "request.action"),
        ("evaluate", {"id": 9, "policies": [ALLOW], "request": {**CALL, "resource": "a"}}, "bad_request", "request.resource"),
        ("evaluate", {"id": 9, "policies": [ALLOW], "request": {**CALL, "context": []}}, "bad_request", "request.context"),
        ("evaluate", {"id": 9, "policies": [ALLOW], "request": {**CALL, "context": {"k": 1}}}, "bad_request", "request.context.k"),
        ("evaluate", {"id": 9, "policies": [ALLOW], "request": {**CALL, "context": {"k": "a", "K": "b"}}}, "bad_request", "request.context.K"),
        ("evaluate", {"id": 9, "policies": [TRUST], "request": CALL}, "bad_request", "request.principal"),
        ("evaluate", {"id": 9, "policies": [LONG], "request": {**CALL, "context": {"k": "a" * 9000}}}, "too_large", "a" * 100),
        ("lint", {**IDENTITY, "document": ALLOW, "kind": "other"}, "bad_request", "kind"),
        ("lint", {**IDENTITY, "document": ALLOW, "account": "1"}, "bad_request", "account"),
        ("lint", {**IDENTITY, "document": ALLOW, "facts": {"standart": []}}, "bad_request", "facts.standart"),
        ("lint", {**IDENTITY, "document": ALLOW, "facts": {"standard": [5]}}, "bad_request", "facts.standard[0]"),
        ("lint", {**IDENTITY, "document": ALLOW, "facts": {"rest": [{"Statement": []}]}}, "bad_document", "facts.rest[0].Statement"),
        ("lint", {**IDENTITY, "document": ALLOW, "facts": {"expected": {"roles": []}}}, "bad_request", "facts.expected.roles"),
        ("lint", {**IDENTITY, "document": ALLOW, "facts": {"bundles_tagged": "false"}}, "bad_request", "facts.bundles_tagged"),
        ("diff", {"id": 9, "before": None}, "bad_request", "after"),
        ("diff", {"id": 9, "before": None, "after": 5}, "bad_request", "after"),
        ("canonical", {"id": 9, "document": {**ALLOW, "Version": "2012-10-18"}}, "bad_document", "document.Version"),
        ("canonical", {"id": 9, "document": {"Statement": {**ALLOW["Statement"][0], "Action": 5}}}, "bad_document", "document.Statement[0].Action"),  # type: ignore[dict-item]
        ("canonical", b'{"id":9,"document":' + b"[" * 100 + b"]" * 100 + b"}", "too_deep", "character 38"),
        ("canonical", b'{"id":9,"document":{"Version":NaN}}', "bad_json", "NaN"),
        ("canonical", b'{"id":9,"document":{"Id":"\\ud800"}}', "bad_json", "document.Id"),
        ("canonical", b'{"id":9,"document":{"Id":"a","Id":"b"}}', "duplicate_key", "Id"),
    ],
)  # fmt: skip
def test_a_fault_has_its_place_and_the_questions_id(command: str, question: Any, code: str, at: str) -> None:
    answer, exit_code = ask(command, question)
    assert (answer["id"], answer["error"]["code"], answer["error"]["at"], exit_code) == (9, code, at, 2)


@pytest.mark.parametrize(
    "text",
    [
        b'{"id":NaN}',
        b'{"id":1e999}',
        b"\xef\xbb\xbf{}",
        b"[1]",
        b'{"id":' + b"9" * 5000 + b"}",
        b'{"id":1,"a":' + b"[" * 100_000,
    ],
)
def test_an_id_that_cannot_be_read_is_null(text: bytes) -> None:
    assert ask("canonical", text)[0]["id"] is None


def test_facts_may_hold_documents_as_text() -> None:
    question = {**IDENTITY, "document": TRUST, "kind": "trust", "facts": {"standard": [json.dumps(TRUST)]}}
    answer, _ = ask("lint", question)
    assert [one["standard"] for one in answer["findings"]] == [True]


def test_a_question_that_takes_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    members = {"k": [str(index) for index in range(500)]}
    many = {"Statement": {**ALLOW["Statement"][0], "Condition": {"StringLike": {"k": ["*x*"] * 50}}}}  # type: ignore[dict-item]
    question = json.dumps({"id": 9, "policies": [many], "request": {**CALL, "context": members}}).encode()
    answer, code = questions.answer("evaluate", question, budget=Budget(stop=lambda: True), clock=lambda: 0.0)
    assert (answer["error"]["message"], code) == ("The time for this question ran out.", 2)


class TestProcess:
    @staticmethod
    def run(*arguments: str, text: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "iamroles.iam", *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)

    def test_batch_answers_each_line_in_order(self) -> None:
        good = json.dumps({"id": 1, "document": TRUST})
        done = self.run("canonical", "--batch", text=f"{good}\nnonsense\n\n{good}\n")
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert [answer["id"] for answer in answers] == [1, None, None, 1]
        assert (done.returncode, done.stderr) == (2, "")
        assert self.run("canonical", "--batch", text=good).returncode == 0

    def test_a_line_may_have_a_mebibyte_beside_its_end(self) -> None:
        good = json.dumps({"id": 1, "document": TRUST})
        longest = good + " " * (questions.LINE - len(good))
        done = self.run("canonical", "--batch", text=f"{longest}\r\n{longest} \n{good}")
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert [answer.get("error", {}).get("code") for answer in answers] == [None, "too_large", None]

    @pytest.mark.parametrize("seconds", ["nan", "-1", "x", "1e9"])
    def test_a_time_limit_is_a_number_of_seconds(self, seconds: str) -> None:
        done = self.run("canonical", "--timeout", seconds, text="{}")
        assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (
            2,
            "",
            "python -m iamroles.iam: error: argument --timeout: give 0 to 3600 seconds",
        )

    def test_a_long_line_does_not_end_the_batch(self) -> None:
        good = json.dumps({"id": 1, "document": TRUST})
        done = self.run("canonical", "--batch", text=" " * 3_000_000 + f"\n{good}\n")
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert [answer.get("error", {}).get("code") for answer in answers] == ["too_large", None]

    def test_importing_brings_in_no_framework(self) -> None:
        code = "import sys, iamroles.iam.questions; print([m for m in ('django', 'boto3', 'celery', 'datetime', 'random') if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == "[]\n"
