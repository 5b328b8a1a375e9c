"""`/metrics` for Prometheus: without a token of its own there is nothing, and with it nothing but figures."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from iamroles.pages import metrics as figures

PLAIN = "text/plain; version=0.0.4; charset=utf-8"


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """200 with the figures; 404 where no token is set, 401 for another one, 503 while the database does not answer."""
    token = settings.ROLEDESK_METRICS_TOKEN
    if not token:
        raise Http404
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.encode()):
        answer = HttpResponse("A bearer token is needed.\n", status=401, content_type=PLAIN)
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    try:
        text = figures.written(figures.metrics(timezone.now()))
    except DatabaseError as error:
        return HttpResponse(f"# The database does not answer: {type(error).__name__}\n", status=503, content_type=PLAIN)
    return HttpResponse(text, content_type=PLAIN, headers={"Cache-Control": "no-store"})
