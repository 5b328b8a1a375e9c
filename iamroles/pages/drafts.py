"""Reads for asking: the person's teams and AWS accounts, what the inventory knows of a role name, saved drafts.

Nothing here looks at AWS; what only AWS knows is said to be unknown, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.db.models import Prefetch

from iamroles import canonical
from iamroles.blueprints.facts import DEFAULT_ROLE_NAME, DEPLOYER, REMOVAL, AccountFacts
from iamroles.models import AwsAccount, ManagedPolicy, ManagedRole, Request, Team, User
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
    """A role that is managed for a team, with the policies (ARNs) that this portal made for it.

    A deployer policy has a `holder`, the name of the role that it was made for, and itself as its only policy.
    """

    team: str
    account: str
    account_name: str
    name: str
    arn: str
    policies: tuple[str, ...]
    holder: str = ""

    @property
    def is_policy(self) -> bool:
        """True for a deployer policy."""
        return bool(self.holder)

    @property
    def key(self) -> str:
        """What the form posts: no role name has a slash, so a policy of the same name is told apart."""
        return deployer_key(self.name) if self.is_policy else self.name


def deployer_key(policy_name: str) -> str:
    """Returns how the removal form names a deployer policy."""
    return f"deployer/{policy_name}"


@dataclass(frozen=True)
class Choices:
    """The person's teams and their AWS accounts. `allowed` maps a team's slug to account numbers.

    `removable` is filled for the removal form alone; `policy_names` for the deployer form: account numbers to the names
    of all deployer policies there, in lower case.
    """

    teams: tuple[Team, ...]
    accounts: tuple[AccountChoice, ...]
    allowed: Mapping[str, frozenset[str]]
    removable: tuple[Removable, ...] = ()
    policy_names: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def team(self, slug: str) -> Team | None:
        """Returns the team of this slug if the person belongs to it."""
        return next((team for team in self.teams if team.slug == slug), None)

    def account(self, number: str) -> AccountChoice | None:
        """Returns the AWS account of this number if one of the person's teams may use it."""
        return next((choice for choice in self.accounts if choice.row.number == number), None)


def choices_for(user: User, kind: str = "") -> Choices:
    """Returns what the person may choose from, in two queries; a removal needs two more, a deployer policy one."""
    accounts = Prefetch("accounts", AwsAccount.objects.select_related("owner"))
    teams = tuple(Team.objects.filter(members=user).prefetch_related(accounts))
    rows = {row.number: row for team in teams for row in team.accounts.all()}
    ordered = sorted(rows.values(), key=lambda row: (row.environment, row.name))
    return Choices(
        teams=teams,
        accounts=tuple(AccountChoice(row, row.facts()) for row in ordered),
        allowed={team.slug: frozenset(row.number for row in team.accounts.all()) for team in teams},
        removable=_removable(teams) if kind == REMOVAL else (),
        policy_names=_policy_names(rows) if kind == DEPLOYER else {},
    )


def _policy_names(accounts: Mapping[str, AwsAccount]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    known = ManagedPolicy.objects.filter(account__in=accounts.values())
    for number, name in known.values_list("account__number", "name_folded"):
        found.setdefault(number, set()).add(name)
    return {number: frozenset(names) for number, names in found.items()}


def _removable(teams: tuple[Team, ...]) -> tuple[Removable, ...]:
    rows = ManagedRole.objects.filter(team__in=teams).select_related("account", "team")
    found = []
    for row in rows.order_by("account__name", "name_folded"):
        stored: Any = canonical.loads(row.desired)
        own = tuple(arn for arn, policy in sorted(stored["policies"].items()) if policy)
        name = row.arn.rsplit("/", 1)[-1]
        found.append(Removable(row.team.slug, row.account.number, row.account.name, name, row.arn, own))
    policies = ManagedPolicy.objects.filter(team__in=teams).select_related("account", "team")
    for policy in policies.order_by("account__name", "name_folded"):
        name, where = policy.arn.rsplit("/", 1)[-1], policy.account
        one = Removable(policy.team.slug, where.number, where.name, name, policy.arn, (policy.arn,), policy.holder)
        found.append(one)
    return tuple(found)


@dataclass(frozen=True)
class NameAnswer:
    """What the inventory says about a name. `suggestion` is another name when this one is somebody else's."""

    tone: Tone
    sentence: str
    suggestion: str = ""
    managed: ManagedRole | ManagedPolicy | None = None


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


def policy_answer(account: AwsAccount, policy_name: str) -> NameAnswer:
    """Returns what is known about the name of a new deployer policy, and about the one that it follows."""
    base = re.sub(r"-r[0-9]+$", "", policy_name).lower()
    names = ManagedPolicy.objects.filter(account=account, name_folded__startswith=base).order_by("-pk")
    earlier = next((row for row in names if re.sub(r"-r[0-9]+$", "", row.name_folded) == base), None)
    if earlier is None:
        return NameAnswer(
            "neutral", f"The policy will be {policy_name}. A worker looks at AWS after you send the request."
        )
    known = earlier.arn.rsplit("/", 1)[-1]
    return NameAnswer(
        "info",
        f"{known} exists for {earlier.holder} and is never changed: the new policy will be {policy_name}. "
        f"Attach it in the place of {known}, then ask for the removal of {known}.",
    )


def removal_answer(account: AwsAccount, team: Team, arn: str) -> NameAnswer | None:
    """Returns what is known about a deployer policy that is to go; None for one that is not the team's."""
    row = ManagedPolicy.objects.filter(account=account, team=team, arn=arn).first()
    if row is None:
        return None
    seen = f"verified {row.verified_at:%d %b %Y, %H:%M} UTC"
    return NameAnswer("info", f"Made for {row.holder} ({seen}). It can go once it is attached to nothing.", managed=row)


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
