"""Closing what nobody decided or applied in time. A request whose first AWS call was intended never expires."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from iamroles.audit import Actor
from iamroles.models import Request
from iamroles.rules import states
from iamroles.transitions import WrongState, move_request, recall_runs

_log = structlog.get_logger(__name__)


def expire_due(*, actor: Actor, at: datetime) -> int:
    """Closes requests that were proposed, are not applied, and whose proposal is past its time. Returns how many."""
    rows = Request.objects.filter(
        state__in=(states.IN_REVIEW, states.CHANGES_REQUESTED, states.APPROVED), revisions__proposal__expires_at__lte=at
    )
    return sum(_expire(pk, actor, at) for pk in rows.distinct().values_list("pk", flat=True))


def _expire(request_id: int, actor: Actor, at: datetime) -> bool:
    try:
        with transaction.atomic():
            request = Request.objects.select_for_update().get(pk=request_id)
            proposal = request.current_proposal()
            if proposal is None or proposal.expires_at > at or request.begun():
                return False
            data: dict[str, object] = {"revision": request.revision_number, "from_state": request.state}
            fields = {"outcome": "expired", "next_try_at": None}
            move_request(request, "expire", event="request.expired", actor=actor, at=at, data=data, fields=fields)
            recall_runs(request, cause="expired", actor=actor, at=at)
    except WrongState as error:
        _log.info("expiry_overtaken", request_id=request_id, reason=str(error))
        return False
    return True
