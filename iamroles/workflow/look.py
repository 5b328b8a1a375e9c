"""Ordering a look at a whole AWS account: a test of the connection, or a scan for drift. A worker answers."""

from __future__ import annotations

from datetime import datetime

from iamroles import audit, doorbell, permissions
from iamroles.audit import Actor
from iamroles.models import AccountLook, AwsAccount, User
from iamroles.workflow.verbs import require, verb


@verb("order_look")
def order_look(*, account: AwsAccount, kind: str, user: User | None, actor: Actor, at: datetime) -> AccountLook:
    """Stores the order and rings a worker; one that waits for its answer already is returned instead.

    `user` is None for the command line, which is an operator's. Raises NotAllowed for anybody who is no operator.
    """
    if user is not None:
        require(permissions.may_operate(user))
    waiting = AccountLook.objects.filter(account=account, kind=kind, answered_at=None).order_by("-pk").first()
    if waiting is not None:
        doorbell.ring(doorbell.LOOK, look_id=waiting.pk)
        return waiting
    look = AccountLook.objects.create(account=account, kind=kind, ordered_by=user, at=at, next_try_at=at)
    audit.record(
        "look.ordered",
        actor=actor,
        subject=audit.Subject("account", account.number, account.name),
        at=at,
        data={"account": account.number, "kind": kind},
    )
    doorbell.ring(doorbell.LOOK, look_id=look.pk)
    return look
