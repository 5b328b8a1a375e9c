"""Decides one AWS call: explicit deny, allowed, or implicit deny, and which statements matched (POLICY.md part 3).

Regular expressions do the matching here; `contain` proves with other means and lets every counterexample be confirmed
here, so the two must not share matching code. Resources are read segment-wise, the first of AWS's two readings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from iamroles.iam import _expressions, _values
from iamroles.iam.documents import Document
from iamroles.iam.json_text import DocumentError
from iamroles.iam.statements import (
    ARN_OPERATORS,
    Condition,
    Escape,
    Statement,
    Variable,
    ascii_lower,
    parts,
)

Context = Mapping[str, tuple[str, ...]]
Reading = Literal["wide", "exact"]

_ACTION = re.compile(r"[^:]+:[^:]+", re.DOTALL)
_RESOURCE = re.compile(r"\*|arn:[^:]+:[^:]+:[^:]*:[^:]*:.+", re.DOTALL)
_LITERAL_START = re.compile(r"[^*?$]*")  # matches every text
_LONGEST = 30_000_000  # letters of an expression times letters of a word: some hundredths of a second at worst
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_ROOT = re.compile(r"arn:[^:]*:iam::([0-9]{12}):root", re.ASCII)
_ROLE = re.compile(r"(arn:[^:]*):iam::([0-9]{12}):role/(?:.*/)?([^/]+)", re.DOTALL)
_SESSION = re.compile(r"(arn:[^:]*):sts::([0-9]{12}):assumed-role/([^/]+)/.+", re.DOTALL)


@dataclass(frozen=True)
class Request:
    """One AWS call. `context` maps condition keys (any case) to values; `principal` is (type, value) for trust."""

    action: str
    resource: str = "*"
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    principal: tuple[str, str] | None = None


@dataclass(frozen=True)
class Matched:
    """A statement that matched. `policy` is the position in the policies, or "boundary"."""

    policy: int | Literal["boundary"]
    index: int
    sid: str
    effect: str


@dataclass(frozen=True)
class Decision:
    """`decision` is allowed, implicit_deny or explicit_deny; `statements` are all that matched, boundary last."""

    decision: Literal["allowed", "implicit_deny", "explicit_deny"]
    statements: tuple[Matched, ...]

    @property
    def allowed(self) -> bool:
        """True when the call goes through."""
        return self.decision == "allowed"


def evaluate(
    policies: Sequence[Document],
    boundary: Document | None,
    request: Request,
    *,
    ids: Mapping[str, str] | None = None,
    denied_principals: Reading = "wide",
    stop: Callable[[], bool] | None = None,
) -> Decision:
    """Returns the decision. `ids` maps AROA/AIDA ids to ARNs; `denied_principals` says how Denies and NotPrincipal of
    Allows read them.

    `stop` is asked now and then. Raises `DocumentError`: bad_request when action, resource or context are no such
    things, too_large when `stop` says True or a pattern and a value are too long to be compared in good time.
    """
    if request.principal is None and any(document.kind == "trust" for document in policies):
        raise DocumentError("bad_request", "A trust policy is asked with a principal.", "request.principal")
    call = _Call(request, ids or {}, denied_principals, stop)
    matched: list[Matched] = []
    effects: set[tuple[bool, str]] = set()
    named: list[tuple[int | Literal["boundary"], Document]] = list(enumerate(policies))
    if boundary is not None:
        named.append(("boundary", boundary))
    for name, document in named:
        for statement in document.statements:
            if call.matches(statement, document.version):
                matched.append(Matched(name, statement.index, statement.sid, statement.effect))
                effects.add((name == "boundary", statement.effect))
    return Decision(_decide(effects, bounded=boundary is not None), tuple(matched))


def _decide(effects: set[tuple[bool, str]], *, bounded: bool) -> Literal["allowed", "implicit_deny", "explicit_deny"]:
    if any(effect == "Deny" for _, effect in effects):
        return "explicit_deny"
    if (False, "Allow") in effects and (not bounded or (True, "Allow") in effects):
        return "allowed"
    return "implicit_deny"


class _Call:
    """The request made ready for matching: folded action, context keys in lower case, `[]` dropped."""

    def __init__(
        self, request: Request, ids: Mapping[str, str], denied_principals: Reading, stop: Callable[[], bool] | None
    ) -> None:
        if not _ACTION.fullmatch(request.action):
            message = f"An action looks like service:Name, not {request.action[:100]!r}."
            raise DocumentError("bad_request", message, "request.action")
        if not _RESOURCE.fullmatch(request.resource):
            message = f"A resource is an ARN or *, not {request.resource[:100]!r}."
            raise DocumentError("bad_request", message, "request.resource")
        self.action = ascii_lower(request.action)
        self.resource = request.resource
        self.principal = request.principal
        self.ids = ids
        self.denied_principals = denied_principals
        self._stop = stop
        self._compared = 0
        self.context: dict[str, tuple[str, ...]] = {}
        for key, value in request.context.items():
            folded = ascii_lower(key)
            if folded in self.context:
                message = f"The context key {key[:100]!r} stands twice."
                raise DocumentError("bad_request", message, f"request.context.{key[:100]}")
            self.context[folded] = (value,) if isinstance(value, str) else tuple(value)
        self.context = {key: values for key, values in self.context.items() if values}

    def matches(self, statement: Statement, version: str) -> bool:
        """True when action, resource, principal and every condition of the statement match."""
        names = (_expressions.glob([(ascii_lower(pattern), False)]) for pattern in statement.actions)
        action = any(self._matches(name, self.action) for name in names)
        if action == statement.not_actions:
            return False
        if statement.resources:
            resource = any(self._resource_matches(pattern, version) for pattern in statement.resources)
            if resource == statement.not_resources:
                return False
        if statement.principals and not self._principal_matches(statement):
            return False
        return all(self._condition_holds(condition, version) for condition in statement.conditions)

    def _resource_matches(self, pattern: str, version: str) -> bool:
        if pattern == "*":
            return True
        start = _LITERAL_START.match(pattern)
        if start and not self.resource.startswith(start.group()):
            return False
        source = _expressions.segmented(self._pieces(pattern, version), pad=True)
        return source is not None and self._matches(source, self.resource)

    def _matches(self, source: str, word: str) -> bool:
        """Whether the whole word matches the expression, if that can be told within the limits."""
        self._tick()
        if len(source) * len(word) > _LONGEST:
            raise DocumentError("too_large", "A pattern and a value are too long to be compared.", word[:100])
        return re.fullmatch(source, word, re.DOTALL) is not None

    def _tick(self) -> None:
        self._compared += 1
        if self._stop is not None and self._compared % 64 == 0 and self._stop():
            raise DocumentError("too_large", "The time for this question ran out.", "request")

    def _pieces(self, text: str, version: str) -> list[tuple[str, bool]] | None:
        """The pattern as (text, is literal) pieces with variables filled in; None when one of them has no value."""
        pieces: list[tuple[str, bool]] = []
        for part in parts(text, version):
            if isinstance(part, str):
                pieces.append((part, False))
            elif isinstance(part, Escape):
                pieces.append((part.character, True))
            else:
                value = self._value_of(part)
                if value is None:
                    return None
                pieces.append((value, True))
        return pieces

    def _value_of(self, variable: Variable) -> str | None:
        values = self.context.get(variable.key)
        if values is None:
            return variable.default
        return values[0] if len(values) == 1 else None

    def _principal_matches(self, statement: Statement) -> bool:
        cover = self._covers
        if (statement.effect == "Deny") != statement.not_principals:
            cover = self._covers_widely if self.denied_principals == "wide" else self._is
        hit = any(cover(kind, self.ids.get(name, name)) for kind, name in statement.principals)
        return hit != statement.not_principals

    def _is(self, kind: str, name: str) -> bool:
        assert self.principal is not None  # noqa: S101  (checked by the caller)
        asked = self.ids.get(self.principal[1], self.principal[1])
        same = name == "*" or _principal_name(name) == _principal_name(asked) if kind == "AWS" else name == asked
        return kind == self.principal[0] and same

    def _covers(self, kind: str, name: str) -> bool:
        assert self.principal is not None  # noqa: S101  (checked by the caller)
        if self._is(kind, name):
            return True
        if (kind, self.principal[0]) != ("AWS", "AWS"):
            return False
        asked = self.ids.get(self.principal[1], self.principal[1])
        role, session = _ROLE.fullmatch(name), _SESSION.fullmatch(asked)
        return role is not None and session is not None and role.groups() == session.groups()

    def _covers_widely(self, kind: str, name: str) -> bool:
        assert self.principal is not None  # noqa: S101  (checked by the caller)
        if kind == "AWS" and name == "*":
            return True
        root = _ROOT.fullmatch(_principal_name(name)) if kind == "AWS" else None
        if root and self.principal[0] == "AWS":
            asked = _principal_name(self.ids.get(self.principal[1], self.principal[1]))
            pieces = asked.split(":")
            return len(pieces) > 4 and pieces[4] == root.group(1)
        return self._covers(kind, name)

    def _condition_holds(self, condition: Condition, version: str) -> bool:
        operator = condition.operator
        members = self.context.get(condition.key)
        if operator.base == "Null":
            return ("true" if members is None else "false") in condition.values
        if members is None:
            if operator.qualifier == "all":
                return True
            if operator.qualifier == "any":
                return operator.if_exists
            return operator.if_exists or operator.negated
        hits = [self._value_hits(condition, member, version) for member in members]
        if operator.qualifier == "all":
            return all(hit != operator.negated for hit in hits)
        if operator.qualifier == "any":
            return any(hit != operator.negated for hit in hits)
        return any(hits) != operator.negated

    def _value_hits(self, condition: Condition, member: str, version: str) -> bool:
        base = condition.operator.base
        if not condition.operator.takes_variables:
            return any(self._compares(base, value, member) for value in condition.values)
        for value in condition.values:
            pieces = self._pieces(value, version)
            if pieces is not None and self._string_hits(base, pieces, member):
                return True
        return False

    def _compares(self, base: str, value: str, member: str) -> bool:
        self._tick()
        return _values.compare(base, value, member)

    def _string_hits(self, base: str, pieces: list[tuple[str, bool]], member: str) -> bool:
        if base in ARN_OPERATORS:
            source = _expressions.segmented(pieces, pad=False)
            return source is not None and self._matches(source, member)
        if base == "StringLike":
            return self._matches(_expressions.glob(pieces), member)
        self._tick()
        text = "".join(piece for piece, _ in pieces)
        if base == "StringEqualsIgnoreCase":
            return ascii_lower(text) == ascii_lower(member)
        return text == member


def _principal_name(name: str) -> str:
    return f"arn:aws:iam::{name}:root" if _ACCOUNT.fullmatch(name) else name
