"""Reads for asking: the person's teams and AWS accounts, what the inventory knows of a role name, saved drafts.

Nothing here looks at AWS; what only AWS knows is said to be unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db.models import Prefetch

from iamroles import canonical
from iamroles.blueprints.facts import DEFAULT_ROLE_NAME, REMOVAL, AccountFacts
from iamroles.models import AwsAccount, ManagedRole, Request, Team, User
from iamroles.rules import states

Tone = Literal["ok", "warn", "bad", "info", "neutral"]


@dataclass(frozen=True)
class AccountChoice:
    """An AWS account that the person may choose, with its record for the blueprints."""

    row: AwsAccount
    facts: AccountFacts

    @property
    def label(self) -> str:
        """The name and the number in groups of four."""
        return str(self.row)


@dataclass(frozen=True)
class Removable:
    """A role that is managed for a team, with the policies (ARNs) that this portal made for it."""

    team: str
    account: str
    account_name: str
    name: str
    arn: str
    policies: tuple[str, ...]


@dataclass(frozen=True)
class Choices:
    """The person's teams and their AWS accounts. `allowed` maps a team's slug to account numbers.

    `removable` is filled for the removal form alone.
    """

    teams: tuple[Team, ...]
    accounts: tuple[AccountChoice, ...]
    allowed: Mapping[str, frozenset[str]]
    removable: tuple[Removable, ...] = ()

    def team(self, slug: str) -> Team | None:
        """Returns the team of this slug if the person belongs to it."""
        return next((team for team in self.teams if team.slug == slug), None)

    def account(self, number: str) -> AccountChoice | None:
        """Returns the AWS account of this number if one of the person's teams may use it."""
        return next((choice for choice in self.accounts if choice.row.number == number), None)


def choices_for(user: User, kind: str = "") -> Choices:
    """Returns what the person may choose from, in two queries; for a removal in one more."""
    accounts = Prefetch("accounts", AwsAccount.objects.select_related("owner"))
    teams = tuple(Team.objects.filter(members=user).prefetch_related(accounts))
    rows = {row.number: row for team in teams for row in team.accounts.all()}
    ordered = sorted(rows.values(), key=lambda row: (row.environment, row.name))
    return Choices(
        teams=teams,
        accounts=tuple(AccountChoice(row, row.facts()) for row in ordered),
        allowed={team.slug: frozenset(row.number for row in team.accounts.all()) for team in teams},
        removable=_removable(teams) if kind == REMOVAL else (),
    )


def _removable(teams: tuple[Team, ...]) -> tuple[Removable, ...]:
    rows = ManagedRole.objects.filter(team__in=teams).select_related("account", "team")
    found = []
    for row in rows.order_by("account__name", "name_folded"):
        stored: Any = canonical.loads(row.desired)
        own = tuple(arn for arn, policy in sorted(stored["policies"].items()) if policy)
        name = row.arn.rsplit("/", 1)[-1]
        found.append(Removable(row.team.slug, row.account.number, row.account.name, name, row.arn, own))
    return tuple(found)


@dataclass(frozen=True)
class NameAnswer:
    """What the inventory says about a role name. `suggestion` is another name when this one is somebody else's."""

    tone: Tone
    sentence: str
    suggestion: str = ""
    managed: ManagedRole | None = None


def name_answer(account: AwsAccount, team: Team, role_name: str, usual: str = DEFAULT_ROLE_NAME) -> NameAnswer:
    """Returns what is known about a role name in an AWS account. Only a worker's look says what AWS itself holds.

    `usual` is the name that the form proposes; it comes back with the team's suffix where another is needed.
    """
    rows = ManagedRole.objects.select_related("team").filter(account=account, name_folded=role_name.lower())
    known = rows.first()
    if known is None:
        return NameAnswer(
            "neutral", f"Not in the inventory of {account.name}. A worker looks at AWS after you send the request."
        )
    seen = f"verified {known.verified_at:%d %b %Y, %H:%M} UTC" if known.verified_at else "not yet seen in AWS"
    if known.team_id == team.pk:
        return NameAnswer("info", f"{role_name} is yours ({seen}). This request changes it.", managed=known)
    suggestion = f"{usual}-{team.slug}"[:64]
    return NameAnswer(
        "warn",
        f"{role_name} exists in {account.name} and belongs to {known.team.name}. Use it, or enter {suggestion}.",
        suggestion,
        known,
    )


def free_role_name(account: AwsAccount, team: Team, usual: str = DEFAULT_ROLE_NAME) -> str:
    """Returns the usual role name unless the inventory gives it to another team; then one with the team's suffix."""
    others = ManagedRole.objects.filter(account=account, name_folded=usual.lower()).exclude(team=team)
    return f"{usual}-{team.slug}"[:64] if others.exists() else usual


def last_used(user: User) -> tuple[str, str]:
    """Returns the team's slug and the account number of the person's newest request, or two empty texts."""
    row = Request.objects.filter(requester=user, team__isnull=False, account__isnull=False).order_by("-id")
    newest = row.values_list("team__slug", "account__number").first()
    return newest or ("", "")


def draft_of(user: User, tab: str) -> Request | None:
    """Returns the draft that this browser tab saved already: a preview that was cut off must not make a second one."""
    if not tab:
        return None
    rows = Request.objects.filter(requester=user, state=states.DRAFT, answers__tab=tab)
    return rows.order_by("-id").first()


def saved_line(request: Request, at: datetime) -> str:
    """Returns the line that tells what is saved, e.g. "REQ-000142, draft saved 14:02:11 UTC"."""
    what = "draft saved" if request.state == states.DRAFT else "changes saved, not sent yet,"
    return f"{request.reference}, {what} {at:%H:%M:%S} UTC"
