"""The last check before each write, in the transaction that journals its intent: if it fails, no call is made.

The write budget is read from the journal itself, under the AWS account's lock: all workers share it, and nothing has to
be kept beside it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Max

from iamroles import audit
from iamroles.aws.gateway import THROTTLES
from iamroles.engine import lease
from iamroles.engine.journal import Journal
from iamroles.engine.lease import FencedOut
from iamroles.engine.tools import Limits
from iamroles.models import AwsAccount, KillSwitch, Request, Run, Step
from iamroles.rules import states

_THROTTLED_FOR = timedelta(seconds=60)


class Later(Exception):
    """The account's write budget is used up for the moment; look again in `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"{seconds} s")


class TooLate(Exception):
    """The session's deadline is too near to send another call."""


class Paused(Exception):
    """Writing is held up; `code` says why: operators paused the account or everything, or the audit trail is late."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


def check(journal: Journal, aws_now: datetime, limits: Limits, *, removes_only: bool = False) -> datetime:
    """Raises FencedOut, Paused, TooLate or Later; returns the database's time at which exactly this call may be made.

    `removes_only` is for plans that are proved to add nothing: a paused AWS account and a late audit trail hold up
    additions alone (invariant 9). The kill switch holds up everything.
    """
    account = AwsAccount.objects.select_for_update().get(pk=journal.held.account.pk)
    now = journal.tools.now()  # not before: whoever waited for the lock would write as of a time long gone
    lease.require_ours(journal.held)
    run = Run.objects.filter(pk=journal.run.pk, state=states.GOING, version=journal.run.version)
    # Locked until the intent is committed: a withdrawal either comes first, or finds the request begun.
    request = Request.objects.select_for_update().filter(
        pk=journal.run.request_id, state=states.CLOSED if journal.closed else states.APPROVED
    )
    if request.first() is None or not run.exists():
        raise FencedOut(journal.held.fence)
    if KillSwitch.objects.exists():
        raise Paused("EverythingPaused")
    if not removes_only:
        _require_not_paused(account, now, limits)
    if (journal.held.hard_until - aws_now).total_seconds() < limits.send_over:
        raise TooLate
    _check_budget(account, now, limits.writes_per_second)
    return now


def _require_not_paused(account: AwsAccount, now: datetime, limits: Limits) -> None:
    if account.paused_at is not None:
        raise Paused("AccountPaused")
    if audit.is_halted():
        raise Paused("SealingHalted")
    if audit.lateness(now) > timedelta(seconds=limits.sealing):
        raise Paused("SealingLate")


def _check_budget(account: AwsAccount, now: datetime, rate: float) -> None:
    """One write in each 1/rate seconds; a throttling answer of the last minute halves the rate (APPLY.md part 4)."""
    if audit.was_answered(account.number, THROTTLES, since=now - _THROTTLED_FOR):
        rate /= 2
    last = Step.objects.filter(run__request__account=account).aggregate(at=Max("started_at"))["at"]
    if last is not None and now < last + timedelta(seconds=1 / rate):
        raise Later((last + timedelta(seconds=1 / rate) - now).total_seconds())
