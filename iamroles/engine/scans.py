"""When an AWS account is scanned: 1 and 10 minutes after anything was applied in it, and every day.

Nothing is remembered beside the orders themselves, so several clocks may tick and none orders twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from iamroles import doorbell
from iamroles.models import AccountLook, AwsAccount, ManagedRole, Request
from iamroles.models.looks import SCAN

AFTER_APPLIED: Final = (timedelta(minutes=1), timedelta(minutes=10))
EVERY: Final = timedelta(days=1)


def order_due(now: datetime) -> int:
    """Orders every scan that is due, and rings for it. Returns how many."""
    managed = ManagedRole.objects.filter(account=OuterRef("pk"))
    handed_over = Request.objects.filter(account=OuterRef("pk"), outcome="handed_over")
    count = 0
    for account in AwsAccount.objects.filter(Exists(managed) | Exists(handed_over)):
        if _is_due(account, now):
            with transaction.atomic():
                AwsAccount.objects.select_for_update().get(pk=account.pk)
                count += _order(account, now)
    return count


def _order(account: AwsAccount, now: datetime) -> int:
    if not _is_due(account, now):  # another clock was quicker
        return 0
    look = AccountLook.objects.create(account=account, kind=SCAN, at=now, next_try_at=now)
    doorbell.ring(doorbell.LOOK, look_id=look.pk)
    return 1


def _is_due(account: AwsAccount, now: datetime) -> bool:
    last = AccountLook.objects.filter(account=account, kind=SCAN).order_by("-pk").first()
    if last is None:
        return True
    if last.answered_at is None:
        return False
    passed = Q()
    for after in AFTER_APPLIED:
        passed |= Q(applied_at__gt=last.at - after, applied_at__lte=now - after)
    return now - last.at >= EVERY or ManagedRole.objects.filter(passed, account=account).exists()
