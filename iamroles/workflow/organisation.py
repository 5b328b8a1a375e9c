"""People, teams and AWS accounts: making them, and who is in a team. Every change is an event.

A verb without `user` is called from the command line, whose caller holds the host. What decides who may approve, or
what a team or an AWS account may do, two people change (`change_kinds`); inviting people is in `people`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from iamroles import audit, permissions
from iamroles.audit import Actor, Change, Subject
from iamroles.iam import arns, limits
from iamroles.models import AwsAccount, Team, User
from iamroles.rules import approval_rules
from iamroles.workflow import memberships
from iamroles.workflow.verbs import Invalid, require, require_fresh_sign_in, verb

TAG_LISTS: Final = ("tag_keys", "required_tags")


def require_operator(user: User | None, signed_in_at: datetime | None, at: datetime, purpose: str) -> None:
    """Raises NotAllowed or SignInTooOld unless an operator who signed in just now acts; None is the command line."""
    if user is None:
        return
    require(permissions.may_operate(user))
    minutes = settings.ROLEDESK_OPERATE_WITHIN_MINUTES
    require_fresh_sign_in(signed_in_at or datetime.fromtimestamp(0, tz=at.tzinfo), at, minutes, purpose)


def record_problems(record: Mapping[str, Any], *, number: str, partition: str) -> Iterator[tuple[str, str, str]]:
    """Yields field, sentence and code for each thing that is wrong with the record of an AWS account."""
    name = record["name"].strip()
    if not name or len(name) > 60 or AwsAccount.objects.filter(name=name).exclude(number=number).exists():
        yield "name", "An AWS account has a name of its own, of at most 60 characters.", "name"
    if not approval_rules.is_name(record["environment"]) or len(record["environment"]) > 20:
        yield "environment", "The environment is one word of at most 20 characters, for example staging.", "environment"
    if not approval_rules.is_name(record["owner"]):
        yield "owner", "The owner is the name of a group: one word, for example orders-platform.", "owner"
    for field, check in (("role_path", limits.check_role_path), ("policy_path", limits.check_policy_path)):
        for problem in check(record[field]):
            yield field, problem.message, problem.id
    if record["boundary"] and not record["boundary"].startswith(f"arn:{partition}:iam::{number}:policy/"):
        text = f"The boundary is a policy of this AWS account: {arns.policy_arn(partition, number, 'NAME')}."
        yield "boundary", text, "boundary"
    allowed, required = (limits.listed_keys(record[field]) for field in ("tag_keys", "required_tags"))
    for field, keys in (("tag_keys", allowed), ("required_tags", required)):
        for problem in limits.check_tag_keys(keys):
            yield field, problem.message, problem.id
    folded = {key.casefold() for key in allowed}
    outside = [key for key in required if allowed and key.casefold() not in folded]
    if outside:
        yield "required_tags", f"Also list what roles must carry among the tag keys: {', '.join(outside)}.", "tag_keys"


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
    tag_keys: str = "",
    required_tags: str = "",
    user: User | None = None,
    signed_in_at: datetime | None = None,
) -> AwsAccount:
    """Registers an AWS account with an external id of its own; no team may use it yet.

    Raises NotAllowed, SignInTooOld, or Invalid for a number that is wrong or known and for a wrong record.
    """
    require_operator(user, signed_in_at, at, "add an AWS account")
    if len(number) != 12 or not (number.isascii() and number.isdigit()):
        raise Invalid(f"An AWS account number has 12 digits. This one is {number!r}.", "number")
    if AwsAccount.objects.filter(number=number).exists():
        raise Invalid(f"AWS account {number} is registered already.", "number")
    if partition not in limits.PARTITIONS:
        raise Invalid(f"There is no partition {partition}.", "partition")
    record = {
        "name": name,
        "environment": environment,
        "owner": owner,
        "role_path": role_path,
        "policy_path": policy_path,
        "boundary": boundary,
        "tag_keys": tag_keys,
        "required_tags": required_tags,
    }
    for field, message, code in record_problems(record, number=number, partition=partition):
        raise Invalid(message, field, code)
    group, _ = Group.objects.get_or_create(name=owner)
    with _new(f"AWS account {number}, or another one named {name}, is registered already.", "number"):
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
            tag_keys=", ".join(limits.listed_keys(tag_keys)),
            required_tags=", ".join(limits.listed_keys(required_tags)),
        )
    shown = ("name", "environment", "is_production", "partition", "role_path", "policy_path", "boundary", *TAG_LISTS)
    audit.record(
        "account.added",
        actor=actor,
        subject=Subject("account", number, name),
        at=at,
        changes=[Change("owner", None, owner), *(Change(f, None, str(getattr(account, f))) for f in shown)],
        data={"account": number, "changes": list(shown), "scope": "all"},
    )
    return account


@contextmanager
def _new(message: str, field: str, code: str | None = None) -> Iterator[None]:
    """Raises Invalid where the database has the row already, also one that somebody else makes at this moment."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise Invalid(message, field, code) from error


@verb("add_team")
def add_team(
    *,
    slug: str,
    name: str,
    accounts: Iterable[AwsAccount],
    actor: Actor,
    at: datetime,
    user: User | None = None,
    signed_in_at: datetime | None = None,
) -> Team:
    """Makes a team; from the command line also with the AWS accounts it may use.

    Without a slug it is made of the name. Raises NotAllowed, SignInTooOld, or Invalid for a wrong or known name.
    """
    require_operator(user, signed_in_at, at, "add a team")
    name, slug = name.strip(), slug or slugify(name)
    if not name or len(name) > 100 or not approval_rules.is_name(slug) or len(slug) > 40:
        raise Invalid("A team has a name of at most 100 characters, with letters that make a short name of 40.", "name")
    numbers = [account.number for account in accounts]
    if user is not None and numbers:
        raise Invalid("Which AWS accounts a team may use is a change that two people make.", "accounts", "four_eyes")
    with _new(f"There is a team {name} already.", "name"):
        team = Team.objects.create(slug=slug, name=name)
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


@verb("set_team_members")
def set_team_members(
    *, slug: str, logins: Iterable[str], user: User, signed_in_at: datetime, actor: Actor, at: datetime
) -> int:
    """Makes these people, and no others, the team's members. Returns how many changed.

    Members ask for roles; they decide nothing, so one operator is enough, who then approves none of it. Raises
    NotAllowed, SignInTooOld, or Invalid for a person who is not active and for no change.
    """
    require_operator(user, signed_in_at, at, "change who is in a team")
    wanted = set(logins)
    people = memberships.lock_people(username__in=wanted)  # before the team, as a sign-in does
    team = Team.objects.select_for_update().filter(slug=slug).first()
    if team is None:
        raise Invalid(f"There is no team {slug}.", "members")
    stand = {member.get_username(): member for member in team.members.all()}
    coming = {row.get_username(): row for row in people.values() if row.is_active and row.get_username() not in stand}
    unknown = sorted(wanted - set(stand) - set(coming))
    if unknown:
        raise Invalid(f"There is no active person {unknown[0]}.", "members")
    going = [member for login, member in stand.items() if login not in wanted]
    for member in memberships.decided_elsewhere([*going, *coming.values()], f"team:{slug}"):
        said = memberships.PROVIDER_DECIDES.format(member.display_name, team.name)
        raise Invalid(said, "members", "provider_decides")
    for person in going:
        memberships.leave_team(person, team, actor, at)
    for person in coming.values():
        memberships.join_team(person, team, actor, at, added_by=user)
    if not going and not coming:
        raise Invalid("Nothing would change.", "members", "unchanged")
    return len(going) + len(coming)


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
    return make_person(
        login, f"{login}@example.org", (first_name, last_name), password, groups=groups, teams=teams, actor=actor, at=at
    )


def make_person(
    login: str,
    email: str,
    names: tuple[str, str],
    password: str | None,
    *,
    groups: Iterable[str],
    teams: Iterable[str],
    actor: Actor,
    at: datetime,
    invited_by: User | None = None,
) -> User:
    """Makes a person with groups and teams, with the events. Names are first and last name. Raises Invalid for a login
    that there is.
    """
    with _new(f"{login} belongs to somebody already.", "email", "known"):
        user = User.objects.create_user(
            login, email=email, password=password, first_name=names[0], last_name=names[1], invited_by=invited_by
        )
    subject = Subject("user", str(user.pk), user.display_name)
    audit.record("user.created", actor=actor, subject=subject, at=at, data={"user": login, "changes": ["login"]})
    for name in groups:
        group, _ = Group.objects.get_or_create(name=name)
        memberships.join_group(user, group, actor, at)
    for slug in teams:
        memberships.join_team(user, Team.objects.get(slug=slug), actor, at, added_by=invited_by)
    return user
