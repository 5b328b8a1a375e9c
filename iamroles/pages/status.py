"""The one word for a request's status, with its shape and tone: the same on pages, exports, mails and filters."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, OuterRef, Prefetch, QuerySet, Subquery

from iamroles.models import Request, Run, tally
from iamroles.rules import states


@dataclass(frozen=True)
class Status:
    """`shape` is an id of the sprite `shapes.svg`, `tone` a colour token, `tab` a tab of the lists."""

    word: str
    slug: str
    shape: str
    tone: str
    tab: str


_BY_STATE = {
    states.DRAFT: Status("Draft", "draft", "ring-dashed", "neutral", "drafts"),
    states.SUBMITTED: Status("Submitted", "submitted", "ring-dot", "pending", "in_review"),
    states.IN_REVIEW: Status("In review", "in-review", "half-disc", "pending", "in_review"),
    states.CHANGES_REQUESTED: Status("Changes requested", "changes-requested", "square-return", "warn", "in_review"),
    states.APPROVED: Status("Approved", "approved", "ring-clock", "info", "in_progress"),
}
_BY_RUN = {
    states.GOING: Status("Applying", "applying", "ring-bar", "info", "in_progress"),
    states.WAITING: Status("Waiting to retry", "waiting", "hourglass", "warn", "in_progress"),
    states.DONE: Status("Applied", "applied", "disc-tick", "ok", "done"),
}
_BY_REASON = {
    "blocked": Status("Blocked", "blocked", "octagon", "bad", "needs_attention"),
    "conflict": Status("Conflict", "conflict", "arrows-crossing", "bad", "needs_attention"),
    "quarantined": Status("Quarantined", "quarantined", "triangle-mark", "bad", "needs_attention"),
    "invalid": Status("Invalid", "invalid", "square-broken", "bad", "needs_attention"),
}
_BY_OUTCOME = {
    "applied": Status("Applied", "applied", "disc-tick", "ok", "done"),
    "resolved": Status("Resolved", "resolved", "disc-ticks", "ok", "done"),
    "already_right": Status("Already right", "already-right", "ring-tick", "ok", "closed"),
    "handed_over": Status("Handed over", "handed-over", "ring-out", "ok", "closed"),
    "rejected": Status("Rejected", "rejected", "circle-slash", "bad", "closed"),
    "withdrawn": Status("Withdrawn", "withdrawn", "ring-slash", "neutral", "closed"),
    "expired": Status("Expired", "expired", "clock-empty", "neutral", "closed"),
    "abandoned": Status("Abandoned", "abandoned", "ring-cross", "neutral", "closed"),
    "superseded": Status("Superseded", "superseded", "two-rings", "neutral", "closed"),
}


def approved_with(run_state: str) -> QuerySet[Request]:
    """Returns the approved requests whose newest run is in this state: of the current revision, and not recalled."""
    runs = Run.objects.filter(request=OuterRef("pk"), proposal__revision__number=OuterRef("revision_number"))
    newest = Subquery(runs.exclude(stop_reason=states.RECALLED).order_by("-number").values("state")[:1])
    return Request.objects.annotate(run_state=newest).filter(state=states.APPROVED, run_state=run_state)


def current_runs() -> Prefetch[str, QuerySet[Run], str]:
    """Returns what loads `current_runs` with a list of requests: the runs of the current revision, newest first."""
    rows = Run.objects.filter(proposal__revision__number=F("request__revision_number"))
    rows = rows.exclude(stop_reason=states.RECALLED).order_by("-number").prefetch_related("steps")
    return Prefetch("runs", queryset=rows, to_attr="current_runs")


def listed_status(request: Request) -> tuple[Status, str]:
    """Returns the status of a request that was loaded with `current_runs`, and for a stopped one how far it came."""
    runs: list[Run] = getattr(request, "current_runs", [])
    status = status_of(request, runs[0] if runs else None)
    if status.tab != "needs_attention":
        return status, ""
    known = tally(step for run in reversed(runs) for step in run.steps.all())
    return status, in_place(len(known.done), len(known.done) + len(known.not_done) + len(known.unknown))


def in_place(done: int, total: int) -> str:
    """Returns how far a plan came: "4 of 8 steps in place", or "" before a step was planned."""
    return f"{done} of {total} {'step' if total == 1 else 'steps'} in place" if total else ""


def status_of(request: Request, run: Run | None) -> Status:
    """Returns the status of a request; `run` is the latest run of its revision; it counts only while approved."""
    if request.state == states.CLOSED:
        return _BY_OUTCOME[request.outcome]
    if request.state == states.APPROVED and run is not None and run.stop_reason != states.RECALLED:
        return _BY_REASON[run.stop_reason] if run.state == states.STOPPED else _BY_RUN[run.state]
    return _BY_STATE[request.state]
