"""What stands beside a request under review: what was decided lately, and similar requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from iamroles import permissions
from iamroles.models import Decision, Request, User

_LISTED: Final = 5


@dataclass(frozen=True)
class Beside:
    """The last decisions in the AWS account, and other requests for a role of this name or of this team and kind."""

    decisions: tuple[Decision, ...]
    similar: tuple[Request, ...]


def beside(request: Request, user: User) -> Beside:
    """Returns what the person may see of it, five each, newest first. Two queries."""
    visible = permissions.visible_requests(user).exclude(pk=request.pk)
    decisions = Decision.objects.filter(request__in=visible.filter(account=request.account).values("pk"))
    alike = Q(role_name=request.role_name) if request.role_name else Q(pk=None)
    similar = visible.filter(alike | Q(team=request.team, kind=request.kind)).exclude(state="draft")
    return Beside(
        tuple(decisions.select_related("request", "approver").order_by("-pk")[:_LISTED]),
        tuple(similar.order_by("-pk")[:_LISTED]),
    )
