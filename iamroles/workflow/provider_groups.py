"""What the identity provider says about people: who comes in by it, and which groups and teams it puts them into.

For whoever signs in there it alone decides about the groups and teams that it fills: operators neither put such a
person in nor take one out. Which of its groups fill what is a change of two people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q

from iamroles import audit, invitations
from iamroles.audit import Actor, Change, Subject
from iamroles.eligibility import person_of
from iamroles.models import GroupMembership, Membership, ProposedChange, ProviderGroup, ProviderWord, Team, User
from iamroles.rules import approval_rules
from iamroles.workflow import memberships, organisation
from iamroles.workflow.verbs import Invalid, NotAllowed, verb

SUBJECT: Final = "provider_groups"
TEAM_PREFIX: Final = "team:"
CAUSE: Final = "identity provider"
LONGEST: Final = 200  # of one value; longer ones fill nothing
AT_MOST: Final = 500  # values of one person that are kept


def filled() -> dict[str, frozenset[str]]:
    """Returns every group and team that the provider fills, with the values that do it."""
    found: dict[str, set[str]] = {}
    for target, value in ProviderGroup.objects.values_list("target", "value"):
        found.setdefault(target, set()).add(value)
    return {target: frozenset(values) for target, values in found.items()}


@verb("enter_by_provider")
def enter(
    *,
    email: str,
    names: tuple[str, str],
    values: Iterable[str],
    creates: bool,
    actor: Actor,
    at: datetime,
) -> User:
    """Makes the person that the provider sent for the first time, without a password and in no group yet.

    Raises NotAllowed where the provider makes nobody, for nobody's e-mail address, for an address that belongs to
    somebody already, whoever says so, and for a person none of whose groups fills anything here.
    """
    address = email.strip().lower()
    if not creates:
        raise NotAllowed("Nobody has invited you to Roledesk yet. Ask an operator.", "not_invited")
    try:
        validate_email(address)
        User.username_validator(address)
    except ValidationError as error:
        text = "Your organisation's sign-in does not tell a usable e-mail address of yours. Ask an operator."
        raise NotAllowed(text, "no_address") from error
    if len(address) > 150 or User.objects.filter(Q(username__iexact=address) | Q(email__iexact=address)).exists():
        text = f"{address} belongs to somebody here already. Sign in as before, then connect it under Settings."
        raise NotAllowed(text, "known_address")
    if not any(wanted & frozenset(values) for wanted in filled().values()):
        raise NotAllowed("None of your organisation's groups has a place in Roledesk. Ask an operator.", "no_group")
    first, last = (name.strip()[:150] for name in names)
    return organisation.make_person(
        address, address, (first or address.partition("@")[0], last), None, groups=(), teams=(), actor=actor, at=at
    )


@verb("connect_provider")
def connect(*, person: User, email: str, actor: Actor, at: datetime) -> None:
    """Says yes to joining a person with their account at the provider. Raises NotAllowed for another's address.

    The address says which sign-ins are one person, who never approves their own; and for somebody invited already in.
    """
    if not email or person_of(person) != email.strip().casefold():
        text = f"Your organisation's sign-in says another e-mail address than {person.email}. Nothing was connected."
        raise NotAllowed(text, "another_address")
    if not person.is_active:
        raise NotAllowed("You are deactivated here. Ask an operator.", "inactive")
    if not person.has_usable_password() and not invitations.waits(person):
        raise NotAllowed("This invitation was used already. Sign in, or ask an operator.", "invitation_used")


@verb("hear_provider")
def hear(*, person: User, values: Iterable[str], actor: Actor, at: datetime) -> None:
    """Keeps what the provider says, and makes the groups and teams that it decides about be so, with the events.

    Nothing is heard about somebody deactivated.
    """
    row = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if not row.is_active:
        return
    told = frozenset(value for value in values if 0 < len(value) <= LONGEST)
    kept = {"values": sorted(told)[:AT_MOST], "at": at}
    ProviderWord.objects.update_or_create(user=row, defaults=kept)
    wanted, held = filled(), _held(row)
    for target in sorted({*wanted, *(target for target, by_provider in held.items() if by_provider)}):
        if not wanted.get(target, frozenset()) & told:
            if target in held:
                _take_out(row, target, actor, at)
        elif target not in held:
            lock(target)  # against a confirmation that takes the value away at this moment
            if ProviderGroup.objects.filter(target=target, value__in=told).exists():
                _put_in(row, target, actor, at)
        elif not held[target]:
            _memberships(row, target).update(by_provider=True)


def _held(person: User) -> dict[str, bool]:
    """Every group and team of the person, and whether the provider put them there."""
    by_provider = dict(person.group_memberships.values_list("group__name", "by_provider"))
    groups = {name: by_provider.get(name, False) for name in person.groups.values_list("name", flat=True)}
    teams = Membership.objects.filter(user=person).values_list("team__slug", "by_provider")
    return groups | {f"{TEAM_PREFIX}{slug}": by for slug, by in teams}


def _memberships(person: User, target: str) -> Any:
    if target.startswith(TEAM_PREFIX):
        return Membership.objects.filter(user=person, team__slug=target.removeprefix(TEAM_PREFIX))
    return GroupMembership.objects.filter(user=person, group__name=target)


def _put_in(person: User, target: str, actor: Actor, at: datetime) -> None:
    if target.startswith(TEAM_PREFIX):
        team = Team.objects.get(slug=target.removeprefix(TEAM_PREFIX))
        memberships.join_team(person, team, actor, at, added_by=None, cause=CAUSE)
    else:
        group, _ = Group.objects.get_or_create(name=target)
        memberships.join_group(person, group, actor, at, cause=CAUSE)
    _memberships(person, target).update(by_provider=True)


def _take_out(person: User, target: str, actor: Actor, at: datetime, reason: str | None = None) -> None:
    if target.startswith(TEAM_PREFIX):
        team = Team.objects.get(slug=target.removeprefix(TEAM_PREFIX))
        memberships.leave_team(person, team, actor, at, reason, cause=CAUSE)
    else:
        memberships.leave_group(person, Group.objects.get(name=target), actor, at, reason, cause=CAUSE)


def lock(target: str) -> None:
    """Holds the group or team until the transaction ends: who fills it and who comes in by it change one by one."""
    if target.startswith(TEAM_PREFIX):
        Team.objects.select_for_update().get(slug=target.removeprefix(TEAM_PREFIX))
    else:
        Group.objects.select_for_update().get_or_create(name=target)


def stands(target: str) -> dict[str, list[str]]:
    """Returns which of the provider's groups fill a group or team. Raises Invalid for what cannot be filled."""
    slug = target.removeprefix(TEAM_PREFIX)
    if target != slug and not Team.objects.filter(slug=slug).exists():
        raise Invalid(f"There is no team {slug}.", "target")
    if target == slug and not approval_rules.is_name(target):
        raise Invalid("A group's name is one word.", "target")
    return {"values": sorted(ProviderGroup.objects.filter(target=target).values_list("value", flat=True))}


def wrong(_target: str, content: Any) -> list[str]:
    """Returns what is wrong with a proposed list of the provider's groups."""
    values = content.get("values") if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(values, list) or values != sorted(set(map(str, values))):
        return ["Name each group once, in order."]
    if len(values) > 50 or any(value != value.strip() or not 0 < len(value) <= LONGEST for value in values):
        return [f"Name at most 50 groups, of at most {LONGEST} characters each."]
    return []


def gains(change: ProposedChange) -> Iterator[str]:
    """Yields the persons who would come in by what is added, as far as the provider has told of them."""
    added = set(change.proposed()["values"]) - set(change.stood()["values"])
    for word in ProviderWord.objects.select_related("user"):
        if added & set(word.values):
            yield person_of(word.user)


def write(change: ProposedChange, facts: Mapping[str, object], actor: Actor, at: datetime) -> None:
    """Writes the list. Whoever was in only by what is gone loses the place at once; others come at their sign-in."""
    target, values, before = change.target, change.proposed()["values"], change.stood()["values"]
    ProviderGroup.objects.filter(target=target).delete()
    ProviderGroup.objects.bulk_create(ProviderGroup(target=target, value=value) for value in values)
    audit.record(
        "provider_groups.changed",
        actor=actor,
        subject=Subject("provider_groups", target, target),
        at=at,
        reason=change.reason,
        changes=[Change("values", before, values)],
        data={"target": target, "values": values, **facts},
    )
    for person in _in_by_provider(target):
        word = ProviderWord.objects.filter(user=person).first()
        if not set(word.values if word else ()) & set(values):
            _take_out(person, target, actor, at, change.reason)


def _in_by_provider(target: str) -> list[User]:
    slug = target.removeprefix(TEAM_PREFIX)
    if target != slug:
        rows = User.objects.filter(membership__team__slug=slug, membership__by_provider=True)
    else:
        rows = User.objects.filter(group_memberships__group__name=target, group_memberships__by_provider=True)
    return list(rows.distinct().order_by("pk"))
