"""The history of events, one event, and exports at the same address: `format=csv` or `format=jsonl`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.handlers.asgi import ASGIRequest
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from iamroles import audit, canonical
from iamroles.audit import EventFilter, export
from iamroles.audit.events import OUTCOMES
from iamroles.models import AuditEvent
from iamroles.pages import audit as audit_pages
from iamroles.permissions import Allowance
from iamroles.web.caller import actor_of, user_of
from iamroles.web.reading import refuse_look

_VIEWED = "audit_viewed"


@login_required
@require_safe
def audit_history(request: HttpRequest) -> HttpResponseBase:
    """Shows events, newest first; actor, request, action, outcome, dates and the page are in the address."""
    chosen, bad = EventFilter.from_query(request.GET.dict())
    wanted = request.GET.get("format", "")
    if wanted and not bad:
        return _export(request, chosen, wanted)
    _record_view(request, chosen)
    page = audit_pages.history_page(user_of(request), chosen, _number(request, "before"), _number(request, "after"))
    query = request.GET.copy()
    for name in ("before", "after", "format"):
        query.pop(name, None)
    context: dict[str, Any] = {
        "page": page,
        "values": request.GET,
        "outcomes": sorted(OUTCOMES),
        "query": query.urlencode(),
        "narrowed": bool(chosen.describe()),
        "other_action": chosen.action if chosen.action not in dict(page.groups) else "",
        "problems": [("", problem.message) for problem in bad],
    }
    return render(request, "iamroles/audit_history.html", context, status=422 if bad else 200)


def _export(request: HttpRequest, chosen: EventFilter, wanted: str) -> HttpResponseBase:
    """Streams the sealed events of the filter that the person may read, oldest first."""
    spelled = next((known for known in export.FORMATS if known == wanted), None)
    if spelled is None:
        raise Http404(f"There is no export as {wanted}.")
    visible = audit_pages.visible_events(user_of(request))
    try:
        made = export.begin(chosen, spelled, actor=actor_of(request), among=visible)
    except export.NothingSealed as error:
        return render(request, "503.html", {"reason": str(error)}, status=503)
    content = aiter(made) if isinstance(request, ASGIRequest) else iter(made)
    response = StreamingHttpResponse(content, content_type=export.CONTENT_TYPES[spelled])
    name = f"roledesk-audit-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{spelled}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _record_view(request: HttpRequest, chosen: EventFilter) -> None:
    """Reading the trail is an event: once a session, filter and hour."""
    wanted = chosen.describe()
    now = datetime.now(UTC)
    seen = {"filter": canonical.digest(wanted)[:16], "hour": f"{now:%Y-%m-%dT%H}"}
    if request.session.get(_VIEWED) == seen:
        return
    request.session[_VIEWED] = seen
    with transaction.atomic():
        audit.record(
            "audit.viewed",
            actor=actor_of(request),
            subject=audit.Subject("audit", "history", "audit history"),
            at=now,
            data={"filter": wanted},
        )


@login_required
@require_safe
def audit_event(request: HttpRequest, event_id: int) -> HttpResponse:
    """Shows one event with everything it holds."""
    try:
        event = audit.get(event_id)
    except AuditEvent.DoesNotExist:
        raise Http404(f"There is no EVT-{event_id:07d}.") from None
    user = user_of(request)
    if not audit_pages.may_read(user, event):
        denied = Allowance(False, "not_auditor", "You see the events of requests that you may see, and your own acts.")
        return refuse_look(request, "view_event", denied)
    return render(request, "iamroles/audit_event.html", {"page": audit_pages.event_page(event, user)})
