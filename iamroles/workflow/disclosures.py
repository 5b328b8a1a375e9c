"""Erasing what an event kept in clear beside the trail: the name that somebody typed at a refused sign-in."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from iamroles import audit, permissions
from iamroles.audit import Actor
from iamroles.models import User
from iamroles.transitions import WrongState
from iamroles.workflow.verbs import require, require_fresh_sign_in, require_reason, verb


@verb("erase_disclosure")
def erase(*, event_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime) -> None:
    """Deletes the clear values of an event; the event, its digest and every proof stay.

    Raises NotAllowed, Invalid (no reason), SignInTooOld, or WrongState when none is kept.
    """
    require(permissions.may_operate(user))
    why = require_reason(reason)
    require_fresh_sign_in(signed_in_at, at, settings.ROLEDESK_OPERATE_WITHIN_MINUTES, "erase")
    event = audit.get(event_id)
    try:
        audit.erase(event, actor=actor, at=at, reason=why)
    except audit.NothingDisclosed as error:
        raise WrongState(event.reference, "have a clear value erased", "without one") from error
