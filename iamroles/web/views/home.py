"""Home: what needs the person who opens it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from iamroles.pages.exports import ready_exports
from iamroles.pages.home import demo_steps, home_of
from iamroles.web.caller import user_of


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Each kind of person sees only their blocks; a new one exactly one primary button."""
    user = user_of(request)
    context: dict[str, Any] = {"home": home_of(user, datetime.now(UTC)), "ready": ready_exports(user)}
    if settings.ROLEDESK_DEMO:
        context["demo_steps"] = demo_steps()
    return render(request, "iamroles/home.html", context)
