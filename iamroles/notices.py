"""Who is told when a request or a change of two people goes on, or of their sign-in: an outbox in the transaction of
what happens. `tend` sends it. What a row says is written when it is sent, from what the request or change is then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet

from iamroles.models import AskedGroup, Decision, Notice, ProposedChange, Request, Revision, User
from iamroles.models.notices import APPLIED, DECIDED, FAILED, SECURITY, WAITING
from iamroles.rules import groups

# What happened: the events that somebody is told of.
KINDS: Final[dict[str, str]] = {
    "revision.proposed": WAITING,
    "request.reopened": WAITING,
    "request.reminded": WAITING,
    "request.approved": DECIDED,
    "request.auto_approved": DECIDED,
    "request.rejected": DECIDED,
    "changes.requested": DECIDED,
    "request.applied": APPLIED,
    "run.stopped": FAILED,
}


REMIND_AFTER: Final = timedelta(hours=4)


def tell(request: Request, event: str, *, actor_id: str, at: datetime) -> int:
    """Writes the notices of an event, if anybody is told of it; never to who did it. Returns how many.

    The caller holds the transaction that changes the request.
    """
    kind = KINDS.get(event)
    if kind is None:
        return 0
    people = _people(request, kind).exclude(pk=actor_id if actor_id.isdigit() else 0)
    rows = [
        Notice(request=request, person=person, kind=kind, event=event, at=at, next_try_at=at if person.mail else None)
        for person in people.distinct().order_by("pk")
    ]
    rows.append(Notice(request=request, kind=kind, event=event, at=at, next_try_at=at))
    return len(Notice.objects.bulk_create(rows))


def tell_of_change(change: ProposedChange, event: str, *, at: datetime) -> int:
    """Tells those who may confirm a change that it waits, or who proposed it what became of it. Returns how many."""
    if event == "change.proposed":
        kind, wanted = WAITING, Q(groups__name__in=(groups.OPERATORS, groups.SECURITY)) & ~Q(pk=change.proposed_by_id)
    else:
        kind, wanted = DECIDED, Q(pk=change.proposed_by_id)
    people = User.objects.filter(wanted, is_active=True).distinct().order_by("pk")
    rows = [
        Notice(change=change, person=person, kind=kind, event=event, at=at, next_try_at=at if person.mail else None)
        for person in people
    ]
    rows.append(Notice(change=change, kind=kind, event=event, at=at, next_try_at=at))
    return len(Notice.objects.bulk_create(rows))


def warn(person: User, event: str, *, at: datetime, **detail: Any) -> None:
    """Tells a person, also one who wants no other mail, what happened to how they sign in. `detail`: no secret."""
    Notice.objects.create(
        person=person, kind=SECURITY, event=event, detail=detail, at=at, next_try_at=at if person.email else None
    )


def _people(request: Request, kind: str) -> QuerySet[User]:
    active = User.objects.filter(is_active=True)
    if kind != WAITING:
        wanted = Q(pk=request.requester_id)
        return active.filter(wanted | Q(groups__name=groups.OPERATORS) if kind == FAILED else wanted)
    asked = AskedGroup.objects.filter(
        proposal__revision__request=request, proposal__revision__number=request.revision_number
    )
    authors = Revision.objects.filter(request=request).values("created_by")
    decided = Decision.objects.filter(request=request, revision__number=request.revision_number, ended_by="")
    people = active.filter(groups__name__in=asked.values("group"))
    return people.exclude(pk__in=authors).exclude(pk__in=decided.values("approver"))


def next_reminder(request: Request) -> datetime | None:
    """Returns when those who can decide may be reminded (again), or None before they were ever told."""
    told = Notice.objects.filter(request=request, kind=WAITING).order_by("-at").values_list("at", flat=True).first()
    return told + REMIND_AFTER if told else None


def unread(person: User) -> QuerySet[Notice]:
    """Returns what the person has not read yet, newest first. What waits for a decision is counted in the queue."""
    rows = Notice.objects.filter(person=person, seen_at=None).exclude(kind=WAITING)
    return rows.select_related("request__account", "change").order_by("-pk")


def mark_read(person: User, *, last: int, at: datetime) -> int:
    """Marks as read what the person was shown, up to the row `last`. Returns how many."""
    return unread(person).filter(pk__lte=last).update(seen_at=at)
