"""Withdrawing one's own request, until the first AWS call of its plan was intended."""

from __future__ import annotations

from datetime import datetime

from iamroles import permissions
from iamroles.audit import Actor
from iamroles.models import Request, User
from iamroles.transitions import WrongState, move_request, recall_runs, void_decisions
from iamroles.workflow.verbs import lock, require, verb


@verb("withdraw")
def withdraw(*, request_id: int, user: User, reason: str, actor: Actor, at: datetime) -> Request:
    """Closes the requester's own request as withdrawn. Raises NotAllowed or WrongState."""
    request = lock(request_id)
    require(permissions.may_withdraw(user, request))
    if request.begun():
        raise WrongState(request.reference, "withdraw", "applying")
    before = request.state
    void_decisions(request, cause="withdrawn", actor=actor, at=at)
    recall_runs(request, cause="withdrawn", actor=actor, at=at)
    return move_request(
        request,
        "withdraw",
        event="request.withdrawn",
        actor=actor,
        at=at,
        reason=reason.strip() or None,
        data={"revision": request.revision_number, "from_state": before},
        fields={"outcome": "withdrawn"},
    )
