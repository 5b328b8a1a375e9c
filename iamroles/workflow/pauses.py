"""Holding up what workers do: additions to one AWS account, or with the kill switch everything. Guards read the rows.

A pause changes no request and no run: what is due waits, and goes on when the pause ends.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from iamroles import audit, permissions
from iamroles.audit import Actor, Change, Subject
from iamroles.models import AwsAccount, KillSwitch, User
from iamroles.permissions import Allowance
from iamroles.transitions import WrongState
from iamroles.workflow.verbs import require, require_fresh_sign_in, require_reason, verb

_EVERYTHING = Subject("portal", "portal", "every AWS account")


@verb("pause_account")
def pause_account(
    *, number: str, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime
) -> AwsAccount:
    """Holds up additions to one AWS account; what is proved to only remove rights goes on.

    Raises NotAllowed, Invalid (no reason), SignInTooOld or WrongState.
    """
    why = _require(permissions.may_pause_account(user), reason, signed_in_at, at)
    account = AwsAccount.objects.select_for_update().get(number=number)
    if account.paused_at is not None:
        raise WrongState(account.name, "be paused", "paused")
    account.paused_at, account.pause_reason = at, why
    account.save(update_fields=["paused_at", "pause_reason"])
    _record_account("account.paused", account, Change("paused_at", None, at.isoformat()), why, actor, at)
    return account


@verb("resume_account")
def resume_account(
    *, number: str, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime
) -> AwsAccount:
    """Lets additions to a paused AWS account go on. Raises NotAllowed, Invalid, SignInTooOld or WrongState."""
    why = _require(permissions.may_pause_account(user), reason, signed_in_at, at)
    account = AwsAccount.objects.select_for_update().get(number=number)
    if account.paused_at is None:
        raise WrongState(account.name, "be resumed", "not paused")
    change = Change("paused_at", account.paused_at.isoformat(), None)
    account.paused_at, account.pause_reason = None, ""
    account.save(update_fields=["paused_at", "pause_reason"])
    _record_account("account.resumed", account, change, why, actor, at)
    return account


@verb("pause_everything")
def pause_everything(*, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime) -> KillSwitch:
    """Turns the kill switch on: no worker sends another writing call. Raises as `pause_account` does."""
    why = _require(permissions.may_pause_everything(user), reason, signed_in_at, at)
    # Every guard locks its AWS account: what it let through is committed before, and nothing is let through after.
    list(AwsAccount.objects.select_for_update().order_by("pk"))
    row, made = KillSwitch.objects.get_or_create(id=1, defaults={"since": at, "reason": why, "turned_on_by": user})
    if not made:
        raise WrongState("Everything", "be paused", "paused")
    data: dict[str, object] = {"account": None, "changes": ["kill_switch"], "scope": "everything"}
    audit.record("account.paused", actor=actor, subject=_EVERYTHING, at=at, reason=why, data=data)
    return row


@verb("resume_everything")
def resume_everything(*, user: User, reason: str, signed_in_at: datetime, actor: Actor, at: datetime) -> None:
    """Turns the kill switch off; paused AWS accounts stay paused. Raises as `resume_account` does."""
    why = _require(permissions.may_pause_everything(user), reason, signed_in_at, at)
    if not KillSwitch.objects.filter(id=1).delete()[0]:
        raise WrongState("Everything", "be resumed", "not paused")
    data: dict[str, object] = {"account": None, "changes": ["kill_switch"], "scope": "everything"}
    audit.record("account.resumed", actor=actor, subject=_EVERYTHING, at=at, reason=why, data=data)


def _require(allowance: Allowance, reason: str, signed_in_at: datetime, at: datetime) -> str:
    require(allowance)
    why = require_reason(reason)
    require_fresh_sign_in(signed_in_at, at, settings.ROLEDESK_OPERATE_WITHIN_MINUTES, "pause or resume")
    return why


def _record_account(event: str, account: AwsAccount, change: Change, reason: str, actor: Actor, at: datetime) -> None:
    audit.record(
        event,
        actor=actor,
        subject=Subject("account", account.number, account.name),
        at=at,
        reason=reason,
        changes=[change],
        data={"account": account.number, "changes": ["paused_at"], "scope": "additions"},
    )
