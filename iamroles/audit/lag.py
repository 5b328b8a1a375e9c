"""How late sealing and publishing are, from the rows alone: what the alarm tells and what holds up adding rights.

An event is late until a leaf covers it and a checkpoint of it was published; nothing waiting means not late at all.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from django.db.models import Max

from iamroles.models import AuditCheckpoint, AuditPending, AuditReceipt


def late_since(using: str = "default") -> datetime | None:
    """Returns the time of the oldest event or signature that is not sealed or not published, or None."""
    pending = AuditPending.objects.using(using).order_by("event_id")
    published = AuditReceipt.objects.using(using).aggregate(size=Max("size"))["size"] or 0
    signed = AuditCheckpoint.objects.using(using).filter(size__gt=published).order_by("size")
    oldest = (pending.values_list("event__at", flat=True).first(), signed.values_list("signed_at", flat=True).first())
    return min((at for at in oldest if at is not None), default=None)


def is_halted(using: str = "default") -> bool:
    """Returns whether the sealer stopped because the trail contradicts itself or what was published.

    It says so by an event, which waits as long as nothing is sealed.
    """
    return AuditPending.objects.using(using).filter(event__action="audit.halted").exists()


def halted_because(using: str = "default") -> str:
    """Returns why the sealer stopped, in its own words, or ""."""
    waiting = AuditPending.objects.using(using).filter(event__action="audit.halted").order_by("-event_id")
    canon = waiting.values_list("event__canon", flat=True).first()
    return str(json.loads(canon)["data"]["reason"]) if canon else ""


def lateness(now: datetime, using: str = "default") -> timedelta:
    """Returns for how long the oldest event waits to be sealed or the oldest checkpoint to be published."""
    since = late_since(using)
    return max(timedelta(), now - since) if since else timedelta()
