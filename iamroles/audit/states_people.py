"""The state check of rights: groups, teams, paused AWS accounts and approval rules must be what events say.

Putting oneself among the approvers by SQL would otherwise leave no trace.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime

from iamroles.audit.states import last_events
from iamroles.models import (
    ApprovalRules,
    AuditEvent,
    AwsAccount,
    GroupMembership,
    KillSwitch,
    Membership,
    ProviderGroup,
    User,
)


def wrong_memberships(using: str) -> Iterator[str]:
    """Yields a sentence for each membership of a group or team that no event gave, or that one gave and is gone."""
    events = AuditEvent.objects.using(using).filter(action__in=("membership.granted", "membership.removed"))
    told: dict[tuple[str, str], bool] = {}
    rows = events.order_by("pk").values_list("object_id", "action", "canon")
    for person, action, canon in rows.iterator(chunk_size=2_000):
        told[person, str(json.loads(canon)["data"]["group"])] = action == "membership.granted"
    now = {
        *User.groups.through.objects.using(using).values_list("user_id", "group__name"),
        *((person, f"team:{slug}") for person, slug in _teams(using)),
    }
    held = {(str(person), group) for person, group in now}
    for person, group in sorted(held - {key for key, granted in told.items() if granted}):
        yield f"the person {person} is in {group}, but no event put them there"
    for person, group in sorted({key for key, granted in told.items() if granted} - held):
        yield f"the person {person} is not in {group}, but no event took them out"


def _teams(using: str) -> Iterator[tuple[int, str]]:
    yield from Membership.objects.using(using).values_list("user_id", "team__slug").iterator(chunk_size=2_000)


def wrong_provider_groups(using: str) -> Iterator[str]:
    """Yields a sentence for each group or team that the identity provider fills otherwise than was last confirmed."""
    events = AuditEvent.objects.using(using).filter(action="provider_groups.changed").order_by("pk")
    told: dict[str, list[str]] = {}
    for canon in events.values_list("canon", flat=True).iterator(chunk_size=2_000):
        data = json.loads(canon)["data"]
        told[data["target"]] = data["values"]
    now: dict[str, list[str]] = {}
    for target, value in ProviderGroup.objects.using(using).values_list("target", "value"):
        now.setdefault(target, []).append(value)
    for target in sorted({*told, *now}):
        if sorted(now.get(target, [])) != sorted(told.get(target, [])):
            yield f"the identity provider's groups that fill {target} are not those that were confirmed"


def wrong_pauses(using: str) -> Iterator[str]:
    """Yields a sentence for each AWS account that is paused or not, and for the kill switch, unlike the last event."""
    last = last_events(using, ("account.paused", "account.resumed"), "object_id")
    for number, name, paused_at in AwsAccount.objects.using(using).values_list("number", "name", "paused_at"):
        action, event = last.get(number, ("account.resumed", ""))
        if (action == "account.paused") != (paused_at is not None):
            said = f"{event} ({action}) left it otherwise" if event else "no event paused it"
            yield f"AWS account {name} is {'paused' if paused_at else 'not paused'}, but {said}"
    on = KillSwitch.objects.using(using).exists()
    action, event = last.get("portal", ("account.resumed", ""))
    if on != (action == "account.paused"):
        said = f"{event} ({action}) left it otherwise" if event else "no event tells of it"
        yield f"the kill switch is {'on' if on else 'off'}, but {said}"


def wrong_rules(using: str) -> Iterator[str]:
    """Yields a sentence for each version of the approval rules that nobody confirmed, or not with these contents."""
    events = AuditEvent.objects.using(using).filter(action="approval_rule.changed").values_list("canon", flat=True)
    told = {data["version"]: data.get("digest") for data in (json.loads(canon)["data"] for canon in events)}
    for row in ApprovalRules.objects.using(using).order_by("version"):
        if row.version not in told:
            yield f"version {row.version} of the approval rules exists, but no event tells of it"
        elif {hashlib.sha256(row.content.encode()).hexdigest(), row.digest} != {told[row.version]}:
            yield f"version {row.version} of the approval rules is not the one that was confirmed"
    there = set(ApprovalRules.objects.using(using).values_list("version", flat=True))
    for version in sorted(set(told) - there):
        yield f"version {version} of the approval rules is gone, but an event tells of it"


def wrong_dates(using: str) -> Iterator[str]:
    """Yields a sentence for each group membership that is dated before the event that gave it."""
    events = AuditEvent.objects.using(using).filter(action="membership.granted").order_by("pk")
    given: dict[tuple[str, str], str] = {}
    for person, canon in events.values_list("object_id", "canon").iterator(chunk_size=2_000):
        event = json.loads(canon)
        given[person, str(event["data"]["group"])] = str(event["at"])
    rows = GroupMembership.objects.using(using).values_list("user_id", "group__name", "since")
    for person_id, group, since in rows.iterator(chunk_size=2_000):
        at = given.get((str(person_id), group))
        if at is not None and since < datetime.fromisoformat(at):
            yield f"the person {person_id} is dated into {group} before the event that put them there"
