"""Error pages with the navigation kept, and the address for reports of the content security policy."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections import deque
from typing import Any

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseServerError, RawPostDataException
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

log = structlog.get_logger(__name__)

_REPORT_LONGEST = 8192  # bytes
_REPORTS_A_MINUTE = 20
_logged: deque[float] = deque()  # when this process logged reports, oldest first


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: the form or the address is damaged."""
    return render(request, "400.html", status=400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: says the reason that the permission gave."""
    return render(request, "403.html", {"reason": str(exception or "")}, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: offers search. The same for what is absent and for what another team owns."""
    return render(request, "404.html", status=404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form without a valid token, which mostly means an old page."""
    log.warning("web.csrf_refused", path=request.path, reason=reason)
    words = "This page was open for too long, or cookies are off. Go back, reload it and send it again."
    return render(request, "403.html", {"reason": words, "who": "Nothing else is wrong with your rights."}, status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """500 with a number that stands in the log; 503 when the database does not answer. Never fails itself."""
    incident = secrets.token_hex(4)
    kind = type(sys.exc_info()[1]).__name__  # the traceback itself is in Django's own log entry
    log.error("web.failed", path=request.path, method=request.method, incident=incident, error=kind)
    context: dict[str, Any] = {"incident": incident}
    try:
        return render(request, "500.html", context, status=500)
    except DatabaseError:
        return HttpResponse(render_to_string("503.html", context), status=503)
    except Exception:  # noqa: BLE001  (the last page: whatever broke the first one must not break this)
        return HttpResponseServerError(render_to_string("500.html", context))


@csrf_exempt
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """Logs which directive was violated and where; nothing of the report is trusted or stored.

    Anybody may send reports: a long one is refused unread, and at most `_REPORTS_A_MINUTE` are logged by each process.
    """
    if int(request.META.get("CONTENT_LENGTH") or 0) > _REPORT_LONGEST:
        return HttpResponse("The report is too long.", status=400, content_type="text/plain")
    try:
        report = json.loads(request.body)
    except (ValueError, RecursionError, RawPostDataException):  # the last: it was sent as a form
        report = {}
    details = report.get("csp-report") if isinstance(report, dict) else None
    if isinstance(details, dict) and _may_log(time.monotonic()):
        log.warning(
            "web.csp_violation",
            directive=str(details.get("violated-directive", ""))[:200],
            blocked=str(details.get("blocked-uri", ""))[:200],
            page=str(details.get("document-uri", ""))[:200],
        )
    return HttpResponse(status=204)


def _may_log(now: float) -> bool:
    while _logged and now - _logged[0] > 60:
        _logged.popleft()
    if len(_logged) >= _REPORTS_A_MINUTE:
        return False
    _logged.append(now)
    return True
