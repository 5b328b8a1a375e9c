"""The state check of the inventory: each row is what the last event about it says. A row by SQL would let a team change
a role that nobody let it adopt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from iamroles.models import AuditEvent, ManagedPolicy, ManagedRole

_KEPT = "inventory.updated"
_ENDED_WELL = ("applied", "resolved", "handed_over", "already_right")


def wrong_inventory(using: str) -> Iterator[str]:
    """Yields a sentence for each role or policy that no event put into the inventory, that one tells otherwise of, or
    that is gone.
    """
    told: dict[tuple[str, ...], tuple[dict[str, str], str]] = {}
    events = AuditEvent.objects.using(using).filter(action__in=(_KEPT, "inventory.released")).order_by("pk")
    for action, pk, canon in events.values_list("action", "pk", "canon").iterator(chunk_size=2_000):
        data = json.loads(canon)["data"]
        if action == _KEPT:
            told[_place(data["resource"])] = (data, f"EVT-{pk:07d}")
        else:
            told.pop(_place(data["resource"]), None)
    for row in _rows(using):
        said, event = told.pop(_place(row.arn), (None, ""))
        now = {
            "resource": row.arn,
            "team": row.team.slug,
            "entity_id": row.entity_id,
            "desired_digest": hashlib.sha256(row.desired.encode()).hexdigest(),
        }
        if said != now and (said or not _by_request(row)):
            why = f"{event} says otherwise" if said else "no event tells of it"
            yield f"{row.arn} is in the inventory for the team {row.team.slug}, but {why}"
    for said, event in told.values():
        yield f"{said['resource']} is gone from the inventory, but {event} tells of it"


def _rows(using: str) -> Iterator[ManagedRole | ManagedPolicy]:
    for kind in (ManagedRole, ManagedPolicy):
        yield from kind.objects.using(using).select_related("team", "request").order_by("pk").iterator(chunk_size=500)


def _by_request(row: ManagedRole | ManagedPolicy) -> bool:
    """Returns whether a request that ended well explains the row: before there was the event, nothing else did."""
    request, name = row.request, row.name_folded if isinstance(row, ManagedRole) else row.holder.lower()
    if request is None or request.outcome not in _ENDED_WELL:
        return False
    return (request.account_id, request.team_id, request.role_name.lower()) == (row.account_id, row.team_id, name)


def _place(arn: str) -> tuple[str, ...]:
    """IAM's names are unique in an AWS account, ignoring case and path."""
    account, _, path = arn.partition("::")[2].partition(":")
    kind, _, name = path.partition("/")
    return account, kind, name.rsplit("/", 1)[-1].lower()
