"""The list of requests that a person may see: tabs by status, filters in the address, keyset pages.

One page costs the same number of queries whatever the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import OuterRef, Q, QuerySet, Subquery

from iamroles import permissions
from iamroles.models import Request, Run, User
from iamroles.pages import status
from iamroles.pages.queue import matching
from iamroles.pages.status import Status
from iamroles.rules import risk, states

PAGE_SIZE: Final = 25
TABS: Final = {
    "": "All",
    "drafts": "Drafts",
    "in_review": "In review",
    "in_progress": "In progress",
    "needs_attention": "Needs attention",
    "done": "Done",
    "closed": "Closed",
}
_CURRENT = Run.objects.filter(request=OuterRef("pk"), proposal__revision__number=OuterRef("revision_number"))
_LATEST_STATE = Subquery(_CURRENT.exclude(stop_reason=states.RECALLED).order_by("-number").values("state")[:1])
_BY_TAB: Final = {
    "drafts": Q(state=states.DRAFT),
    "in_review": Q(state__in=(states.SUBMITTED, states.IN_REVIEW, states.CHANGES_REQUESTED)),
    "in_progress": Q(state=states.APPROVED) & (Q(latest=None) | ~Q(latest=states.STOPPED)),
    "needs_attention": Q(state=states.APPROVED, latest=states.STOPPED),
    "done": Q(outcome__in=("applied", "resolved")),
    "closed": Q(state=states.CLOSED) & ~Q(outcome__in=("applied", "resolved")),
}


@dataclass(frozen=True)
class ListFilter:
    """What the address asks for. `before` is the keyset cursor: the last id of the page before."""

    tab: str = ""
    text: str = ""
    account: str = ""
    risk: str = ""
    mine: bool = False
    before: int | None = None

    @property
    def narrowed(self) -> bool:
        """True when something besides the tab is chosen."""
        return bool(self.text or self.account or self.risk or self.mine)


@dataclass(frozen=True)
class ListRow:
    """One request with its status; `in_place` says how far a stopped one came."""

    request: Request
    status: Status
    in_place: str


@dataclass(frozen=True)
class ListPage:
    """One page of the list. `next_before` is None on the last one; `accounts` are the choices of the filter."""

    rows: tuple[ListRow, ...]
    tabs: tuple[tuple[str, str], ...]
    accounts: tuple[tuple[str, str], ...]
    next_before: int | None


def read_filter(values: dict[str, str]) -> ListFilter:
    """Returns the filter of an address; what it does not know is left out."""
    tab, wanted, before = values.get("tab", ""), values.get("risk", ""), values.get("before", "")
    return ListFilter(
        tab=tab if tab in TABS else "",
        text=values.get("q", "").strip()[:200],
        account=values.get("account", "").strip()[:12],
        risk=wanted if wanted in risk.ORDER else "",
        mine=values.get("mine") == "1",
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
    )


def list_page(user: User, chosen: ListFilter) -> ListPage:
    """Returns one page, newest first, of what the person may see."""
    rows = _narrow(permissions.visible_requests(user).annotate(latest=_LATEST_STATE), chosen, user)
    if chosen.before is not None:
        rows = rows.filter(pk__lt=chosen.before)
    rows = rows.select_related("requester", "team", "account").prefetch_related(status.current_runs())
    page = list(rows.order_by("-pk")[: PAGE_SIZE + 1])
    more, page = len(page) > PAGE_SIZE, page[:PAGE_SIZE]
    accounts = permissions.visible_accounts(user).order_by("name")
    return ListPage(
        rows=tuple(ListRow(row, *status.listed_status(row)) for row in page),
        tabs=tuple(TABS.items()),
        accounts=tuple(accounts.values_list("number", "name")),
        next_before=page[-1].pk if more else None,
    )


def _narrow(rows: QuerySet[Request], chosen: ListFilter, user: User) -> QuerySet[Request]:
    if chosen.tab:
        rows = rows.filter(_BY_TAB[chosen.tab])
    if chosen.mine:
        rows = rows.filter(requester=user)
    if chosen.account:
        rows = rows.filter(account__number=chosen.account)
    if chosen.risk:
        rows = rows.filter(risk=chosen.risk)
    if chosen.text:
        rows = rows.filter(matching(chosen.text))
    return rows
