"""Inviting people, taking an invitation up, deactivating people and letting them back.

Nobody makes an account alone. Which groups a person is in is a change of two people; only while there are no two who
could confirm it may the command line, whose caller holds the host, invite into groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q

from iamroles import audit, notices, permissions
from iamroles.audit import Actor, Change, Subject, config
from iamroles.browsers import browser_of
from iamroles.eligibility import person_of
from iamroles.models import Team, User
from iamroles.rules import approval_rules, groups
from iamroles.transitions import WrongState
from iamroles.workflow import memberships, organisation
from iamroles.workflow.verbs import Invalid, NotAllowed, require, require_reason, verb

CONFIRMING: Final = (groups.OPERATORS, groups.SECURITY)  # who confirms changes, as `permissions.may_change_rules` says


def two_can_confirm() -> bool:
    """Returns whether a change that one person proposes could be confirmed by another."""
    able = User.objects.filter(is_active=True, groups__name__in=CONFIRMING).distinct()
    return len({person_of(user) for user in able}) > 1


@verb("invite_person")
def invite(
    *,
    email: str,
    first_name: str,
    last_name: str,
    teams: Iterable[str] = (),
    into: Iterable[str] = (),
    user: User | None,
    signed_in_at: datetime | None,
    actor: Actor,
    at: datetime,
) -> User:
    """Makes a person without a password, who signs in by the e-mail address; `into` names groups, for the command.

    Raises NotAllowed, SignInTooOld, or Invalid for a wrong or known address, a missing name, or an unknown team.
    """
    organisation.require_operator(user, signed_in_at, at, "invite somebody")
    address, wanted, slugs = email.strip().lower(), list(into), list(teams)
    if holder := User.objects.filter(Q(username__iexact=address) | Q(email__iexact=address)).first():
        raise Invalid(f"{address} belongs to {holder.display_name} already.", "email", "known")
    if wanted and (user is not None or two_can_confirm()):
        raise NotAllowed("Two people decide who is in a group: propose it on the group's page.", "four_eyes")
    try:
        validate_email(address)
        User.username_validator(address)
    except ValidationError as error:
        raise Invalid("This is no e-mail address that somebody can sign in with.", "email") from error
    if len(address) > 150:
        raise Invalid("An address to sign in with has at most 150 characters.", "email")
    for field, value in (("first_name", first_name), ("last_name", last_name)):
        if not value.strip() or len(value) > 150:
            raise Invalid("Approvals and the audit trail show it: give a first and a last name.", field)
    known = set(Team.objects.filter(slug__in=slugs).values_list("slug", flat=True))
    for slug in slugs:
        if slug not in known:
            raise Invalid(f"There is no team {slug}.", "teams")
    for name in wanted:
        if not approval_rules.is_name(name):
            raise Invalid(f"A group's name is one word, not {name!r}.", "groups")
    names = (first_name.strip(), last_name.strip())
    return organisation.make_person(
        address, address, names, None, groups=wanted, teams=slugs, actor=actor, at=at, invited_by=user
    )


@verb("accept_invitation")
def accept_invitation(*, user: User, password: str, actor: Actor, at: datetime) -> User:
    """Gives an invited person the password of their choice, once. Raises NotAllowed for anybody else."""
    row = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if not row.is_active or row.has_usable_password():
        raise NotAllowed("This invitation was used already. Sign in, or ask for a new password.", "invitation_used")
    row.set_password(password)
    row.save(update_fields=["password"])
    audit.record(
        "credential.changed",
        actor=actor,
        subject=_subject(row),
        at=at,
        data={"kind": "password", "change": "set by invitation"},
    )
    origin = {"browser": browser_of(actor.agent or ""), "ip": actor.ip or ""}
    notices.warn(row, "credential.changed", at=at, what="password was set by your invitation", **origin)
    return row


@verb("deactivate_person")
def deactivate(*, person_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime) -> User:
    """Ends a person's access and sessions and takes them out of every group and team, so that letting them back gives
    nothing.

    One operator is enough: it only takes rights away. Raises NotAllowed (oneself), Invalid, SignInTooOld, WrongState.
    """
    organisation.require_operator(user, signed_in_at, at, "deactivate somebody")
    why = require_reason(reason)
    person = _lock(person_id, user)
    if person.pk == user.pk:
        raise NotAllowed("Nobody deactivates themselves: another operator can.", "oneself")
    if not person.is_active:
        raise WrongState(person.display_name, "be deactivated", "deactivated")
    for group in person.groups.order_by("name"):
        memberships.leave_group(person, group, actor, at, why)
    for team in person.teams.order_by("slug"):
        memberships.leave_team(person, team, actor, at, why)
    _set_active(person, "user.deactivated", why, actor, at, active=False)
    _end_sessions(person, actor, at)
    return person


@verb("reactivate_person")
def reactivate(*, person_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime) -> User:
    """Lets a deactivated person sign in again, in no group and no team. Raises as `deactivate` does."""
    organisation.require_operator(user, signed_in_at, at, "let somebody back")
    why = require_reason(reason)
    person = _lock(person_id, user)
    if person.is_active:
        raise WrongState(person.display_name, "be let back", "active")
    _set_active(person, "user.changed", why, actor, at, active=True)
    return person


def _lock(person_id: int, user: User) -> User:
    """Returns the person. Raises NotAllowed where the operator was deactivated at the same moment."""
    rows = memberships.lock_people(pk__in=(person_id, user.pk))
    require(permissions.may_operate(rows[user.pk]))
    return rows[person_id]


def _set_active(person: User, event: str, why: str, actor: Actor, at: datetime, *, active: bool) -> None:
    person.is_active = active
    person.save(update_fields=["is_active"])
    audit.record(
        event,
        actor=actor,
        subject=_subject(person),
        at=at,
        reason=why,
        changes=[Change("is_active", str(not active), str(active))],
        data={"user": person.get_username(), "changes": ["is_active"]},
    )


def _end_sessions(person: User, actor: Actor, at: datetime) -> None:
    """Ends every session: one that somebody stole must not live again once the person is let back (ASVS 5.0, 7.4.2)."""
    for row in UserSession.objects.filter(user=person).order_by("pk"):
        Session.objects.filter(pk=row.session_key).delete()
        row.delete()
        audit.record(
            "session.ended",
            actor=actor,
            subject=_subject(person),
            at=at,
            data={"cause": "deactivated", "session": config.session_hash(row.session_key)},
        )


def _subject(person: User) -> Subject:
    return Subject("user", str(person.pk), person.display_name)
