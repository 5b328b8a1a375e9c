"""When an AWS account is scanned: 1 and 10 minutes after anything was applied in it, and every day.

Nothing is remembered beside the orders themselves, so several clocks may tick and none orders twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from iamroles import doorbell
from iamroles.models import AccountLook, AwsAccount, ManagedPolicy, ManagedRole, Request
from iamroles.models.looks import SCAN

AFTER_APPLIED: Final = (timedelta(minutes=1), timedelta(minutes=10))
EVERY: Final = timedelta(days=1)


def order_due(now: datetime) -> int:
    """Orders every scan that is due, and rings for it. Returns how many. One query when there is none."""
    return sum(_order(account, now) for account in _due(now))


def _order(account: AwsAccount, now: datetime) -> int:
    with transaction.atomic():
        AwsAccount.objects.select_for_update().get(pk=account.pk)
        if not _due(now).filter(pk=account.pk).exists():  # another clock was quicker
            return 0
        look = AccountLook.objects.create(account=account, kind=SCAN, at=now, next_try_at=now)
        doorbell.ring(doorbell.LOOK, look_id=look.pk)
    return 1


def _due(now: datetime) -> QuerySet[AwsAccount]:
    """The AWS accounts that have something to watch and no scan that waits, and whose last scan is too old."""
    last = AccountLook.objects.filter(account=OuterRef("pk"), kind=SCAN).order_by("-pk")
    managed = [model._default_manager.filter(account=OuterRef("pk")) for model in (ManagedRole, ManagedPolicy)]
    handed_over = Request.objects.filter(account=OuterRef("pk"), outcome="handed_over")
    passed = Q()
    for after in AFTER_APPLIED:
        passed |= Q(applied_at__gt=OuterRef("scanned_at") - after, applied_at__lte=now - after)
    applied = [Exists(rows.filter(passed)) for rows in managed]
    accounts = AwsAccount.objects.filter(Exists(managed[0]) | Exists(managed[1]) | Exists(handed_over)).annotate(
        scanned_at=Subquery(last.values("at")[:1]), answered_at=Subquery(last.values("answered_at")[:1])
    )
    old = Q(scanned_at__lte=now - EVERY) | applied[0] | applied[1]
    return accounts.filter(Q(scanned_at=None) | Q(answered_at__isnull=False) & old)
