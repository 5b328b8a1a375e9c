"""The history of events for people: which events a person may read, their sentences, one event with its neighbours.

Sentences and filters are the trail's own (`iamroles.audit`); nothing is recorded here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from iamroles import audit, permissions
from iamroles.audit import EventFilter
from iamroles.audit.events import EVENTS
from iamroles.audit.words import sentence
from iamroles.models import AuditEvent, Request, User

PAGE_SIZE: Final = 50
TIMELINE_SIZE: Final = 60
TAB_WORDS: Final = {
    "": "Everything",
    "decisions": "Decisions",
    "applied": "Applied",
    "failures": "Failures",
    "access": "Access",
    "exports": "Exports",
}
GROUP_WORDS: Final = {
    "request": "Requests",
    "draft": "Drafts",
    "base": "Looks at AWS",
    "observation": "Failed looks at AWS",
    "revision": "Revisions and proposals",
    "approval": "Approvals",
    "changes": "Changes asked for",
    "verb": "Refusals and failures of acts",
    "run": "Runs",
    "step": "AWS calls",
    "drift": "Drift",
    "inventory": "Inventory",
    "session": "Signing in and out",
    "credential": "Credentials",
    "user": "People",
    "membership": "Groups and memberships",
    "provider_groups": "The identity provider's groups",
    "team": "Teams",
    "account": "AWS accounts",
    "export": "Exports",
    "bundle": "Evidence bundles",
    "audit": "The audit trail itself",
    "verification": "Verifications",
}
_TONES: Final = {
    "approval.given": "ok",
    "request.approved": "ok",
    "request.auto_approved": "ok",
    "request.applied": "ok",
    "run.verified": "ok",
}


@dataclass(frozen=True)
class EventRow:
    """One event in words. `object` is how the object was called then; `request` its reference or ""."""

    pk: int
    reference: str
    at: datetime
    actor: str
    sentence: str
    action: str
    object: str
    request: str
    account: str
    outcome: str
    code: str
    tone: str


@dataclass(frozen=True)
class Timeline:
    """The events of one request, newest first; `more` when older ones are only in the history."""

    events: tuple[EventRow, ...]
    more: bool


@dataclass(frozen=True)
class Verified:
    """The last verification of the database: its answer in a word and a sentence, when, and its event."""

    word: str
    sentence: str
    tone: str
    at: datetime
    reference: str


@dataclass(frozen=True)
class HistoryPage:
    """One page of the history. `older` and `newer` are cursors or None; `all_events` says whose events these are."""

    events: tuple[EventRow, ...]
    older: int | None
    newer: int | None
    all_events: bool
    sealing: str
    verified: Verified | None
    groups: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Field:
    """One part of an event with its name in words."""

    name: str
    value: str
    mono: bool = False


@dataclass(frozen=True)
class EventPage:
    """One event whole: fields, canonical text, place in the sealed trail, neighbours."""

    event: EventRow
    fields: tuple[Field, ...]
    changes: tuple[dict[str, Any], ...]
    canonical: str
    leaf: str
    sealing: str
    sealed: bool
    before: EventRow | None
    after: EventRow | None
    disclosed: tuple[Field, ...]
    may_erase: bool


def may_read(user: User, event: AuditEvent) -> bool:
    """Returns whether the person may read one event."""
    visible = permissions.visible_events(user)
    return visible is None or visible.filter(pk=event.pk).exists()


def row_of(event: AuditEvent) -> EventRow:
    """Returns an event as a list shows it."""
    return EventRow(
        pk=event.pk,
        reference=event.reference,
        at=event.at,
        actor=event.actor_name,
        sentence=sentence(event),
        action=event.action,
        object=event.object_name or event.object_id,
        request=event.request,
        account=event.aws_account,
        outcome=event.outcome,
        code=event.code,
        tone="bad" if event.outcome in ("refused", "failed") else _TONES.get(event.action, "neutral"),
    )


def timeline_of(request: Request) -> Timeline:
    """Returns the newest events of a request. Two queries at most."""
    page = audit.find(EventFilter(request=request.reference), limit=TIMELINE_SIZE)
    return Timeline(tuple(map(row_of, page.events)), page.has_older)


def history_page(user: User, chosen: EventFilter, before: int | None, after: int | None) -> HistoryPage:
    """Returns one page of what the person may read."""
    visible = permissions.visible_events(user)
    page = audit.find(chosen, before=before, after=after, limit=PAGE_SIZE, among=visible)
    events = tuple(map(row_of, page.events))
    return HistoryPage(
        events=events,
        older=events[-1].pk if events and page.has_older else None,
        newer=events[0].pk if events and page.has_newer else None,
        all_events=visible is None,
        sealing=sealing_sentence(datetime.now(UTC)),
        verified=last_verified(),
        groups=_groups(),
    )


def _groups() -> tuple[tuple[str, str], ...]:
    prefixes = dict.fromkeys(name.partition(".")[0] for name in EVENTS)
    known = [(f"{p}.*", GROUP_WORDS.get(p, p.replace("_", " ").capitalize())) for p in prefixes]
    return tuple(sorted(known, key=lambda pair: pair[1]))


def sealing_sentence(now: datetime) -> str:
    """Returns how far the trail is sealed: "Sealed to 48,211, 3 waiting, the oldest for 0.4 s."."""
    state = audit.status()
    if not state.sealed and not state.waiting:
        return "Nothing has been recorded yet."
    if not state.sealed:
        return f"No event is sealed yet; {state.waiting:,} wait for the first checkpoint."
    waits = state.waits_for(now)
    waiting = "nothing waiting"
    if waits is not None:
        waiting = f"{state.waiting:,} waiting, the oldest for {max(0.0, waits.total_seconds()):.1f} s"
    kept = "" if state.published else " No checkpoint is kept outside the database yet."
    return f"Sealed to {state.sealed:,}, {waiting}.{kept}"


def last_verified() -> Verified | None:
    """Returns what the last verification of the database said. One query."""
    rows = AuditEvent.objects.filter(action="verification.completed").order_by("-pk")
    event = rows.first()
    if event is None:
        return None
    data: dict[str, Any] = json.loads(event.canon)["data"]
    words = {
        0: ("Verified", f"{data['size']:,} events are exactly what was sealed", "ok"),
        1: ("Tampered", str(data["first_bad"] or "see the event"), "bad"),
    }
    unknown = ("Cannot tell", "what the last verification lacked stands in its report", "warn")
    return Verified(*words.get(data["exit"], unknown), event.at, event.reference)


def event_page(event: AuditEvent, user: User) -> EventPage:
    """Returns one event with everything that it holds."""
    envelope: dict[str, Any] = json.loads(event.canon)
    place = audit.seq_of(event)
    kept = audit.disclosed_of(event) if permissions.may_read_all_audit(user).allowed else {}
    disclosed = tuple(Field(path, value) for path, value in kept.items())
    before, after = (other if other and may_read(user, other) else None for other in audit.neighbours(event))
    return EventPage(
        event=row_of(event),
        fields=tuple(_fields(envelope)),
        changes=tuple(_change(change) for change in envelope.get("changes") or ()),
        canonical=event.canon,
        leaf=bytes(event.leaf).hex(),
        sealing=_place(place),
        sealed=place is not None,
        before=row_of(before) if before else None,
        after=row_of(after) if after else None,
        disclosed=disclosed,
        may_erase=bool(disclosed) and permissions.may_operate(user).allowed,
    )


def _place(place: int | None) -> str:
    if place is None:
        return "Not sealed yet: it waits for the next checkpoint. Until then nothing proves it."
    size = audit.status().sealed
    return f"Sealed as number {place:,} of the trail; the newest checkpoint covers {size:,} events."


def _fields(envelope: dict[str, Any]) -> list[Field]:
    actor, auth = envelope["actor"], envelope["auth"] or {}
    origin, aws, about = envelope["origin"] or {}, envelope["aws"] or {}, envelope["object"]
    groups = f" (groups: {', '.join(actor['groups'])})" if actor.get("groups") else ""
    pairs = [
        ("Action", envelope["action"], True),
        ("Actor", f"{actor['name']}{groups}", False),
        ("Actor's id", f"{actor['type']} {actor['id'] or ''}".strip(), True),
        ("On behalf of", (envelope["on_behalf_of"] or {}).get("name"), False),
        ("Signed in by", auth.get("method"), False),
        ("Session", auth.get("session"), True),
        ("From", " ".join(str(v) for v in (origin.get("channel"), origin.get("ip")) if v), False),
        ("Object", about["name"] or about["id"], False),
        ("Object's id", f"{about['type']} {about['id']}", True),
        ("Request", envelope["request"], True),
        ("Revision", envelope["revision"], False),
        ("Outcome", envelope["outcome"], False),
        ("Code", envelope["code"], True),
        ("Reason", envelope["reason"], False),
        ("AWS account", aws.get("account"), True),
        ("AWS call", " ".join(str(v) for v in (aws.get("service"), aws.get("api")) if v), True),
        ("AWS request id", aws.get("request_id"), True),
    ]
    known = [Field(name, str(value), mono) for name, value, mono in pairs if value not in (None, "")]
    return known + [Field(key.replace("_", " ").capitalize(), _say(v), True) for key, v in envelope["data"].items()]


def _say(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return "–" if value is None else str(value)


def _change(change: dict[str, Any]) -> dict[str, Any]:
    return {"field": change["field"], "old": _say(change["old"]), "new": _say(change["new"])}
