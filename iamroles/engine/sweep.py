"""What is due, found from the rows alone, and ringing for it: whatever a lost message, broker or worker left lying.

Ringing twice does no harm: each verb claims its row first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, Q

from iamroles import doorbell
from iamroles.engine import renew
from iamroles.engine.tools import Limits
from iamroles.models import AccountLook, ExportJob, Lease, ObservationOrder, Request, Run
from iamroles.models.exports import WAITING
from iamroles.rules import states


@dataclass(frozen=True)
class Due:
    """Ids of what has something to do now, oldest first."""

    observe: tuple[int, ...]
    apply: tuple[int, ...]
    answer: tuple[int, ...]
    export: tuple[int, ...] = ()
    look: tuple[int, ...] = ()
    renew: tuple[int, ...] = ()
    follow_up: tuple[int, ...] = ()

    def __len__(self) -> int:
        parts = (self.observe, self.apply, self.answer, self.export, self.look, self.renew, self.follow_up)
        return sum(map(len, parts))


def find_due(now: datetime, limits: Limits, at_most: int = 500) -> Due:
    """Returns what is due: submitted, outdated or to be looked at again in review, approved without a run, waiting or
    dead runs, orders, exports, looks.
    """
    looks_due = Request.objects.filter(state__in=(states.SUBMITTED, states.IN_REVIEW), next_try_at__lte=now)
    orders = ObservationOrder.objects.filter(answered_at=None, next_try_at__lte=now)
    exports = ExportJob.objects.filter(state=WAITING, next_try_at__lte=now)
    follow_ups = Run.objects.filter(request__state=states.CLOSED, state__in=states.ENDED, follow_up_at__lte=now)
    looks = AccountLook.objects.filter(answered_at=None, next_try_at__lte=now)
    return Due(
        observe=tuple(looks_due.order_by("next_try_at").values_list("pk", flat=True)[:at_most]),
        renew=tuple(renew.find_outdated()[:at_most]),
        apply=tuple(_approved(now, limits)[:at_most]),
        answer=tuple(orders.order_by("next_try_at").values_list("pk", flat=True)[:at_most]),
        export=tuple(exports.order_by("next_try_at").values_list("pk", flat=True)[:at_most]),
        follow_up=tuple(follow_ups.order_by("follow_up_at").values_list("pk", flat=True)[:at_most]),
        look=tuple(looks.order_by("next_try_at").values_list("pk", flat=True)[:at_most]),
    )


def _approved(now: datetime, limits: Limits) -> list[int]:
    current = Run.objects.filter(request=OuterRef("pk"), proposal__revision__number=OuterRef("revision_number"))
    alive = now - timedelta(seconds=limits.quiet)
    held = Lease.objects.filter(
        account=OuterRef("request__account"), fence=OuterRef("fence"), hard_until__gt=alive
    ).exclude(owner="")
    waiting = Q(state=states.WAITING) & (Q(next_run_at__lte=now) | Q(next_run_at=None))
    dead = Run.objects.filter(
        Q(state=states.GOING) & ~Exists(held) | waiting,
        request__state=states.APPROVED,
        proposal__revision__number=F("request__revision_number"),
    )
    fresh = Request.objects.filter(~Exists(current), state=states.APPROVED)
    ids = [*fresh.order_by("approved_at").values_list("pk", flat=True)]
    return [*ids, *dead.order_by("seen_at").values_list("request_id", flat=True)]


def sweep(now: datetime, limits: Limits) -> int:
    """Rings for everything that is due. Returns how many rings."""
    due = find_due(now, limits)
    for request_id in (*due.observe, *due.renew):
        doorbell.ring(doorbell.OBSERVE, request_id=request_id)
    for request_id in due.apply:
        doorbell.ring(doorbell.APPLY, request_id=request_id)
    for order_id in due.answer:
        doorbell.ring(doorbell.ANSWER, order_id=order_id)
    for job_id in due.export:
        doorbell.ring(doorbell.EXPORT, job_id=job_id)
    for run_id in due.follow_up:
        doorbell.ring(doorbell.FOLLOW_UP, run_id=run_id)
    for look_id in due.look:
        doorbell.ring(doorbell.LOOK, look_id=look_id)
    return len(due)
