"""What Prometheus reads: figures out of the rows, at the moment of the question, as the health page reads them.

Nothing is counted in memory: any web process answers for all processes on all hosts, also for workers that are dead.
No name, reason or document is told: states, counts, ages. docs/monitoring/ draws and watches every one of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Count, Exists, Min, OuterRef, Q

from iamroles import audit
from iamroles.audit import grants
from iamroles.models import AwsAccount, ExportJob, KillSwitch, ManagedRole, Notice, Request, Run, Step
from iamroles.models.exports import FAILED, WAITING
from iamroles.pages import accounts as account_pages
from iamroles.pages import managed, operations
from iamroles.rules import states

DAY: Final = timedelta(days=1)
_OUTCOMES: Final = ("ok", "failed", "unknown")
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Metric:
    """One figure with its samples: labels and value. `kind` is gauge or counter."""

    name: str
    kind: str
    meaning: str
    samples: tuple[tuple[Labels, float], ...]


def metrics(at: datetime) -> tuple[Metric, ...]:
    """Returns every figure. The number of queries is constant."""
    return (*_itself(), *_work(at), *_runs(at), *_people(at), *_trail(at), *_aws(at))


def written(found: Iterable[Metric]) -> str:
    """Returns the figures in Prometheus' text format, version 0.0.4."""
    lines: list[str] = []
    for metric in found:
        lines += [f"# HELP {metric.name} {metric.meaning}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [f"{metric.name}{_labels(labels)} {value:.15g}" for labels, value in metric.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    # Values are words of ours (states, reasons, kinds): nothing in them needs escaping.
    inside = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return Metric(f"roledesk_{name}", "gauge", meaning, (({}, value),))


def _by(name: str, meaning: str, label: str, known: Iterable[str], counted: Mapping[str, int]) -> Metric:
    """A gauge with a sample for every known word, so that a figure that falls to nothing reads 0 and is not missing."""
    samples = tuple(({label: word}, float(counted.get(word, 0))) for word in known)
    return Metric(f"roledesk_{name}", "gauge", meaning, samples)


def _age(since: datetime | None, at: datetime) -> float:
    return max(0.0, (at - since).total_seconds()) if since else 0.0


def _itself() -> tuple[Metric, ...]:
    begun = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    took = time.perf_counter() - begun
    return (
        _gauge("database_answer_seconds", "How long the database took to answer.", took),
        _gauge("role_may_rewrite", "1 while the portal's database role could change events.", grants.may_rewrite()),
    )


def _work(at: datetime) -> tuple[Metric, ...]:
    due, seen = operations.due_work(at), operations.last_sign()
    switch = KillSwitch.objects.exists()
    given_up = Request.objects.filter(state=states.SUBMITTED, next_try_at=None).count()
    exports = ExportJob.objects.aggregate(
        waiting=Count("pk", filter=Q(state=WAITING)), failed=Count("pk", filter=Q(state=FAILED))
    )
    return (
        _gauge("work_due", "Pieces of work that are due and that no worker has taken yet.", due.count),
        _gauge("work_due_oldest_seconds", "For how long the oldest of them waits.", _age(due.oldest, at)),
        _gauge("worker_seen_seconds", "How long ago a worker last did something; 0 if never.", _age(seen, at)),
        _gauge("observations_given_up", "Requests whose look at AWS was given up.", given_up),
        _gauge("kill_switch", "1 while nothing at all is applied.", switch),
        _by("exports", "Exports by state.", "state", (WAITING, FAILED), exports),
    )


def _runs(at: datetime) -> tuple[Metric, ...]:
    counted = Run.objects.aggregate(
        going=Count("pk", filter=Q(state=states.GOING)), waiting=Count("pk", filter=Q(state=states.WAITING))
    )
    later = Run.objects.filter(request=OuterRef("request"), number__gt=OuterRef("number"))
    open_stops = Run.objects.filter(~Exists(later), state=states.STOPPED, request__state=states.APPROVED)
    stopped = dict(open_stops.values_list("stop_reason").annotate(Count("pk")).order_by())
    ended = Run.objects.filter(state=states.DONE, ended_at__gte=at - DAY).aggregate(count=Count("pk"))
    steps = dict(
        Step.objects.filter(run__seen_at__gte=at - DAY, started_at__gte=at - DAY, state__in=_OUTCOMES)
        .values_list("state")
        .annotate(Count("pk"))
        .order_by()
    )
    return (
        _by("runs", "Runs that go on or wait for their next try.", "state", (states.GOING, states.WAITING), counted),
        _by(
            "runs_stopped",
            "Approved requests whose newest run has stopped.",
            "reason",
            sorted(states.STOP_REASONS),
            stopped,
        ),
        _gauge("runs_applied_last_day", "Runs that were verified in the last 24 hours.", ended["count"]),
        _by("aws_calls_last_day", "Writing calls to AWS of the last 24 hours.", "outcome", _OUTCOMES, steps),
    )


def _people(at: datetime) -> tuple[Metric, ...]:
    requests = dict(Request.objects.values_list("state").annotate(Count("pk")).order_by())
    oldest = Request.objects.filter(state=states.IN_REVIEW).aggregate(at=Min("submitted_at"))["at"]
    notices = Notice.objects.aggregate(
        waiting=Count("pk", filter=Q(next_try_at__isnull=False)),
        failing=Count("pk", filter=Q(next_try_at__isnull=False) & ~Q(code="")),
        given_up=Count("pk", filter=Q(next_try_at=None) & ~Q(code="")),
        oldest=Min("next_try_at", filter=Q(next_try_at__lt=at)),
    )
    kinds = ("waiting", "failing", "given_up")
    return (
        _by("requests", "Requests by state.", "state", states.REQUEST_STATES, requests),
        _gauge("review_oldest_seconds", "For how long the oldest request waits for a decision.", _age(oldest, at)),
        _by("notices", "Mails and webhook calls that were not sent.", "state", kinds, notices),
        _gauge("notices_late_seconds", "For how long the oldest of them is overdue.", _age(notices["oldest"], at)),
    )


def _trail(at: datetime) -> tuple[Metric, ...]:
    status = audit.status()
    return (
        Metric("roledesk_events_sealed_total", "counter", "Events that a leaf covers.", (({}, float(status.sealed)),)),
        _gauge("events_waiting", "Events that wait to be sealed.", status.waiting),
        _gauge("trail_late_seconds", "How late sealing or publishing is.", audit.lateness(at).total_seconds()),
        _gauge("trail_halted", "1 while the trail contradicts itself or what was published.", audit.is_halted()),
        _gauge("checkpoint_published", "1 if a checkpoint is kept outside the database.", status.published > 0),
    )


def _aws(at: datetime) -> tuple[Metric, ...]:
    rows = account_pages.accounts()
    tested = [row.connection.state if row.connection and not row.connection.waits else "untested" for row in rows]
    counted = {state: tested.count(state) for state in set(tested)}
    scanned = [row.scan.answered_at for row in rows if row.scan is not None and row.scan.answered_at is not None]
    inventory = managed.observed(ManagedRole.objects.all())
    known = ("ok", "warn", "bad", "failed", "untested")
    return (
        _by("aws_accounts", "AWS accounts by the last test of the portal's role in it.", "connection", known, counted),
        _gauge("aws_accounts_paused", "AWS accounts in which nothing is added.", _paused()),
        _gauge("aws_accounts_unscanned", "AWS accounts that no drift scan has answered for.", len(rows) - len(scanned)),
        _gauge("scan_oldest_seconds", "How old the oldest last drift scan is.", _age(min(scanned, default=None), at)),
        _gauge("roles", "Roles of the inventory.", inventory.roles),
        _gauge("roles_drifted", "Roles that read otherwise in AWS than approved.", inventory.drifted),
    )


def _paused() -> int:
    return AwsAccount.objects.filter(paused_at__isnull=False).count()
