"""The history of events, one event, and exports at the same address: `format=csv`, `jsonl` or `bundle`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from iamroles import audit, permissions
from iamroles.audit import EventFilter, export
from iamroles.audit.events import OUTCOMES
from iamroles.audit.evidence.bundle import build_bundle, record_bundle
from iamroles.models import AuditEvent
from iamroles.pages import audit as audit_pages
from iamroles.pages import exports as export_pages
from iamroles.permissions import Allowance
from iamroles.web.caller import actor_of, user_of
from iamroles.web.operating import Typed, act_once, typed_on
from iamroles.web.reading import record_view, refuse_look
from iamroles.web.streaming import stream
from iamroles.workflow import disclosures


@login_required
@require_safe
def audit_history(request: HttpRequest) -> HttpResponseBase:
    """Shows events, newest first; actor, request, action, outcome, dates and the page are in the address."""
    chosen, bad = EventFilter.from_query(request.GET.dict())
    wanted = request.GET.get("format", "")
    if wanted and not bad:
        return _export(request, chosen, wanted)
    record_view(request, chosen.describe(), audit.Subject("audit", "history", "audit history"))
    user = user_of(request)
    page = audit_pages.history_page(user, chosen, _number(request, "before"), _number(request, "after"))
    context: dict[str, Any] = {
        "page": page,
        "values": request.GET,
        "outcomes": sorted(OUTCOMES),
        "query": _query(request),
        "tabs": [(tab, audit_pages.TAB_WORDS[tab], _query(request, tab=tab)) for tab in audit_pages.TAB_WORDS],
        "tab": chosen.tab,
        "narrowed": bool(chosen.describe()),
        "other_action": chosen.action if chosen.action not in dict(page.groups) else "",
        "problems": [("", problem.message) for problem in bad],
        "may_verify": permissions.may_read_all_audit(user).allowed,
        "ready": export_pages.ready_exports(user),
    }
    return render(request, "iamroles/audit_history.html", context, status=422 if bad else 200)


def _query(request: HttpRequest, tab: str | None = None) -> str:
    """Returns the filters of the address without cursor and format; `tab` puts another tab in."""
    query = request.GET.copy()
    for name in ("before", "after", "format"):
        query.pop(name, None)
    if tab is not None:
        query["tab"] = tab
        if not tab:
            query.pop("tab")
    return str(query.urlencode())


def _export(request: HttpRequest, chosen: EventFilter, wanted: str) -> HttpResponseBase:
    """Streams the sealed events of the filter that the person may read, oldest first; many are made by a worker."""
    user, actor = user_of(request), actor_of(request)
    if wanted not in (*export.FORMATS, "bundle"):
        raise Http404(f"There is no export as {wanted}.")
    visible = permissions.visible_events(user)
    try:
        cut = export.find_cut()
    except export.NothingSealed as error:
        return render(request, "503.html", {"reason": str(error)}, status=503)
    if not export_pages.fits_at_once(chosen, cut, visible):
        return redirect(f"{reverse('export_new')}?{_query(request)}")
    name = f"roledesk-audit-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if wanted == "bundle":
        bundle = build_bundle(chosen, cut, among=visible)
        record_bundle(bundle, chosen, actor=actor, at=datetime.now(UTC))
        response: HttpResponseBase = HttpResponse(bundle.content, content_type="application/zip")
        response["Content-Disposition"] = f'attachment; filename="{name}.zip"'
        return response
    spelled = next(known for known in export.FORMATS if known == wanted)
    made = export.begin(chosen, spelled, actor=actor, among=visible, cut=cut)
    response = stream(request, iter(made), export.CONTENT_TYPES[spelled])
    response["Content-Disposition"] = f'attachment; filename="{name}.{spelled}"'
    return response


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@login_required
@require_safe
def audit_event(request: HttpRequest, event_id: int) -> HttpResponse:
    """Shows one event with everything it holds."""
    event = _readable(request, event_id)
    if isinstance(event, HttpResponse):
        return event
    page = audit_pages.event_page(event, user_of(request))
    return render(request, "iamroles/audit_event.html", {"page": page})


@login_required
@require_safe
def audit_event_proof(request: HttpRequest, event_id: int) -> HttpResponse:
    """Sends the proof of one event, or with `file=line` its canonical line: both are checked without the portal."""
    event = _readable(request, event_id)
    if isinstance(event, HttpResponse):
        return event
    if request.GET.get("file") == "line":
        response = HttpResponse(event.canon.encode() + b"\n", content_type=export.CONTENT_TYPES["jsonl"])
        response["Content-Disposition"] = f'attachment; filename="{event.reference}.jsonl"'
        return response
    try:
        proof = audit.prove(event)
    except audit.NotSealed as error:
        return render(request, "503.html", {"reason": str(error)}, status=503)
    response = HttpResponse(proof, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{event.reference}.tlog-proof"'
    return response


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def audit_erase(request: HttpRequest, event_id: int) -> HttpResponse:
    """Erases what an event keeps in clear beside the trail, after a page that says what that means."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "erase_disclosure", allowed)
    event = get_object_or_404(AuditEvent, pk=event_id)
    back = reverse("audit_event", args=[event_id])

    def page(typed: Typed, problems: list[tuple[str, str]]) -> HttpResponse:
        paths = list(audit.disclosed_of(event))
        context = {"event": event, "paths": paths, "typed": typed, "problems": problems, "back": back}
        if not paths:
            reason = f"{event.reference} keeps nothing in clear (any more)."
            return render(request, "409.html", {"reason": reason, "back": back}, status=409)
        return render(request, "iamroles/audit_erase.html", context, status=422 if problems else 200)

    if request.method != "POST":
        return page(typed_on(request, request.path), [])
    arguments = {"event_id": event_id}
    return act_once(request, disclosures.erase, arguments, done="It is erased.", back=back, again=page)


def _readable(request: HttpRequest, event_id: int) -> AuditEvent | HttpResponse:
    """Returns the event, or the refusal to show it. Raises Http404."""
    try:
        event = audit.get(event_id)
    except AuditEvent.DoesNotExist:
        raise Http404(f"There is no EVT-{event_id:07d}.") from None
    if not audit_pages.may_read(user_of(request), event):
        denied = Allowance(False, "not_auditor", "You see the events of requests that you may see, and your own acts.")
        return refuse_look(request, "view_event", denied)
    return event
