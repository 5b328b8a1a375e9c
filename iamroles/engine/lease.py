"""Who may write to which resources until when: one row per AWS account and resource, a fence that only grows.

A lease that ended cleanly has no owner. One that did not is held for the quiet period: a late write may still land.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction

from iamroles.engine.tools import Tools
from iamroles.models import AwsAccount, Lease

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class LeaseBusy(Exception):
    """Somebody else holds one of the resources, or held it uncleanly and the quiet period is not over."""


class FencedOut(Exception):
    """The lease is not ours any more: another worker took over. `held` is the fence that we held."""

    def __init__(self, held: int) -> None:
        self.held = held
        super().__init__(f"Fence {held} was taken over.")


@dataclass
class Held:
    """A lease that we hold. `quiet_until` is when the one before us, if it died, can do nothing any more."""

    account: AwsAccount
    resources: tuple[str, ...]
    owner: str
    fence: int
    hard_until: datetime
    previous_fence: int
    quiet_until: datetime | None


def take(account: AwsAccount, resources: Iterable[str], owner: str, tools: Tools) -> Held:
    """Takes all resources or none. The fence is that of the first one, the role if any. Raises LeaseBusy."""
    # IAM's names are unique ignoring case: one lease for all spellings.
    named = tuple(resource.lower() for resource in resources)
    with transaction.atomic():
        now = tools.now()
        quiet = timedelta(seconds=tools.limits.quiet)
        hard_until = now + timedelta(seconds=tools.limits.lease)
        rows = _locked(account, named)
        busy = [row.resource for row in rows.values() if row.owner and row.hard_until + quiet > now]
        if busy:
            raise LeaseBusy(busy[0])
        unclean = [row.hard_until + quiet for row in rows.values() if row.owner]
        previous = rows[named[0]].fence
        for row in rows.values():
            row.owner, row.fence, row.hard_until = owner, row.fence + 1, hard_until
            row.save(update_fields=("owner", "fence", "hard_until"))
    return Held(
        account=account,
        resources=named,
        owner=owner,
        fence=previous + 1,
        hard_until=hard_until,
        previous_fence=previous,
        quiet_until=max(unclean, default=None),
    )


def _locked(account: AwsAccount, resources: tuple[str, ...]) -> dict[str, Lease]:
    for resource in sorted(resources):
        Lease.objects.get_or_create(account=account, resource=resource, defaults={"hard_until": _LONG_AGO})
    rows = Lease.objects.select_for_update().filter(account=account, resource__in=resources).order_by("resource")
    return {row.resource: row for row in rows}


def require_ours(held: Held) -> None:
    """Raises FencedOut unless every row is still ours. Locks the rows: call it inside the guard's transaction."""
    rows = _locked(held.account, held.resources)
    if any(row.owner != held.owner for row in rows.values()) or rows[held.resources[0]].fence != held.fence:
        raise FencedOut(held.fence)


def extend(held: Held, until: datetime) -> None:
    """Moves the deadline, committed before any session that outlives the old one is opened. Raises FencedOut."""
    with transaction.atomic():
        require_ours(held)
        Lease.objects.filter(account=held.account, resource__in=held.resources).update(hard_until=until)
    held.hard_until = until


def release(held: Held) -> None:
    """Gives the resources back at once. Only after a clean end: no call of ours can still land."""
    rows = Lease.objects.filter(account=held.account, resource__in=held.resources, owner=held.owner)
    rows.update(owner="")
