"""Decisions of approvers, each bound to one proposal digest and signed with a key outside the database."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Decision(models.Model):
    """One approve, changes or reject. `ended_at` with `ended_by` says when it stopped counting, and why.

    `ended_by` is "", "taken_back" or "voided" (an edit, a changed dependency). Only approvals carry a signature.
    `viewed` are the ids of the page's sections that the approver marked as viewed, as they stood then.
    """

    request = models.ForeignKey("iamroles.Request", on_delete=models.PROTECT, related_name="decisions")
    revision = models.ForeignKey("iamroles.Revision", on_delete=models.PROTECT, related_name="decisions")
    proposal_digest = models.CharField(max_length=64)
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="decisions")
    decision = models.CharField(max_length=10)
    reason = models.TextField(blank=True, default="")
    acknowledged = models.JSONField(default=list)
    viewed = models.JSONField(default=list)
    groups = models.JSONField(default=list)
    at = models.DateTimeField()
    signed_in_at = models.DateTimeField()
    key_id = models.CharField(max_length=16, blank=True, default="")
    signature = models.CharField(max_length=128, blank=True, default="")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=20, blank=True, default="")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("revision", "approver"),
                condition=models.Q(ended_by=""),
                name="one_standing_decision_per_approver",
            ),
        )


class Submission(models.Model):
    """One state-changing form that was sent: its key is unique, so a second POST finds the first one's result."""

    key = models.UUIDField(unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    location = models.CharField(max_length=300)
    at = models.DateTimeField()
