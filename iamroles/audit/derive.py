"""Deriving an event's columns and hash again from its canonical text, for the sealer before it seals and for verify.

Stored hashes and columns are never trusted here; they are what is being checked.
"""

from __future__ import annotations

import json
from typing import Final

from iamroles.audit import envelope
from iamroles.models import AuditEvent

# The one spelling, by the fast serialiser alone: `record` has checked the subset, and a hash binds whatever came later.
_WRITE: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def text_bytes(event: AuditEvent) -> bytes:
    """Returns the bytes of the stored text, also when somebody stored what is no text."""
    canon: object = event.canon
    if isinstance(canon, bytes | memoryview):
        return bytes(canon)
    return str(canon).encode("utf-8", "surrogatepass")


def contradiction(event: AuditEvent) -> str | None:
    """Returns why an event's row does not follow from its canonical text, or None when it does."""
    canon = text_bytes(event)
    stored: object = event.leaf
    if not isinstance(stored, bytes | memoryview) or envelope.leaf_hash(canon) != bytes(stored):
        return "the text does not have the stored hash"
    try:
        said = json.loads(canon)
        if _WRITE(said).encode() != canon:
            return "the text is not in canonical form"
        derived = vars(envelope.project(said))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return "the text is no event"
    stored_columns = vars(event)
    for column, value in derived.items():
        if stored_columns[column] != value:
            return f"the column {column} is not what the text says"
    return None
