"""The claim on an approved request: lease, proof from the stored rows, and what changed around it since the approval.

It ends in a journal to go on with, or leaves the request where it belongs: in review, stopped as invalid, or untouched.
"""

from __future__ import annotations

import secrets

import structlog
from django.db import transaction

from iamroles import audit
from iamroles.aws.gateway import AwsError, WrongAccount
from iamroles.engine import ends, handover, journal, lease, observe, proof
from iamroles.engine.explain import Difference
from iamroles.engine.journal import Journal
from iamroles.engine.lease import Held
from iamroles.engine.proof import NotEnough, NotWhatWasApproved, Proved
from iamroles.engine.tools import Tools
from iamroles.models import Proposal, Request, Revision, Run
from iamroles.proposal.propose import read
from iamroles.rules import states
from iamroles.transitions import WrongState, move_request, recall_runs, subject_of, void_decisions

_WEIGHED_ANEW = frozenset({"standard_changed", "guardrail_changed"})
_log = structlog.get_logger(__name__)


class NothingToDo(Exception):
    """The request is not due, not approved, busy, or went elsewhere; the text says which."""


def due_request(request_id: int, tools: Tools) -> tuple[Request, Proposal, Run | None]:
    """Returns an approved request with its proposal and latest run of it. Raises NothingToDo unless it is due."""
    rows = Request.objects.select_related("account__owner", "team", "requester")
    request = rows.filter(pk=request_id, state=states.APPROVED).first()
    proposal = request.current_proposal() if request else None
    if request is None or proposal is None:
        raise NothingToDo("not_approved")
    runs = Run.objects.filter(proposal=proposal).exclude(stop_reason=states.RECALLED)
    run = runs.select_related("request").order_by("-number").first()
    if run is None:
        return request, proposal, None
    if run.state in (states.STOPPED, states.DONE):
        raise NothingToDo(run.state)
    if run.state == states.WAITING and run.next_run_at is not None and run.next_run_at > tools.now():
        raise NothingToDo("waiting")
    return request, proposal, run


def claim(*, request_id: int, tools: Tools) -> tuple[Journal, Proved]:
    """Returns the journal of a run that is going, and what it applies. Raises NothingToDo."""
    request, proposal, _ = due_request(request_id, tools)
    if request.account is None:
        raise NothingToDo("no_account")
    try:
        held = lease.take(request.account, resources_of(proposal), f"{tools.worker}:{secrets.token_hex(6)}", tools)
    except lease.LeaseBusy as busy:
        raise NothingToDo("busy") from busy
    try:
        return _under_lease(request_id, held, tools)
    except (NothingToDo, WrongState, lease.FencedOut):
        lease.release(held)
        raise


def resources_of(proposal: Proposal) -> tuple[str, ...]:
    """Returns what a run of the proposal leases; the first one's fence is the run's.

    Read without proof, for the lease alone; the proof comes under it.
    """
    try:
        stored = read(proposal.canonical)
    except (ValueError, KeyError, TypeError):
        return (f"proposal {proposal.pk}",)
    return stored.target.resources


def _under_lease(request_id: int, held: Held, tools: Tools) -> tuple[Journal, Proved]:
    # Again under the lease: between the first look and the lease another worker may have finished.
    request, proposal, run = due_request(request_id, tools)
    try:
        proved = proof.prove(request, proposal, tools)
    except NotWhatWasApproved as error:
        _stop_as_invalid(request, proposal, run, held, error, tools)
        raise NothingToDo("invalid") from error
    except NotEnough as error:
        if run is not None and request.begun():
            _stop_begun(request, run, held, error.cause, tools)
        else:
            _reopen_for(request, error.cause, tools)
        raise NothingToDo("in_review") from error
    if not request.begun() and proved.expires_at <= tools.now():
        raise NothingToDo("expired")
    if "owned_by" in proved.stored.body:
        handover.hand_over(request, proved, tools)
        raise NothingToDo("handed_over")
    plan = proved.stored.plan
    if run is None:
        return journal.begin(request, proposal, plan, held, tools), proved
    return journal.resume(run, plan, held, tools), proved


def _stop_as_invalid(
    request: Request, proposal: Proposal, run: Run | None, held: Held, error: NotWhatWasApproved, tools: Tools
) -> None:
    end = ends.not_approved(request.reference, error.what, error.approved, error.recomputed)
    going = journal.begin(request, proposal, (), held, tools) if run is None else journal.resume(run, (), held, tools)
    journal.stop(going, end.reason, end.event, end.detail, hold=False)


def _stop_begun(request: Request, run: Run, held: Held, cause: str, tools: Tools) -> None:
    _log.warning("approvals_changed_after_begin", request=request.reference, cause=cause)
    going = journal.resume(run, (), held, tools)
    ends.write(going, ends.conflict(read(run.proposal.canonical), [], None, cause))


def _reopen_for(request: Request, cause: str, tools: Tools) -> None:
    """What the findings were weighed against changed: they are made anew. Without AWS's answer the next claim does."""
    try:
        reopen(request, cause, [], tools, anew=cause in _WEIGHED_ANEW)
    except (AwsError, WrongAccount) as error:
        raise NothingToDo(error.code if isinstance(error, AwsError) else "WrongAccount") from error


def reopen(request: Request, cause: str, differences: list[Difference], tools: Tools, *, anew: bool = False) -> None:
    """Returns an approved request to review; nobody's approval stands. `anew` makes a new revision from the same facts
    over a fresh look.

    Raises AwsError from that look, and WrongState.
    """
    now = tools.now()
    revision = Revision.objects.get(request=request, number=request.revision_number)
    seen = observe.see(request, revision, tools, number=revision.number + 1) if anew else None
    fields: dict[str, object] = {"approved_at": None, "next_try_at": None}
    with transaction.atomic():
        void_decisions(request, cause=cause, actor=tools.actor, at=now)
        recall_runs(request, cause=cause, actor=tools.actor, at=now)
        if seen is not None:
            fields |= _next_revision(request, revision, seen, cause, tools)
        data: dict[str, object] = {
            "revision": revision.number,
            "cause": cause,
            "differences": [found.part for found in differences],
        }
        move_request(request, "reopen", event="request.reopened", actor=tools.actor, at=now, data=data, fields=fields)


def _next_revision(
    request: Request, before: Revision, seen: observe.Seen, cause: str, tools: Tools
) -> dict[str, object]:
    revision = Revision.objects.create(
        request=request,
        number=before.number + 1,
        facts=before.facts,
        desired_digest=before.desired_digest,
        reason=before.reason,
        cause=cause[:40],
        created_by=before.created_by,
        created_at=seen.at,
    )
    observe.store_proposal(revision, seen)
    previous = Proposal.objects.get(revision=before)
    for event, data in (
        ("revision.created", {"revision": revision.number, "cause": cause, "previous_digest": previous.digest}),
        ("revision.proposed", observe.proposed_data(seen, revision.number)),
    ):
        audit.record(
            event,
            actor=tools.actor,
            subject=subject_of(request),
            at=seen.at,
            request=request.reference,
            revision=revision.number,
            data=data,
        )
    return {"revision_number": revision.number, "risk": seen.made.risk, "title": seen.made.title}
