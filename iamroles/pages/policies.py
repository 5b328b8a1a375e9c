"""Reads for the deployer policies of the inventory: the list, and what AWS reads instead of what was approved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from iamroles import permissions
from iamroles.models import ManagedPolicy, User
from iamroles.pages.managed import InventoryFilter, status_of_row
from iamroles.pages.status import Status

AT_MOST: Final = 100  # a team has a few; a text or an AWS account narrows more


@dataclass(frozen=True)
class PolicyRow:
    """One deployer policy of the list. `differs` says in sentences what the last scan found."""

    policy: ManagedPolicy
    name: str
    status: Status
    differs: tuple[str, ...]


def policy_rows(user: User, chosen: InventoryFilter) -> tuple[PolicyRow, ...]:
    """Returns the deployer policies that the person may see, as the address narrows them. One query."""
    rows = permissions.visible_policies(user)
    if chosen.tab == "drifted":
        rows = rows.exclude(drift=[])
    if chosen.tab == "awaited":
        rows = rows.none()
    if chosen.account:
        rows = rows.filter(account__number=chosen.account)
    if chosen.text:
        named = Q(arn__icontains=chosen.text) | Q(holder__icontains=chosen.text)
        rows = rows.filter(named | Q(team__name__icontains=chosen.text))
    found = rows.select_related("account", "team", "request").order_by("account__name", "name_folded")[:AT_MOST]
    return tuple(PolicyRow(row, row.arn.rsplit("/", 1)[-1], status_of_row(row), drift_sentences(row)) for row in found)


def drift_sentences(row: ManagedPolicy) -> tuple[str, ...]:
    """Returns what reads otherwise than approved, one sentence for each part."""
    return tuple(_sentence(each) for each in row.drift if not str(each["part"]).startswith("document") or each["live"])


def _sentence(each: Mapping[str, str | None]) -> str:
    part = str(each["part"])
    if part.startswith("policy id"):
        return "It was deleted and made anew by somebody else."
    if part.startswith("policy "):
        return "It is not in AWS any more."
    if part.startswith("version "):
        return f"Somebody else added {part.split(' of ', 1)[0]}."
    return "Its document is another one than approved."
