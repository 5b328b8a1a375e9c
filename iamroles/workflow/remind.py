"""Reminding those who can decide of one's own request, at most every four hours."""

from __future__ import annotations

from datetime import datetime

from iamroles import audit, notices, permissions
from iamroles.audit import Actor
from iamroles.models import User
from iamroles.rules import states
from iamroles.transitions import WrongState, subject_of
from iamroles.workflow.verbs import Invalid, lock, require, verb


@verb("remind")
def remind(*, request_id: int, user: User, actor: Actor, at: datetime) -> int:
    """Tells again who can decide and has not. Returns how many people. Raises NotAllowed, WrongState, or Invalid when
    they were told less than four hours ago.
    """
    request = lock(request_id)
    require(permissions.may_edit(user, request))
    if request.state != states.IN_REVIEW:
        raise WrongState(request.reference, "remind", request.state)
    allowed_at = notices.next_reminder(request)
    if allowed_at is not None and at < allowed_at:
        raise Invalid(f"They were told already. You can remind them from {allowed_at:%H:%M} UTC.", "", "too_early")
    told = notices.tell(request, "request.reminded", actor_id=actor.id or "", at=at) - 1  # one is the webhook's
    audit.record(
        "request.reminded",
        actor=actor,
        subject=subject_of(request),
        at=at,
        request=request.reference,
        revision=request.revision_number,
        data={"revision": request.revision_number, "told": told},
    )
    return told
