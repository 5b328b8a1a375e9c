"""What does not go on by itself, for operators: stopped runs, given up looks, waiting runs, leases held too long."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from iamroles import permissions
from iamroles.models import AwsAccount, KillSwitch, Lease, Request, Run, User
from iamroles.pages import status
from iamroles.pages.offers import Button, Case, operators_buttons
from iamroles.pages.operations import late_follow_ups, stopped_follow_ups
from iamroles.pages.status import Status
from iamroles.rules import states

QUIET: Final = timedelta(seconds=30)
AT_MOST: Final = 100


@dataclass(frozen=True)
class Job:
    """One request that is stuck or waits. `since` is when that began, `code` what was answered last."""

    request: Request
    status: Status
    in_place: str
    code: str
    since: datetime
    run: Run | None
    buttons: tuple[Button, ...]


@dataclass(frozen=True)
class HeldLease:
    """A resource that a silent worker holds past its deadline; `request` is whose run that was, if it is known."""

    lease: Lease
    request: Request | None
    may_force: bool


@dataclass(frozen=True)
class Jobs:
    """The page. `more` is True when there are more stuck requests than are listed."""

    stuck: tuple[Job, ...]
    waiting: tuple[Job, ...]
    leases: tuple[HeldLease, ...]
    more: bool


def jobs(user: User, at: datetime) -> Jobs:
    """Returns what an operator may have to act on, oldest first."""
    stuck = _loaded(status.approved_with(states.STOPPED))
    stuck += _loaded(Request.objects.filter(state=states.SUBMITTED, next_try_at=None))
    followed = stopped_follow_ups() | late_follow_ups(at)
    stuck += _loaded(Request.objects.filter(pk__in=followed.values("request"), state=states.CLOSED))
    waiting = _loaded(status.approved_with(states.WAITING))
    involved = permissions.involved_in(user, [row.pk for row in stuck])
    return Jobs(
        stuck=tuple(_job(row, user, involved) for row in stuck[:AT_MOST]),
        waiting=tuple(_job(row, user, involved) for row in waiting[:AT_MOST]),
        leases=_held(user, at),
        more=len(stuck) > AT_MOST or len(waiting) > AT_MOST,
    )


def _loaded(rows: QuerySet[Request]) -> list[Request]:
    loaded = rows.select_related("requester", "team", "account").prefetch_related(status.current_runs())
    return list(loaded.order_by("updated_at")[: AT_MOST + 1])


def _job(row: Request, user: User, involved: Container[int]) -> Job:
    runs: list[Run] = getattr(row, "current_runs", [])
    run = runs[0] if runs else None
    shown, in_place = status.listed_status(row)
    if row.state == states.CLOSED:
        in_place = "follow-up not done"
    return Job(
        request=row,
        status=shown,
        in_place=in_place,
        code=str(run.detail.get("code") or "") if run else row.last_code,
        since=(run.ended_at or run.seen_at) if run else row.updated_at,
        run=run,
        buttons=operators_buttons(Case(row, run, user, involved=involved)),
    )


def _held(user: User, at: datetime) -> tuple[HeldLease, ...]:
    """Leases whose worker should have ended or renewed them by now. Which request it was, its fence tells."""
    rows = Lease.objects.filter(hard_until__lt=at - QUIET).exclude(owner="").select_related("account")
    leases = list(rows.order_by("hard_until")[:AT_MOST])
    runs = Run.objects.filter(fence__in=[lease.fence for lease in leases], request__state=states.APPROVED)
    owners = {
        (run.request.account_id, run.fence, run.request.role_name.lower()): run.request
        for run in runs.select_related("request").order_by("pk")
    }
    requests = [
        owners.get((lease.account_id, lease.fence, lease.resource.rsplit("/", 1)[-1].lower())) for lease in leases
    ]
    involved = permissions.involved_in(user, [request.pk for request in requests if request])
    return tuple(
        HeldLease(lease, request, may_force=request is not None and request.pk not in involved)
        for lease, request in zip(leases, requests, strict=True)
    )


@dataclass(frozen=True)
class Pauses:
    """What is held up: the kill switch, if it is on, and every AWS account with its pause."""

    kill_switch: KillSwitch | None
    accounts: tuple[AwsAccount, ...]


def pauses() -> Pauses:
    """Returns what operators have paused. Two queries."""
    switch = KillSwitch.objects.select_related("turned_on_by").first()
    return Pauses(switch, tuple(AwsAccount.objects.order_by("environment", "name")))
