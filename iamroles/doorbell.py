"""Rings a worker after the commit, by task name. The row is the outbox: a lost ring delays by at most one sweep.

Nothing here imports the tasks, and a broker that fails is logged, never raised. After a failure nobody waits for the
broker again until the next sweep is due: people who decide meanwhile are answered at once.
"""

from __future__ import annotations

import threading
import time

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

OBSERVE = "roledesk.observe"
APPLY = "roledesk.apply"
ANSWER = "roledesk.answer_order"
EXPORT = "roledesk.export"
FOLLOW_UP = "roledesk.follow_up"
LOOK = "roledesk.look_at_account"

_log = structlog.get_logger(__name__)
_PATIENCE = 2.0  # seconds that a ring waits for the one before it, which may be waiting for a dead broker
_one_at_a_time = threading.Lock()
_silent_until = 0.0  # by this process's own clock, in seconds


def ring(task: str, **ids: int) -> None:
    """Sends `task` with its ids once the surrounding transaction has committed, or at once outside of one."""
    transaction.on_commit(lambda: _send(task, ids))


def _send(task: str, ids: dict[str, int]) -> None:
    if not _one_at_a_time.acquire(timeout=_PATIENCE):
        _log.warning("doorbell_busy", task=task, **ids)
        return
    try:
        _send_unless_silent(task, ids)
    finally:
        _one_at_a_time.release()


def _send_unless_silent(task: str, ids: dict[str, int]) -> None:
    global _silent_until  # noqa: PLW0603  (one process has one broker)
    if time.monotonic() < _silent_until:
        _log.info("doorbell_silent", task=task, **ids)
        return
    try:
        current_app.send_task(task, kwargs=ids, retry=False)
    except (OperationalError, OSError) as error:
        _silent_until = time.monotonic() + settings.ROLEDESK_SWEEP_SECONDS
        _log.warning("doorbell_failed", task=task, error=type(error).__name__, **ids)
