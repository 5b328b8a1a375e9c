"""Decides one AWS call: explicit deny, allowed, or implicit deny, and which statements matched (POLICY.md part 3).

Regular expressions do the matching here; `contain` proves with other means and lets every counterexample be confirmed
here, so the two must not share matching code. Resources are read segment-wise, the first of AWS's two readings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from iamroles.iam import _values
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
) -> Decision:
    """Returns the decision. `ids` maps AROA/AIDA ids to ARNs; `denied_principals` says how Denies read principals.

    Raises `DocumentError` with code bad_request when action, resource or context are no such things.
    """
    call = _Call(request, ids or {}, denied_principals)
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

    def __init__(self, request: Request, ids: Mapping[str, str], denied_principals: Reading) -> None:
        if not _ACTION.fullmatch(request.action):
            raise DocumentError("bad_request", f"An action looks like service:Name, not {request.action[:100]!r}.")
        if not _RESOURCE.fullmatch(request.resource):
            raise DocumentError("bad_request", f"A resource is an ARN or *, not {request.resource[:100]!r}.")
        self.action = ascii_lower(request.action)
        self.resource = request.resource
        self.principal = request.principal
        self.ids = ids
        self.denied_principals = denied_principals
        self.context: dict[str, tuple[str, ...]] = {}
        for key, value in request.context.items():
            folded = ascii_lower(key)
            if folded in self.context:
                raise DocumentError("bad_request", f"The context key {key[:100]!r} stands twice.")
            self.context[folded] = (value,) if isinstance(value, str) else tuple(value)
        self.context = {key: values for key, values in self.context.items() if values}

    def matches(self, statement: Statement, version: str) -> bool:
        """True when action, resource, principal and every condition of the statement match."""
        action = any(_glob(ascii_lower(pattern)).fullmatch(self.action) for pattern in statement.actions)
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
        source = _segmented(self._pieces(pattern, version), pad=True)
        return source is not None and re.fullmatch(source, self.resource, re.DOTALL) is not None

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
        if self.principal is None:
            raise DocumentError("bad_request", "A trust policy is asked with a principal.")
        wide = statement.effect == "Deny" and self.denied_principals == "wide" and not statement.not_principals
        cover = self._covers_widely if wide else self._covers
        hit = any(cover(kind, self.ids.get(name, name)) for kind, name in statement.principals)
        return hit != statement.not_principals

    def _covers(self, kind: str, name: str) -> bool:
        assert self.principal is not None  # noqa: S101  (checked by the caller)
        asked_kind, asked = self.principal[0], self.ids.get(self.principal[1], self.principal[1])
        if kind != asked_kind:
            return False
        if kind != "AWS":
            return name == asked
        if name == "*" or _principal_name(name) == _principal_name(asked):
            return True
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
            return any(_values.compare(base, value, member) for value in condition.values)
        for value in condition.values:
            pieces = self._pieces(value, version)
            if pieces is not None and _string_hits(base, pieces, member):
                return True
        return False


def _string_hits(base: str, pieces: list[tuple[str, bool]], member: str) -> bool:
    if base in ARN_OPERATORS:
        source = _segmented(pieces, pad=False)
        return source is not None and re.fullmatch(source, member, re.DOTALL) is not None
    if base == "StringLike":
        return re.fullmatch(_glob_source(pieces, "."), member, re.DOTALL) is not None
    text = "".join(piece for piece, _ in pieces)
    if base == "StringEqualsIgnoreCase":
        return ascii_lower(text) == ascii_lower(member)
    return text == member


def _principal_name(name: str) -> str:
    return f"arn:aws:iam::{name}:root" if _ACCOUNT.fullmatch(name) else name


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(_glob_source([(pattern, False)], "."), re.DOTALL)


def _glob_source(pieces: list[tuple[str, bool]], any_character: str) -> str:
    """The expression of a pattern. Between stars each run is matched at its first place and never tried again
    (atomic groups), which is enough for wildcards and keeps matching linear.
    """
    runs = [""]
    for text, literal in pieces:
        for character in text:
            if literal or character not in "*?":
                runs[-1] += re.escape(character)
            elif character == "?":
                runs[-1] += any_character
            else:
                runs.append("")
    if len(runs) == 1:
        return runs[0]
    middle = "".join(f"(?>{any_character}*?{run})" for run in runs[1:-1] if run)
    return f"{runs[0]}{middle}{any_character}*{runs[-1]}"


def _segmented(pieces: list[tuple[str, bool]] | None, *, pad: bool) -> str | None:
    """The expression of an ARN pattern: in the first five segments wildcards do not match a colon.

    Colons of variables' values do not divide. A pattern with fewer than five colons is padded with `:*`, or, without
    `pad`, matches nothing (None).
    """
    if pieces is None:
        return None
    segments: list[list[tuple[str, bool]]] = [[]]
    for text, literal in pieces:
        if literal:
            segments[-1].append((text, True))
            continue
        for position, piece in enumerate(text.split(":", 6 - len(segments)) if len(segments) < 6 else [text]):
            if position:
                segments.append([])
            segments[-1].append((piece, False))
    if len(segments) < 6:
        if not pad:
            return None
        segments += [[("*", False)] for _ in range(6 - len(segments))]
    sources = [_glob_source(segment, "[^:]") for segment in segments[:5]]
    return ":".join([*sources, _glob_source(segments[5], ".")])
