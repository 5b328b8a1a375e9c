"""Closing what nobody decided or applied in time. A request whose first AWS call was intended never expires."""

from __future__ import annotations

from datetime import datetime

import structlog

from iamroles.audit import Actor
from iamroles.models import Request, Run
from iamroles.rules import states
from iamroles.transitions import WrongState, move_request

_log = structlog.get_logger(__name__)


def expire_due(*, actor: Actor, at: datetime) -> int:
    """Closes requests in review or approved whose proposal is past its time. Returns how many."""
    rows = Request.objects.filter(
        state__in=(states.IN_REVIEW, states.APPROVED), revisions__proposal__expires_at__lte=at
    )
    closed = 0
    for request in rows.distinct():
        proposal = request.current_proposal()
        if proposal is None or proposal.expires_at > at or _has_run(request):
            continue
        data: dict[str, object] = {"revision": request.revision_number, "from_state": request.state}
        fields = {"outcome": "expired", "next_try_at": None}
        try:
            move_request(request, "expire", event="request.expired", actor=actor, at=at, data=data, fields=fields)
        except WrongState as error:
            _log.info("expiry_overtaken", request=request.reference, reason=str(error))
            continue
        closed += 1
    return closed


def _has_run(request: Request) -> bool:
    runs = Run.objects.filter(request=request, proposal__revision__number=request.revision_number)
    return runs.exists()
