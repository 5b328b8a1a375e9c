"""Policy documents: strict parsing, canonical bytes, equality by meaning, IAM's size, texts to show or send.

What a document allows is the matter of `evaluate` and `contain`. Two documents are equal when their canonical bytes
are: order, case of actions, a string or a list of one, white space and an empty Sid do not count (POLICY.md part 2).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from iamroles.iam import _reading
from iamroles.iam.json_text import CHARACTERS, DocumentError, check_value, minify, read_text
from iamroles.iam.statements import Statement, ascii_lower

Kind = Literal["identity", "trust"]

__all__ = [
    "Document",
    "DocumentError",
    "Kind",
    "canonical",
    "decoded",
    "digest",
    "equal",
    "minified",
    "parse",
    "pretty",
    "size",
]

_STATEMENT_ORDER = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)


@dataclass(frozen=True)
class Document:
    """One parsed policy. Equal and hashed by kind and canonical text, that is by meaning; `given` is the minified
    JSON as it came, which is what gets sent to AWS.
    """

    kind: Kind
    canonical_text: str
    version: str = field(compare=False)
    statements: tuple[Statement, ...] = field(compare=False, repr=False)
    given: str = field(compare=False, repr=False)

    def as_mapping(self) -> dict[str, Any]:
        """Returns the document as given, as a fresh JSON-able dict."""
        value: dict[str, Any] = json.loads(self.given)
        return value


def parse(text_or_mapping: str | bytes | Mapping[str, Any], kind: Kind = "identity") -> Document:
    """Returns the document. `kind` says whether an identity policy or a trust policy is expected.

    URL-encoding is undone. Raises `DocumentError` for everything that IAM would refuse by its grammar, for duplicate
    keys and for bombs (VA11, VA12).
    """
    value = _value_of(text_or_mapping)
    if not isinstance(value, Mapping):
        raise DocumentError("bad_document", "A policy document is a JSON object.")
    given = minify(value)
    if len(given) > CHARACTERS:
        message = f"A document can have {CHARACTERS:,} characters. This one has {len(given):,}."
        raise DocumentError("too_large", message, f"character {CHARACTERS}")
    version = _reading.read_version(value)
    statements = _reading.read_statements(value, kind)
    text = json.dumps(
        _canonical_value(value, version, statements), ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    return Document(kind=kind, canonical_text=text, version=version, statements=statements, given=given)


def _value_of(text_or_mapping: str | bytes | Mapping[str, Any]) -> object:
    if isinstance(text_or_mapping, bytes):
        try:
            text_or_mapping = text_or_mapping.decode()
        except UnicodeDecodeError as error:
            raise DocumentError("bad_json", "The text is not UTF-8.", f"byte {error.start}") from error
    if not isinstance(text_or_mapping, str):
        check_value(text_or_mapping)
        return text_or_mapping
    return read_text(decoded(text_or_mapping))


def decoded(text: str) -> str:
    """Returns the text without the URL-encoding that IAM answers documents in."""
    return unquote(text) if text.startswith("%") else text


def canonical(document: Document) -> bytes:
    """Returns the canonical bytes: UTF-8, keys sorted, no spaces, lists sorted, names of actions and keys folded."""
    return document.canonical_text.encode()


def digest(document: Document) -> str:
    """Returns the SHA-256 (hex) of the canonical bytes."""
    return hashlib.sha256(canonical(document)).hexdigest()


def equal(a: Document, b: Document) -> bool:
    """Returns True when both mean the same by their canonical bytes."""
    return a == b


def size(document: Document) -> int:
    """Returns the characters that IAM counts: of the given document, minified (white space between tokens is free)."""
    return len(document.given)


def minified(document: Document) -> str:
    """Returns the JSON text without white space that is sent to AWS."""
    return document.given


def pretty(document: Document) -> str:
    """Returns the JSON text for people: two spaces, elements in the order in which one reads them."""
    value = document.as_mapping()
    statements = value["Statement"] if isinstance(value["Statement"], list) else [value["Statement"]]
    ordered: dict[str, Any] = {key: value[key] for key in ("Version", "Id") if key in value}
    ordered["Statement"] = [{key: s[key] for key in _STATEMENT_ORDER if key in s} for s in statements]
    return json.dumps(ordered, ensure_ascii=False, indent=2)


def _canonical_value(value: Mapping[str, Any], version: str, statements: tuple[Statement, ...]) -> dict[str, Any]:
    made = [_canonical_statement(statement) for statement in statements]
    result: dict[str, Any] = {
        "Version": version,
        "Statement": sorted(made, key=lambda one: json.dumps(one, ensure_ascii=False, sort_keys=True)),
    }
    if value.get("Id"):
        result["Id"] = value["Id"]
    return result


def _canonical_statement(statement: Statement) -> dict[str, Any]:
    result: dict[str, Any] = {"Effect": statement.effect}
    if statement.sid:
        result["Sid"] = statement.sid
    result["NotAction" if statement.not_actions else "Action"] = sorted({ascii_lower(a) for a in statement.actions})
    if statement.resources:
        result["NotResource" if statement.not_resources else "Resource"] = sorted(set(statement.resources))
    if statement.principals:
        types: dict[str, set[str]] = {}
        for kind, name in statement.principals:
            types.setdefault(kind, set()).add(_canonical_principal(kind, name))
        element = "NotPrincipal" if statement.not_principals else "Principal"
        result[element] = {kind: sorted(names) for kind, names in types.items()}
    conditions: dict[str, dict[str, list[str]]] = {}
    for condition in statement.conditions:
        conditions.setdefault(condition.name, {})[condition.key] = sorted(set(condition.values))
    if conditions:
        result["Condition"] = conditions
    return result


def _canonical_principal(kind: str, name: str) -> str:
    if kind == "AWS" and len(name) == 12 and name.isascii() and name.isdigit():
        return f"arn:aws:iam::{name}:root"
    return name
