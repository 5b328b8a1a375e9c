"""Rings a worker after the commit, by task name. The row is the outbox: a lost ring delays by at most one sweep.

Nothing here imports the tasks, and a broker that fails is logged, never raised.
"""

from __future__ import annotations

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

OBSERVE = "roledesk.observe"
APPLY = "roledesk.apply"
ANSWER = "roledesk.answer_order"
EXPORT = "roledesk.export"
FOLLOW_UP = "roledesk.follow_up"
LOOK = "roledesk.look_at_account"

_log = structlog.get_logger(__name__)


def ring(task: str, **ids: int) -> None:
    """Sends `task` with its ids once the surrounding transaction has committed, or at once outside of one."""
    transaction.on_commit(lambda: _send(task, ids))


def _send(task: str, ids: dict[str, int]) -> None:
    try:
        current_app.send_task(task, kwargs=ids, retry=False)
    except (OperationalError, OSError) as error:
        _log.warning("doorbell_failed", task=task, error=type(error).__name__, **ids)
