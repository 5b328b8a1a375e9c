"""Ordering another look at AWS for what waits in review by one that is too old to approve by. A worker looks."""

from __future__ import annotations

from datetime import datetime

from iamroles import audit, doorbell, eligibility, permissions
from iamroles.audit import Actor
from iamroles.models import Request, User
from iamroles.rules import states
from iamroles.transitions import WrongState, subject_of
from iamroles.workflow.verbs import Invalid, NotAllowed, lock, require, verb


@verb("order_fresh_look")
def order_look(*, request_id: int, user: User, actor: Actor, at: datetime) -> Request:
    """Orders the look for the requester or somebody who may decide. Reads AWS the same, the approvals stand; else a new
    revision of the same answers is proposed. Raises NotAllowed, WrongState, or Invalid while the last look holds.
    """
    request = lock(request_id)
    proposal = request.current_proposal()
    if proposal is not None and not proposal.intact:
        raise NotAllowed("The stored proposal is not the one that was made. Tell an operator.", "proposal_changed")
    own = permissions.may_edit(user, request)
    require(own if own.allowed or proposal is None else eligibility.may_decide(user, proposal))
    if request.state != states.IN_REVIEW or proposal is None or request.next_try_at is not None:
        state = "being looked at" if request.next_try_at is not None else request.state
        raise WrongState(request.reference, "be looked at again", state)
    if not eligibility.look_too_old(proposal, at):
        raise Invalid("AWS was looked at not long ago. It can be approved by that.", "", "too_early")
    request.next_try_at, request.tries, request.last_code, request.updated_at = at, 0, "", at
    request.save(update_fields=["next_try_at", "tries", "last_code", "updated_at"])
    audit.record(
        "observation.ordered",
        actor=actor,
        subject=subject_of(request),
        at=at,
        request=request.reference,
        revision=request.revision_number,
        data={"revision": request.revision_number, "observed_at": proposal.observed_at.isoformat()},
    )
    doorbell.ring(doorbell.OBSERVE, request_id=request.pk)
    return request
