"""The state check of requests: state, requester, team, facts, approvals and proposals must be what their events say.

It finds a row that was changed around the verbs, by SQL for example. It cannot say who did it. It changes no row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from iamroles.models import AuditEvent, Decision, Proposal, Request, Revision
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
    "request.auto_approved": (states.APPROVED, ""),
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


def last_events(using: str, actions: Iterable[str], column: str) -> dict[str, tuple[str, str]]:
    """Returns for each value of `column` the last of these events, as its action and reference."""
    rows = AuditEvent.objects.using(using).filter(action__in=list(actions)).order_by("pk")
    return {
        value: (action, f"EVT-{pk:07d}")
        for value, action, pk in rows.values_list(column, "action", "pk").iterator(chunk_size=2_000)
    }


def wrong_requests(using: str) -> Iterator[str]:
    """Yields a sentence for each request whose state or requester is not what its events say."""
    last = last_events(using, _REQUEST_AFTER, "request")
    created = AuditEvent.objects.using(using).filter(action="request.created", actor_type="user")
    began = dict(created.values_list("request", "actor_id").iterator(chunk_size=2_000))
    rows = Request.objects.using(using).order_by("pk").values_list("pk", "state", "outcome", "requester_id")
    for pk, state, outcome, requester in rows.iterator(chunk_size=2_000):
        reference = f"REQ-{pk:06d}"
        if reference not in last:
            yield f"{reference} exists, but no event tells of it"
            continue
        action, event = last[reference]
        if (state, outcome) != _REQUEST_AFTER[action]:
            said = " ".join(_REQUEST_AFTER[action]).strip()
            yield f"{reference} is {f'{state} {outcome}'.strip()}, but {event} ({action}) left it {said}"
        if began.get(reference, str(requester)) != str(requester):
            yield f"{reference} has another requester than the person who began it"


def wrong_revisions(using: str) -> Iterator[str]:
    """Yields a sentence for each revision whose facts are not those sent, or of another team, role or account."""
    events = AuditEvent.objects.using(using).filter(action="request.submitted").order_by("pk")
    sent = {
        (request, revision): json.loads(canon)["data"]["facts_digest"]
        for request, revision, canon in events.values_list("request", "revision", "canon").iterator(chunk_size=500)
    }
    rows = Revision.objects.using(using).select_related("request__team", "request__account").order_by("pk")
    for row in rows.iterator(chunk_size=500):
        place = f"REQ-{row.request_id:06d} (revision {row.number})"
        recorded = sent.get((f"REQ-{row.request_id:06d}", row.number))
        if recorded and hashlib.sha256(row.facts.encode()).hexdigest() != recorded:
            yield f"the facts of {place} are not those that were sent"
        elif row.number == row.request.revision_number:
            yield from _moved(place, row)


def _moved(place: str, row: Revision) -> Iterator[str]:
    said: dict[str, Any] = json.loads(row.facts)
    team, account = row.request.team, row.request.account
    if team is not None and said.get("team", team.slug) != team.slug:
        yield f"{place} was sent for the team {said['team']}, but belongs to {team.slug} now"
    number = (said.get("account") or {}).get("number")
    if said.get("role_name", row.request.role_name) != row.request.role_name:
        yield f"{place} was sent for the role {said['role_name']}, but is about {row.request.role_name} now"
    if account is not None and number not in (None, account.number):
        yield f"{place} was sent for AWS account {number}, but belongs to {account.number} now"


def wrong_approvals(using: str) -> Iterator[str]:
    """Yields a sentence for each approval that nobody gave to this digest, or that stands unlike its events."""
    events = AuditEvent.objects.using(using).filter(action="approval.given")
    given = {
        (request, revision, actor, json.loads(canon)["data"]["proposal_digest"])
        for request, revision, actor, canon in events.values_list("request", "revision", "actor_id", "canon").iterator(
            chunk_size=500
        )
    }
    ends = AuditEvent.objects.using(using).filter(action__in=("approval.taken_back", "approval.voided"))
    ended = {json.loads(canon)["data"]["approval"] for canon in ends.values_list("canon", flat=True).iterator()}
    rows = Decision.objects.using(using).filter(decision="approve").order_by("pk")
    columns = ("pk", "request_id", "revision__number", "approver_id", "ended_by", "proposal_digest")
    for pk, request_id, revision, approver, ended_by, digest in rows.values_list(*columns).iterator(chunk_size=500):
        if (str(pk) in ended) != bool(ended_by):
            said = "ended" if str(pk) in ended else "standing"
            now = ended_by or "standing"
            yield f"the approval {pk} of REQ-{request_id:06d} is {now}, but its events left it {said}"
        if (f"REQ-{request_id:06d}", revision, str(approver), digest) not in given:
            yield f"the approval {pk} of REQ-{request_id:06d} (revision {revision}) exists, but no event tells of it"


def wrong_proposals(using: str) -> Iterator[str]:
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
