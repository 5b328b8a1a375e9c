"""From a JSON object to checked statements: the grammar of policy documents, each refusal with its place.

Only `documents.parse` uses this. Elements, operators and shapes that IAM does not know are errors, never skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from iamroles.iam.json_text import DocumentError
from iamroles.iam.statements import Condition, Effect, Operator, Statement, ascii_lower, read_operator

STATEMENTS = 500  # VA12
_LONGEST = 16_384  # of one string; IAM takes no longer policy than 10,240 characters (VA05)
_VERSIONS = ("2008-10-17", "2012-10-17")
_SID = re.compile(r"[A-Za-z0-9]*", re.ASCII)
_ACTION = re.compile(r"[^:]+:[^:]+", re.DOTALL)
_DOCUMENT_ELEMENTS = frozenset({"Version", "Id", "Statement"})
_COMMON = frozenset({"Sid", "Effect", "Action", "NotAction", "Condition"})
_ELEMENTS = {
    "identity": _COMMON | {"Resource", "NotResource"},
    "trust": _COMMON | {"Principal", "NotPrincipal"},
}
_PRINCIPAL_TYPES = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})


def _bad(message: str, at: str) -> DocumentError:
    return DocumentError("bad_document", message, at)


def read_version(value: Mapping[str, Any]) -> str:
    """Returns the Version, `2008-10-17` when missing. Raises `DocumentError` for another one or an unknown element."""
    unknown = sorted(set(value) - _DOCUMENT_ELEMENTS)
    if unknown:
        raise _bad(f"A policy has no element {unknown[0]!r}.", unknown[0][:200])
    if "Id" in value and not isinstance(value["Id"], str):
        raise _bad("Id must be a string.", "Id")
    version = value.get("Version", _VERSIONS[0])
    if version not in _VERSIONS:
        raise _bad(f"Version must be {_VERSIONS[1]} or {_VERSIONS[0]}, not {str(version)[:40]!r}.", "Version")
    return cast("str", version)


def read_statements(value: Mapping[str, Any], kind: str) -> tuple[Statement, ...]:
    """Returns the statements in their order. Raises `DocumentError` with the place of the first fault."""
    if kind not in _ELEMENTS:
        raise ValueError(f"kind must be identity or trust, not {kind!r}")
    raw = value.get("Statement")
    if raw is None:
        raise _bad("The policy has no Statement.", "Statement")
    listed = [raw] if isinstance(raw, Mapping) else raw
    if not isinstance(listed, list | tuple):
        raise _bad("Statement must be an object or a list of objects.", "Statement")
    if not listed:
        raise _bad("Statement must not be an empty list.", "Statement")
    if len(listed) > STATEMENTS:
        raise DocumentError("too_large", f"A policy can have {STATEMENTS} statements here.", "Statement")
    statements = tuple(_read_statement(one, index, kind) for index, one in enumerate(listed))
    seen: set[str] = set()
    for statement in statements:
        if statement.sid and statement.sid in seen:
            raise _bad(f"The Sid {statement.sid!r} stands twice.", f"Statement[{statement.index}].Sid")
        seen.add(statement.sid)
    return statements


def _read_statement(raw: object, index: int, kind: str) -> Statement:
    at = f"Statement[{index}]"
    if not isinstance(raw, Mapping):
        raise _bad("A statement is an object.", at)
    unknown = sorted(set(raw) - _ELEMENTS[kind])
    if unknown:
        policy = "trust policy" if kind == "trust" else "permissions policy"
        raise _bad(f"A statement of a {policy} has no element {unknown[0]!r}.", f"{at}.{unknown[0][:200]}")
    effect = raw.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise _bad("Effect must be Allow or Deny.", f"{at}.Effect")
    sid = raw.get("Sid", "")
    if not isinstance(sid, str) or not _SID.fullmatch(sid):
        raise _bad("A Sid has letters and digits only.", f"{at}.Sid")
    actions, not_actions = _one_of(raw, "Action", "NotAction", at)
    for action in actions:
        if action.strip("*") and not _ACTION.fullmatch(action):
            raise _bad(f"An action looks like service:Name, not {action[:100]!r}.", f"{at}.Action")
    resources: tuple[str, ...] = ()
    principals: tuple[tuple[str, str], ...] = ()
    not_resources = not_principals = False
    if kind == "trust":
        principals, not_principals = _read_principals(raw, at)
    else:
        resources, not_resources = _one_of(raw, "Resource", "NotResource", at)
    return Statement(
        index=index,
        sid=sid,
        effect=cast("Effect", effect),
        actions=actions,
        not_actions=not_actions,
        resources=resources,
        not_resources=not_resources,
        principals=principals,
        not_principals=not_principals,
        conditions=_read_conditions(raw.get("Condition"), f"{at}.Condition"),
    )


def _which(raw: Mapping[str, Any], positive: str, negative: str, at: str) -> str:
    if (positive in raw) == (negative in raw):
        raise _bad(f"A statement has either {positive} or {negative}.", at)
    return positive if positive in raw else negative


def _one_of(raw: Mapping[str, Any], positive: str, negative: str, at: str) -> tuple[tuple[str, ...], bool]:
    name = _which(raw, positive, negative, at)
    return _strings(raw[name], f"{at}.{name}"), name == negative


def _strings(raw: object, at: str) -> tuple[str, ...]:
    listed = raw if isinstance(raw, list | tuple) else [raw]
    if not listed:
        raise _bad("An empty list is not allowed.", at)
    for one in listed:
        if not isinstance(one, str):
            raise _bad("Only strings are allowed here.", at)
        if not one:
            raise _bad("An empty string is not allowed here.", at)
        _require_length(one, at)
    return tuple(listed)


def _require_length(text: str, at: str) -> None:
    if len(text) > _LONGEST:
        raise DocumentError("too_large", f"A string can have {_LONGEST:,} characters. This one has {len(text):,}.", at)


def _read_principals(raw: Mapping[str, Any], at: str) -> tuple[tuple[tuple[str, str], ...], bool]:
    name = _which(raw, "Principal", "NotPrincipal", at)
    value = raw[name]
    at = f"{at}.{name}"
    if value == "*":
        return (("AWS", "*"),), name == "NotPrincipal"
    if not isinstance(value, Mapping) or not value:
        raise _bad('A principal is "*" or an object such as {"Service": "codedeploy.amazonaws.com"}.', at)
    pairs: list[tuple[str, str]] = []
    for kind, names in value.items():
        if kind not in _PRINCIPAL_TYPES:
            raise _bad(f"There is no principal type {str(kind)[:40]!r}.", at)
        pairs += [(kind, one) for one in _strings(names, f"{at}.{kind}")]
    return tuple(pairs), name == "NotPrincipal"


def _read_conditions(raw: object, at: str) -> tuple[Condition, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, Mapping):
        raise _bad("Condition must be an object.", at)
    conditions: list[Condition] = []
    for name, tests in raw.items():
        operator = read_operator(name)
        if operator is None:
            raise DocumentError("bad_operator", f"There is no condition operator {name[:60]!r}.", f"{at}.{name[:60]}")
        if not isinstance(tests, Mapping) or not tests:
            raise _bad("An operator holds an object of keys and values.", f"{at}.{name}")
        seen: set[str] = set()
        for key, values in tests.items():
            place = f"{at}.{name}.{key[:200]}"
            folded = ascii_lower(key)
            if not key:
                raise _bad("A condition key must have a name.", place)
            if folded in seen:
                raise DocumentError("duplicate_key", f"The condition key {key[:200]!r} stands twice.", place)
            seen.add(folded)
            conditions.append(Condition(name, operator, folded, _read_values(values, operator, place), key))
    return tuple(conditions)


def _read_values(raw: object, operator: Operator, at: str) -> tuple[str, ...]:
    listed = raw if isinstance(raw, list | tuple) else [raw]
    if not listed:
        raise _bad("An empty list is not allowed.", at)
    values = tuple(_scalar(one, at) for one in listed)
    if operator.base in {"Null", "Bool"}:
        for value in values:
            if ascii_lower(value) not in {"true", "false"}:
                raise _bad(f"{operator.base} takes true or false, not {value[:40]!r}.", at)
        return tuple(ascii_lower(value) for value in values)
    return values


def _scalar(raw: object, at: str) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str):
        _require_length(raw, at)
        return raw
    if isinstance(raw, int | float):
        text = repr(raw)
        if "e" in text:
            raise _bad(f"The number {text} needs an exponent. Write it as a string.", at)
        return text
    raise _bad("A condition value is a string, a number or a boolean.", at)
