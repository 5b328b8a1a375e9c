"""Reads for the frame of every page: which entries of the navigation the person has, and how much waits."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from iamroles import permissions
from iamroles.models import Decision, KillSwitch, Proposal, Request, User
from iamroles.rules import groups, states


@dataclass(frozen=True)
class Navigation:
    """`paused` is the kill switch while it is on."""

    approvals: bool
    waiting: int
    audit: bool
    operations: bool
    paused: KillSwitch | None


def navigation_for(user: User) -> Navigation:
    """Returns the navigation for a signed-in person. At most four queries, whatever the number of rows."""
    reviews = permissions.may_review(user).allowed
    return Navigation(
        approvals=reviews,
        waiting=waiting_for(user).count() if reviews else 0,
        audit=True,
        operations=permissions.may_operate(user).allowed,
        paused=KillSwitch.objects.first(),
    )


def waiting_for(user: User) -> QuerySet[Request]:
    """Returns the requests in review that this person may still decide, by group, own requests excluded."""
    names = permissions.group_names(user)
    current = Proposal.objects.filter(revision__request=OuterRef("pk"), revision__number=OuterRef("revision_number"))
    adopts = Exists(current.filter(adopts=True))
    mine = Q(adopts, account__owner__name__in=names)
    if groups.APPROVERS in names:
        mine |= Q(~adopts) | Q(risk="forbidden")
    if groups.SECURITY in names:
        mine |= Q(risk="high")
    decided = Decision.objects.filter(
        request=OuterRef("pk"), revision__number=OuterRef("revision_number"), approver=user, ended_by=""
    )
    return Request.objects.filter(mine, ~Exists(decided), state=states.IN_REVIEW).exclude(requester=user)
