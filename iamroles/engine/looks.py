"""Answering looks at whole AWS accounts: tests of the connection and drift scans. One claims, one answer, few tries.

What a look finds is decided in `connection` and `drift`; here is only that each order is answered once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import structlog

from iamroles.aws.gateway import AwsError, WrongAccount
from iamroles.engine import connection, drift
from iamroles.engine.tools import Tools
from iamroles.models import AccountLook
from iamroles.models.looks import CHECK, SCAN

_log = structlog.get_logger(__name__)
HELD: Final = timedelta(minutes=5)  # how long a look at a large AWS account may take before another worker tries
TRIES: Final = 3
_ANSWERS: Final[dict[str, Callable[[AccountLook, Tools], dict[str, Any]]]] = {
    CHECK: connection.check,
    SCAN: drift.scan,
}


def answer(*, look_id: int, tools: Tools) -> str:
    """Answers one look that is due. Returns its state, "failed" or "not_due".

    Never raises for what AWS answers. Errors of our own are logged, counted and shown by their class.
    """
    now = tools.now()
    rows = AccountLook.objects.filter(pk=look_id, answered_at=None, next_try_at__lte=now)
    if not rows.update(next_try_at=now + HELD):
        return "not_due"
    look = AccountLook.objects.select_related("account__owner").get(pk=look_id)
    try:
        result = _ANSWERS[look.kind](look, tools)
    except (AwsError, WrongAccount) as error:
        return _put_off(look, error.code if isinstance(error, AwsError) else "WrongAccount", tools)
    except Exception as error:  # noqa: BLE001  (counted like any failing look, so that it ends)
        _log.exception("look_broke", look=look.pk, kind=look.kind)
        return _put_off(look, type(error).__name__, tools)
    _close(look, result, tools)
    return str(result["state"])


def _put_off(look: AccountLook, code: str, tools: Tools) -> str:
    _log.warning("look_failed", look=look.pk, kind=look.kind, code=code)
    tries = look.tries + 1
    if tries < TRIES:
        rows = AccountLook.objects.filter(pk=look.pk, answered_at=None)
        rows.update(tries=tries, next_try_at=tools.now() + tools.backoff(tries))
        return "failed"
    if look.kind == SCAN:
        drift.give_up(look.account, code, tools)
    look.tries = tries
    _close(look, {"state": "failed", "error": code}, tools)
    return "failed"


def _close(look: AccountLook, result: dict[str, Any], tools: Tools) -> None:
    rows = AccountLook.objects.filter(pk=look.pk, answered_at=None)
    rows.update(answered_at=tools.now(), next_try_at=None, tries=look.tries, result=result)
