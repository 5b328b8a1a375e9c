"""The questions of the command line as plain objects in and out; every fault of the input is an answer with an error.

Formats are those of POLICY.md part 2. Nothing here prints, exits or reads a clock: both are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from iamroles.iam import documents
from iamroles.iam.arns import ArnError
from iamroles.iam.checks.facts import LintFacts, kind_of
from iamroles.iam.contain import contains
from iamroles.iam.diff import diff
from iamroles.iam.documents import Document, DocumentError
from iamroles.iam.emptiness import Budget
from iamroles.iam.evaluate import Request, evaluate
from iamroles.iam.json_text import read_text
from iamroles.iam.lint import lint

_LINE = 1_048_576  # VA12: one batch line
_DEPTH = 20  # a document's 12 and the envelope around it
_VALUES = 60_000  # several documents of 5,000 each
Answer = tuple[dict[str, Any], int]
Clock = Callable[[], float]


def answer(command: str, text: bytes, *, budget: Budget, clock: Clock) -> Answer:
    """Returns the answer and the exit code of a single question. Never raises for bad input."""
    name: object = None
    try:
        question = _read(text)
        name = question.get("id")
        result, code = COMMANDS[command](question, budget, clock)
    except DocumentError as error:
        return {"id": name, "error": {"code": error.code, "message": error.message, "at": error.at}}, 2
    return {"id": name, **result}, code


def _read(text: bytes) -> Mapping[str, Any]:
    if len(text) > _LINE:
        raise DocumentError("too_large", f"A line can have {_LINE:,} bytes.")
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise DocumentError("bad_json", "The line is not UTF-8.", f"byte {error.start}") from error
    question = read_text(decoded, characters=_LINE, depth=_DEPTH, values=_VALUES)
    if not isinstance(question, Mapping):
        raise DocumentError("bad_request", "A question is a JSON object.")
    return question


def _document(raw: object, at: str) -> Document:
    """Reads a document given as an object or as text; one with principals is a trust policy."""
    if isinstance(raw, str):
        value = read_text(raw) if not raw.startswith("%") else None
        kind = kind_of(value) if value is not None else _encoded_kind(raw)
        return _placed(lambda: documents.parse(raw, kind), at)
    if not isinstance(raw, Mapping):
        raise DocumentError("bad_request", f"{at} must be a policy document.", at)
    return _placed(lambda: documents.parse(raw, kind_of(raw)), at)


def _encoded_kind(raw: str) -> documents.Kind:
    return "trust" if "%22Principal%22" in raw or "%22NotPrincipal%22" in raw else "identity"


def _placed(parse: Callable[[], Document], at: str) -> Document:
    try:
        return parse()
    except DocumentError as error:
        raise DocumentError(error.code, error.message, f"{at}.{error.at}" if error.at else at) from error


def _documents(raw: object, at: str) -> tuple[Document, ...]:
    if raw is None:
        return ()
    if isinstance(raw, list):
        return tuple(_document(one, f"{at}[{index}]") for index, one in enumerate(raw))
    return (_document(raw, at),)


def _required(question: Mapping[str, Any], name: str) -> Any:
    if name not in question:
        raise DocumentError("bad_request", f"The question lacks {name!r}.", name)
    return question[name]


def _ids(question: Mapping[str, Any]) -> dict[str, str]:
    ids = question.get("ids") or {}
    if not isinstance(ids, Mapping) or not all(isinstance(one, str) for one in ids.values()):
        raise DocumentError("bad_request", "ids maps ids to ARNs.", "ids")
    return dict(ids)


def _account(question: Mapping[str, Any]) -> str | None:
    account = question.get("account")
    if account is not None and not (
        isinstance(account, str) and len(account) == 12 and account.isascii() and account.isdigit()
    ):
        raise DocumentError("bad_request", "An account has 12 digits.", "account")
    return account


def _contains(question: Mapping[str, Any], budget: Budget, clock: Clock) -> tuple[dict[str, Any], int]:
    new, reference = (
        _documents(_required(question, "new"), "new"),
        _documents(_required(question, "reference"), "reference"),
    )
    boundary = None if question.get("boundary") is None else _document(question["boundary"], "boundary")
    started = clock()
    try:
        verdict = contains(new, reference, _account(question), boundary=boundary, ids=_ids(question), budget=budget)
    except ValueError as error:
        raise DocumentError("bad_request", str(error)) from error
    witness = verdict.witness
    shown: dict[str, Any] | None = None
    if witness is not None:
        context = {k: v if isinstance(v, str) else list(v) for k, v in witness.context.items()}
        shown = {"action": witness.action, "resource": witness.resource, "context": context}
        if witness.principal is not None:
            shown["principal"] = {witness.principal[0]: witness.principal[1]}
    result = {
        "verdict": verdict.verdict,
        "witness": shown,
        "ms": round((clock() - started) * 1000, 3),
        "reason": verdict.reason,
        "regions": [region.as_mapping() for region in verdict.regions],
    }
    return result, {"proved": 0, "counterexample": 1}.get(verdict.verdict, 3)


def _evaluate(question: Mapping[str, Any], _: Budget, __: Clock) -> tuple[dict[str, Any], int]:
    policies = _required(question, "policies")
    if not isinstance(policies, list):
        raise DocumentError("bad_request", "policies is a list of documents.", "policies")
    boundary = None if question.get("boundary") is None else _document(question["boundary"], "boundary")
    decision = evaluate(
        _documents(policies, "policies"), boundary, _request(_required(question, "request")), ids=_ids(question)
    )
    statements = [
        {"policy": one.policy, "index": one.index, "sid": one.sid, "effect": one.effect} for one in decision.statements
    ]
    return {"decision": decision.decision, "statements": statements}, 0


def _request(raw: object) -> Request:
    if not isinstance(raw, Mapping):
        raise DocumentError("bad_request", "request is an object.", "request")
    action, resource = raw.get("action"), raw.get("resource", "*")
    if not isinstance(action, str) or not isinstance(resource, str):
        raise DocumentError("bad_request", "action and resource are strings.", "request")
    context = raw.get("context") or {}
    if not isinstance(context, Mapping):
        raise DocumentError("bad_request", "context is an object.", "request.context")
    for key, value in context.items():
        listed = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in listed):
            raise DocumentError(
                "bad_request", "A context value is a string or a list of strings.", f"request.context.{key}"
            )
    return Request(action, resource, dict(context), _asked_principal(raw.get("principal")))


def _asked_principal(raw: object) -> tuple[str, str] | None:
    if raw is None:
        return None
    if isinstance(raw, Mapping) and len(raw) == 1:
        kind, name = next(iter(raw.items()))
        if kind in {"AWS", "Service", "Federated"} and isinstance(name, str):
            return kind, name
    raise DocumentError("bad_request", 'principal is an object such as {"Service": "…"}.', "request.principal")


def _lint(question: Mapping[str, Any], budget: Budget, _: Clock) -> tuple[dict[str, Any], int]:
    raw = _required(question, "document")
    kind = question.get("kind", "identity")
    if kind not in ("identity", "trust"):
        raise DocumentError("bad_request", "kind is identity or trust.", "kind")
    facts = question.get("facts")
    if facts is not None and not isinstance(facts, Mapping):
        raise DocumentError("bad_request", "facts is an object.", "facts")
    told = None if facts is None else LintFacts.from_mapping(facts)
    document: Any = raw if isinstance(raw, str | Mapping) else "null"
    try:
        findings = lint(document, kind, _account(question), told, budget=budget)
    except ArnError as error:
        raise DocumentError("bad_request", str(error), "facts") from error
    bad = any(one.severity in {"high", "forbidden"} or one.will_not_work for one in findings if not one.standard)
    return {"findings": [one.as_mapping() for one in findings]}, int(bad)


def _diff(question: Mapping[str, Any], budget: Budget, _: Clock) -> tuple[dict[str, Any], int]:
    before, after = (
        _documents(_required(question, "before"), "before"),
        _documents(_required(question, "after"), "after"),
    )
    try:
        found = diff(before, after, ids=_ids(question), budget=budget)
    except ValueError as error:
        raise DocumentError("bad_request", str(error)) from error
    return found.as_mapping(), 3 if found.unfinished else int(found.changed)


def _canonical(question: Mapping[str, Any], _: Budget, __: Clock) -> tuple[dict[str, Any], int]:
    document = _document(_required(question, "document"), "document")
    result = {
        "canonical": documents.canonical(document).decode(),
        "sha256": documents.digest(document),
        "size": documents.size(document),
    }
    return result, 0


COMMANDS: Mapping[str, Callable[[Mapping[str, Any], Budget, Clock], tuple[dict[str, Any], int]]] = {
    "contains": _contains,
    "evaluate": _evaluate,
    "lint": _lint,
    "diff": _diff,
    "canonical": _canonical,
}
