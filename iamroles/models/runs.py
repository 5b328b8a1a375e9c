"""Runs, steps and leases: the journal of the apply engine. The engine alone writes them, through `transitions`."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from iamroles.rules import states


class Run(models.Model):
    """One attempt to apply an approved proposal. `fence` is the lease's number at the claim.

    `stop_reason` is set iff stopped; `detail` then says what AWS or the check answered (code, message, api).
    """

    request = models.ForeignKey("iamroles.Request", on_delete=models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField()
    proposal = models.ForeignKey("iamroles.Proposal", on_delete=models.PROTECT, related_name="runs")
    state = models.CharField(max_length=10, default=states.GOING)
    stop_reason = models.CharField(max_length=20, blank=True, default="")
    detail = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=120, blank=True, default="")
    fence = models.PositiveBigIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)
    next_run_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("request", "number"), name="one_row_per_run"),
            models.CheckConstraint(condition=Q(state__in=states.RUN_STATES), name="run_state_known"),
            models.CheckConstraint(
                condition=Q(state=states.STOPPED, stop_reason__in=states.STOP_REASONS)
                | ~Q(state=states.STOPPED) & Q(stop_reason=""),
                name="run_reason_iff_stopped",
            ),
        )
        indexes = (models.Index(fields=("state", "next_run_at"), name="run_due"),)


class Step(models.Model):
    """One AWS call of a run: `position` in the plan, from 1; `state` planned, intent, ok, failed or unknown.

    `arguments` is canonical JSON text, exactly what is sent. A repeated call is the same step with one more `attempt`.
    """

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="steps")
    position = models.PositiveIntegerField()
    api = models.CharField(max_length=60)
    resource = models.CharField(max_length=2048)
    arguments = models.TextField()
    state = models.CharField(max_length=10, default="planned")
    attempt = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    aws_request_id = models.CharField(max_length=80, blank=True, default="")
    code = models.CharField(max_length=80, blank=True, default="")
    message = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=("run", "position"), name="one_row_per_step"),)


class Lease(models.Model):
    """Who may write to one resource until when. `fence` grows by one with each claim."""

    account = models.ForeignKey("iamroles.AwsAccount", on_delete=models.PROTECT, related_name="+")
    resource = models.CharField(max_length=600)
    owner = models.CharField(max_length=120, blank=True, default="")
    fence = models.PositiveBigIntegerField(default=0)
    hard_until = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "resource"), name="one_lease_per_resource"),)
