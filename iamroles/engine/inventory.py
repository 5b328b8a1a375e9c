"""Keeping a row of the inventory and letting one go, each with its event.

What is managed here for a team is changed without being adopted: the state check holds these rows against the events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from iamroles import audit, canonical
from iamroles.audit import Actor, Subject
from iamroles.models import AwsAccount, ManagedPolicy, ManagedRole

Managed = ManagedRole | ManagedPolicy


def keep(
    kind: type[ManagedRole] | type[ManagedPolicy],
    account: AwsAccount,
    name: str,
    values: Mapping[str, Any],
    *,
    actor: Actor,
    at: datetime,
) -> None:
    """Makes these values what the inventory holds under the name. Inside the caller's transaction."""
    rows: Any = kind.objects
    row, _ = rows.update_or_create(
        account=account, name_folded=name.lower(), defaults=values, create_defaults={"since": at, **values}
    )
    data = {
        "resource": row.arn,
        "team": row.team.slug,
        "entity_id": row.entity_id,
        "desired_digest": hashlib.sha256(row.desired.encode()).hexdigest(),
    }
    _record("inventory.updated", row, row.request.reference if row.request else None, data, actor, at)


def release(row: Managed, reference: str, *, actor: Actor, at: datetime) -> None:
    """Lets a row go whose thing AWS no longer has. Inside the caller's transaction."""
    digest = canonical.digest(canonical.loads(row.desired))
    _record("inventory.released", row, reference, {"resource": row.arn, "document_digest": digest}, actor, at)
    row.delete()


def _record(
    event: str, row: Managed, reference: str | None, data: dict[str, object], actor: Actor, at: datetime
) -> None:
    subject = Subject(row.kind, row.arn, row.arn.rsplit("/", 1)[-1])
    audit.record(event, actor=actor, subject=subject, at=at, request=reference, data=data)
