"""Reads for operators' pages of people, groups and teams: who is where, what a group decides, which change waits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import Group
from django.db.models import Count, Q

from iamroles import invitations
from iamroles.models import AwsAccount, ProposedChange, Team, User, current_rules
from iamroles.models.changes import WAITING
from iamroles.rules import approval_rules, groups

# What the groups that the portal itself knows may do.
KNOWN: Final = {
    groups.APPROVERS: "approve requests",
    groups.SECURITY: "approve high risk, confirm changes of rules and people",
    groups.AUDITORS: "read and export everything",
    groups.OPERATORS: "operate the portal, confirm changes of rules and people",
}
_ACTIVE: Final = ("Active", "ok", "disc-tick")
_INVITED: Final = ("Invited", "pending", "ring-dot")
_ENDED: Final = ("Deactivated", "neutral", "circle-slash")


@dataclass(frozen=True)
class PersonRow:
    """One person. `state` is word, tone and shape; `invited` while the invitation is not taken up."""

    user: User
    state: tuple[str, str, str]
    groups: tuple[str, ...]
    teams: tuple[Team, ...]
    invited: bool


@dataclass(frozen=True)
class GroupRow:
    """One group: how many active people, what they may do by it, and the change of its members that waits, if any."""

    name: str
    people: int
    uses: tuple[str, ...]
    waiting: ProposedChange | None


@dataclass(frozen=True)
class TeamPage:
    """One team, with everything that may be chosen for it."""

    team: Team
    members: tuple[User, ...]
    accounts: tuple[AwsAccount, ...]
    waiting: ProposedChange | None


def people() -> tuple[PersonRow, ...]:
    """Returns everybody, active people first. Three queries."""
    rows = User.objects.prefetch_related("groups", "teams").order_by("-is_active", "first_name", "last_name", "pk")
    return tuple(_row(user) for user in rows)


def person(person_id: int) -> PersonRow | None:
    """Returns one person, or None."""
    user = User.objects.prefetch_related("groups", "teams").filter(pk=person_id).first()
    return _row(user) if user else None


def _row(user: User) -> PersonRow:
    invited = invitations.waits(user)
    state = _INVITED if invited else _ACTIVE if user.is_active else _ENDED
    names = tuple(sorted(group.name for group in user.groups.all()))
    return PersonRow(user, state, names, tuple(user.teams.all()), invited)


def active_people(also: Iterable[str] = ()) -> tuple[User, ...]:
    """Returns who can be chosen: the active people, and those named by login who are chosen already."""
    rows = User.objects.filter(Q(is_active=True) | Q(username__in=list(also)))
    return tuple(rows.order_by("first_name", "last_name", "pk"))


def group_rows() -> tuple[GroupRow, ...]:
    """Returns every group that exists or that the portal or a rule names. Four queries."""
    counted = Group.objects.annotate(people=Count("user", filter=Q(user__is_active=True)))
    sizes = dict(counted.values_list("name", "people"))
    named = approval_rules.named_groups(current_rules())
    owned: dict[str, list[str]] = {}
    for owner, account in AwsAccount.objects.values_list("owner__name", "name"):
        owned.setdefault(owner, []).append(account)
    waiting = {row.target: row for row in ProposedChange.objects.filter(subject="group", state=WAITING)}
    return tuple(
        GroupRow(name, sizes.get(name, 0), _uses(name, named, owned), waiting.get(name))
        for name in sorted({*sizes, *KNOWN, *named, *waiting})
    )


def _uses(name: str, named: frozenset[str], owned: dict[str, list[str]]) -> tuple[str, ...]:
    lines = [KNOWN[name]] if name in KNOWN else []
    lines += ["are named by an approval rule"] if name in named and name not in KNOWN else []
    lines += [f"own {', '.join(sorted(owned[name]))}"] if name in owned else []
    return tuple(lines)


def group_row(name: str) -> GroupRow:
    """Returns one group; one that does not exist yet has no people."""
    return next((row for row in group_rows() if row.name == name), GroupRow(name, 0, (), None))


def members_of(name: str) -> tuple[str, ...]:
    """Returns the logins of a group's members, in order."""
    return tuple(User.objects.filter(groups__name=name).order_by("username").values_list("username", flat=True))


def teams() -> tuple[Team, ...]:
    """Returns every team with `people` and `usable`, the number of its AWS accounts."""
    counted = Team.objects.annotate(people=Count("members", distinct=True), usable=Count("accounts", distinct=True))
    return tuple(counted.order_by("name"))


def team(slug: str) -> TeamPage | None:
    """Returns one team, or None."""
    row = Team.objects.filter(slug=slug).first()
    if row is None:
        return None
    waiting = ProposedChange.objects.filter(subject="team", target=slug, state=WAITING).first()
    members = row.members.order_by("first_name", "last_name", "pk")
    return TeamPage(row, tuple(members), tuple(row.accounts.all()), waiting)
