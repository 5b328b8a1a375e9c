"""Holding AWS against a request's target by a worker's look, and settling a stopped request with four eyes.

Both statements, the proposal and its confirmation, count only over a fresh look that found AWS equal to the target.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from iamroles import audit, doorbell, permissions
from iamroles.audit import Actor
from iamroles.models import ObservationOrder, Request, Resolution, User
from iamroles.rules import states
from iamroles.transitions import WrongState, move_request, subject_of
from iamroles.workflow.repair import stopped_run
from iamroles.workflow.verbs import Invalid, lock, require, require_fresh_sign_in, require_reason, verb

FRESH: Final = timedelta(minutes=10)  # how long a look counts
SETTLED_BY: Final = ("blocked", "quarantined", "conflict")  # a run that stopped as invalid is never resolved
_CHECKED: Final = ("applied", "resolved", "already_right", "handed_over")


@verb("check_against_aws")
def check_against_aws(*, request_id: int, user: User, actor: Actor, at: datetime) -> ObservationOrder:
    """Orders a look at the resources of a request's plan; one that waits already is returned. Nothing is changed.

    Raises NotAllowed or WrongState (there is no plan to hold AWS against, or it was given up).
    """
    request = lock(request_id)
    require(permissions.may_check_against_aws(user))
    if request.state == states.CLOSED and request.stopped_follow_up() is not None:
        return _order(request, user, actor, at)
    if (request.state != states.APPROVED and request.outcome not in _CHECKED) or request.current_proposal() is None:
        raise WrongState(request.reference, "be held against AWS", request.outcome or request.state)
    return _order(request, user, actor, at)


def _order(request: Request, user: User, actor: Actor, at: datetime) -> ObservationOrder:
    waiting = request.looks.filter(answered_at=None).first()
    if waiting is not None:
        return waiting
    if request.account is None:
        raise ValueError(f"{request.reference} names no AWS account.")
    order = ObservationOrder.objects.create(
        account=request.account,
        ordered_by=user,
        request=request,
        role_name=request.role_name,
        at=at,
        next_try_at=at,
    )
    audit.record(
        "check.ordered",
        actor=actor,
        subject=subject_of(request),
        at=at,
        request=request.reference,
        data={"account": request.account.number, "role_name": request.role_name},
    )
    doorbell.ring(doorbell.ANSWER, order_id=order.pk)
    return order


@verb("propose_resolution")
def propose_resolution(
    *, request_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime
) -> Resolution:
    """States that a stopped request is settled because AWS reads as approved. Another operator has to confirm it.

    Raises NotAllowed, WrongState, Invalid (no reason, or no fresh look that found AWS equal) or SignInTooOld.
    """
    request = lock(request_id)
    require(permissions.may_propose_resolution(user, request))
    run = stopped_run(request, "be marked resolved", SETTLED_BY)
    if Resolution.objects.filter(run=run).exists():
        raise WrongState(request.reference, "be proposed as resolved", "waiting for a second operator")
    claim = require_reason(reason)
    look = _equal_look(request, at)
    require_fresh_sign_in(signed_in_at, at, settings.ROLEDESK_OPERATE_WITHIN_MINUTES, "do this")
    row = Resolution.objects.create(run=run, claim=claim, proposed_by=user, proposed_at=at)
    audit.record(
        "resolution.proposed",
        actor=actor,
        subject=subject_of(request),
        at=at,
        request=request.reference,
        revision=request.revision_number,
        reason=claim,
        data={"claim": claim, "live_digest": look.result["live_digest"], "proposed_by": str(user.pk)},
    )
    return row


@verb("confirm_resolution")
def confirm_resolution(
    *, request_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime
) -> Request:
    """Closes the request as resolved, and orders the look from which the inventory learns what is managed now.

    Raises as `propose_resolution` does.
    """
    request = lock(request_id)
    require(permissions.may_operate(user))
    run = stopped_run(request, "be marked resolved", SETTLED_BY)
    row = Resolution.objects.filter(run=run).first()
    if row is None:
        raise WrongState(request.reference, "be confirmed as resolved", "not proposed as resolved")
    require(permissions.may_confirm_resolution(user, request, row.proposed_by_id))
    why = require_reason(reason)
    look = _equal_look(request, at)
    require_fresh_sign_in(signed_in_at, at, settings.ROLEDESK_OPERATE_WITHIN_MINUTES, "do this")
    row.confirmed_by, row.confirmed_at = user, at
    row.save(update_fields=["confirmed_by", "confirmed_at"])
    move_request(
        request,
        "resolve",
        event="resolution.confirmed",
        actor=actor,
        at=at,
        reason=why,
        data={
            "claim": row.claim,
            "live_digest": look.result["live_digest"],
            "proposed_by": str(row.proposed_by_id),
        },
        fields={"outcome": "resolved", "next_try_at": None},
    )
    _order(request, user, actor, at)
    return request


def _equal_look(request: Request, at: datetime) -> ObservationOrder:
    """Returns the newest look, if it is fresh, of this very proposal, and found AWS equal. Raises Invalid."""
    look = request.looks.filter(answered_at__isnull=False).order_by("-answered_at").first()
    proposal = request.current_proposal()
    fresh = look is not None and look.answered_at is not None and at - look.answered_at <= FRESH
    if look is None or not fresh or proposal is None or look.result.get("proposal_digest") != proposal.digest:
        raise Invalid("AWS was not looked at within the last ten minutes. Look first.", "reason", "no_fresh_look")
    if look.result.get("state") != "equal":
        raise Invalid("AWS does not read as approved, so this is not resolved.", "reason", "not_equal")
    return look
