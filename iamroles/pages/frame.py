"""Reads for the frame of every page: which entries of the navigation the person has, and how much waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from iamroles import notices, permissions
from iamroles.models import AskedGroup, Decision, KillSwitch, ProposedChange, Request, User
from iamroles.models.changes import WAITING
from iamroles.rules import states

COUNTED: Final = 100  # pages say "99+" from here on
ORDER: Final = ("risk_rank", "submitted_at", "pk")  # of the queue


@dataclass(frozen=True)
class Navigation:
    """`waiting` ends at COUNTED and is 0 for people without an approval queue, `changes` is None for those who confirm
    no changes; `paused` is the kill switch while it is on; `unread` counts notices.
    """

    approvals: bool
    waiting: int
    audit: bool
    operations: bool
    paused: KillSwitch | None
    changes: int | None = None
    unread: int = 0


def navigation_for(user: User) -> Navigation:
    """Returns the navigation for a signed-in person. At most five queries, whatever the number of rows."""
    reviews = permissions.may_review(user).allowed
    return Navigation(
        approvals=reviews,
        waiting=len(first_waiting(user)) if reviews else 0,
        audit=True,
        operations=permissions.may_operate(user).allowed,
        paused=KillSwitch.objects.first(),
        changes=changes_for(user),
        unread=notices.unread(user).count(),
    )


def first_waiting(user: User) -> Sequence[tuple[str, datetime | None]]:
    """Returns risk and age of what waits for the person, the first COUNTED in the queue's order: counting all would
    cost more than the page. One query, kept on the row for frame, Home and queue.
    """
    if not hasattr(user, "_first_waiting"):
        rows = waiting_for(user).order_by(*ORDER).values_list("risk", "submitted_at")
        user._first_waiting = list(rows[:COUNTED])  # type: ignore[attr-defined]
    first: list[tuple[str, datetime | None]] = user._first_waiting  # type: ignore[attr-defined]
    return first


def changes_for(user: User) -> int | None:
    """Returns how many changes of others wait for a person who may confirm them."""
    if not permissions.may_change_rules(user).allowed:
        return None
    return ProposedChange.objects.filter(state=WAITING).exclude(proposed_by=user).count()


def waiting_for(user: User) -> QuerySet[Request]:
    """Returns the requests in review that this person may still decide, by group, own requests excluded."""
    dates = permissions.group_dates(user).items()
    asked = [
        Q(group=name, proposal__revision__request__submitted_at__gte=since)
        for name, since in dates
        if since is not None
    ]
    if not asked:
        return Request.objects.none()
    current = AskedGroup.objects.filter(
        reduce(or_, asked),
        proposal__revision__request=OuterRef("pk"),
        proposal__revision__number=OuterRef("revision_number"),
    )
    decided = Decision.objects.filter(
        request=OuterRef("pk"), revision__number=OuterRef("revision_number"), approver=user, ended_by=""
    )
    return Request.objects.filter(Exists(current), ~Exists(decided), state=states.IN_REVIEW).exclude(requester=user)
