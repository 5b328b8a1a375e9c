"""The approver's verbs: decide, take back, comment. A decision is bound to the digest that was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from iamroles import audit, canonical, doorbell, eligibility, permissions, signing
from iamroles.audit import Actor
from iamroles.models import Decision, Proposal, Request, User, current_rules
from iamroles.rules import approval, states
from iamroles.transitions import WrongState, move_request, recall_runs, subject_of
from iamroles.workflow.verbs import (
    Invalid,
    LookTooOld,
    NotAllowed,
    StaleDigest,
    lock,
    require,
    require_fresh_sign_in,
    verb,
)

APPROVE, CHANGES, REJECT = "approve", "changes", "reject"


def to_acknowledge(proposal: Proposal) -> list[dict[str, Any]]:
    """Returns the findings that must be ticked before approving: the high ones that the standard does not give."""
    return [f for f in proposal.findings if f["severity"] == "high" and not f["standard"]]


def ticks_of(proposal: Proposal) -> dict[tuple[str, str], str]:
    """Returns what the tick of each finding that must be acknowledged says, by its id and message.

    That is its id; where several of one id must be ticked, each has eight digits of its message's SHA-256 behind it, so
    that the page's tick of one is not the tick of another. The id alone acknowledges all of them.
    """
    wanted = dict.fromkeys((f["id"], f["message"]) for f in to_acknowledge(proposal))
    shared = Counter(finding_id for finding_id, _ in wanted)
    return {
        (finding_id, message): f"{finding_id}.{canonical.digest(message)[:8]}" if shared[finding_id] > 1 else finding_id
        for finding_id, message in wanted
    }


@verb("decide")
def decide(
    *,
    request_id: int,
    user: User,
    decision: str,
    seen_digest: str,
    reason: str,
    signed_in_at: datetime,
    actor: Actor,
    at: datetime,
    acknowledged: Sequence[str] = (),
    viewed: Sequence[str] = (),
) -> Request:
    """Records one decision on exactly the content that was seen, and moves the request when that settles it.

    Raises NotAllowed, StaleDigest, Invalid, SignInTooOld or WrongState; then nothing is stored but the refusal's event.
    """
    request = lock(request_id)
    user = User.objects.get(pk=user.pk)  # whose groups are those of now, not of when the page was loaded
    require(permissions.may_see(user, request))
    proposal = request.current_proposal()
    if proposal is not None and not proposal.intact:
        raise NotAllowed("The stored proposal is not the one that was made. Tell an operator.", "proposal_changed")
    if request.state != states.IN_REVIEW or proposal is None:
        if proposal is not None and seen_digest and seen_digest != proposal.digest:
            raise StaleDigest(
                "This request changed after you opened it. Your decision was not recorded. See what changed."
            )
        raise WrongState(request.reference, decision, request.state)
    bars = eligibility.bars_for([proposal.revision])[proposal.revision_id]
    require(eligibility.may_decide(user, proposal, bars))
    if seen_digest != proposal.digest:
        raise StaleDigest("This request changed after you opened it. Your decision was not recorded. See what changed.")
    if decision == APPROVE:
        _require_standing(request, proposal, at)
    _check_form(decision, reason, acknowledged, proposal)
    _check_sign_in(signed_in_at, at, proposal.rated)
    if Decision.objects.filter(revision=proposal.revision, approver=user, ended_by="").exists():
        raise WrongState(request.reference, "decide twice", "decided by you")
    counted = eligibility.groups_since(user, bars.since) & set(eligibility.deciding_groups(proposal))
    row = _store(user, decision, reason, acknowledged, viewed, signed_in_at, at, request, proposal, counted)
    if decision == APPROVE:
        return _count(row, request, proposal, actor, at)
    event = {CHANGES: "changes.requested", REJECT: "request.rejected"}[decision]
    return move_request(
        request,
        {CHANGES: "ask_for_changes", REJECT: "reject"}[decision],
        event=event,
        actor=actor,
        at=at,
        reason=reason,
        data={"revision": proposal.revision.number, "proposal_digest": proposal.digest},
        fields={"outcome": "rejected"} if decision == REJECT else {},
    )


_OUTDATED = {
    "rule_changed": "The approval rules changed",
    "owner_changed": "The AWS account has another owner",
    "account_changed": "The AWS account's record changed",
    "standard_changed": "The AWS account's standard changed",
    "guardrail_changed": "The AWS account's guardrails changed",
}


def _require_standing(request: Request, proposal: Proposal, at: datetime) -> None:
    """Raises StaleDigest when the rules or the AWS account's record are not those that were proposed for, LookTooOld
    when AWS was looked at too long ago.
    """
    outdated = eligibility.outdated(request, proposal, current_rules())
    if outdated:
        what = f"{_OUTDATED[outdated]} since {request.reference} was proposed. A worker proposes it anew; review that."
        raise StaleDigest(what, outdated)
    if eligibility.look_too_old(proposal, at):
        when = f"{proposal.observed_at.astimezone(UTC):%d %b, %H:%M} UTC"
        raise LookTooOld(f"AWS was read on {when}, too long ago to approve by. Look again first.")


def _check_form(decision: str, reason: str, acknowledged: Sequence[str], proposal: Proposal) -> None:
    if decision not in (APPROVE, CHANGES, REJECT):
        raise Invalid("Choose approve, ask for changes or reject.", "decision")
    if decision != APPROVE and not reason.strip():
        what = "should change" if decision == CHANGES else "speaks against it"
        raise Invalid(f"Say what {what}, so that the requester can act on it.", "reason")
    if decision == APPROVE and proposal.rated == "forbidden":
        raise NotAllowed("This request has a forbidden part and cannot be approved.", "forbidden")
    ticks = ticks_of(proposal).items()
    missing = [message for (finding, message), tick in ticks if not {finding, tick} & set(acknowledged)]
    if decision == APPROVE and missing:
        raise Invalid(f"Tick that you have seen: {missing[0]}", "acknowledged")


def _check_sign_in(signed_in_at: datetime, at: datetime, risk: str) -> None:
    minutes = settings.ROLEDESK_DECIDE_WITHIN_MINUTES.get(risk, 5)
    require_fresh_sign_in(signed_in_at, at, minutes, "decide")


def _store(
    user: User,
    decision: str,
    reason: str,
    acknowledged: Sequence[str],
    viewed: Sequence[str],
    signed_in_at: datetime,
    at: datetime,
    request: Request,
    proposal: Proposal,
    counted: frozenset[str],
) -> Decision:
    row = Decision(
        request=request,
        revision=proposal.revision,
        proposal_digest=proposal.digest,
        approver=user,
        decision=decision,
        reason=reason.strip(),
        acknowledged=sorted(set(acknowledged)),
        viewed=sorted(set(viewed)),
        groups=sorted(counted),
        at=at,
        signed_in_at=signed_in_at,
    )
    if decision == APPROVE:
        payload = signing.approval_payload(row)
        row.key_id, row.signature = signing.sign(payload)
    row.save()
    return row


def _count(
    row: Decision,
    request: Request,
    proposal: Proposal,
    actor: Actor,
    at: datetime,
) -> Request:
    requirements = eligibility.requirements_of(proposal)
    found = approval.quorum(requirements, eligibility.counting_approvals(proposal.revision))
    audit.record(
        "approval.given",
        actor=actor,
        subject=subject_of(request),
        at=at,
        request=request.reference,
        revision=proposal.revision.number,
        reason=row.reason or None,
        data={
            "revision": proposal.revision.number,
            "proposal_digest": proposal.digest,
            "seen_digest": row.proposal_digest,
            "groups": row.groups,
            "given": found.given,
            "needed": found.needed,
            "viewed": row.viewed,
        },
    )
    if not found.met:
        return request
    approvals = Decision.objects.filter(revision=proposal.revision, decision=APPROVE, ended_by="")
    move_request(
        request,
        "approve",
        event="request.approved",
        actor=actor,
        at=at,
        data={
            "revision": proposal.revision.number,
            "proposal_digest": proposal.digest,
            "approvals": [str(pk) for pk in approvals.order_by("pk").values_list("pk", flat=True)],
        },
        fields={"approved_at": at, "next_try_at": at, "tries": 0},
    )
    doorbell.ring(doorbell.APPLY, request_id=request.pk)
    return request


@verb("take_back")
def take_back(*, request_id: int, user: User, actor: Actor, at: datetime) -> Request:
    """Takes one's own approval back before the first AWS call; an approved request returns to review."""
    request = lock(request_id)
    row = Decision.objects.select_related("revision").filter(
        request=request, approver=user, decision=APPROVE, ended_by="", revision__number=request.revision_number
    )
    standing = row.first()
    if standing is None:
        raise NotAllowed("You have no standing approval of this request.", "no_approval")
    if request.state not in (states.IN_REVIEW, states.APPROVED) or request.begun():
        raise WrongState(request.reference, "take back", "applying" if request.begun() else request.state)
    Decision.objects.filter(pk=standing.pk).update(ended_at=at, ended_by="taken_back")
    recall_runs(request, cause="taken_back", actor=actor, at=at)
    data = {
        "revision": standing.revision.number,
        "proposal_digest": standing.proposal_digest,
        "approval": str(standing.pk),
        "cause": "taken_back",
    }
    fields = {"approved_at": None, "next_try_at": None}
    return move_request(request, "take_back", event="approval.taken_back", actor=actor, at=at, data=data, fields=fields)


@verb("comment")
def comment(*, request_id: int, user: User, text: str, actor: Actor, at: datetime) -> Request:
    """Adds a comment to the timeline of a sent request. Its text is the event's reason."""
    request = lock(request_id)
    require(permissions.may_see(user, request))
    if request.state == states.DRAFT:
        raise WrongState(request.reference, "comment", request.state)
    if not text.strip() or len(text) > 2000:
        raise Invalid("Write a comment of at most 2,000 characters.", "reason")
    audit.record(
        "request.commented",
        actor=actor,
        subject=subject_of(request),
        at=at,
        request=request.reference,
        revision=request.revision_number,
        reason=text.strip(),
        data={"revision": request.revision_number, "comment_digest": canonical.digest(text.strip())},
    )
    return request
