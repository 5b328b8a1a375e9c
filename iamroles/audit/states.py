"""The state check: requests, runs, approvals and proposals must be what their events say. Reads rows, changes none.

It finds a state that was changed around `transitions`, by SQL for example. It cannot say who did it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from iamroles.models import AuditEvent, Decision, Proposal, Request, Run
from iamroles.rules import states

# The state and outcome that a request has after an event. Events that are not here change no state.
_REQUEST_AFTER: Final[dict[str, tuple[str, str]]] = {
    "request.created": (states.DRAFT, ""),
    "request.submitted": (states.SUBMITTED, ""),
    "plan.renewed": (states.SUBMITTED, ""),
    "revision.proposed": (states.IN_REVIEW, ""),
    "approval.taken_back": (states.IN_REVIEW, ""),
    "request.reopened": (states.IN_REVIEW, ""),
    "changes.requested": (states.CHANGES_REQUESTED, ""),
    "request.approved": (states.APPROVED, ""),
    "request.found_right": (states.CLOSED, "already_right"),
    "request.applied": (states.CLOSED, "applied"),
    "request.handed_over": (states.CLOSED, "handed_over"),
    "request.rejected": (states.CLOSED, "rejected"),
    "request.withdrawn": (states.CLOSED, "withdrawn"),
    "request.expired": (states.CLOSED, "expired"),
    "request.abandoned": (states.CLOSED, "abandoned"),
    "request.superseded": (states.CLOSED, "superseded"),
    "resolution.confirmed": (states.CLOSED, "resolved"),
}
_RUN_AFTER: Final[dict[str, str]] = {
    "run.started": states.GOING,
    "run.resumed": states.GOING,
    "run.taken_over": states.GOING,
    "run.waiting": states.WAITING,
    "run.stopped": states.STOPPED,
    "run.verified": states.DONE,
}


def wrong_states(using: str = "default") -> list[str]:
    """Returns a sentence for each request, run, approval or proposal that its events do not explain, in order."""
    return [*_wrong_requests(using), *_wrong_runs(using), *_wrong_approvals(using), *_wrong_proposals(using)]


def _last_events(using: str, actions: Iterable[str], column: str) -> dict[str, tuple[str, str]]:
    """Returns for each value of `column` the last of these events, as its action and reference."""
    rows = AuditEvent.objects.using(using).filter(action__in=list(actions)).order_by("pk")
    return {
        value: (action, f"EVT-{pk:07d}")
        for value, action, pk in rows.values_list(column, "action", "pk").iterator(chunk_size=2_000)
    }


def _wrong_requests(using: str) -> Iterator[str]:
    last = _last_events(using, _REQUEST_AFTER, "request")
    for pk, state, outcome in Request.objects.using(using).order_by("pk").values_list("pk", "state", "outcome"):
        reference = f"REQ-{pk:06d}"
        if reference not in last:
            yield f"{reference} exists, but no event tells of it"
            continue
        action, event = last[reference]
        if (state, outcome) != _REQUEST_AFTER[action]:
            said = " ".join(_REQUEST_AFTER[action]).strip()
            yield f"{reference} is {f'{state} {outcome}'.strip()}, but {event} ({action}) left it {said}"


def _wrong_runs(using: str) -> Iterator[str]:
    last = _last_events(using, _RUN_AFTER, "object_id")
    for request_id, number, state in (
        Run.objects.using(using).order_by("pk").values_list("request_id", "number", "state")
    ):
        reference = f"REQ-{request_id:06d} run {number}"
        if reference not in last:
            yield f"{reference} exists, but no event tells of it"
            continue
        action, event = last[reference]
        if state != _RUN_AFTER[action]:
            yield f"{reference} is {state}, but {event} ({action}) left it {_RUN_AFTER[action]}"


def _wrong_approvals(using: str) -> Iterator[str]:
    given = set(
        AuditEvent.objects.using(using)
        .filter(action="approval.given")
        .values_list("request", "revision", "actor_id")
        .iterator(chunk_size=2_000)
    )
    ends = AuditEvent.objects.using(using).filter(action__in=("approval.taken_back", "approval.voided"))
    ended = {json.loads(canon)["data"]["approval"] for canon in ends.values_list("canon", flat=True).iterator()}
    rows = Decision.objects.using(using).filter(decision="approve").order_by("pk")
    for pk, request_id, revision, approver, ended_by in rows.values_list(
        "pk", "request_id", "revision__number", "approver_id", "ended_by"
    ):
        if (str(pk) in ended) != bool(ended_by):
            said = "ended" if str(pk) in ended else "standing"
            now = ended_by or "standing"
            yield f"the approval {pk} of REQ-{request_id:06d} is {now}, but its events left it {said}"
        if (f"REQ-{request_id:06d}", revision, str(approver)) not in given:
            yield f"the approval {pk} of REQ-{request_id:06d} (revision {revision}) exists, but no event tells of it"


def _wrong_proposals(using: str) -> Iterator[str]:
    """The text that is shown, signed and applied must be the one whose digest was recorded when it was made.

    What was found right needs no approval: its event names no digest, and its text must only be whole.
    """
    actions = ("revision.proposed", "request.found_right")
    events = AuditEvent.objects.using(using).filter(action__in=actions).order_by("pk")
    made = {
        (request, revision): json.loads(canon)["data"].get("proposal_digest")
        for request, revision, canon in events.values_list("request", "revision", "canon").iterator(chunk_size=500)
    }
    rows = Proposal.objects.using(using).select_related("revision").order_by("pk")
    for row in rows.iterator(chunk_size=200):
        reference = f"REQ-{row.revision.request_id:06d}"
        recorded = made.get((reference, row.revision.number), "")
        if not row.intact or recorded not in (row.digest, None):
            yield f"the proposal of {reference} (revision {row.revision.number}) is not the one that was made"
