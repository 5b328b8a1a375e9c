"""What callers hand to the audit trail: plain frozen values, copies of what was true at the moment.

Nothing here reads a row or a request; the doors make an `Actor` once and verbs pass it on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ActorType = Literal["user", "worker", "system", "anonymous"]
Channel = Literal["web", "worker", "command", "tend"]
Outcome = Literal["success", "refused", "failed", "unknown"]
Phase = Literal["intent", "result"]


@dataclass(frozen=True)
class Actor:
    """Who acts, how they proved it, and where from. `session` is a keyed hash, never the session's key."""

    type: ActorType
    id: str | None
    name: str
    groups: tuple[str, ...] = ()
    session: str | None = None
    method: str | None = None
    ip: str | None = None
    agent: str | None = None
    channel: Channel = "web"


@dataclass(frozen=True)
class Subject:
    """What an act is about: the `object` of the event. `id` is stable, `name` is how people called it then."""

    type: str
    id: str
    name: str


@dataclass(frozen=True)
class AwsCall:
    """One call to AWS; `request_id` is AWS's own and null until the answer."""

    account: str
    region: str | None
    service: str
    api: str
    request_id: str | None = None


@dataclass(frozen=True)
class Change:
    """One field that changed. Values are JSON of the canonical subset; of one above 1 KiB only the digest is kept."""

    field: str
    old: object
    new: object
