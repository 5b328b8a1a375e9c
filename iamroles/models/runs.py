"""Runs, steps and leases: the journal of the apply engine, and what two operators state about a stopped run.

The engine alone writes steps. States change through `transitions`; an operator's retry is a new run, and their verbs
free a lease that is held too long and mark a stopped follow-up as seen to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import models
from django.db.models import Q

from iamroles.rules import states


class Run(models.Model):
    """One attempt to apply an approved proposal. `fence` is the lease's number at the claim.

    `stop_reason` is set iff stopped; `detail` then says what AWS or the check answered (code, message, api). Its
    `follow_up` is True for a follow-up that stopped, "retried" or "settled" once an operator has seen to it.
    `follow_up_at` is set on a done or stopped run while something is to be taken away again once its request is closed.
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
    follow_up_at = models.DateTimeField(null=True, blank=True)

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
        indexes = (
            models.Index(fields=("state", "next_run_at"), name="run_due"),
            models.Index(fields=("follow_up_at",), condition=~Q(follow_up_at=None), name="run_follow_up"),
            models.Index(fields=("request",), condition=Q(stop_reason="invalid"), name="run_invalid"),
        )


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


class Resolution(models.Model):
    """One operator's statement that a stopped run is settled, as AWS reads as approved; a second one confirms it."""

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="resolution")
    claim = models.TextField()
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    confirmed_at = models.DateTimeField(null=True, blank=True)


@dataclass(frozen=True)
class Tally:
    """The steps of a plan by what the journal knows of them, each as the last run that touched it left it."""

    done: tuple[Step, ...]
    not_done: tuple[Step, ...]
    unknown: tuple[Step, ...]


def tally(steps: Iterable[Step]) -> Tally:
    """Returns the tally of the steps of all runs of one proposal, oldest run first."""
    last: dict[int, Step] = {}
    for step in steps:
        if step.position not in last or step.state != "planned":
            last[step.position] = step
    ordered = [last[position] for position in sorted(last)]
    unsure = ("unknown", "intent")
    return Tally(
        done=tuple(step for step in ordered if step.state == "ok"),
        not_done=tuple(step for step in ordered if step.state not in ("ok", *unsure)),
        unknown=tuple(step for step in ordered if step.state in unsure),
    )
