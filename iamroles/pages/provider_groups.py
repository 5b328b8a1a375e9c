"""Reads for the page of single sign-on: what the identity provider fills, and what it tells that fills nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import Group

from iamroles.models import ProposedChange, ProviderGroup, ProviderWord, Team
from iamroles.models.changes import WAITING
from iamroles.pages.people import KNOWN

SUBJECT: Final = "provider_groups"
SHOWN: Final = 50


@dataclass(frozen=True)
class Filled:
    """One group or team: `target` as changes name it, the provider's groups that fill it, and the change that waits."""

    target: str
    name: str
    is_team: bool
    values: tuple[str, ...]
    waiting: ProposedChange | None


def rows() -> tuple[Filled, ...]:
    """Returns every group and team, groups first. Four queries."""
    values: dict[str, list[str]] = {}
    for target, value in ProviderGroup.objects.order_by("value").values_list("target", "value"):
        values.setdefault(target, []).append(value)
    waiting = {change.target: change for change in ProposedChange.objects.filter(subject=SUBJECT, state=WAITING)}
    names = {*KNOWN, *Group.objects.values_list("name", flat=True), *(t for t in {*values, *waiting} if ":" not in t)}
    groups = [(name, name, False) for name in sorted(names)]
    teams = [(f"team:{slug}", name, True) for slug, name in Team.objects.values_list("slug", "name")]
    return tuple(
        Filled(target, name, is_team, tuple(values.get(target, ())), waiting.get(target))
        for target, name, is_team in (*groups, *teams)
    )


def row(target: str) -> Filled | None:
    """Returns one group or team, or None."""
    return next((one for one in rows() if one.target == target), None)


def unused() -> tuple[tuple[str, int], ...]:
    """Returns what the provider tells of people and fills nothing, with how many, most frequent first."""
    used = set(ProviderGroup.objects.values_list("value", flat=True))
    told = Counter(value for values in ProviderWord.objects.values_list("values", flat=True) for value in values)
    return tuple((value, count) for value, count in told.most_common() if value not in used)[:SHOWN]
