"""Reads for Home: what needs this person. Blocks that do not concern a person are None; every block is one query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from iamroles import audit, notices, permissions
from iamroles.audit.find import Status as Sealing
from iamroles.models import AwsAccount, Decision, Notice, Request, User
from iamroles.pages import frame, status
from iamroles.pages.managed import Observed, observed
from iamroles.pages.status import Status
from iamroles.rules import groups, states
from iamroles.rules.risk import HIGH

_RECENT = timedelta(days=14)
_ROWS = 6


@dataclass(frozen=True)
class HomeRow:
    """One request of the person with its status and the sentence that says what to do."""

    request: Request
    status: Status
    hint: str = ""
    in_place: str = ""

    @property
    def form_name(self) -> str:
        """The URL name of the form in which a draft goes on."""
        return f"{self.request.kind}_request_new"


@dataclass(frozen=True)
class Waiting:
    """The approver's block. Counts end at `frame.COUNTED`; from there on nobody knows the oldest."""

    total: int
    high: int
    oldest: datetime | None


@dataclass(frozen=True)
class Home:
    """Everything on Home for one person. `is_new` is True for somebody with no request and nothing to decide;
    `starting` for an operator of a portal that has applied nothing yet.
    """

    needs_you: tuple[HomeRow, ...]
    in_progress: tuple[HomeRow, ...]
    drafts: tuple[HomeRow, ...]
    applied: tuple[HomeRow, ...]
    waiting: Waiting | None
    trail: Sealing | None
    drift: Observed | None
    asks: bool
    starting: bool
    notices: tuple[Notice, ...] = ()

    @property
    def is_new(self) -> bool:
        """True when no block has anything to show."""
        return not (self.needs_you or self.in_progress or self.drafts or self.applied)


def home_of(user: User, now: datetime) -> Home:
    """Returns Home for a signed-in person."""
    names = permissions.group_names(user)
    rows = [_row(request) for request in _requests(user, now)]
    needing = [row for row in rows if row.hint]
    in_progress = [row for row in rows if not row.hint and row.request.state not in (states.DRAFT, states.CLOSED)]
    return Home(
        needs_you=tuple(needing[:_ROWS]),
        in_progress=tuple(in_progress[:_ROWS]),
        drafts=tuple([row for row in rows if row.request.state == states.DRAFT][:_ROWS]),
        applied=tuple([row for row in rows if row.request.state == states.CLOSED and not row.hint][:_ROWS]),
        waiting=_waiting(user) if _decides(names) else None,
        trail=audit.status() if names & {groups.AUDITORS, groups.SECURITY, groups.OPERATORS} else None,
        drift=_drift(user, names),
        asks=user.teams.exists(),
        starting=groups.OPERATORS in names and not Request.objects.filter(outcome="applied").exists(),
        notices=tuple(notices.unread(user)[:_ROWS]),
    )


def _drift(user: User, names: frozenset[str]) -> Observed | None:
    """What differs among an operator's roles, which are all, or among those of somebody's teams and AWS accounts."""
    if names & {groups.APPROVERS, groups.SECURITY, groups.AUDITORS} and groups.OPERATORS not in names:
        return None
    found = observed(permissions.visible_roles(user))
    return found if found.drifted else None


def _decides(names: frozenset[str]) -> bool:
    """Auditors and operators may read the queue; only these may ever decide on something in it."""
    if names & {groups.APPROVERS, groups.SECURITY}:
        return True
    return AwsAccount.objects.filter(owner__name__in=names).exists()


def _requests(user: User, now: datetime) -> QuerySet[Request]:
    recent = Q(closed_at__gte=now - _RECENT)
    rows = Request.objects.filter(requester=user).filter(~Q(state=states.CLOSED) | recent)
    rows = rows.select_related("account", "team").prefetch_related(status.current_runs())
    return rows.order_by("-updated_at")[:60]


def _row(request: Request) -> HomeRow:
    shown, in_place = status.listed_status(request)
    hint = ""
    if request.state == states.CHANGES_REQUESTED:
        hint = "An approver asks for changes."
    elif shown.tab == "needs_attention":
        hint = "Stopped: see what is in place and what you can do."
    elif shown.slug == "rejected":
        hint = "Rejected: see why."
    return HomeRow(request, shown, hint, in_place)


def _waiting(user: User) -> Waiting:
    first = frame.first_waiting(user)
    high = sum(risk == HIGH for risk, _ in first)
    ages = [at for _, at in first if at is not None]
    return Waiting(len(first), high, min(ages, default=None) if len(first) < frame.COUNTED else None)


@dataclass(frozen=True)
class DemoSteps:
    """Which steps of the card "Try it in three minutes" are done. Only demo settings show it."""

    approved: bool
    applied: bool
    asked: bool
    exported: bool


def demo_steps(*, first: int = 1, prepared: int = 3) -> DemoSteps:
    """Returns what visitors have done since the demo was filled with `prepared` requests, beginning with `first`."""
    row = Request.objects.filter(pk=first).first()
    return DemoSteps(
        approved=Decision.objects.filter(request_id=first, decision="approve").exists(),
        applied=row is not None and row.outcome == "applied",
        asked=Request.objects.filter(pk__gte=first + prepared, submitted_at__isnull=False).exists(),
        exported=audit.events_matching(audit.EventFilter(action="export.started")).exists(),
    )
