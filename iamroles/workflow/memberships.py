"""Who is in which group and team: putting people in, taking them out, and holding them still meanwhile.

Everything here runs inside the caller's transaction, and who may do it is the caller's business. On PostgreSQL two acts
may meet: each membership comes and goes once, with one event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import Group

from iamroles import audit
from iamroles.audit import Actor, Subject
from iamroles.models import GroupMembership, Membership, ProviderGroup, Team, User

PROVIDER_DECIDES: Final = "{} signs in through the identity provider, which alone decides who is in {}."


def decided_elsewhere(people: Iterable[User], target: str) -> Iterator[User]:
    """Yields those about whose place in a group or `team:` the identity provider decides: it fills it, and they sign
    in there.
    """
    if ProviderGroup.objects.filter(target=target).exists():
        chosen = [person.pk for person in people]
        yield from User.objects.filter(pk__in=chosen, provider_word__isnull=False).order_by("pk")


def join_team(
    person: User, team: Team, actor: Actor, at: datetime, *, added_by: User | None, cause: str | None = None
) -> None:
    """Puts a person into a team, with the event. Who did it cannot approve what that person asks for there."""
    given = {"since": at, "added_by": added_by}
    _, joined = Membership.objects.get_or_create(team=team, user=person, defaults=given)
    if joined:
        _record_membership("membership.granted", person, f"team:{team.slug}", actor, at, cause=cause)


def leave_team(
    person: User, team: Team, actor: Actor, at: datetime, reason: str | None = None, *, cause: str | None = None
) -> None:
    """Takes a person out of a team, with the event."""
    if Membership.objects.filter(team=team, user=person).delete()[0]:
        _record_membership("membership.removed", person, f"team:{team.slug}", actor, at, reason, cause)


def join_group(person: User, group: Group, actor: Actor, at: datetime, *, cause: str | None = None) -> None:
    """Puts a person into a group, dated, with the event."""
    if join(person, group, at):
        _record_membership("membership.granted", person, group.name, actor, at, cause=cause)


def leave_group(
    person: User, group: Group, actor: Actor, at: datetime, reason: str | None = None, *, cause: str | None = None
) -> None:
    """Takes a person out of a group, with the event."""
    if leave(person, group):
        _record_membership("membership.removed", person, group.name, actor, at, reason, cause)


def _record_membership(
    event: str,
    person: User,
    group: str,
    actor: Actor,
    at: datetime,
    reason: str | None = None,
    cause: str | None = None,
) -> None:
    subject = Subject("user", str(person.pk), person.display_name)
    audit.record(
        event,
        actor=actor,
        subject=subject,
        at=at,
        reason=reason,
        data={"user": person.get_username(), "group": group, **({"cause": cause} if cause else {})},
    )


def join(user: User, group: Group, at: datetime) -> bool:
    """Puts a person into a group, dated. Returns False where they are in it; the event is the caller's."""
    _, joined = User.groups.through.objects.get_or_create(user=user, group=group)
    if joined:
        GroupMembership.objects.update_or_create(user=user, group=group, defaults={"since": at})
    return joined


def leave(user: User, group: Group) -> bool:
    """Takes a person out of a group. Returns False where they are not in it; the event is the caller's."""
    GroupMembership.objects.filter(user=user, group=group).delete()
    return bool(User.groups.through.objects.filter(user=user, group=group).delete()[0])


def lock_people(**only: Any) -> dict[int, User]:
    """Returns these people by id as they are now, locked until the transaction ends, always in one order.

    Whoever gives rights locks first: nobody is deactivated meanwhile, or is found deactivated. The keys stay free, so
    that rows that only name a person, such as notices, wait for nobody.
    """
    return {row.pk: row for row in User.objects.select_for_update(no_key=True).filter(**only).order_by("pk")}
