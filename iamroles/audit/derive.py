"""Deriving an event's columns and hash again from its canonical text, for the sealer before it seals and for verify.

Stored hashes and columns are never trusted here; they are what is being checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

from iamroles.audit import envelope
from iamroles.models import AuditEvent

# The one spelling, by the fast serialiser alone: `record` has checked the subset, and a hash binds whatever came later.
_WRITE: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


_FIELDS: Final = ("pk", "canon", "leaf", *envelope.COLUMNS)


class StoredEvent(NamedTuple):
    """A row of audit_event as it lies there: id, text, hash, and the projected columns in the order of COLUMNS."""

    pk: int
    canon: object
    leaf: object
    columns: tuple[object, ...]

    @property
    def reference(self) -> str:
        """The permanent name, e.g. "EVT-0000123"."""
        return f"EVT-{self.pk:07d}"

    @property
    def text(self) -> bytes:
        """The bytes of the stored text."""
        return text_of(self.canon)

    @property
    def at(self) -> datetime:
        """The column of the time."""
        at: Any = self.columns[envelope.COLUMNS.index("at")]
        return at  # type: ignore[no-any-return]


def text_of(canon: object) -> bytes:
    """Returns the bytes of a stored text, also when somebody stored what is no text."""
    if isinstance(canon, bytes | memoryview):
        return bytes(canon)
    return str(canon).encode("utf-8", "surrogatepass")


def read(rows: QuerySet[AuditEvent]) -> Iterator[StoredEvent]:
    """Yields rows without making model instances of them: there may be millions."""
    for pk, canon, leaf, *columns in rows.values_list(*_FIELDS).iterator(chunk_size=2_000):
        yield StoredEvent(pk, canon, leaf, tuple(columns))


def contradiction(event: StoredEvent, leaf: bytes | None = None) -> str | None:
    """Returns why an event's row does not follow from its canonical text, or None when it does.

    `leaf` is the hash of that text, where the caller has it.
    """
    canon, stored = event.text, event.leaf
    if not isinstance(stored, bytes | memoryview) or (leaf or envelope.leaf_hash(canon)) != bytes(stored):
        return "the text does not have the stored hash"
    try:
        said = json.loads(canon)
        if _WRITE(said).encode() != canon:
            return "the text is not in canonical form"
        derived = envelope.project(said)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return "the text is no event"
    if derived == event.columns:
        return None
    wrong = next(name for name, a, b in zip(envelope.COLUMNS, derived, event.columns, strict=True) if a != b)
    return f"the column {wrong} is not what the text says"
