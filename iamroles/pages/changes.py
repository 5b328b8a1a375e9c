"""Reads for the pages of approval rules and of changes that one person proposes and another confirms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from iamroles import canonical, eligibility, permissions, stranded
from iamroles.iam import documents
from iamroles.models import ApprovalRules, AwsAccount, ProposedChange, Request, User, current_rules, rules_of
from iamroles.models.changes import WAITING
from iamroles.pages import comparison
from iamroles.pages.comparison import Difference
from iamroles.rules import account_rules, rule_text, states
from iamroles.rules.approval_rules import STARTING_RULES

STATE_WORDS: Final = {
    "waiting": ("Waits", "pending", "ring-dot"),
    "confirmed": ("Confirmed", "ok", "disc-tick"),
    "refused": ("Refused", "bad", "circle-slash"),
    "withdrawn": ("Withdrawn", "neutral", "ring-slash"),
}
NEWEST: Final = 50


@dataclass(frozen=True)
class Version:
    """One version of the approval rules. `parts` are its lines, each as rule and reason; `change` is None for the one
    that every installation starts with.
    """

    number: int
    parts: tuple[tuple[str, str], ...]
    since: datetime | None
    change: ProposedChange | None
    current: bool


@dataclass(frozen=True)
class ChangeRow:
    """One change in a list. `state` is word, tone and shape."""

    change: ProposedChange
    what: str
    state: tuple[str, str, str]


@dataclass(frozen=True)
class ChangePage:
    """One change in full. `closed_reason` says why the person cannot confirm it, "" when they can; `strands` names the
    open requests that nobody could approve afterwards, `renews` those that are proposed anew. `prose` is False where
    JSON is compared.
    """

    row: ChangeRow
    difference: Difference
    prose: bool
    strands: tuple[str, ...]
    renews: tuple[Request, ...]
    closed_reason: str
    own: bool
    decides: bool


def versions() -> tuple[Version, ...]:
    """Returns every version of the approval rules, newest first."""
    rows = ApprovalRules.objects.select_related("change__proposed_by", "change__decided_by").order_by("-version")
    newer = [
        Version(row.version, rule_text.parts(row.read()), row.at, row.change, current=place == 0)
        for place, row in enumerate(rows)
    ]
    first = STARTING_RULES["version"]
    return (*newer, Version(first, rule_text.parts(STARTING_RULES), None, None, current=not newer))


def version_page(number: int) -> tuple[Version, Difference | None] | None:
    """Returns one version and its difference to the version before it, or None when there is no such version."""
    found = next((version for version in versions() if version.number == number), None)
    if found is None:
        return None
    before, after = rules_of(number - 1), rules_of(number)
    if before is None or after is None:
        return found, None
    return found, comparison.compare("\n".join(rule_text.write(before)), "\n".join(rule_text.write(after)))


def change_rows(*, waiting: bool) -> tuple[ChangeRow, ...]:
    """Returns the changes that wait, oldest first, or the newest fifty that are decided."""
    rows = ProposedChange.objects.select_related("proposed_by", "decided_by")
    chosen = rows.filter(state=WAITING).order_by("pk") if waiting else rows.exclude(state=WAITING).order_by("-pk")
    return tuple(_row(change) for change in chosen[:NEWEST])


def waiting_of(subject: str) -> ProposedChange | None:
    """Returns the newest change of this kind that waits, or None."""
    return ProposedChange.objects.filter(subject=subject, state=WAITING).order_by("-pk").first()


def _row(change: ProposedChange) -> ChangeRow:
    return ChangeRow(change, change.title, STATE_WORDS[change.state])


def change_page(change: ProposedChange, user: User) -> ChangePage:
    """Returns one change for one person."""
    before, after = (lines_of(change.subject, value) for value in (change.stood(), change.proposed()))
    return ChangePage(
        row=_row(change),
        difference=comparison.compare("\n".join(before), "\n".join(after)),
        prose=change.subject != eligibility.ACCOUNT_RULES,
        renews=_renewed(change) if change.state == WAITING else (),
        strands=strands_of(change.subject, change.target, change.proposed(), (change.proposed_by, user))
        if change.state == WAITING
        else (),
        closed_reason=_closed_reason(change, user),
        own=change.proposed_by_id == user.pk,
        decides=permissions.may_change_rules(user).allowed and change.proposed_by_id != user.pk,
    )


def _renewed(change: ProposedChange) -> tuple[Request, ...]:
    if change.subject != eligibility.ACCOUNT_RULES:
        return ()
    number, _ = account_rules.parts_of(change.target)
    rows = Request.objects.filter(account__number=number, state__in=(states.IN_REVIEW, states.APPROVED))
    return tuple(rows.order_by("pk")[:NEWEST])


def _closed_reason(change: ProposedChange, user: User) -> str:
    allowed = permissions.may_change_rules(user)
    if not allowed.allowed:
        return allowed.reason
    if eligibility.person_of(user) == eligibility.person_of(change.proposed_by):
        return "You proposed this, so someone else must confirm it."
    return ""


def lines_of(subject: str, value: Any) -> tuple[str, ...]:
    """Returns a content as lines: approval rules in words, a record by field, a list by member, documents as JSON."""
    if subject == eligibility.ACCOUNT_RULES:
        listed = account_rules.read(account_rules.STANDARD, canonical.dumps(value["documents"]).decode())
        return tuple(line for one in listed for line in documents.pretty(one).splitlines()) or ("Not set.",)
    if subject == "approval_rules":
        return rule_text.write(value)
    if subject == "restore":
        return _restore_lines(value)
    if not isinstance(value, Mapping):
        return (str(value),)
    if subject == "team":
        numbers = value["accounts"]
        return _named(numbers, dict(AwsAccount.objects.filter(number__in=numbers).values_list("number", "name")))
    if subject == "group":
        people = User.objects.filter(username__in=value["members"])
        return _named(value["members"], {user.get_username(): user.display_name for user in people})
    lines: list[str] = []
    for name, part in value.items():
        lines += [str(one) for one in part] if isinstance(part, list) else [f"{name.replace('_', ' ')}: {_say(part)}"]
    return tuple(lines)


def _named(ids: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Returns each id with the name that it has today, if it still has one."""
    return tuple(f"{names[one]}, {one}" if one in names else one for one in ids)


def _restore_lines(value: Mapping[str, Any]) -> tuple[str, ...]:
    if "last_note" not in value:
        return (f"generation {value['generation']} of the trail", f"{value['events']:,} events are sealed")
    last = str(value["last_note"]).partition("\n\n")[0].replace("\n", " ")
    return (
        f"generation {value['generation']} of the trail",
        f"it begins after {value['lost_from']:,} events",
        f"lost: what the last published checkpoint covers beyond that ({last})",
    )


def _say(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "none"


def strands_of(subject: str, target: str, content: Any, authors: tuple[User, ...]) -> tuple[str, ...]:
    """Returns which open requests would be left without enough people, as lines; its authors count for none of them."""
    barred = [eligibility.person_of(user) for user in authors]
    if subject == eligibility.RULES:
        return stranded.said(stranded.stranded(content, barred=barred))
    if subject == "group":
        return stranded.said(stranded.stranded(current_rules(), members={target: frozenset(content["members"])}))
    return ()
