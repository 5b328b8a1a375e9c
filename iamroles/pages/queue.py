"""The approval queue: tabs, filters and keyset pages over requests, by risk and then by age.

One page costs the same number of queries whatever the number of rows; who may decide is `permissions`' own question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet

from iamroles import eligibility, permissions
from iamroles.eligibility import Bars
from iamroles.models import AwsAccount, Decision, Proposal, Request, User
from iamroles.pages import frame, status, together
from iamroles.pages.progress import Progress, approvers_of, decisions_by_revision, progress_of, standing_of
from iamroles.pages.status import Status
from iamroles.rules import risk, states

PAGE_SIZE: Final = 25
TABS: Final = {
    "waiting": "Waiting for me",
    "high": "High",
    "accounts": "My AWS accounts",
    "all": "All",
    "decided": "Decided by me",
}
_HIGH: Final = len(risk.ORDER) - risk.ORDER.index(risk.HIGH)  # the rank; what is worse ranks before it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class QueueFilter:
    """What the address asks for. `after` is the keyset cursor of the page before."""

    tab: str = "waiting"
    text: str = ""
    account: str = ""
    risk: str = ""
    after: str = ""

    @property
    def narrowed(self) -> bool:
        """True when something besides the tab is chosen."""
        return bool(self.text or self.account or self.risk)


@dataclass(frozen=True)
class Row:
    """One request of the queue. `others` are the people besides the reader who can still decide; `alike` counts the
    Low ones of the same `shape` that this row stands for.
    """

    request: Request
    status: Status
    progress: Progress | None
    marks: tuple[str, ...]
    since: datetime
    decided: Decision | None = None
    others: tuple[User, ...] = ()
    shape: str = ""
    alike: int = 1


@dataclass(frozen=True)
class Tab:
    """One tab; its count ends at `frame.COUNTED`."""

    slug: str
    title: str
    count: int
    current: bool


@dataclass(frozen=True)
class QueuePage:
    """One page of the queue; `next_after` is "" on the last one. `elsewhere` counts what the filter hides."""

    tabs: tuple[Tab, ...]
    rows: tuple[Row, ...]
    next_after: str
    accounts: tuple[tuple[str, str], ...]
    total: int


def read_filter(values: dict[str, str]) -> QueueFilter:
    """Returns the filter of an address; what it does not know is left out."""
    tab = values.get("tab", "")
    wanted = values.get("risk", "")
    return QueueFilter(
        tab=tab if tab in TABS else "waiting",
        text=values.get("q", "").strip()[:200],
        account=values.get("account", "").strip()[:12],
        risk=wanted if wanted in risk.ORDER else "",
        after=values.get("after", "")[:60],
    )


def queue_page(user: User, chosen: QueueFilter) -> QueuePage:
    """Returns one page for a person who may review."""
    accounts = permissions.visible_accounts(user).select_related("owner").order_by("name")
    by_tab = _by_tab(user, accounts)
    rows = _narrow(by_tab[chosen.tab], chosen)
    page = list(
        rows.filter(_beyond(chosen.after))
        .select_related("requester", "team", "account")
        .order_by(*frame.ORDER)[: PAGE_SIZE + 1]
    )
    more, page = len(page) > PAGE_SIZE, page[:PAGE_SIZE]
    counts = {slug: rows[: frame.COUNTED].count() for slug, rows in by_tab.items() if slug != "waiting"}
    counts["waiting"] = len(frame.first_waiting(user))
    return QueuePage(
        tabs=tuple(Tab(slug, title, counts[slug], slug == chosen.tab) for slug, title in TABS.items()),
        rows=_folded(_rows(page, user)) if chosen.tab == "waiting" else _rows(page, user),
        next_after=_cursor(page[-1]) if more else "",
        accounts=tuple((account.number, account.name) for account in accounts),
        total=counts[chosen.tab],
    )


def next_waiting(user: User, after: Request) -> Request | None:
    """Returns the request that the person should decide next: the first of the queue besides this one."""
    return frame.waiting_for(user).exclude(pk=after.pk).order_by(*frame.ORDER).first()


def _by_tab(user: User, accounts: Iterable[AwsAccount]) -> dict[str, QuerySet[Request]]:
    """The rows of each tab. What is in review has its index's order, or counting it would pass all that is closed."""
    reviewed = permissions.visible_requests(user).filter(state=states.IN_REVIEW).order_by(*frame.ORDER)
    names = permissions.group_names(user)
    decided = Decision.objects.filter(approver=user).values("request")
    return {
        "waiting": frame.waiting_for(user),
        "high": reviewed.filter(risk_rank__lte=_HIGH),
        "accounts": reviewed.filter(account__in=[account.pk for account in accounts if account.owner.name in names]),
        "all": reviewed,
        "decided": Request.objects.filter(pk__in=decided),
    }


def _narrow(rows: QuerySet[Request], chosen: QueueFilter) -> QuerySet[Request]:
    if chosen.account:
        rows = rows.filter(account__number=chosen.account)
    if chosen.risk:
        rows = rows.filter(risk=chosen.risk)
    if chosen.text:
        rows = rows.filter(matching(chosen.text))
    return rows


def matching(text: str) -> Q:
    """Returns the condition for a search text: a reference, a part of title or role name, an account, a person."""
    bare = text.upper().removeprefix("REQ-")
    found = (
        Q(title__icontains=text)
        | Q(role_name__icontains=text.rsplit("/", 1)[-1])
        | Q(account__name__icontains=text)
        | Q(account__number=text)
        | Q(requester__first_name__icontains=text)
        | Q(requester__last_name__icontains=text)
        | Q(requester__username__iexact=text)
        | Q(team__name__icontains=text)
    )
    if bare.isascii() and bare.isdigit() and len(bare) <= 12:
        found |= Q(pk=int(bare))
    return found


def _cursor(row: Request) -> str:
    at = row.submitted_at or row.created_at
    return f"{row.risk_rank}.{(at - _EPOCH) // timedelta(microseconds=1)}.{row.pk}"


def _beyond(cursor: str) -> Q:
    """Returns the condition for what comes after a cursor; everything, where it is not one of ours."""
    parts = cursor.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        return Q()
    rank, micros, pk = map(int, parts)
    try:
        at = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return Q()
    later = Q(submitted_at__gt=at) | Q(submitted_at=at, pk__gt=pk)
    return Q(risk_rank__gte=rank) & (Q(risk_rank__gt=rank) | later)


def _rows(page: Sequence[Request], user: User) -> tuple[Row, ...]:
    proposals = {
        p.revision.request_id: p
        for p in Proposal.objects.filter(revision__request__in=[row.pk for row in page])
        .select_related("revision__request")
        .order_by("revision__number")
    }
    decisions = decisions_by_revision(revision__in=[p.revision_id for p in proposals.values()])
    bars = eligibility.bars_for([p.revision for p in proposals.values()])
    groups = {name for p in proposals.values() if p.intact for name in eligibility.deciding_groups(p)}
    people = eligibility.people_of(groups, besides=approvers_of(decisions))
    return tuple(_row(row, proposals.get(row.pk), decisions, bars, user, people) for row in page)


def _folded(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Returns the rows with those of one shape folded into the first of them."""
    counted = Counter(row.shape for row in rows if row.shape)
    firsts: dict[str, Row] = {}
    for row in rows:
        firsts.setdefault(row.shape or row.request.reference, row)
    return tuple(replace(row, alike=counted.get(row.shape, 1)) for row in firsts.values())


def _row(
    row: Request,
    proposal: Proposal | None,
    decisions: dict[int, list[Decision]],
    bars: dict[int, Bars],
    user: User,
    people: Sequence[User],
) -> Row:
    current = proposal if proposal and proposal.revision.number == row.revision_number else None
    made: Iterable[Decision] = decisions.get(current.revision_id, ()) if current else ()
    own = standing_of(decisions, current.revision_id, user.pk) if current else None
    return Row(
        request=row,
        status=status.status_of(row, None),
        progress=progress_of(current, made, bars[current.revision_id]) if current else None,
        marks=_marks(row, current),
        since=row.submitted_at or row.created_at,
        decided=own,
        others=_others(current, list(made), bars[current.revision_id], user, people) if current else (),
        shape=together.shape_of(current, row.kind) if current else "",
    )


def _others(
    proposal: Proposal, made: Sequence[Decision], bars: Bars, user: User, people: Sequence[User]
) -> tuple[User, ...]:
    done = {row.approver_id for row in made if not row.ended_by} | {user.pk}
    return tuple(one for one in eligibility.could_approve(proposal, bars, people) if one.pk not in done)


def _marks(row: Request, proposal: Proposal | None) -> tuple[str, ...]:
    marks = []
    if proposal is not None and proposal.adopts:
        marks.append("Adopts a role")
    if row.revision_number > 1:
        marks.append(f"Revision {row.revision_number}")
    if row.account is not None and row.account.is_production:
        marks.append("Production")
    return tuple(marks)
