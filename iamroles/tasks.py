"""Celery tasks: a few lines each, ids only, by keyword, under explicit names. What they do is in `engine`."""

from __future__ import annotations

from celery import shared_task

from iamroles.engine import apply as engine_apply
from iamroles.engine import check as engine_check
from iamroles.engine import export_job as engine_export
from iamroles.engine import looks as engine_looks
from iamroles.engine import observe as engine_observe
from iamroles.engine.tools import from_settings


@shared_task(name="roledesk.observe")
def observe(*, request_id: int) -> None:
    """Looks at AWS for a submitted request."""
    engine_observe.observe(request_id=request_id, tools=from_settings())


@shared_task(name="roledesk.apply")
def apply(*, request_id: int) -> None:
    """Applies an approved request."""
    engine_apply.apply(request_id=request_id, tools=from_settings())


@shared_task(name="roledesk.answer_order")
def answer_order(*, order_id: int) -> None:
    """Answers a "Check a role" order."""
    engine_check.answer_order(order_id=order_id, tools=from_settings())


@shared_task(name="roledesk.export")
def export(*, job_id: int) -> None:
    """Goes on with an export."""
    engine_export.go_on(job_id=job_id, tools=from_settings())


@shared_task(name="roledesk.look_at_account")
def look_at_account(*, look_id: int) -> None:
    """Tests the connection to an AWS account, or scans it for drift."""
    engine_looks.answer(look_id=look_id, tools=from_settings())
