"""The canonical form of an event: which keys it has, how they are spelled, and which columns follow from them.

Pure: identity and time come in as arguments. `record` writes with it, `seal` and `verify` derive the columns again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from iamroles import canonical
from iamroles.audit.values import Actor, AwsCall, Change, Subject

VERSION: Final = 1
LARGEST: Final = 65_535  # bytes of one event
LARGEST_VALUE: Final = 1024  # bytes of one changed value that is kept as it is
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")

# The projected columns, in the order of the CSV export. They serve search; `canon` is the truth.
COLUMNS: Final = (
    "event_id",
    "at",
    "action",
    "actor_type",
    "actor_id",
    "actor_name",
    "object_type",
    "object_id",
    "object_name",
    "request",
    "revision",
    "outcome",
    "code",
    "aws_account",
    "aws_request_id",
)


class TooLarge(ValueError):
    """The canonical bytes of the event are more than 65,535."""


class Projection(NamedTuple):
    """The columns that follow from an event's canonical bytes, in the order of COLUMNS."""

    event_id: UUID
    at: datetime
    action: str
    actor_type: str
    actor_id: str
    actor_name: str
    object_type: str
    object_id: str
    object_name: str
    request: str
    revision: int | None
    outcome: str
    code: str
    aws_account: str
    aws_request_id: str


def build_envelope(
    *,
    event_id: UUID,
    at: datetime,
    action: str,
    actor: Actor,
    subject: Subject,
    request: str | None,
    revision: int | None,
    outcome: str,
    code: str | None,
    reason: str | None,
    phase: str | None,
    changes: Sequence[Change],
    aws: AwsCall | None,
    correlation: str | None,
    on_behalf_of: Actor | None,
    data: Mapping[str, object],
) -> dict[str, object]:
    """Returns the event with all its top-level keys, null where they do not apply."""
    return {
        "v": VERSION,
        "id": str(event_id),
        "at": write_time(at),
        "actor": _who(actor),
        "on_behalf_of": _who(on_behalf_of) if on_behalf_of else None,
        "auth": {"method": actor.method, "session": actor.session},
        "origin": {"ip": actor.ip, "agent": _clean(actor.agent), "channel": actor.channel},
        "action": action,
        "object": {"type": subject.type, "id": subject.id, "name": subject.name},
        "request": request,
        "revision": revision,
        "correlation": correlation,
        "phase": phase,
        "outcome": outcome,
        "code": code,
        "reason": reason,
        "changes": [{"field": c.field, "old": kept_value(c.old), "new": kept_value(c.new)} for c in changes],
        "aws": _call(aws) if aws else None,
        "data": dict(data),
    }


def write(envelope: Mapping[str, object]) -> bytes:
    """Returns the canonical bytes. Raises TooLarge, or `canonical.CanonicalError` outside the subset."""
    written = canonical.dumps(dict(envelope))
    if len(written) > LARGEST:
        raise TooLarge(f"{envelope.get('action')}: {len(written)} bytes, at most {LARGEST}")
    return written


def project(envelope: Mapping[str, Any]) -> Projection:
    """Returns the columns of an event. Raises KeyError, TypeError or ValueError for what is no event."""
    return Projection(UUID(envelope["id"]), read_time(envelope["at"]), **texts_of(envelope))


def texts_of(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the columns without `event_id` and `at`, which are no texts in the database. Raises as `project`."""
    actor, subject, aws = envelope["actor"], envelope["object"], envelope["aws"] or {}
    return {
        "action": envelope["action"],
        "actor_type": actor["type"],
        "actor_id": (actor["id"] or "")[:200],
        "actor_name": actor["name"][:300],
        "object_type": subject["type"],
        "object_id": subject["id"][:2048],
        "object_name": subject["name"][:600],
        "request": (envelope["request"] or "")[:40],
        "revision": envelope["revision"],
        "outcome": envelope["outcome"],
        "code": (envelope["code"] or "")[:120],
        "aws_account": _account(envelope),
        "aws_request_id": (aws.get("request_id") or "")[:120],
    }


def leaf_hash(canon: bytes) -> bytes:
    """Returns the leaf of the Merkle tree: SHA-256 of 0x00 and the canonical bytes (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + canon).digest()


def write_time(at: datetime) -> str:
    """Returns `2026-11-23T16:31:05.123456Z`. Raises ValueError without a time zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def read_time(text: str) -> datetime:
    """Returns the moment. Raises ValueError for any other spelling than `write_time`'s."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text} is not a time of an event")
    return datetime.fromisoformat(text)


def _account(envelope: Mapping[str, Any]) -> str:
    aws, data, subject = envelope["aws"], envelope["data"], envelope["object"]
    if aws:
        return str(aws["account"])[:12]
    if isinstance(data.get("account"), str):
        return str(data["account"])[:12]
    return str(subject["id"])[:12] if subject["type"] == "account" else ""


def _who(actor: Actor) -> dict[str, object]:
    return {"type": actor.type, "id": actor.id, "name": actor.name, "groups": list(actor.groups)}


def _call(aws: AwsCall) -> dict[str, object]:
    return {
        "account": aws.account,
        "region": aws.region,
        "service": aws.service,
        "api": aws.api,
        "request_id": aws.request_id,
    }


def kept_value(value: object) -> object:
    """Returns a changed value as events keep it: above 1 KiB only its digest and length."""
    written = canonical.dumps(value)
    if len(written) <= LARGEST_VALUE:
        return value
    return {"sha256": hashlib.sha256(written).hexdigest(), "length": len(written)}


def _clean(text: str | None) -> str | None:
    # A browser may call itself anything; an event must not fail over it.
    if text is None:
        return None
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
