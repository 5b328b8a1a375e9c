"""The journal of a run: intents before calls, outcomes after them, and how a run begins, waits, stops and ends.

Every function is one transaction with its event. A step changes only while its run is still ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from iamroles import audit, canonical
from iamroles.audit import AwsCall, Subject
from iamroles.aws.boto import IAM_REGIONS
from iamroles.aws.gateway import Answer, AwsError
from iamroles.engine import lease
from iamroles.engine.lease import FencedOut, Held
from iamroles.engine.tools import Tools
from iamroles.models import Proposal, Request, Run, Step
from iamroles.proposal import older_sessions
from iamroles.proposal.calls import Call
from iamroles.rules import states
from iamroles.transitions import move_run, next_run

NONCE = "portal:nonce"
CREATING = ("CreateRole", "CreatePolicy")
DELETING = ("DeleteRole", "DeletePolicy")
TRUST_CHANGED = "trust_changed_at"
PLANNED, INTENT, OK, FAILED, UNKNOWN = "planned", "intent", "ok", "failed", "unknown"


@dataclass
class Journal:
    """One claim on one run: the rows as this worker knows them. `closed` is for the follow-up of a closed request."""

    run: Run
    held: Held
    tools: Tools
    steps: list[Step]
    closed: bool = False

    @property
    def made(self) -> dict[str, str]:
        """ARNs that calls of this run or an earlier one created, with the ids that AWS gave them."""
        made: dict[str, str] = self.run.detail.get("made", {})
        return made

    @property
    def unsure(self) -> dict[str, dict[str, str]]:
        """Creating steps, by position, of which an attempt may have landed unseen: `since`, `until` and `nonce`."""
        unsure: dict[str, dict[str, str]] = self.run.detail.get("unsure", {})
        return unsure

    @property
    def trust_changed_at(self) -> datetime | None:
        """AWS's time of the first look that showed the trust as approved, in whichever run."""
        at = self.run.detail.get(TRUST_CHANGED)
        return datetime.fromisoformat(at) if at else None

    @property
    def cut_until(self) -> str | None:
        """From when on a session is not cut off, as the deny says it; None until the trust was seen as approved."""
        return cut_until(self.run)

    def begun(self) -> bool:
        """Returns True once any call for this proposal was intended, in whichever run."""
        return Step.objects.filter(run__proposal_id=self.run.proposal_id, attempt__gt=0).exists()


def cut_until(run: Run) -> str | None:
    """Returns until when the deny that a run puts, or follows up, cuts sessions off; None while that is open."""
    at = run.detail.get(TRUST_CHANGED)
    if not at:
        return None
    return f"{datetime.fromisoformat(at) + timedelta(seconds=older_sessions.SPREADS):%Y-%m-%dT%H:%M:%SZ}"


def number_of(run: Run) -> str:
    """Returns how session names and events call a run, e.g. "REQ-000142-r1"."""
    return f"{run.request.reference}-r{run.number}"


def begin(request: Request, proposal: Proposal, plan: Sequence[Call], held: Held, tools: Tools) -> Journal:
    """Starts the next run of a request: the row, its planned steps, and `run.started`.

    Raises FencedOut, also where the request was withdrawn or taken back since it was read: that run would never end.
    """
    now = tools.now()
    with transaction.atomic():
        lease.require_ours(held)
        rows = Request.objects.select_for_update().filter(pk=request.pk, version=request.version)
        if rows.first() is None:
            raise FencedOut(held.fence)
        run = next_run(request, proposal, at=now, state=states.GOING, worker=tools.worker, fence=held.fence)
        steps = plan_steps(run, plan)
        _record(run, "run.started", tools, now, {"fence": held.fence, "hard_until": held.hard_until.isoformat()})
    return Journal(run=run, held=held, tools=tools, steps=steps)


def plan_steps(run: Run, plan: Sequence[Call]) -> list[Step]:
    """Creates the planned steps of a run that has none yet. Returns all of its steps."""
    if not run.steps.exists():
        Step.objects.bulk_create(
            Step(
                run=run,
                position=position,
                api=call.api,
                resource=call.resource,
                arguments=canonical.dumps(dict(call.arguments)).decode(),
            )
            for position, call in enumerate(plan, 1)
        )
    return list(run.steps.all())


def resume(run: Run, plan: Sequence[Call], held: Held, tools: Tools) -> Journal:
    """Goes on with a waiting run, or takes over one whose worker died: its open intents become unknown."""
    now = tools.now()
    dead = run.state == states.GOING
    with transaction.atomic():
        lease.require_ours(held)
        steps = plan_steps(run, plan)
        lost = [step for step in steps if step.state == INTENT]
        detail = dict(run.detail)
        for step in lost:
            deaths = detail.setdefault("deaths", {})
            deaths[str(step.position)] = deaths.get(str(step.position), 0) + 1
            step.state, step.code, step.ended_at = UNKNOWN, "WorkerLost", now
            step.save(update_fields=("state", "code", "ended_at"))
            detail = with_unsure(detail, step)
        data: dict[str, object] = {
            "run": number_of(run),
            "fence": held.fence,
            "hard_until": held.hard_until.isoformat(),
        }
        if dead:
            data["previous_fence"] = held.previous_fence
        move_run(
            run,
            "resume",
            event="run.taken_over" if dead else "run.resumed",
            actor=tools.actor,
            at=now,
            data=data,
            fields={
                "worker": tools.worker,
                "fence": held.fence,
                "detail": detail,
                "next_run_at": None,
                "tries": run.tries + 1 if dead else run.tries,
            },
        )
    return Journal(run=run, held=held, tools=tools, steps=steps)


def intend(journal: Journal, step: Step, arguments: dict[str, Any], now: datetime) -> None:
    """Writes the intent. Inside the guard's transaction."""
    text = canonical.dumps(arguments).decode()
    step.state, step.attempt, step.arguments = INTENT, step.attempt + 1, text
    step.started_at, step.ended_at, step.code, step.message, step.aws_request_id = now, None, "", "", ""
    step.save()
    Run.objects.filter(pk=journal.run.pk).update(seen_at=now)
    _record_step(
        journal,
        step,
        "step.intended",
        now,
        {
            "fence": journal.held.fence,
            "service": "iam",
            "api": step.api,
            "resource": step.resource,
            "arguments_digest": canonical.digest(arguments),
        },
        phase="intent",
    )


def complete(journal: Journal, step: Step, answer: Answer) -> None:
    """Writes AWS's yes, and what it created. Raises FencedOut when the run is another worker's by now."""
    now = journal.tools.now()
    with transaction.atomic():
        _close(journal, step, OK, now, request_id=answer.request_id)
        detail = dict(journal.run.detail)
        if step.api in CREATING:
            detail["made"] = {**detail.get("made", {}), step.resource: answer.entity_id or ""}
        _keep(journal, detail=detail, tries=0, seen_at=now)
        _record_step(
            journal, step, "step.completed", now, {"http_status": answer.http_status}, request_id=answer.request_id
        )


def fail(journal: Journal, step: Step, error: AwsError, *, unknown: bool) -> None:
    """Writes AWS's no, or that nobody knows. Raises FencedOut when the run is another worker's by now."""
    now = journal.tools.now()
    with transaction.atomic():
        _close(
            journal,
            step,
            UNKNOWN if unknown else FAILED,
            now,
            request_id=error.request_id,
            code=error.code,
            message=error.message,
        )
        if unknown:
            _keep(journal, detail=with_unsure(journal.run.detail, step))
        data: dict[str, object] = {"code": error.code, "retryable": error.kind != "blocked"}
        if error.http_status is not None:
            data["http_status"] = error.http_status
        _record_step(
            journal,
            step,
            "step.failed",
            now,
            data,
            request_id=error.request_id,
            outcome="unknown" if unknown else "failed",
            code=error.code,
        )


def with_unsure(detail: dict[str, Any], step: Step) -> dict[str, Any]:
    """Returns the run's detail with this attempt at a creating step remembered for the ownership test."""
    if step.api not in CREATING or step.started_at is None:
        return detail
    at = step.started_at.isoformat()
    arguments: Any = canonical.loads(step.arguments)
    nonce = next((tag["Value"] for tag in arguments.get("Tags", ()) if tag["Key"] == NONCE), "")
    known = detail.get("unsure", {})
    since = known.get(str(step.position), {}).get("since", at)
    return {**detail, "unsure": {**known, str(step.position): {"since": since, "until": at, "nonce": nonce}}}


def _close(
    journal: Journal, step: Step, state: str, now: datetime, *, request_id: str, code: str = "", message: str = ""
) -> None:
    values = {"state": state, "ended_at": now, "aws_request_id": request_id[:80], "code": code[:80], "message": message}
    ours = Step.objects.filter(pk=step.pk, state=INTENT, attempt=step.attempt, run__fence=journal.held.fence)
    if not ours.update(**values):
        raise FencedOut(journal.held.fence)
    for name, value in values.items():
        setattr(step, name, value)


def looked_up(journal: Journal, step: Step, found: str, *, entity_id: str | None = None) -> None:
    """Closes an unknown outcome by what AWS shows: "done", "not_done" or "other"."""
    now = journal.tools.now()
    with transaction.atomic():
        lease.require_ours(journal.held)
        step.state = OK if found == "done" else FAILED
        step.ended_at = now
        step.save(update_fields=("state", "ended_at"))
        if entity_id is not None:
            detail = dict(journal.run.detail)
            detail["made"] = {**detail.get("made", {}), step.resource: entity_id}
            _keep(journal, detail=detail)
        _record_step(journal, step, "step.looked_up", now, {"found": found})


def trust_changed(journal: Journal, at: datetime) -> None:
    """Remembers AWS's time at which the trust was first seen as approved: older sessions are cut off from then."""
    with transaction.atomic():
        lease.require_ours(journal.held)
        _keep(journal, detail={**journal.run.detail, TRUST_CHANGED: at.isoformat()})


def in_place(journal: Journal, steps: Sequence[Step]) -> None:
    """Marks planned steps whose effect AWS shows already: ok without an attempt of this run."""
    now = journal.tools.now()
    with transaction.atomic():
        lease.require_ours(journal.held)
        for step in steps:
            step.state, step.ended_at = OK, now
            step.save(update_fields=("state", "ended_at"))


def was_made(step: Step) -> bool:
    """Returns True when a call of ours did this, in this run or an earlier one: it was not merely found in place."""
    made = Step.objects.filter(run__proposal_id=step.run.proposal_id, position=step.position, state=OK, attempt__gt=0)
    return made.exists()


def wait(journal: Journal, code: str, delay: timedelta, *, counts: bool, hold: bool) -> None:
    """Puts the run off. `counts` makes it one more try; `hold` keeps the lease: a late write may still land."""
    now = journal.tools.now()
    retry_at = now + delay
    with transaction.atomic():
        lease.require_ours(journal.held)
        move_run(
            journal.run,
            "wait",
            event="run.waiting",
            actor=journal.tools.actor,
            at=now,
            data={"run": number_of(journal.run), "code": code, "retry_at": retry_at.isoformat()},
            code=code,
            fields={
                "next_run_at": retry_at,
                "tries": journal.run.tries + (1 if counts else 0),
                "detail": {**journal.run.detail, "code": code},
            },
        )
        if not hold:
            lease.release(journal.held)


def stop(journal: Journal, reason: str, data: dict[str, object], detail: dict[str, Any], *, hold: bool) -> None:
    """Stops the run. `data` are the event's keys for the reason, `detail` what the page shows."""
    now = journal.tools.now()
    with transaction.atomic():
        lease.require_ours(journal.held)
        move_run(
            journal.run,
            "stop",
            event="run.stopped",
            actor=journal.tools.actor,
            at=now,
            data={"run": number_of(journal.run), "reason": reason, **data},
            outcome="failed",
            code=str(detail.get("code", reason)),
            fields={
                "stop_reason": reason,
                "detail": {**journal.run.detail, **detail},
                "next_run_at": None,
                "follow_up_at": follow_up_from(journal),
            },
        )
        if not hold:
            lease.release(journal.held)


def follow_up_from(journal: Journal) -> datetime | None:
    """Returns from when on the deny for older sessions is taken away: once the last one has ended, on any clock that
    may be a little off. None where no deny was put. However the request is closed then, this run sees to it, and no
    earlier run of the same proposal does. Inside the caller's transaction.
    """
    changed_at = journal.trust_changed_at
    put = any(step.state in (OK, UNKNOWN) and _is_cut(step) for step in journal.steps)
    if changed_at is None or not put:
        return None
    Run.objects.filter(proposal_id=journal.run.proposal_id, number__lt=journal.run.number).update(follow_up_at=None)
    seconds = older_sessions.SPREADS + older_sessions.LASTS + journal.tools.limits.skew
    return changed_at + timedelta(seconds=seconds)


def _is_cut(step: Step) -> bool:
    arguments: Any = canonical.loads(step.arguments)
    return older_sessions.is_cut(Call(step.api, step.resource, arguments))


def _keep(journal: Journal, **values: Any) -> None:
    Run.objects.filter(pk=journal.run.pk).update(**values)
    for name, value in values.items():
        setattr(journal.run, name, value)


def start_over(journal: Journal) -> None:
    """Forgets tries and deaths, so that what was held back can be tried again. Raises FencedOut."""
    with transaction.atomic():
        lease.require_ours(journal.held)
        _keep(journal, tries=0, detail={key: value for key, value in journal.run.detail.items() if key != "deaths"})


def fenced_out(journal: Journal) -> None:
    """Records that we lost the lease; the run belongs to whoever took it over."""
    with transaction.atomic():
        _record(journal.run, "run.fenced_out", journal.tools, journal.tools.now(), {"held_fence": journal.held.fence})


def _record(run: Run, event: str, tools: Tools, at: datetime, data: dict[str, object]) -> None:
    audit.record(
        event,
        actor=tools.actor,
        subject=Subject("run", f"{run.request.reference} run {run.number}", run.request.title),
        at=at,
        request=run.request.reference,
        data={"run": number_of(run), **data},
    )


def _record_step(
    journal: Journal,
    step: Step,
    event: str,
    at: datetime,
    data: dict[str, object],
    *,
    request_id: str | None = None,
    phase: Any = "result",
    outcome: str = "success",
    code: str | None = None,
) -> None:
    account = journal.held.account
    audit.record(
        event,
        actor=journal.tools.actor,
        subject=Subject("step", f"{number_of(journal.run)}-s{step.position}", f"{step.api} {step.resource}"),
        at=at,
        request=journal.run.request.reference,
        outcome=outcome,
        code=code,
        phase=phase,
        aws=AwsCall(account.number, IAM_REGIONS.get(account.partition), "iam", step.api, request_id or None),
        data={"run": number_of(journal.run), "step": step.position, **data},
    )
