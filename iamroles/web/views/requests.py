"""The page of one request, its polled part, withdrawing, commenting; and the list of requests. Each act is one verb."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from iamroles.models import Request
from iamroles.pages import audit as audit_pages
from iamroles.pages import request_list as list_pages
from iamroles.pages import requests as request_pages
from iamroles.rules import risk
from iamroles.transitions import WrongState
from iamroles.web import typed_decision
from iamroles.web.caller import actor_of, user_of
from iamroles.web.once import once
from iamroles.web.operating import button_once
from iamroles.web.reading import load_request, may_look, refuse_look
from iamroles.workflow import decide, fresh_look, remind, withdraw
from iamroles.workflow.verbs import Invalid, NotAllowed


@login_required
@require_safe
def request_list(request: HttpRequest) -> HttpResponse:
    """Shows the requests that the person may see; the address is the filter."""
    chosen = list_pages.read_filter(request.GET.dict())
    page = list_pages.list_page(user_of(request), chosen)
    query = request.GET.copy()
    query.pop("before", None)
    rest = query.copy()
    rest.pop("tab", None)
    context = {
        "page": page,
        "chosen": chosen,
        "query": query.urlencode(),
        "rest": rest.urlencode(),
        "risks": risk.ORDER[::-1],
    }
    return render(request, "iamroles/request_list.html", context)


@login_required
@require_safe
def request_detail(request: HttpRequest, request_id: int) -> HttpResponse:
    """Shows the permanent page of a request."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "view_request", allowed, row)
    return _detail(request, row)


def _detail(request: HttpRequest, row: Request, status: int = 200, **more: Any) -> HttpResponse:
    return render(request, "iamroles/request_detail.html", {**_context(request, row), **more}, status=status)


def _context(request: HttpRequest, row: Request) -> dict[str, Any]:
    user = user_of(request)
    return {
        "page": request_pages.request_page(row, user),
        "timeline": audit_pages.timeline_of(row),
    }


@login_required
@require_safe
def request_status(request: HttpRequest, request_id: int) -> HttpResponse:
    """Answers the page's polls: 204 while nothing is new, else the changed parts.

    The marks are keyed with the person, so a 204 tells nothing to somebody who was never shown the page.
    """
    row = load_request(request_id)
    seen = request.GET.get("seen", "")
    run = row.runs.order_by("-number").first()
    steps = list(run.steps.all()) if run else []
    if seen == request_pages.markers(user_of(request), row, run, steps):
        return HttpResponse(status=204)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "view_request", allowed, row)
    if not request.htmx:  # type: ignore[attr-defined]
        return _detail(request, row)
    context = _context(request, row)
    moved = context["page"].marker.partition(".")[0] != seen.partition(".")[0]
    return render(request, "iamroles/request_status.html", {**context, "moved": moved})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def request_withdraw(request: HttpRequest, request_id: int) -> HttpResponse:
    """Asks once, then withdraws the person's own request."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "withdraw" if request.method == "POST" else "view_request", allowed, row)
    user = user_of(request)
    address = reverse("request_detail", args=[row.pk])
    if request.method != "POST":
        page = request_pages.request_page(row, user)
        return render(request, "iamroles/request_withdraw.html", {"page": page, "back": address})

    def produce() -> str:
        withdraw.withdraw(
            request_id=row.pk,
            user=user,
            reason=request.POST.get("reason", "")[:2000],
            actor=actor_of(request),
            at=datetime.now(UTC),
        )
        messages.success(request, f"{row.reference} is withdrawn. Nothing was changed in AWS.")
        return address

    try:
        return once(request, user, produce, meanwhile=address)
    except NotAllowed as error:
        return render(request, "403.html", {"reason": str(error), "back": address}, status=403)
    except WrongState as error:
        context = {"reason": str(error), "back": address, "reference": row.reference}
        return render(request, "409.html", context, status=409)


@login_required
@require_POST
def request_remind(request: HttpRequest, request_id: int) -> HttpResponse:
    """Reminds those who can decide; too early or too late is said on the request's page."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "remind", allowed, row)
    user = user_of(request)
    address = reverse("request_detail", args=[row.pk])

    def produce() -> str:
        told = remind.remind(request_id=row.pk, user=user, actor=actor_of(request), at=datetime.now(UTC))
        people = "1 person is" if told == 1 else f"{told} people are"
        messages.success(request, f"{people} reminded of {row.reference}.")
        return address

    return button_once(request, produce, back=address, reference=row.reference)


@login_required
@require_POST
def request_look(request: HttpRequest, request_id: int) -> HttpResponse:
    """Has AWS looked at again for what is in review by an old look; what an approver typed meanwhile is kept."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "order_fresh_look", allowed, row)
    user = user_of(request)
    address = reverse("request_detail", args=[row.pk])

    def produce() -> str:
        fresh_look.order_look(request_id=row.pk, user=user, actor=actor_of(request), at=datetime.now(UTC))
        typed_decision.keep(request, row.pk, typed_decision.read(request.POST))
        return address

    return button_once(request, produce, back=address, reference=row.reference)


@login_required
@require_POST
def request_comment(request: HttpRequest, request_id: int) -> HttpResponse:
    """Adds a comment to the timeline; a refused one comes back with its text."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "comment", allowed, row)
    user = user_of(request)
    text = request.POST.get("text", "")
    address = reverse("request_detail", args=[row.pk])

    def produce() -> str:
        decide.comment(request_id=row.pk, user=user, text=text, actor=actor_of(request), at=datetime.now(UTC))
        return f"{address}#timeline"

    try:
        return once(request, user, produce, meanwhile=address)
    except NotAllowed as error:
        return render(request, "403.html", {"reason": str(error), "back": "/"}, status=403)
    except Invalid as error:
        return _detail(request, row, 422, comment_text=text, problems=[("comment-text", str(error))])
    except WrongState as error:
        return render(request, "409.html", {"reason": str(error), "back": address}, status=409)
