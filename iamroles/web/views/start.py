"""The start page of a request: which role fits. The answer is remembered for the session."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

ANSWERS = ("codedeploy", "ecs", "unknown")
_REMEMBERED = "deployment_controller"


@login_required
@require_safe
def request_start(request: HttpRequest) -> HttpResponse:
    """Asks who controls the blue/green deployments; `?controller=` is the answer."""
    answer = request.GET.get("controller", "")
    if answer in ANSWERS:
        request.session[_REMEMBERED] = answer
    elif "controller" in request.GET:
        answer = ""
    else:
        answer = request.session.get(_REMEMBERED, "")
    return render(request, "iamroles/start.html", {"controller": answer})
