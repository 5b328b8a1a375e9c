"""Operators' acts on one request: a confirm page each, and holding AWS against the request. Each POST is one verb."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from iamroles import permissions
from iamroles.models import Request
from iamroles.pages import acts as act_pages
from iamroles.pages import against_aws as against_pages
from iamroles.transitions import WrongState
from iamroles.web.caller import actor_of, user_of
from iamroles.web.once import once
from iamroles.web.operating import Typed, act_once, typed_on
from iamroles.web.reading import load_request, may_look, refuse_look
from iamroles.workflow import follow_up, repair, resolve
from iamroles.workflow.verbs import NotAllowed

_VERBS: Final[dict[str, Callable[..., Any]]] = {
    "retry": repair.retry,
    "release": repair.release,
    "renew-plan": repair.renew_plan,
    "abandon": repair.abandon,
    "try-now": repair.try_now,
    "look-again": repair.look_again,
    "force-lease": repair.force_lease,
    "retry-follow-up": follow_up.retry_follow_up,
}
_DONE: Final = {
    "retry": "A new run of {ref} is ordered.",
    "release": "{ref} is released; a new run is ordered.",
    "renew-plan": "A worker makes the plan of {ref} again. It needs new approvals.",
    "abandon": "{ref} is closed as it is.",
    "try-now": "{ref} is tried as soon as a worker takes it.",
    "look-again": "A worker looks at AWS again for {ref}.",
    "force-lease": "The lease is free; the next worker looks at AWS before it writes.",
    "retry-follow-up": "The follow-up of {ref} is tried as soon as a worker takes it.",
}


_SETTLING: Final[dict[str, tuple[Callable[..., Any], str]]] = {
    "propose": (
        resolve.propose_resolution,
        "{ref} waits for a second operator to confirm that it is resolved.",
    ),
    "confirm": (resolve.confirm_resolution, "{ref} is closed as resolved."),
    "settle": (follow_up.settle_follow_up, "The follow-up of {ref} is ended."),
}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def request_act(request: HttpRequest, request_id: int, act: str) -> HttpResponse:
    """Asks once for a reason, then does the act."""
    row = load_request(request_id)
    if act not in _VERBS:
        raise Http404(f"There is no act {act!r}.")
    for allowed in (may_look(request, row), permissions.may_operate(user_of(request))):
        if not allowed.allowed:
            return refuse_look(request, act.replace("-", "_"), allowed, row)
    if request.method != "POST":
        return _confirm(request, row, act, typed_on(request, request.path), [])
    return act_once(
        request,
        _VERBS[act],
        {"request_id": row.pk},
        done=_DONE[act].format(ref=row.reference),
        back=reverse("request_detail", args=[row.pk]),
        again=lambda typed, problems: _confirm(request, row, act, typed, problems),
    )


def _confirm(
    request: HttpRequest, row: Request, act: str, typed: Typed, problems: list[tuple[str, str]]
) -> HttpResponse:
    page = act_pages.act_page(row, act_pages.ACTS[act], user_of(request))
    context = {"page": page, "typed": typed, "problems": problems, "back": reverse("request_detail", args=[row.pk])}
    return render(request, "iamroles/request_act.html", context, status=422 if problems else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def request_against_aws(request: HttpRequest, request_id: int) -> HttpResponse:
    """Shows the newest look at AWS for a request and waits for its answer; a POST orders another."""
    row = load_request(request_id)
    user = user_of(request)
    for allowed in (may_look(request, row), permissions.may_check_against_aws(user)):
        if not allowed.allowed:
            return refuse_look(request, "check_against_aws", allowed, row)
    if request.method != "POST":
        return _against(request, row, typed_on(request, request.path), [])

    def produce() -> str:
        resolve.check_against_aws(request_id=row.pk, user=user, actor=actor_of(request), at=datetime.now(UTC))
        return request.path

    try:
        return once(request, user, produce, meanwhile=request.path)
    except NotAllowed as error:
        return render(request, "403.html", {"reason": str(error), "back": request.path}, status=403)
    except WrongState as error:
        back = reverse("request_detail", args=[row.pk])
        return render(request, "409.html", {"reason": str(error), "back": back}, status=409)


def _against(request: HttpRequest, row: Request, typed: Typed, problems: list[tuple[str, str]]) -> HttpResponse:
    page = against_pages.against_aws(row, user_of(request), datetime.now(UTC))
    polled = bool(request.htmx)  # type: ignore[attr-defined]
    if polled and page.waits:
        return HttpResponse(status=204)
    template = "iamroles/_against_aws.html" if polled else "iamroles/request_against_aws.html"
    context = {"page": page, "typed": typed, "problems": problems}
    return render(request, template, context, status=422 if problems else 200)


@login_required
@require_POST
def request_resolve(request: HttpRequest, request_id: int) -> HttpResponse:
    """States that a stopped request is settled, or confirms another operator's statement, or ends a follow-up."""
    row = load_request(request_id)
    for allowed in (may_look(request, row), permissions.may_operate(user_of(request))):
        if not allowed.allowed:
            return refuse_look(request, "mark_resolved", allowed, row)
    page = reverse("request_against_aws", args=[row.pk])
    act = request.POST.get("act", "")
    act = act if act in _SETTLING else "propose"
    verb, done = _SETTLING[act]
    return act_once(
        request,
        verb,
        {"request_id": row.pk},
        done=done.format(ref=row.reference),
        back=page if act == "propose" else reverse("request_detail", args=[row.pk]),
        again=lambda typed, problems: _against(request, row, typed, problems),
        page=page,
    )
