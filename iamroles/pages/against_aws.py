"""Holding AWS against a request: a worker's look for the page, and how far marking the request resolved is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from iamroles import permissions
from iamroles.models import ObservationOrder, Request, Resolution, Run, User
from iamroles.pages import status
from iamroles.pages.parts import PartView, part_views
from iamroles.pages.status import Status
from iamroles.rules import states

FRESH: Final = timedelta(minutes=10)  # how long a look counts for marking resolved; the verb decides
_SETTLED_BY: Final = ("blocked", "quarantined", "conflict")


@dataclass(frozen=True)
class AgainstAws:
    """The page. `state` is "" (no look yet), waits, equal, different or failed; `form` is "", propose or confirm.

    For the `follow_up` that stopped it is gone or left, and the form is "settle".
    """

    request: Request
    status: Status
    look: ObservationOrder | None
    state: str
    error: str
    parts: tuple[PartView, ...]
    resolution: Resolution | None
    form: str
    note: str
    follow_up: Run | None = None

    @property
    def waits(self) -> bool:
        """True while a worker has not answered."""
        return self.state == "waits"


def against_aws(request: Request, user: User, at: datetime) -> AgainstAws:
    """Returns the page for a person who may have AWS held against the request."""
    run = request.latest_run()
    follow_up = request.stopped_follow_up() if request.state == states.CLOSED else None
    look = request.looks.select_related("account", "ordered_by").order_by("-pk").first()
    stopped = request.state == states.APPROVED and run is not None and run.stop_reason in _SETTLED_BY
    rows = Resolution.objects.select_related("proposed_by", "confirmed_by")
    resolution = rows.filter(run=run).first() if run is not None else None
    form, note = _form(request, user, look, resolution, at) if stopped else ("", "")
    if follow_up is not None:
        form, note = _settling(look, follow_up, at)
    result = look.result if look else {}
    return AgainstAws(
        request=request,
        status=status.status_of(request, run),
        look=look,
        state=_state(look),
        error=str(result.get("error", "")),
        parts=part_views(result.get("parts", ())),
        resolution=resolution,
        form=form,
        note=note,
        follow_up=follow_up,
    )


def _state(look: ObservationOrder | None) -> str:
    if look is None:
        return ""
    if look.answered_at is None:
        return "waits"
    return str(look.result.get("state", "failed"))


def _settling(look: ObservationOrder | None, run: Run, at: datetime) -> tuple[str, str]:
    """Returns the form that ends a follow-up, or why there is none."""
    if look is None or look.answered_at is None or (_state(look), look.result.get("run")) != ("gone", run.number):
        return "", "It can be ended once a look finds that the deny is gone."
    if at - look.answered_at > FRESH:
        return "", "The look is older than ten minutes. Look again to end the follow-up."
    return "settle", ""


def _form(
    request: Request, user: User, look: ObservationOrder | None, resolution: Resolution | None, at: datetime
) -> tuple[str, str]:
    """Returns which form the person gets, or why none."""
    if resolution is None:
        form, allowed = "propose", permissions.may_propose_resolution(user, request)
    else:
        form = "confirm"
        allowed = permissions.may_confirm_resolution(user, request, resolution.proposed_by_id)
    if not allowed.allowed:
        return "", allowed.reason
    if _state(look) != "equal" or look is None or look.answered_at is None:
        return "", "It can be marked resolved once a look finds that AWS reads as approved."
    if at - look.answered_at > FRESH:
        return "", "The look is older than ten minutes. Look again to mark it resolved."
    return form, ""
