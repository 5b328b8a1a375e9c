"""Operators' verbs on requests that do not go on by themselves. They write rows; a worker does what the rows say.

Each needs a reason and a fresh sign-in, and is an event; a refusal is one too. Nothing here is rolled back in AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models.functions import Now

from iamroles import audit, doorbell, permissions
from iamroles.audit import Actor, Subject
from iamroles.blueprints import facts as facts_module
from iamroles.models import Lease, Request, Revision, Run, Step, User, tally
from iamroles.proposal import read as read_proposal
from iamroles.rules import states
from iamroles.transitions import WrongState, hasten_run, move_request, order_run, subject_of, void_decisions
from iamroles.workflow.verbs import Invalid, lock, require, require_fresh_sign_in, require_reason, verb

QUIET: Final = timedelta(seconds=30)  # after a lease's deadline a late call may still land (APPLY.md part 2)
_REFERENCE = re.compile(r"REQ-([0-9]{6,12})")


@verb("retry")
def retry(*, request_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime) -> Request:
    """Orders a new run of a blocked request: what is in place stays, the rest is tried again.

    Raises NotAllowed, WrongState, Invalid (no reason) or SignInTooOld, as every verb here does.
    """
    request = lock(request_id)
    require(permissions.may_retry(user))
    run = stopped_run(request, "be retried", ("blocked",))
    why = _reason(reason, signed_in_at, at)
    return _run_again(request, run, why, actor, at)


@verb("release")
def release(*, request_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime) -> Request:
    """Lets a quarantined request go on, by a new run whose tries start at zero."""
    request = lock(request_id)
    require(permissions.may_release(user, request))
    run = stopped_run(request, "be released", ("quarantined",))
    why = _reason(reason, signed_in_at, at)
    audit.record(
        "run.released",
        actor=actor,
        subject=Subject("run", f"{request.reference} run {run.number}", request.title),
        at=at,
        request=request.reference,
        reason=why,
        data={"run": f"{request.reference}-r{run.number}"},
    )
    return _run_again(request, run, why, actor, at)


def _run_again(request: Request, run: Run, reason: str, actor: Actor, at: datetime) -> Request:
    _record_retried(request, run.stop_reason, reason, actor, at)
    order_run(request, run.proposal, code="OrderedByOperator", actor=actor, at=at)
    doorbell.ring(doorbell.APPLY, request_id=request.pk)
    return request


@verb("try_now")
def try_now(*, request_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime) -> Request:
    """Ends the wait of a run. A worker still keeps the quiet period after a call of unknown outcome."""
    request = lock(request_id)
    require(permissions.may_try_now(user))
    run = request.latest_run()
    if request.state != states.APPROVED or run is None or run.state != states.WAITING:
        raise WrongState(request.reference, "be tried now", run.state if run else request.state)
    why = _reason(reason, signed_in_at, at)
    hasten_run(run, at)
    _record_retried(request, states.WAITING, why, actor, at)
    doorbell.ring(doorbell.APPLY, request_id=request.pk)
    return request


@verb("look_again")
def look_again(
    *, request_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime
) -> Request:
    """Orders another look at AWS for a request whose looks were given up. The tries start at zero."""
    request = lock(request_id)
    require(permissions.may_look_again(user))
    if request.state != states.SUBMITTED or request.next_try_at is not None:
        raise WrongState(request.reference, "be looked at again", request.state)
    why = _reason(reason, signed_in_at, at)
    request.next_try_at, request.tries, request.updated_at = at, 0, at
    request.save(update_fields=["next_try_at", "tries", "updated_at"])
    _record_retried(request, states.SUBMITTED, why, actor, at)
    doorbell.ring(doorbell.OBSERVE, request_id=request.pk)
    return request


@verb("renew_plan")
def renew_plan(
    *, request_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime
) -> Request:
    """Makes the next revision from the same facts over a fresh look; all approvals are void.

    Besides, Invalid when the AWS account's record is no longer the one that the facts were made with.
    """
    request = lock(request_id)
    require(permissions.may_renew_plan(user))
    stopped_run(request, "get a new plan", ("blocked", "quarantined", "conflict"))
    why = _reason(reason, signed_in_at, at)
    before = Revision.objects.get(request=request, number=request.revision_number)
    if request.account is None or facts_module.read(before.facts).account != request.account.facts():
        raise Invalid("The AWS account's record changed since. The requester has to send a new request.", "reason")
    void_decisions(request, cause="plan_renewed", actor=actor, at=at)
    revision = Revision.objects.create(
        request=request,
        number=before.number + 1,
        facts=before.facts,
        desired_digest=before.desired_digest,
        reason=before.reason,
        cause="plan_renewed",
        created_by=before.created_by,
        created_at=at,
    )
    fields = {
        "revision_number": revision.number,
        "approved_at": None,
        "risk": "",
        "next_try_at": at,
        "tries": 0,
        "last_code": "",
    }
    data: dict[str, object] = {"new_revision": revision.number}
    move_request(request, "renew", event="plan.renewed", actor=actor, at=at, reason=why, data=data, fields=fields)
    doorbell.ring(doorbell.OBSERVE, request_id=request.pk)
    return request


@verb("abandon")
def abandon(
    *,
    request_id: int,
    user: User,
    reason: str,
    signed_in_at: datetime,
    actor: Actor,
    at: datetime,
    newer: str = "",
) -> Request:
    """Closes a stopped request as it is, with the list of what is done, not done and unknown in its event.

    `newer` may name the request that takes its place: then it is closed as superseded.
    """
    request = lock(request_id)
    require(permissions.may_abandon(user))
    run = stopped_run(request, "be abandoned", states.STOP_REASONS)
    why = _reason(reason, signed_in_at, at)
    successor = _successor(request, newer.strip()) if newer.strip() else None
    counted = tally(Step.objects.filter(run__proposal=run.proposal).order_by("run__number", "position"))
    data: dict[str, object] = {
        "from_state": run.stop_reason,
        "done": _named(counted.done),
        "not_done": _named(counted.not_done),
        "unknown": _named(counted.unknown),
    }
    event, outcome = "request.abandoned", "abandoned"
    if successor is not None:
        event, outcome = "request.superseded", "superseded"
        data |= {"revision": request.revision_number, "superseded_by": successor.reference}
    void_decisions(request, cause=outcome, actor=actor, at=at)
    fields: dict[str, Any] = {"outcome": outcome, "next_try_at": None}
    return move_request(request, "abandon", event=event, actor=actor, at=at, reason=why, data=data, fields=fields)


def _named(steps: Iterable[Step]) -> list[str]:
    return [f"{step.position} {step.api} {step.resource}" for step in steps]


def _successor(request: Request, reference: str) -> Request:
    found = _REFERENCE.fullmatch(reference)
    newer = Request.objects.filter(pk=int(found[1])).exclude(state=states.DRAFT).first() if found else None
    same_role = newer is not None and (newer.account_id, newer.role_name.lower()) == (
        request.account_id,
        request.role_name.lower(),
    )
    if newer is None or not same_role or newer.pk <= request.pk:
        where = request.account.name if request.account else "its AWS account"
        raise Invalid(
            f"{reference} is no newer request for {request.role_name} in {where}. Enter one, or leave this empty.",
            "newer",
        )
    return newer


@verb("force_lease")
def force_lease(
    *, request_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime
) -> Request:
    """Frees the resources of a request that a silent worker holds, once no call of it can land any more.

    That is 30 s after the lease's deadline, by the database's clock and by AWS's, as a look for the request read it.
    """
    held = held_leases(Request.objects.get(pk=request_id))  # before the request, as a worker's guard locks them
    request = lock(request_id)
    require(permissions.may_force_lease(user, request))
    if not held:
        raise WrongState(request.reference, "be freed", "not held")
    why = _reason(reason, signed_in_at, at)
    free_at = max(row.hard_until for row in held) + QUIET
    if held[0].database_now <= free_at:
        message = f"The worker may still write until {free_at:%H:%M:%S} UTC. Wait until then."
        raise Invalid(message, "reason", "too_early")
    if not _aws_clock_passed(request, free_at):
        message = "AWS’s clock was not read since the deadline. Check against AWS first, then send this again."
        raise Invalid(message, "reason", "aws_clock_unknown")
    for row in held:
        Lease.objects.filter(pk=row.pk, fence=row.fence).update(owner="", fence=row.fence + 1)
        audit.record(
            "lease.forced",
            actor=actor,
            subject=subject_of(request),
            at=at,
            request=request.reference,
            reason=why,
            data={"resource": row.resource, "previous_fence": row.fence},
        )
    doorbell.ring(doorbell.APPLY, request_id=request.pk)
    return request


def held_leases(request: Request) -> list[Any]:
    """Returns the leases of the request's resources that somebody holds, locked, each with the `database_now`."""
    proposal = request.current_proposal()
    if proposal is None:
        return []
    stored = read_proposal(proposal.canonical)
    named = [arn.lower() for arn in stored.target.resources]
    rows = Lease.objects.select_for_update().filter(account=request.account, resource__in=named).exclude(owner="")
    return list(rows.annotate(database_now=Now()).order_by("resource"))


def _aws_clock_passed(request: Request, moment: datetime) -> bool:
    answered = request.looks.filter(answered_at__isnull=False).order_by("-answered_at").first()
    read = answered.result.get("aws_at") if answered else None
    return read is not None and datetime.fromisoformat(read) > moment


def stopped_run(request: Request, verb_words: str, reasons: Iterable[str]) -> Run:
    """Returns the stopped run of an approved request, if it stopped for one of the reasons. Raises WrongState."""
    run = request.latest_run()
    if request.state != states.APPROVED or run is None or run.stop_reason not in set(reasons):
        state = run.stop_reason or run.state if run is not None and request.state == states.APPROVED else request.state
        raise WrongState(request.reference, verb_words, state)
    return run


def _reason(reason: str, signed_in_at: datetime, at: datetime) -> str:
    why = require_reason(reason)
    require_fresh_sign_in(signed_in_at, at, settings.ROLEDESK_OPERATE_WITHIN_MINUTES, "do this")
    return why


def _record_retried(request: Request, from_state: str, reason: str, actor: Actor, at: datetime) -> None:
    audit.record(
        "request.retried",
        actor=actor,
        subject=subject_of(request),
        at=at,
        request=request.reference,
        revision=request.revision_number,
        reason=reason,
        data={"from_state": from_state},
    )
