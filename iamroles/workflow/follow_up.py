"""Operators' verbs on a follow-up that stopped: try it again, or end it once a look shows that nothing is left to do.

Nothing here is taken away in AWS: a worker does that, and proves first that it is what was approved.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.conf import settings

from iamroles import audit, doorbell, permissions
from iamroles.audit import Actor, Subject
from iamroles.models import Request, Run, User
from iamroles.rules import states
from iamroles.transitions import WrongState
from iamroles.workflow.resolve import FRESH
from iamroles.workflow.verbs import Invalid, lock, require, require_fresh_sign_in, require_reason, verb

RETRIED: Final = "retried"
SETTLED: Final = "settled"


@verb("retry_follow_up")
def retry_follow_up(
    *, request_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime
) -> Request:
    """Makes the follow-up of a closed request due again: a worker proves and does it in another run.

    Raises NotAllowed, WrongState (no follow-up has stopped), Invalid (no reason) or SignInTooOld.
    """
    request = lock(request_id)
    require(permissions.may_see_to_follow_up(user))
    run = _stopped(request, "be followed up again")
    why = _reason(reason, signed_in_at, at)
    put = _put_by(run)
    if put is None:
        raise WrongState(request.reference, "be followed up again", "without a run that put the deny")
    Run.objects.filter(pk=put.pk).update(follow_up_at=at)
    _close(request, run, RETRIED, "follow_up.retried", why, actor, at)
    doorbell.ring(doorbell.FOLLOW_UP, run_id=put.pk)
    return request


@verb("settle_follow_up")
def settle_follow_up(
    *, request_id: int, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime
) -> Request:
    """Ends a follow-up that stopped, over a fresh look that found the deny gone from the role.

    Raises NotAllowed, WrongState (no follow-up has stopped), Invalid (no reason, no such look) or SignInTooOld.
    """
    request = lock(request_id)
    require(permissions.may_see_to_follow_up(user))
    run = _stopped(request, "be ended")
    why = require_reason(reason)
    live_digest = _gone(request, run, at)
    require_fresh_sign_in(signed_in_at, at, settings.ROLEDESK_OPERATE_WITHIN_MINUTES, "do this")
    _close(request, run, SETTLED, "follow_up.settled", why, actor, at, live_digest=live_digest)
    return request


def _stopped(request: Request, verb_words: str) -> Run:
    run = request.stopped_follow_up() if request.state == states.CLOSED else None
    if run is None:
        raise WrongState(request.reference, verb_words, "without a stopped follow-up")
    return run


def _put_by(run: Run) -> Run | None:
    """The run that put the deny: the last one of the same proposal that was no follow-up."""
    earlier = Run.objects.filter(proposal=run.proposal, number__lt=run.number, detail__trust_changed_at__isnull=False)
    return earlier.filter(detail__follow_up__isnull=True, state__in=states.ENDED).order_by("-number").first()


def _gone(request: Request, run: Run, at: datetime) -> str:
    """Returns the digest of the role as the newest look read it. Raises Invalid unless it is fresh and found none."""
    look = request.looks.filter(answered_at__isnull=False).order_by("-answered_at").first()
    fresh = look is not None and look.answered_at is not None and at - look.answered_at <= FRESH
    if look is None or not fresh or look.result.get("run") != run.number:
        raise Invalid("AWS was not looked at within the last ten minutes. Look first.", "reason", "no_fresh_look")
    if look.result.get("state") != "gone":
        raise Invalid("The deny is still on the role. It can be ended once it is gone.", "reason", "not_gone")
    return str(look.result["live_digest"])


def _reason(reason: str, signed_in_at: datetime, at: datetime) -> str:
    why = require_reason(reason)
    require_fresh_sign_in(signed_in_at, at, settings.ROLEDESK_OPERATE_WITHIN_MINUTES, "do this")
    return why


def _close(
    request: Request, run: Run, word: str, event: str, reason: str, actor: Actor, at: datetime, **more: object
) -> None:
    run.detail = {**run.detail, "follow_up": word}
    run.save(update_fields=("detail",))
    audit.record(
        event,
        actor=actor,
        subject=Subject("run", f"{request.reference} run {run.number}", request.title),
        at=at,
        request=request.reference,
        reason=reason,
        data={"run": f"{request.reference}-r{run.number}", **more},
    )
