"""The questions of the command line as plain objects in and out; every fault of the input is an answer with an error.

Formats are those of POLICY.md part 2. Nothing here prints, exits or reads a clock: both are arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from iamroles.iam import documents, given
from iamroles.iam.arns import ArnError
from iamroles.iam.boxing import ACCOUNT
from iamroles.iam.checks.facts import LintFacts
from iamroles.iam.contain import Verdict, contains
from iamroles.iam.diff import diff
from iamroles.iam.documents import Document, DocumentError
from iamroles.iam.emptiness import Budget
from iamroles.iam.evaluate import Request, evaluate
from iamroles.iam.given import bad_request
from iamroles.iam.json_text import read_text
from iamroles.iam.lint import lint

LINE = 1_048_576  # VA12: bytes of one question, its line end not counted
_DEPTH = 20  # a document's 12 and the envelope around it
_VALUES = 60_000  # several documents of 5,000 each
Answer = tuple[dict[str, Any], int]
Clock = Callable[[], float]
Question = Mapping[str, Any]


def answer(command: str, text: bytes, *, budget: Budget, clock: Clock) -> Answer:
    """Returns the answer and the exit code of a single question. Never raises for bad input."""
    text = text.rstrip(b"\r\n")
    try:
        question = _read(text)
        result, code = COMMANDS[command](question, budget, clock)
    except DocumentError as error:
        return {"id": _id_of(text), "error": {"code": error.code, "message": error.message, "at": error.at}}, 2
    return {"id": question.get("id"), **result}, code


def _read(text: bytes) -> Question:
    if len(text) > LINE:
        raise DocumentError("too_large", f"A line can have {LINE:,} bytes.", f"byte {LINE}")
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise DocumentError("bad_json", "The line is not UTF-8.", f"byte {error.start}") from error
    question = read_text(decoded, characters=LINE, depth=_DEPTH, values=_VALUES)
    if not isinstance(question, Mapping):
        raise bad_request("A question is a JSON object.", "character 0")
    return question


def _id_of(text: bytes) -> object:
    """The id of a faulty question where it can be read after all, so that the answer can be told apart; else None."""
    if len(text) > LINE:
        return None
    try:
        question = json.loads(text.decode(), parse_constant=lambda _: None)
        name = question.get("id") if isinstance(question, dict) else None
        json.dumps(name, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return name


def _policies(question: Question, name: str) -> tuple[Document, ...]:
    """One document or a list of them."""
    raw = _required(question, name)
    return given.document_list(raw, name) if isinstance(raw, list) else (given.document(raw, name),)


def _required(question: Question, name: str) -> Any:
    if name not in question:
        raise bad_request(f"The question lacks {name!r}.", name)
    return question[name]


def _boundary(question: Question) -> Document | None:
    raw = question.get("boundary")
    return None if raw is None else given.document(raw, "boundary", "identity")


def _ids(question: Question) -> dict[str, str]:
    raw = question.get("ids")
    return {} if raw is None else given.text_pairs(raw, "ids")


def _account(question: Question) -> str | None:
    account = question.get("account")
    if account is not None and not (isinstance(account, str) and ACCOUNT.fullmatch(account)):
        raise bad_request("An account has 12 digits.", "account")
    return account


def _contains(question: Question, budget: Budget, clock: Clock) -> Answer:
    started = clock()
    new, reference = _policies(question, "new"), _policies(question, "reference")
    account, boundary, ids = _account(question), _boundary(question), _ids(question)
    try:
        verdict = contains(new, reference, account, boundary=boundary, ids=ids, budget=budget)
    except ValueError as error:
        raise bad_request(str(error), "reference") from error
    result = {
        "verdict": verdict.verdict,
        "witness": _witness(verdict),
        "ms": round((clock() - started) * 1000, 3),
        "reason": verdict.reason,
        "regions": [region.as_mapping() for region in verdict.regions],
    }
    return result, {"proved": 0, "counterexample": 1}.get(verdict.verdict, 3)


def _witness(verdict: Verdict) -> dict[str, Any] | None:
    call = verdict.witness
    if call is None:
        return None
    context = {key: value if isinstance(value, str) else list(value) for key, value in call.context.items()}
    principal = {} if call.principal is None else {"principal": {call.principal[0]: call.principal[1]}}
    return {"action": call.action, "resource": call.resource, "context": context, **principal}


def _evaluate(question: Question, budget: Budget, _: Clock) -> Answer:
    policies = given.document_list(_required(question, "policies"), "policies")
    request = _request(_required(question, "request"))
    decision = evaluate(policies, _boundary(question), request, ids=_ids(question), stop=budget.stop)
    statements = [
        {"policy": one.policy, "index": one.index, "sid": one.sid, "effect": one.effect} for one in decision.statements
    ]
    return {"decision": decision.decision, "statements": statements}, 0


def _request(raw: object) -> Request:
    asked = given.mapping(raw, "request")
    principal = _asked_principal(asked.get("principal"))
    if principal is not None:
        asked = {"resource": "*", **asked}  # a trust policy has no resources
    for name in ("action", "resource"):
        if not isinstance(asked.get(name), str):
            raise bad_request(f"The request needs its {name} as a string.", f"request.{name}")
    context = asked.get("context")
    context = {} if context is None else given.mapping(context, "request.context")
    for key, value in context.items():
        if not all(isinstance(one, str) for one in (value if isinstance(value, list) else [value])):
            raise bad_request("A context value is a string or a list of strings.", f"request.context.{key}")
    return Request(asked["action"], asked["resource"], dict(context), principal)


def _asked_principal(raw: object) -> tuple[str, str] | None:
    if raw is None:
        return None
    if isinstance(raw, Mapping) and len(raw) == 1:
        kind, name = next(iter(raw.items()))
        if kind in {"AWS", "Service", "Federated"} and isinstance(name, str):
            return kind, name
    raise bad_request('principal is an object such as {"Service": "…"}.', "request.principal")


def _lint(question: Question, budget: Budget, _: Clock) -> Answer:
    raw = _required(question, "document")
    kind = question.get("kind", "identity")
    if kind not in ("identity", "trust"):
        raise bad_request("kind is identity or trust.", "kind")
    facts = None if question.get("facts") is None else LintFacts.from_mapping(question["facts"])
    document: Any = raw if isinstance(raw, str | Mapping) else "null"
    try:
        findings = lint(document, kind, _account(question), facts, budget=budget)
    except ArnError as error:
        raise bad_request(str(error), "facts") from error
    bad = any(one.severity in {"high", "forbidden"} or one.will_not_work for one in findings if not one.standard)
    return {"findings": [one.as_mapping() for one in findings]}, int(bad)


def _diff(question: Question, budget: Budget, _: Clock) -> Answer:
    before, after = (
        () if _required(question, name) is None else _policies(question, name) for name in ("before", "after")
    )
    try:
        found = diff(before, after, ids=_ids(question), budget=budget)
    except ValueError as error:
        raise bad_request(str(error), "after") from error
    return found.as_mapping(), 3 if found.unfinished else int(found.changed)


def _canonical(question: Question, _: Budget, __: Clock) -> Answer:
    document = given.document(_required(question, "document"), "document")
    result = {
        "canonical": documents.canonical(document).decode(),
        "sha256": documents.digest(document),
        "size": documents.size(document),
    }
    return result, 0


COMMANDS: Mapping[str, Callable[[Question, Budget, Clock], Answer]] = {
    "contains": _contains,
    "evaluate": _evaluate,
    "lint": _lint,
    "diff": _diff,
    "canonical": _canonical,
}
