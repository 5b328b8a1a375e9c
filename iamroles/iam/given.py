"""Documents, lists and mappings out of a question's JSON, each fault with its place in the question.

A document may stand as an object or as its text; one with principals is a trust policy. What the question asks is
`questions`' matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iamroles.iam import documents
from iamroles.iam.documents import Document, DocumentError, Kind
from iamroles.iam.json_text import read_text


def bad_request(message: str, at: str) -> DocumentError:
    """Returns the error of a question that asks in a wrong way."""
    return DocumentError("bad_request", message, at)


def kind_of(value: object) -> Kind:
    """Returns "trust" for a document whose statements name principals."""
    raw = value.get("Statement") if isinstance(value, Mapping) else None
    listed = raw if isinstance(raw, list | tuple) else [raw]
    named = any(isinstance(one, Mapping) and ("Principal" in one or "NotPrincipal" in one) for one in listed)
    return "trust" if named else "identity"


def document(raw: object, at: str, kind: Kind | None = None) -> Document:
    """Returns a document given as an object or as text. Raises `DocumentError` with the place below `at`."""
    if not isinstance(raw, str | Mapping):
        raise bad_request(f"{at} must be a policy document.", at)
    try:
        if isinstance(raw, str):
            raw = documents.decoded(raw)
            return documents.parse(raw, kind or kind_of(read_text(raw)))
        return documents.parse(raw, kind or kind_of(raw))
    except DocumentError as error:
        raise DocumentError(error.code, error.message, f"{at}.{error.at}" if error.at else at) from error


def document_list(raw: object, at: str) -> tuple[Document, ...]:
    """Returns the documents of a list. Raises `DocumentError`."""
    if not isinstance(raw, list | tuple):
        raise bad_request(f"{at} must be a list of documents.", at)
    return tuple(document(one, f"{at}[{index}]") for index, one in enumerate(raw))


def mapping(raw: object, at: str, known: frozenset[str] | None = None) -> Mapping[str, Any]:
    """Returns an object, which may have only the `known` names. Raises `DocumentError`."""
    if not isinstance(raw, Mapping):
        raise bad_request(f"{at} must be an object.", at)
    unknown = sorted(set(raw) - known) if known is not None else []
    if unknown:
        raise bad_request(f"{at} has no {unknown[0]!r}.", f"{at}.{unknown[0]}")
    return raw


def texts(raw: object, at: str) -> tuple[str, ...]:
    """Returns a list of strings. Raises `DocumentError`."""
    if not isinstance(raw, list | tuple) or not all(isinstance(one, str) for one in raw):
        raise bad_request(f"{at} must be a list of strings.", at)
    return tuple(raw)


def text_pairs(raw: object, at: str) -> dict[str, str]:
    """Returns an object of strings. Raises `DocumentError`."""
    found = mapping(raw, at)
    for key, one in found.items():
        if not isinstance(one, str):
            raise bad_request(f"{at} must hold strings.", f"{at}.{key}")
    return dict(found)


def text(raw: object, at: str) -> str:
    """Returns a string. Raises `DocumentError`."""
    if not isinstance(raw, str):
        raise bad_request(f"{at} must be a string.", at)
    return raw


def truth(raw: object, at: str) -> bool:
    """Returns true or false. Raises `DocumentError`."""
    if not isinstance(raw, bool):
        raise bad_request(f"{at} must be true or false.", at)
    return raw
