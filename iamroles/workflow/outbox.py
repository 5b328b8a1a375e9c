"""Sending those notices again that were given up, once whatever kept them back is mended."""

from __future__ import annotations

from datetime import datetime

from iamroles import audit, permissions
from iamroles.audit import Actor, Subject
from iamroles.models import Notice, User
from iamroles.transitions import WrongState
from iamroles.workflow.verbs import require, verb


@verb("send_notices_again")
def send_again(*, user: User, actor: Actor, at: datetime) -> int:
    """Makes every notice due that was given up; `tend` sends what is still true. Returns how many.

    Raises NotAllowed for anybody who is no operator, WrongState where none was given up.
    """
    require(permissions.may_operate(user))
    count = Notice.given_up().update(next_try_at=at, tries=0)
    if not count:
        raise WrongState("No notice", "be sent again", "given up")
    audit.record(
        "notices.ordered_again",
        actor=actor,
        subject=Subject("portal", "notices", "notices"),
        at=at,
        data={"count": count},
    )
    return count
