"""People, teams and AWS accounts: who belongs where, and what an account demands. Every change is an event."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import Group

from iamroles import audit
from iamroles.audit import Actor, Change, Subject
from iamroles.iam import limits
from iamroles.iam.documents import DocumentError
from iamroles.models import AccountRule, AwsAccount, GroupMembership, Membership, Team, User
from iamroles.rules import account_rules
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


@verb("set_account_rule")
def set_account_rule(*, number: str, kind: str, text: str, actor: Actor, at: datetime) -> AccountRule:
    """Sets the standard or a guardrail of an AWS account to the documents of a JSON text, as its next version.

    An empty list takes it back. Proposals that were made under the version before return to review when a worker
    claims them. Raises Invalid for an unknown account or kind, for what is no list of documents, and for no change.
    """
    account = AwsAccount.objects.select_for_update().filter(number=number).first()
    if account is None:
        raise Invalid(f"There is no AWS account {number}.", "number")
    if kind not in account_rules.KINDS:
        raise Invalid(f"There is no such rule: {kind}. Known: {', '.join(account_rules.KINDS)}.", "kind")
    try:
        listed = account_rules.read(kind, text)
    except DocumentError as error:
        raise Invalid(f"{error.message} ({error.at})" if error.at else error.message, "text", error.code) from error
    before = account.rule_versions.filter(kind=kind).order_by("-version").first()
    digest = account_rules.digest_of(listed) or ""
    if digest == (before.digest if before else ""):
        raise Invalid(f"The {account_rules.WORDS[kind]} of {account.name} reads like that already.", "text")
    rule = AccountRule.objects.create(
        account=account,
        kind=kind,
        version=before.version + 1 if before else 1,
        documents=account_rules.write(listed),
        digest=digest,
        set_by=actor.name,
        at=at,
    )
    audit.record(
        "standard.changed" if kind == account_rules.STANDARD else "guardrail.changed",
        actor=actor,
        subject=Subject("account", number, account.name),
        at=at,
        changes=[Change(kind, before.digest if before else None, digest)],
        data={"version": rule.version, "previous_version": before.version if before else 0, "changes": [kind]},
    )
    return rule


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


def join(user: User, group: Group, at: datetime) -> None:
    """Puts a person into a group, dated. The event is the caller's."""
    user.groups.add(group)
    GroupMembership.objects.update_or_create(user=user, group=group, defaults={"since": at})


def leave(user: User, group: Group) -> None:
    """Takes a person out of a group. The event is the caller's."""
    user.groups.remove(group)
    GroupMembership.objects.filter(user=user, group=group).delete()


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
        join(user, group, at)
        audit.record("membership.granted", actor=actor, subject=subject, at=at, data={"user": login, "group": name})
    for slug in teams:
        Membership.objects.create(team=Team.objects.get(slug=slug), user=user, since=at)
        audit.record(
            "membership.granted", actor=actor, subject=subject, at=at, data={"user": login, "group": f"team:{slug}"}
        )
    return user
