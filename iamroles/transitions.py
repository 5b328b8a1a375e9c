"""The one place that changes a state. Each change checks the table in `rules.states`, updates where id, old state and
version match, and records its event in the same transaction. Nobody else writes `state`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from iamroles import audit, notices
from iamroles.audit import Actor, Change, Subject
from iamroles.models import Decision, Proposal, Request, Run
from iamroles.rules import states


class WrongState(Exception):
    """The request or run is not in a state that the verb starts from, or somebody else was quicker."""

    def __init__(self, reference: str, verb: str, state: str) -> None:
        self.reference, self.verb, self.state = reference, verb, state
        super().__init__(f"{reference} is {state}: it cannot {verb.replace('_', ' ')} any more.")


def subject_of(request: Request) -> Subject:
    """Returns how events name a request."""
    return Subject("request", request.reference, request.title)


def move_request(
    request: Request,
    verb: str,
    *,
    event: str,
    actor: Actor,
    at: datetime,
    data: Mapping[str, object],
    reason: str | None = None,
    changes: Sequence[Change] = (),
    fields: Mapping[str, Any] | None = None,
    tells: bool = True,
) -> Request:
    """Moves a request by a verb of the table and records `event`; `fields` are written with it. Returns the new row.

    With `tells` False nobody is told: the caller moves it on in the same transaction.

    Raises WrongState when the table forbids it or when the row has changed since it was read.
    """
    target = states.request_target(verb, request.state)
    if target is None:
        raise WrongState(request.reference, verb, request.state)
    values = {"state": target, "version": request.version + 1, "updated_at": at, **(fields or {})}
    if target == states.CLOSED:
        values.setdefault("closed_at", at)
    with transaction.atomic():
        found = Request.objects.filter(pk=request.pk, state=request.state, version=request.version).update(**values)
        if found != 1:
            raise WrongState(request.reference, verb, "changed meanwhile")
        for name, value in values.items():
            setattr(request, name, value)
        audit.record(
            event,
            actor=actor,
            subject=subject_of(request),
            at=at,
            request=request.reference,
            revision=request.revision_number or None,
            reason=reason,
            changes=changes,
            data=data,
        )
        if tells:
            notices.tell(request, event, actor_id=actor.id or "", at=at)
    return request


def move_run(
    run: Run,
    verb: str,
    *,
    event: str,
    actor: Actor,
    at: datetime,
    data: Mapping[str, object],
    outcome: str = "success",
    code: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Run:
    """Moves a run by a verb of the table and records `event` with it. Returns the new row.

    Raises WrongState when the table forbids it or when the row has changed since it was read.
    """
    target = states.run_target(verb, run.state)
    reference = f"{run.request.reference} run {run.number}"
    if target is None:
        raise WrongState(reference, verb, run.state)
    values = {"state": target, "version": run.version + 1, "seen_at": at, **(fields or {})}
    if target in (states.STOPPED, states.DONE):
        values.setdefault("ended_at", at)
    with transaction.atomic():
        found = Run.objects.filter(pk=run.pk, state=run.state, version=run.version).update(**values)
        if found != 1:
            raise WrongState(reference, verb, "changed meanwhile")
        for name, value in values.items():
            setattr(run, name, value)
        audit.record(
            event,
            actor=actor,
            subject=Subject("run", reference, run.request.title),
            at=at,
            request=run.request.reference,
            outcome=outcome,
            code=code,
            data=data,
        )
        if run.stop_reason != states.RECALLED:
            notices.tell(run.request, event, actor_id=actor.id or "", at=at)
    return run


def next_run(request: Request, proposal: Proposal, *, at: datetime, code: str = "", **values: Any) -> Run:
    """Inserts the next run of a request; the caller records the event that tells of it.

    What earlier runs of the same proposal made, or may have made unseen, goes on to it: nothing is made twice.
    """
    last = Run.objects.filter(request=request).order_by("-number").first()
    earlier = Run.objects.filter(proposal=proposal).order_by("-number").first()
    known = earlier.detail if earlier else {}
    carried = {key: known[key] for key in ("made", "unsure", "trust_changed_at") if key in known}
    return Run.objects.create(
        request=request,
        number=last.number + 1 if last else 1,
        proposal=proposal,
        started_at=at,
        seen_at=at,
        detail={**carried, "code": code} if code else carried,
        **values,
    )


def order_run(request: Request, proposal: Proposal, *, code: str, actor: Actor, at: datetime) -> Run:
    """Makes a run that waits for the next worker, with its event. Returns it."""
    with transaction.atomic():
        run = next_run(request, proposal, at=at, code=code, state=states.WAITING, next_run_at=at)
        audit.record(
            "run.waiting",
            actor=actor,
            subject=Subject("run", f"{request.reference} run {run.number}", request.title),
            at=at,
            request=request.reference,
            code=code,
            data={"run": f"{request.reference}-r{run.number}", "code": code, "retry_at": at.isoformat()},
        )
    return run


def hasten_run(run: Run, at: datetime) -> None:
    """Makes a waiting run due now; it waits until a worker takes it. Raises WrongState when it waits no more."""
    rows = Run.objects.filter(pk=run.pk, state=states.WAITING, version=run.version)
    if rows.update(next_run_at=at) != 1:
        raise WrongState(f"{run.request.reference} run {run.number}", "be tried now", "changed meanwhile")


def void_decisions(request: Request, *, cause: str, actor: Actor, at: datetime) -> int:
    """Ends every standing decision on the request, each with an event. Returns how many."""
    standing = Decision.objects.filter(request=request, ended_by="").select_related("revision")
    count = 0
    for row in standing:
        Decision.objects.filter(pk=row.pk).update(ended_at=at, ended_by="voided")
        if row.decision == "approve":
            audit.record(
                "approval.voided",
                actor=actor,
                subject=subject_of(request),
                at=at,
                request=request.reference,
                revision=row.revision.number,
                data={
                    "revision": row.revision.number,
                    "proposal_digest": row.proposal_digest,
                    "approval": str(row.pk),
                    "cause": cause,
                },
            )
        count += 1
    return count


def recall_runs(request: Request, *, cause: str, actor: Actor, at: datetime) -> int:
    """Stops the runs of a request that goes back or is closed before its first AWS call. Returns how many.

    The caller holds the request's row, so no intent can be written in between.
    """
    open_runs = Run.objects.select_related("request").filter(request=request, state__in=(states.GOING, states.WAITING))
    count = 0
    for run in open_runs.exclude(steps__attempt__gt=0):
        fields = {"stop_reason": states.RECALLED, "detail": {**run.detail, "code": cause}, "next_run_at": None}
        data = {"run": f"{request.reference} run {run.number}", "reason": states.RECALLED, "cause": cause}
        move_run(run, "stop", event="run.stopped", actor=actor, at=at, data=data, fields=fields)
        count += 1
    return count
