"""The documents that people set for an AWS account: its standard and its guardrails. Values, texts and digests; pure.

What they mean for a proposal is in `standard` and `guardrail`; where they are stored, versioned, in `models`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from iamroles import canonical
from iamroles.iam import documents
from iamroles.iam.documents import Document, DocumentError
from iamroles.iam.given import kind_of
from iamroles.iam.json_text import read_text

STANDARD: Final = "standard"
GUARDRAIL: Final = "guardrail"
TRUST_GUARDRAIL: Final = "trust_guardrail"
BOUNDARY: Final = "boundary"
# kind -> the kind of its documents; None: permissions and trust side by side.
KINDS: Final[Mapping[str, documents.Kind | None]] = {
    STANDARD: None,
    GUARDRAIL: "identity",
    TRUST_GUARDRAIL: "trust",
    BOUNDARY: "identity",
}
WORDS: Final[Mapping[str, str]] = {
    STANDARD: "standard",
    GUARDRAIL: "guardrail for rights",
    TRUST_GUARDRAIL: "guardrail for trust",
    BOUNDARY: "accepted contents of the boundary",
}
UNSET: Final[Mapping[str, str]] = {
    STANDARD: "AWS's Limited policy, or the portal's own where a form makes one, is the standard.",
    GUARDRAIL: "Nothing limits rights further.",
    TRUST_GUARDRAIL: "Nothing limits trust further.",
    BOUNDARY: "Whatever the demanded boundary holds is accepted.",
}
_DEPTH = 14  # a document's 12, and the list around it


@dataclass(frozen=True)
class AccountRules:
    """What is set for an AWS account; empty means not set.

    `standard`: accepted as normal. `guardrail` and `trust_guardrail`: what no role may exceed in rights and in trust.
    `boundary`: the contents that the demanded permissions boundary may have.
    """

    standard: tuple[Document, ...] = ()
    guardrail: tuple[Document, ...] = ()
    trust_guardrail: tuple[Document, ...] = ()
    boundary: tuple[Document, ...] = ()


def digest_of(listed: Sequence[Document]) -> str | None:
    """Returns the SHA-256 of documents by meaning, in their order; None for none."""
    return canonical.digest([document.canonical_text for document in listed]) if listed else None


def write(listed: Sequence[Document]) -> str:
    """Returns the canonical text that is stored: a list of documents as they were given."""
    return canonical.dumps([documents.minified(document) for document in listed]).decode()


def target_of(number: str, kind: str) -> str:
    """Returns how a change names one kind of an AWS account's documents."""
    return f"{number}:{kind}"


def parts_of(target: str) -> tuple[str, str]:
    """Returns number and kind of a change's target."""
    number, _, kind = target.partition(":")
    return number, kind


def read(kind: str, text: str) -> tuple[Document, ...]:
    """Returns the documents of a text: one document, or a list of them. Raises `DocumentError` for anything else."""
    value = read_text(text, depth=_DEPTH)
    given = value if isinstance(value, list) else [value]
    return tuple(_document(kind, one, f"[{place}]") for place, one in enumerate(given))


def _document(kind: str, raw: Any, at: str) -> Document:
    value = read_text(raw) if isinstance(raw, str) else raw
    if not isinstance(value, Mapping):
        raise DocumentError("bad_document", f"{at} is no policy document.", at)
    found = kind_of(value)
    if KINDS[kind] not in (None, found):
        wanted = "trust policies" if KINDS[kind] == "trust" else "policies without a Principal"
        raise DocumentError("bad_document", f"The {WORDS[kind]} consists of {wanted}.", at)
    return documents.parse(value, found)
