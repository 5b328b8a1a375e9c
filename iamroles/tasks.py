"""Celery tasks: ids only, by keyword, under explicit names. What they do is in `engine`.

A message is no more than a ring: one that carries anything but the one id is refused and logged, and the rows that
it may have meant are found by the sweep.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from celery import shared_task

from iamroles.engine import apply as engine_apply
from iamroles.engine import check as engine_check
from iamroles.engine import export_job as engine_export
from iamroles.engine import follow_up as engine_follow_up
from iamroles.engine import looks as engine_looks
from iamroles.engine import observe as engine_observe
from iamroles.engine.tools import from_settings

_log = structlog.get_logger(__name__)
_LARGEST = 2**63 - 1  # what the databases hold as an id
Work = Callable[[int], object]


def _rung_by(name: str, key: str) -> Callable[[Work], Work]:
    """Makes a function the task `name`, which is rung with the id `key` alone."""

    def decorate(work: Work) -> Work:
        @shared_task(name=name)
        def ring(*args: object, **given: object) -> None:
            row_id = given.get(key)
            if args or set(given) != {key} or type(row_id) is not int or not 0 < row_id <= _LARGEST:
                _log.warning("message_refused", task=name, arguments=len(args), keys=len(given))
                return
            _log.info("rung", task=name, id=row_id, outcome=str(work(row_id)))

        return work

    return decorate


@_rung_by("roledesk.observe", "request_id")
def observe(request_id: int) -> object:
    """Looks at AWS for a submitted request."""
    return engine_observe.observe(request_id=request_id, tools=from_settings())


@_rung_by("roledesk.apply", "request_id")
def apply(request_id: int) -> object:
    """Applies an approved request."""
    return engine_apply.apply(request_id=request_id, tools=from_settings())


@_rung_by("roledesk.answer_order", "order_id")
def answer_order(order_id: int) -> object:
    """Answers a look that somebody ordered."""
    return engine_check.answer_order(order_id=order_id, tools=from_settings())


@_rung_by("roledesk.export", "job_id")
def export(job_id: int) -> object:
    """Goes on with an export."""
    return engine_export.go_on(job_id=job_id, tools=from_settings())


@_rung_by("roledesk.look_at_account", "look_id")
def look_at_account(look_id: int) -> object:
    """Tests the connection to an AWS account, or scans it for drift."""
    return engine_looks.answer(look_id=look_id, tools=from_settings())


@_rung_by("roledesk.follow_up", "run_id")
def follow_up(run_id: int) -> object:
    """Takes away again what an applied change left in place for a while."""
    return engine_follow_up.follow_up(run_id=run_id, tools=from_settings())
