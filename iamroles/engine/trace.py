"""A worker goes on under the id of the act that it works for: messages carry a row's id alone, so the request's newest
event says it. What the worker records, logs and sends to AWS then carries the same id as the click.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from iamroles import audit, correlation
from iamroles.engine.tools import Tools
from iamroles.models import Request, Run


def by_request(work: Callable[..., str]) -> Callable[..., str]:
    """Makes `work(request_id=…, tools=…)` go on under the request's correlation."""

    @wraps(work)
    def traced(*, request_id: int, tools: Tools) -> str:
        with correlation.bound(audit.correlation_of(Request(pk=request_id).reference)):
            return work(request_id=request_id, tools=tools)

    return traced


def by_run(work: Callable[..., str]) -> Callable[..., str]:
    """Likewise for `work(run_id=…, tools=…)`."""

    @wraps(work)
    def traced(*, run_id: int, tools: Tools) -> str:
        request_id = Run.objects.filter(pk=run_id).values_list("request_id", flat=True).first()
        with correlation.bound(audit.correlation_of(Request(pk=request_id).reference) if request_id else None):
            return work(run_id=run_id, tools=tools)

    return traced
