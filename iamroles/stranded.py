"""Which open requests nobody could approve any more if rules or groups were as proposed. Used by verbs and pages.

It looks at the staff alone: a request is stranded when even everybody's approval would leave a seat empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import F

from iamroles.eligibility import entries, let_in, missing_words, person_of
from iamroles.models import Proposal, User
from iamroles.rules import approval, approval_rules, states
from iamroles.rules.approval import Approval, Requirement
from iamroles.rules.approval_rules import Subject

SHOWN: Final = 20


@dataclass(frozen=True)
class Stranded:
    """One request, and the seats that would stay empty, in words."""

    reference: str
    lacks: str


def stranded(
    content: Mapping[str, Any], *, members: Mapping[str, frozenset[str]] | None = None, barred: Iterable[str] = ()
) -> list[Stranded]:
    """Returns the requests in review or approved that lack people under these rules, oldest first.

    `members` gives groups other members, by login; `barred` are persons who may not count. Four queries.
    """
    people = _people(members or {})
    out = frozenset(barred)
    rows = Proposal.objects.filter(
        revision__request__state__in=(states.IN_REVIEW, states.APPROVED),
        revision__number=F("revision__request__revision_number"),
    ).select_related(
        "revision__request__account__owner", "revision__request__team", "revision__request__requester__invited_by"
    )
    if not _by_finding(content):
        rows = rows.defer("canonical", "revision__facts")
    entered = entries()
    known: dict[tuple[tuple[Requirement, ...], frozenset[str]], tuple[str, ...]] = {}
    found = []
    for row in rows.order_by("pk").iterator(chunk_size=500):
        request = row.revision.request
        if request.account is None:
            continue
        wanted = approval_rules.requirements_for(
            _subject(row, findings=_by_finding(content)), owner_group=request.account.owner.name, content=content
        )
        asking = {person_of(request.requester), *let_in([request.requester], request.team_id, entered)}
        key = (wanted, frozenset(asking))
        if key not in known:
            able = [one for one in people if one.person not in out | key[1]]
            known[key] = approval.quorum(wanted, able).missing if wanted else ()
        if known[key]:
            found.append(Stranded(request.reference, missing_words(known[key])))
    return found


def _people(members: Mapping[str, frozenset[str]]) -> list[Approval]:
    rows = User.objects.filter(is_active=True).prefetch_related("groups")
    found = []
    for user in rows:
        kept = {group.name for group in user.groups.all() if group.name not in members}
        given = {name for name, logins in members.items() if user.get_username() in logins}
        found.append(Approval(person_of(user), frozenset(kept | given)))
    return found


def _by_finding(content: Mapping[str, Any]) -> bool:
    return any("finding" in rule["when"] for rule in content["rules"])


def _subject(row: Proposal, *, findings: bool) -> Subject:
    request = row.revision.request
    account = request.account
    return Subject(
        account=account.number if account else "",
        environment=account.environment if account else "",
        production=bool(account and account.is_production),
        kind=request.kind,
        adopts=row.adopts,
        risk=row.risk,
        findings=frozenset(one["id"] for one in row.findings if not one["standard"]) if findings else frozenset(),
        team=request.team.slug if request.team else "",
    )


def said(found: list[Stranded]) -> tuple[str, ...]:
    """Returns a line for each, at most twenty, and how many more there are."""
    lines = [f"{one.reference} would lack {one.lacks}." for one in found[:SHOWN]]
    return (*lines, *([f"And {len(found) - SHOWN} more."] if len(found) > SHOWN else []))
