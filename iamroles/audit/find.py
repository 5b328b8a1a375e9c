"""Finding events for pages: one filter value, keyset pages newest first, neighbours, and the state of sealing.

No page counts rows. The filter is also the one of exports, so that a page and its export hold the same events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet

from iamroles.audit.events import EVENTS, OUTCOMES
from iamroles.audit.tabs import TABS
from iamroles.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditPending, AuditReceipt

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_REQUEST: Final = re.compile(r"REQ-[0-9]{6,}", re.IGNORECASE)
# The names in a URL or on the command line, where they are not those of the fields.
_NAMES: Final = {"from_at": "from", "to_at": "to"}


@dataclass(frozen=True)
class BadFilter:
    """One filter that cannot be used, with a sentence for the person."""

    name: str
    message: str


@dataclass(frozen=True)
class EventFilter:
    """Which events to find. `from_at` is inclusive, `to_at` exclusive. `action` may end in a dot and star: `run.*`.

    `actor` is an id or part of a name; `object` any text of the event: a name, a reference, an ARN. `tab` is one of
    `tabs.TABS`.
    """

    from_at: datetime | None = None
    to_at: datetime | None = None
    actor: str = ""
    action: str = ""
    object: str = ""
    request: str = ""
    account: str = ""
    outcome: str = ""
    tab: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, Any]) -> tuple[EventFilter, list[BadFilter]]:
        """Returns the filter of a URL or command line, without the parts that cannot be used, and what is wrong there.

        Times are dates (the whole day, UTC, in `to` as well) or ISO 8601 times; without a zone they are UTC.
        """
        texts = {name: str(query.get(_NAMES.get(name, name)) or "").strip() for name in (f.name for f in fields(cls))}
        bad: list[BadFilter] = []
        from_at = _moment("from", texts["from_at"], bad, end=False)
        to_at = _moment("to", texts["to_at"], bad, end=True)
        if from_at and to_at and from_at >= to_at:
            bad.append(BadFilter("to", "“To” must be later than “from”."))
            to_at = None
        for name, known, message in _CHECKS:
            if texts[name] and not known(texts[name]):
                bad.append(BadFilter(name, message.format(texts[name])))
                texts[name] = ""
        return (
            cls(
                from_at=from_at,
                to_at=to_at,
                actor=texts["actor"],
                action=texts["action"],
                object=texts["object"],
                request=texts["request"].upper(),
                account=texts["account"],
                outcome=texts["outcome"],
                tab=texts["tab"],
            ),
            bad,
        )

    def describe(self) -> dict[str, str]:
        """Returns the set filters under their names in a URL, as export events keep them."""
        found = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value:
                found[_NAMES.get(field.name, field.name)] = value.isoformat() if hasattr(value, "isoformat") else value
        return found


def ended_approvals(request: str) -> frozenset[str]:
    """Returns the ids of a request's approvals that events say were taken back or voided: they never count again."""
    rows = AuditEvent.objects.filter(request=request, action__in=("approval.taken_back", "approval.voided"))
    return frozenset(json.loads(canon)["data"]["approval"] for canon in rows.values_list("canon", flat=True))


def auto_approved(request: str, revision: int, *, ever: bool = False) -> str | None:
    """Returns the digest of the proposal that a rule approved, if nothing later took the request back from there.

    With `ever` what came later does not matter.
    """
    actions = ("request.auto_approved", "request.reopened", "request.submitted", "plan.renewed", "request.approved")
    rows = AuditEvent.objects.filter(request=request, action__in=actions).order_by("pk")
    told = [json.loads(canon) for canon in rows.values_list("canon", flat=True)]
    if ever:
        told = [each for each in told if (each["action"], each["revision"]) == (actions[0], revision)]
    last = told[-1] if told else None
    if last is None or last["action"] != "request.auto_approved" or last["revision"] != revision:
        return None
    return str(last["data"]["proposal_digest"])


def was_answered(account: str, codes: Iterable[str], *, since: datetime) -> bool:
    """Returns True if AWS refused a call in this AWS account with one of the codes since then."""
    rows = AuditEvent.objects.filter(aws_account=account, action="step.failed", code__in=tuple(codes), at__gt=since)
    return rows.exists()


def agents_of_sign_ins(user_id: str, *, since: datetime) -> set[str]:
    """Returns the User-Agents with which a person has signed in since, "" for none; of the last 100 sign-ins."""
    rows = AuditEvent.objects.filter(actor_id=user_id, action="session.started", at__gte=since).order_by("-pk")
    return {json.loads(canon)["origin"]["agent"] or "" for canon in rows.values_list("canon", flat=True)[:100]}


def _known_action(text: str) -> bool:
    if text.endswith(".*"):
        return any(name.startswith(text[:-1]) for name in EVENTS)
    return text in EVENTS


_CHECKS: Final = (
    ("action", _known_action, "There is no event {!r}."),
    ("request", lambda text: bool(_REQUEST.fullmatch(text)), "A request reads like REQ-000142, not {!r}."),
    ("account", lambda text: bool(_ACCOUNT.fullmatch(text)), "An AWS account number has 12 digits, not {!r}."),
    ("tab", lambda text: text in TABS, "There is no tab {!r}."),
    ("outcome", lambda text: text in OUTCOMES, "An outcome is success, refused, failed or unknown, not {!r}."),
)


@dataclass(frozen=True)
class Page:
    """Some events, newest first, and whether there are older and newer ones."""

    events: list[AuditEvent]
    has_newer: bool
    has_older: bool


@dataclass(frozen=True)
class Status:
    """How far sealing is. `oldest_waiting` is the time of the oldest event that no leaf covers yet."""

    sealed: int
    waiting: int
    oldest_waiting: datetime | None
    signed_at: datetime | None
    note: str | None
    published: int

    def waits_for(self, now: datetime) -> timedelta | None:
        """Returns how long the oldest waiting event waits, or None when none does."""
        return now - self.oldest_waiting if self.oldest_waiting else None


def correlation_of(request: str) -> str | None:
    """Returns the correlation of the newest act on a request (its reference) that has one; a worker goes on with it."""
    rows = AuditEvent.objects.filter(request=request).exclude(canon__contains='"correlation":null').order_by("-pk")
    canon = rows.values_list("canon", flat=True).first()
    found = json.loads(canon)["correlation"] if canon else None
    return found if isinstance(found, str) else None


def events_matching(wanted: EventFilter, *, using: str = "default") -> QuerySet[AuditEvent]:
    """Returns the events of a filter, without an order."""
    rows = AuditEvent.objects.using(using)
    if wanted.from_at:
        rows = rows.filter(at__gte=wanted.from_at)
    if wanted.to_at:
        rows = rows.filter(at__lt=wanted.to_at)
    if wanted.action.endswith(".*"):
        rows = rows.filter(action__startswith=wanted.action[:-1])
    elif wanted.action:
        rows = rows.filter(action=wanted.action)
    if wanted.actor:
        rows = rows.filter(Q(actor_id=wanted.actor) | Q(actor_name__icontains=wanted.actor))
    if wanted.object:
        rows = rows.filter(Q(object_name__icontains=wanted.object) | Q(canon__contains=wanted.object))
    if wanted.tab:
        rows = rows.filter(TABS[wanted.tab])
    exact = {"request": wanted.request, "aws_account": wanted.account, "outcome": wanted.outcome}
    return rows.filter(**{column: value for column, value in exact.items() if value})


def find(
    wanted: EventFilter,
    before: int | None = None,
    after: int | None = None,
    limit: int = 50,
    *,
    among: QuerySet[AuditEvent] | None = None,
) -> Page:
    """Returns one page, newest first: the events older than id `before`, or the next newer ones than `after`.

    `among` narrows it to what a person may see.
    """
    rows = events_matching(wanted)
    if among is not None:
        rows = rows.filter(pk__in=among.values("pk"))
    if after is not None and before is None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: limit + 1])
        events = found[:limit][::-1]
        return Page(events, has_newer=len(found) > limit, has_older=True)
    older = rows.filter(pk__lt=before) if before is not None else rows
    found = list(older.order_by("-pk")[: limit + 1])
    return Page(found[:limit], has_newer=before is not None, has_older=len(found) > limit)


def get(event_id: int) -> AuditEvent:
    """Returns one event. Raises AuditEvent.DoesNotExist."""
    return AuditEvent.objects.get(pk=event_id)


def seq_of(event: AuditEvent) -> int | None:
    """Returns the place of the event in the sealed trail, from 0, or None while it waits."""
    leaf = AuditEvent.objects.filter(pk=event.pk).values_list("sealed__seq", flat=True).first()
    return int(leaf) if leaf is not None else None


def places_of(ids: Sequence[int]) -> dict[int, int]:
    """Returns the place in the sealed trail of those of these events that are sealed."""
    return dict(AuditLeaf.objects.filter(event_id__in=ids).values_list("event_id", "seq"))


def neighbours(event: AuditEvent) -> tuple[AuditEvent | None, AuditEvent | None]:
    """Returns the previous and the next event of the same request, or else of the same object."""
    rows = AuditEvent.objects.all()
    if event.request:
        rows = rows.filter(request=event.request)
    else:
        rows = rows.filter(object_type=event.object_type, object_id=event.object_id)
    return rows.filter(pk__lt=event.pk).order_by("-pk").first(), rows.filter(pk__gt=event.pk).order_by("pk").first()


def status(using: str = "default") -> Status:
    """Returns how far sealing and publishing are."""
    newest = AuditCheckpoint.objects.using(using).order_by("-size").first()
    pending = AuditPending.objects.using(using)
    oldest = pending.order_by("event_id").values_list("event__at", flat=True).first()
    published = AuditReceipt.objects.using(using).order_by("-size").values_list("size", flat=True).first()
    return Status(
        sealed=newest.size if newest else 0,
        waiting=pending.count(),
        oldest_waiting=oldest,
        signed_at=newest.signed_at if newest else None,
        note=newest.note if newest else None,
        published=published or 0,
    )


def _moment(name: str, text: str, bad: list[BadFilter], *, end: bool) -> datetime | None:
    if not text:
        return None
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return datetime.combine(day + timedelta(days=1) if end else day, time(), tzinfo=UTC)
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        bad.append(BadFilter(name, f"{text!r} is no date. Write 2026-11-24 or 2026-11-24T12:30."))
        return None
