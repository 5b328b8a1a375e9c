"""Reads for the inventory: the list of managed roles, and the page of one with what AWS reads instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Count, Min, Prefetch, Q, QuerySet

from iamroles import canonical, permissions
from iamroles.blueprints import terraform
from iamroles.blueprints.state import RoleState, State
from iamroles.iam import arns, documents, wording
from iamroles.iam.documents import Document
from iamroles.models import ManagedPolicy, ManagedRole, Request, Run, User
from iamroles.pages import comparison
from iamroles.pages.comparison import Difference
from iamroles.pages.status import Status, status_of
from iamroles.rules import states

PAGE_SIZE: Final = 25
SAME: Final = Status("Same as approved", "same", "disc-tick", "ok", "same")
DRIFTED: Final = Status("Differs", "drifted", "arrows-crossing", "bad", "drifted")
AWAITED: Final = Status("Handed over, not in AWS yet", "awaited", "ring-clock", "info", "awaited")
UNSEEN: Final = Status("Not observed yet", "unseen", "ring-dot", "neutral", "unseen")
TABS: Final = {"": "All", "drifted": "Differs", "awaited": "Handed over, not in AWS yet"}
_DRIFTED: Final = ~Q(drift=[])
_AWAITED: Final = Q(handed_over=True, verified_at=None)
_LEFT_AS_THEY_ARE: Final = ("description", "max_session", "role id")  # a request does not put these back
_TITLES: Final = {
    "role": "The role",
    "trust": "The trust policy",
    "description": "The description",
    "max_session": "The longest session",
    "boundary": "The permissions boundary",
}


@dataclass(frozen=True)
class InventoryFilter:
    """What the address asks for. `after` is the keyset cursor: the last id of the page before."""

    tab: str = ""
    text: str = ""
    account: str = ""
    after: int | None = None

    @property
    def narrowed(self) -> bool:
        """True when something besides the tab is chosen."""
        return bool(self.text or self.account)


@dataclass(frozen=True)
class InventoryRow:
    """One role of the list."""

    role: ManagedRole
    name: str
    status: Status


@dataclass(frozen=True)
class InventoryPage:
    """One page of the list. `next_after` is None on the last one."""

    rows: tuple[InventoryRow, ...]
    tabs: tuple[tuple[str, str], ...]
    accounts: tuple[tuple[str, str], ...]
    next_after: int | None


@dataclass(frozen=True)
class Drifted:
    """One part that reads otherwise. `difference` compares documents, line by line."""

    title: str
    sentence: str
    difference: Difference | None = None


@dataclass(frozen=True)
class Held:
    """One policy of the role as approved. `foreign` marks what others put there and the approval carried over."""

    name: str
    arn: str
    sentences: tuple[str, ...]
    document: Document | None
    foreign: bool


@dataclass(frozen=True)
class RolePage:
    """Everything on the page of one role. `restores` and `adopts` say what a new request would do about drift."""

    row: ManagedRole
    name: str
    status: Status
    role: RoleState
    trust_sentences: tuple[str, ...]
    policies: tuple[Held, ...]
    foreign_tags: frozenset[str]
    drift: tuple[Drifted, ...]
    restores: bool
    adopts: bool
    requests: tuple[tuple[Request, Status], ...]
    terraform: str
    form: str
    form_query: str
    may_request: bool


def status_of_row(row: ManagedRole | ManagedPolicy) -> Status:
    """Returns what the last scan says about a role or a deployer policy."""
    if row.handed_over and row.verified_at is None:
        return AWAITED
    if row.drift:
        return DRIFTED
    return SAME if row.observed_at else UNSEEN


def read_filter(values: Mapping[str, str]) -> InventoryFilter:
    """Returns the filter of an address; what it does not know is left out."""
    tab, after = values.get("tab", ""), values.get("after", "")
    return InventoryFilter(
        tab=tab if tab in TABS else "",
        text=values.get("q", "").strip()[:600],
        account=values.get("account", "").strip()[:12],
        after=int(after) if after.isascii() and after.isdigit() and len(after) < 19 else None,
    )


def role_with_arn(user: User, arn: str) -> ManagedRole | None:
    """Returns the role of a pasted ARN, if the person may see it."""
    return permissions.visible_roles(user).filter(arn=arn).first() if arn.startswith("arn:") else None


def list_page(user: User, chosen: InventoryFilter) -> InventoryPage:
    """Returns one page of the roles that the person may see."""
    visible = permissions.visible_roles(user)
    rows = _narrow(visible, chosen)
    if chosen.after is not None:
        rows = rows.filter(pk__gt=chosen.after)
    page = list(rows.select_related("account", "team").order_by("pk")[: PAGE_SIZE + 1])
    more, page = len(page) > PAGE_SIZE, page[:PAGE_SIZE]
    accounts = visible.order_by("account__name").values_list("account__number", "account__name").distinct()
    return InventoryPage(
        rows=tuple(InventoryRow(row, arns.role_name_of(row.arn), status_of_row(row)) for row in page),
        tabs=tuple(TABS.items()),
        accounts=tuple(accounts),
        next_after=page[-1].pk if more else None,
    )


def _narrow(rows: QuerySet[ManagedRole], chosen: InventoryFilter) -> QuerySet[ManagedRole]:
    if chosen.tab == "drifted":
        rows = rows.filter(_DRIFTED & ~_AWAITED)
    if chosen.tab == "awaited":
        rows = rows.filter(_AWAITED)
    if chosen.account:
        rows = rows.filter(account__number=chosen.account)
    if chosen.text:
        rows = rows.filter(Q(arn__icontains=chosen.text) | Q(team__name__icontains=chosen.text))
    return rows


@dataclass(frozen=True)
class Observed:
    """The inventory in numbers: how many roles differ, and since when the oldest of them."""

    roles: int
    drifted: int
    since: datetime | None


def observed(rows: QuerySet[ManagedRole]) -> Observed:
    """Returns the numbers for Home and the health page. One query."""
    differs = _DRIFTED & ~_AWAITED
    found = rows.aggregate(
        roles=Count("pk"), drifted=Count("pk", filter=differs), since=Min("drift_since", filter=differs)
    )
    return Observed(**found)


def role_page(user: User, row: ManagedRole) -> RolePage:
    """Returns the page of one role."""
    stored: Any = canonical.loads(row.desired)
    desired = State.from_mapping(stored)
    role = desired.role
    if role is None:
        raise ValueError(f"The inventory holds {row.arn} without a role.")
    form, query = _form(user, row)
    return RolePage(
        row=row,
        name=role.name,
        status=status_of_row(row),
        role=role,
        trust_sentences=wording.sentences(role.trust),
        policies=_policies(row, desired, role),
        foreign_tags=frozenset(name for kind, name in row.foreign if kind == "tag"),
        drift=tuple(_drifted(each) for each in _shown(row.drift)),
        restores=any(each["desired"] is not None and each["part"] not in _LEFT_AS_THEY_ARE for each in row.drift),
        adopts=any(each["live"] is not None and not str(each["part"]).startswith("tag ") for each in row.drift),
        requests=_requests(user, row, role.name),
        terraform=terraform.render(desired, desired),
        form=form,
        form_query=query,
        may_request=permissions.may_request(user, row.team, row.account).allowed,
    )


def _policies(row: ManagedRole, desired: State, role: RoleState) -> tuple[Held, ...]:
    foreign = {name for kind, name in row.foreign if kind in ("attached", "inline")}
    found = []
    for arn in sorted(role.attached):
        own = desired.policies.get(arn)
        document = own.document if own else None
        said = wording.sentences(document) if document else ()
        found.append(Held(arn.rsplit("/", 1)[-1], arn, said, document, arn in foreign))
    for name, document in sorted(role.inline.items()):
        found.append(Held(name, "", wording.sentences(document), document, name in foreign))
    return tuple(found)


def _shown(drift: list[dict[str, str | None]]) -> list[dict[str, str | None]]:
    """Of a role that is gone, its parts are gone too: one line says it."""
    if any(each["part"] == "role" and each["live"] is None for each in drift):
        return [each for each in drift if str(each["part"]).startswith(("role", "policy "))]
    return drift


def _drifted(each: Mapping[str, str | None]) -> Drifted:
    part, wanted, live = str(each["part"]), each["desired"], each["live"]
    title = _title(part)
    if part == "role id":
        return Drifted(title, "The role was deleted and made anew by somebody else.")
    if part.startswith("unreadable "):
        return Drifted(title, f"A document of it cannot be read: {live}")
    if wanted is None:
        return Drifted(title, f"{title} was added by somebody else.", _compared(part, "", live or ""))
    if live is None:
        return Drifted(title, f"{title} is gone.")
    if wanted.startswith("{"):
        return Drifted(title, f"{title} was changed.", _compared(part, wanted, live))
    return Drifted(title, f"{title} was changed: approved “{wanted}”, now “{live}”.")


def _title(part: str) -> str:
    if part in _TITLES:
        return _TITLES[part]
    kind, _, name = part.partition(" ")
    short = name.rsplit("/", 1)[-1]
    words = {
        "attached": f"The attachment of {short}",
        "inline": f"The inline policy {name}",
        "tag": f"The tag {name}",
        "policy": f"The policy {short}",
        "document": f"The policy {short}",
        "unreadable": short,
        "version": f"Version {name.replace(' of ', ' of the policy ').replace(name.split(' of ')[-1], short)}",
    }
    return words.get(kind, part)


def _compared(part: str, wanted: str, live: str) -> Difference | None:
    if not (wanted or live).startswith("{"):
        return None
    return comparison.compare(_pretty(part, wanted), _pretty(part, live))


def _pretty(part: str, text: str) -> str:
    """Documents in one layout on both sides, so that only what differs is marked."""
    if not text:
        return ""
    document = documents.parse(text, kind="trust" if part == "trust" else "identity")
    return json.dumps(json.loads(documents.canonical(document)), indent=2)


def _requests(user: User, row: ManagedRole, name: str) -> tuple[tuple[Request, Status], ...]:
    rows = permissions.visible_requests(user).filter(account=row.account, role_name__iexact=name)
    latest = Prefetch("runs", queryset=Run.objects.order_by("-number"), to_attr="newest_runs")
    shown = rows.exclude(state=states.DRAFT).select_related("requester").prefetch_related(latest).order_by("-pk")[:20]
    return tuple((each, status_of(each, next(iter(each.newest_runs), None))) for each in shown)


def _form(user: User, row: ManagedRole) -> tuple[str, str]:
    """Returns the URL name and query of the form that asks for this role again: a copy of the last that made it."""
    name = arns.role_name_of(row.arn)
    made = permissions.visible_requests(user).filter(
        account=row.account, role_name__iexact=name, kind__in=("role", "infrastructure"), outcome="applied"
    )
    last = made.order_by("-pk").first()
    kind = last.kind if last else "role"
    given = {"from": last.reference} if last else {}
    query = given or {"team": row.team.slug, "account": row.account.number, "role_name": name}
    return f"{kind}_request_new", urlencode(query)
