"""People, teams and AWS accounts: who belongs where, and what an account demands. Every change is an event."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import Group

from iamroles import audit
from iamroles.audit import Actor, Change, Subject
from iamroles.iam import limits
from iamroles.models import AwsAccount, Membership, Team, User
from iamroles.workflow.verbs import Invalid, verb


@verb("add_account")
def add_account(
    *,
    number: str,
    name: str,
    environment: str,
    owner: str,
    actor: Actor,
    at: datetime,
    is_production: bool = False,
    partition: str = "aws",
    role_path: str = "/",
    policy_path: str = "/",
    boundary: str = "",
) -> AwsAccount:
    """Registers an AWS account with an external id of its own. Raises Invalid for a wrong or known number or path."""
    if len(number) != 12 or not (number.isascii() and number.isdigit()):
        raise Invalid(f"An AWS account number has 12 digits. This one is {number!r}.", "number")
    if AwsAccount.objects.filter(number=number).exists():
        raise Invalid(f"AWS account {number} is registered already.", "number")
    if AwsAccount.objects.filter(name=name).exists():
        raise Invalid(f"Another AWS account is called {name}.", "name")
    for field, problems in (
        ("role_path", limits.check_role_path(role_path)),
        ("policy_path", limits.check_policy_path(policy_path)),
    ):
        if problems:
            raise Invalid(problems[0].message, field, problems[0].id)
    group, _ = Group.objects.get_or_create(name=owner)
    account = AwsAccount.objects.create(
        number=number,
        name=name,
        environment=environment,
        is_production=is_production,
        owner=group,
        partition=partition,
        role_path=role_path,
        policy_path=policy_path,
        boundary=boundary,
    )
    shown = ("name", "environment", "is_production", "partition", "role_path", "policy_path", "boundary")
    audit.record(
        "account.added",
        actor=actor,
        subject=Subject("account", number, name),
        at=at,
        changes=[Change("owner", None, owner), *(Change(f, None, str(getattr(account, f))) for f in shown)],
        data={"account": number, "changes": list(shown), "scope": "all"},
    )
    return account


@verb("add_team")
def add_team(*, slug: str, name: str, accounts: Iterable[AwsAccount], actor: Actor, at: datetime) -> Team:
    """Makes a team that may use these AWS accounts."""
    team = Team.objects.create(slug=slug, name=name)
    numbers = [account.number for account in accounts]
    team.accounts.set(AwsAccount.objects.filter(number__in=numbers))
    audit.record(
        "team.created",
        actor=actor,
        subject=Subject("team", slug, name),
        at=at,
        changes=[Change("accounts", None, ", ".join(numbers))],
        data={"team": slug, "changes": ["accounts"]},
    )
    return team


@verb("add_person")
def add_person(
    *,
    login: str,
    first_name: str,
    last_name: str,
    password: str | None,
    groups: Iterable[str],
    teams: Iterable[str],
    actor: Actor,
    at: datetime,
) -> User:
    """Makes a person with groups and teams; without a password they can sign in only at the identity provider."""
    user = User.objects.create_user(
        login, email=f"{login}@example.org", password=password, first_name=first_name, last_name=last_name
    )
    subject = Subject("user", str(user.pk), user.display_name)
    audit.record("user.created", actor=actor, subject=subject, at=at, data={"user": login, "changes": ["login"]})
    for name in groups:
        group, _ = Group.objects.get_or_create(name=name)
        user.groups.add(group)
        audit.record("membership.granted", actor=actor, subject=subject, at=at, data={"user": login, "group": name})
    for slug in teams:
        Membership.objects.create(team=Team.objects.get(slug=slug), user=user, since=at)
        audit.record(
            "membership.granted", actor=actor, subject=subject, at=at, data={"user": login, "group": f"team:{slug}"}
        )
    return user
