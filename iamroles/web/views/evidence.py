"""The evidence of one request: a page made for printing, and the same as JSON. Opening it is an event."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from iamroles.models import Request
from iamroles.pages.evidence import as_json, evidence_of
from iamroles.transitions import subject_of
from iamroles.web.reading import load_request, may_look, record_view, refuse_look


@login_required
@require_safe
def request_evidence(request: HttpRequest, request_id: int) -> HttpResponse:
    """Shows what was asked, approved, called, read back and sealed; `print=1` opens what is folded."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "view_evidence", allowed, row)
    _record(request, row, "page")
    context = {"page": evidence_of(row), "open": request.GET.get("print") == "1"}
    return render(request, "iamroles/request_evidence.html", context)


@login_required
@require_safe
def request_evidence_json(request: HttpRequest, request_id: int) -> HttpResponse:
    """Answers the same as JSON."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "view_evidence", allowed, row)
    _record(request, row, "json")
    return JsonResponse(as_json(evidence_of(row)), json_dumps_params={"ensure_ascii": False, "indent": 2})


def _record(request: HttpRequest, row: Request, kind: str) -> None:
    record_view(request, {"request": row.reference, "evidence": kind}, subject_of(row))
