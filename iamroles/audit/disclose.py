"""Commitments: values that must be erasable, or that may be secrets, are in an event only as a salted digest.

The clear value, if it is kept, is a row beside the trail. Erasing it changes no event, and every proof stays valid.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from iamroles.audit.record import record
from iamroles.audit.values import Actor, Subject
from iamroles.models import AuditDisclosure, AuditEvent


class NothingDisclosed(Exception):
    """No clear value of the event is kept (any more)."""


@dataclass(frozen=True)
class Commitment:
    """A value and the salt that keeps anybody from guessing it by its digest."""

    salt: bytes
    value: str

    def as_data(self) -> dict[str, object]:
        """Returns what the event holds of it: the SHA-256 of salt and value."""
        return {"commit": hashlib.sha256(self.salt + self.value.encode()).hexdigest()}


def commit(value: str) -> Commitment:
    """Returns a commitment to the value with a new salt."""
    return Commitment(secrets.token_bytes(16), value)


def disclose(event: AuditEvent, path: str, commitment: Commitment) -> None:
    """Keeps the clear value behind the commitment at `path`, such as "data.typed_name", of the event."""
    AuditDisclosure.objects.create(event=event, path=path, salt=commitment.salt, value=commitment.value)


def disclosed_of(event: AuditEvent) -> dict[str, str]:
    """Returns the clear values of an event that are still kept, by their paths."""
    return dict(AuditDisclosure.objects.filter(event=event).order_by("path").values_list("path", "value"))


def erase(event: AuditEvent, *, actor: Actor, at: datetime, reason: str) -> None:
    """Deletes the clear values of an event, each with `disclosure.erased`. Raises NothingDisclosed."""
    paths = list(disclosed_of(event))
    if not paths:
        raise NothingDisclosed(f"No clear value of {event.reference} is kept.")
    for path in paths:
        record(
            "disclosure.erased",
            actor=actor,
            subject=Subject("event", event.reference, event.reference),
            at=at,
            reason=reason,
            data={"event": event.reference, "path": path},
        )
    AuditDisclosure.objects.filter(event=event, path__in=paths).delete()
