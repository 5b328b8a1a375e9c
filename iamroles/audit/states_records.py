"""The state check of what decides whose approval counts beside groups: who is active and who let whom in, the record of
each AWS account, which AWS accounts a team may use, and the changes that two people made.

Changed by SQL, each of them would let somebody approve who may not, or keep nobody out who must be. It changes no row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet

from iamroles.audit.envelope import kept_value
from iamroles.models import AuditEvent, AwsAccount, Membership, ProposedChange, Request, Team, User
from iamroles.models.changes import CONFIRMED, WAITING

_RECORD: Final = (
    "name",
    "environment",
    "is_production",
    "partition",
    "role_path",
    "policy_path",
    "boundary",
    "tag_keys",
    "required_tags",
)
_CONFIRMED: Final = (
    "approval_rule.changed",
    "membership.granted",
    "membership.removed",
    "account.changed",
    "standard.changed",
    "guardrail.changed",
    "team.changed",
    "provider_groups.changed",
    "audit.forked",
)
_DECIDED: Final = {"change.refused": "refused", "change.withdrawn": "withdrawn"}


def _told(using: str, *actions: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yields action, reference, object and contents of these events, oldest first."""
    rows = AuditEvent.objects.using(using).filter(action__in=actions).order_by("pk")
    for action, pk, about, canon in rows.values_list("action", "pk", "object_id", "canon").iterator(chunk_size=2_000):
        yield action, f"EVT-{pk:07d}", about, json.loads(canon)


def _by(said: dict[str, Any]) -> str | None:
    """Returns who did it, or None where it was a command."""
    return str(said["actor"]["id"]) if said["actor"]["type"] == "user" else None


def wrong_people(using: str) -> Iterator[str]:
    """Yields a sentence for each person who is active or not, signs in, or was let in, unlike their events.

    Whoever signs in by an e-mail address has no other one: it is who they are to the rules, and nothing changes it.
    """
    active: dict[str, tuple[bool, str]] = {}
    made: dict[str, tuple[str | None, str, str]] = {}
    for action, event, person, said in _told(using, "user.created", "user.changed", "user.deactivated"):
        if action == "user.created":
            made[person] = (_by(said), said["data"]["user"], event)
            active[person] = (True, event)
        elif action == "user.deactivated" or "is_active" in said["data"]["changes"]:
            active[person] = (action != "user.deactivated", event)
    rows = User.objects.using(using).order_by("pk").values_list("pk", "username", "email", "is_active", "invited_by_id")
    known = set(map(str, User.objects.using(using).values_list("pk", flat=True)))
    for pk, login, email, is_active, invited_by in rows.iterator(chunk_size=2_000):
        was, event = active.get(str(pk), (True, ""))
        if was != is_active:
            left = f"{event} left them otherwise" if event else "no event tells of it"
            yield f"the person {pk} ({login}) is {'active' if is_active else 'not active'}, but {left}"
        by, told, event = made.get(str(pk), (None, login, ""))
        if login != told:
            yield f"the person {pk} signs in as {login}, but {event} says {told}"
        elif "@" in login and email != login:
            yield f"the e-mail address of the person {pk} ({login}) is another one"
        if event and not _same_person(by, _text(invited_by), known):
            yield f"the person {pk} ({login}) was let in by another person than {event} says"


def wrong_entries(using: str) -> Iterator[str]:
    """Yields a sentence for each membership of a team that another person gave, or earlier, than its event says."""
    given: dict[tuple[str, str], tuple[str | None, str, str]] = {}
    for _, event, person, said in _told(using, "membership.granted"):
        given[person, said["data"]["group"]] = (_by(said), event, said["at"])
    rows = Membership.objects.using(using).values_list("user_id", "team__slug", "added_by_id", "since")
    known = set(map(str, User.objects.using(using).values_list("pk", flat=True)))
    for person_id, team, added_by, since in rows.iterator(chunk_size=2_000):
        by, event, at = given.get((str(person_id), f"team:{team}"), (None, "", ""))
        if not event:
            continue  # `wrong_memberships` says so
        if not _same_person(by, _text(added_by), known):
            yield f"the person {person_id} was put into team:{team} by another person than {event} says"
        if since < datetime.fromisoformat(at):
            yield f"the person {person_id} is dated into team:{team} before {event} put them there"


def wrong_accounts(using: str) -> Iterator[str]:
    """Yields a sentence for each AWS account that is not what its events say, that is gone, or that none tells of."""
    told: dict[str, dict[str, tuple[object, str]]] = {}
    for _, event, number, said in _told(using, "account.added", "account.changed"):
        for change in said["changes"]:
            told.setdefault(number, {})[change["field"]] = (change["new"], event)
    rows = AwsAccount.objects.using(using).select_related("owner").order_by("pk")
    for row in rows:
        now = {"owner": row.owner.name, **{name: str(getattr(row, name)) for name in _RECORD}}
        if row.number not in told:
            yield f"AWS account {row.name} exists, but no event tells of it"
        for name, (value, event) in told.pop(row.number, {}).items():
            if name in now and kept_value(now[name]) != value:
                yield f"the {name.replace('_', ' ')} of AWS account {row.name} is not what {event} says"
    for number in sorted(told):
        yield f"AWS account {number} is gone, but events tell of it"


def wrong_team_accounts(using: str) -> Iterator[str]:
    """Yields a sentence for each team that may use other AWS accounts than its events say, or that none tells of."""
    told: dict[str, tuple[object, str]] = {}
    for _, event, slug, said in _told(using, "team.created", "team.changed"):
        for change in said["changes"]:
            if change["field"] == "accounts":
                told[slug] = (change["new"], event)
    for team in Team.objects.using(using).order_by("slug").prefetch_related("accounts"):
        if team.slug not in told:
            yield f"the team {team.slug} exists, but no event tells of it"
            continue
        value, event = told[team.slug]
        now = sorted(account.number for account in team.accounts.all())
        same = sorted(filter(None, value.split(", "))) == now if isinstance(value, str) else None
        if same is None:  # many: their digest was kept, in the order that people gave them
            same = kept_value(", ".join(now)) == value
        if not same:
            yield f"the team {team.slug} may use other AWS accounts than {event} says"


def wrong_changes(using: str) -> Iterator[str]:
    """Yields a sentence for each change of two people that is not the one that was proposed, or stands unlike its
    events: whoever made one cannot approve what it concerns.
    """
    proposed: dict[str, tuple[str | None, str, str]] = {}
    ended: dict[str, tuple[str, str | None, str, str]] = {}
    for action, event, about, said in _told(using, "change.proposed", *_DECIDED):
        if action == "change.proposed":
            proposed[about] = (_by(said), said["data"]["digest"], event)
        else:
            ended[about] = (_DECIDED[action], _by(said), said["at"], event)
    for said, event in _confirmations(using):
        ended[said["data"]["change"]] = (CONFIRMED, _by(said), said["at"], event)
    for row in ProposedChange.objects.using(using).order_by("pk"):
        by, digest, event = proposed.pop(row.reference, (None, "", ""))
        if (by, digest) != (str(row.proposed_by_id), row.digest) or row.computed_digest() != row.digest:
            yield f"{row.reference} is not the change that {event or 'any event'} tells of"
        state, decider, at, event = ended.get(row.reference, (WAITING, None, "", ""))
        if row.state != state or _text(row.decided_by_id) != decider or _moment(at) != row.decided_at:
            why = f"{event} says otherwise" if event else "no event tells of it"
            yield f"{row.reference} is {row.state}, but {why}"
    for reference, (_, _, event) in proposed.items():
        yield f"{reference} is gone, but {event} tells of it"


def _confirmations(using: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yields the events that confirmed changes made; each names its change."""
    for _, event, _, said in _told(using, *_CONFIRMED):
        if "change" in said["data"]:
            yield said, event


def wrong_absences(using: str) -> Iterator[str]:
    """Yields a sentence for each request that is gone though no draft of it was discarded."""
    rows: QuerySet[AuditEvent] = AuditEvent.objects.using(using)
    begun = set(rows.filter(action="request.created").values_list("request", flat=True))
    discarded = set(rows.filter(action="draft.discarded").values_list("request", flat=True))
    there = {f"REQ-{pk:06d}" for pk in Request.objects.using(using).values_list("pk", flat=True)}
    for reference in sorted(begun - discarded - there):
        yield f"{reference} is gone, but events tell of it"


def _same_person(told: str | None, stored: str | None, known: set[str]) -> bool:
    """Returns whether a row names who its event tells of; it names nobody once that person was deleted."""
    return stored == told or (stored is None and told not in known)


def _text(key: object) -> str | None:
    return None if key is None else str(key)


def _moment(at: str) -> datetime | None:
    return datetime.fromisoformat(at) if at else None
