"""The state check of rights: who is in which group and team, and which AWS accounts are paused, as events say.

Putting oneself among the approvers by SQL would otherwise leave no trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from iamroles.audit.states import last_events
from iamroles.models import AuditEvent, AwsAccount, KillSwitch, Membership, User


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
