"""Looks at a whole AWS account: an operator's test of the connection, and the standing drift scan. A worker answers."""

from __future__ import annotations

from django.conf import settings
from django.db import models

CHECK, SCAN = "check", "scan"


class AccountLook(models.Model):
    """One ordered look. `ordered_by` is None for what the portal's clock or a command ordered.

    `kind` is "check" (the connection and the portal's rights) or "scan" (every role of the inventory). `result` is for
    pages and commands; what counts as evidence is in the events.
    """

    account = models.ForeignKey("iamroles.AwsAccount", on_delete=models.PROTECT, related_name="looks")
    kind = models.CharField(max_length=10)
    ordered_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    result = models.JSONField(default=dict)

    class Meta:
        indexes = (models.Index(fields=("account", "kind", "-id"), name="look_by_account"),)
