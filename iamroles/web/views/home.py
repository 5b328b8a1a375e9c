"""Home: what needs the person who opens it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from iamroles import notices
from iamroles.pages.exports import ready_exports
from iamroles.pages.home import demo_steps, home_of
from iamroles.web.caller import user_of
from iamroles.web.once import SeeOther


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Each kind of person sees only their blocks; a new one exactly one primary button."""
    user = user_of(request)
    context: dict[str, Any] = {"home": home_of(user, datetime.now(UTC)), "ready": ready_exports(user)}
    if settings.ROLEDESK_DEMO:
        context["demo_steps"] = demo_steps()
    return render(request, "iamroles/home.html", context)


@login_required
@require_POST
def notices_read(request: HttpRequest) -> HttpResponse:
    """Marks as read what the person was shown: up to the newest notice of the page that was sent. Repeatable."""
    last = request.POST.get("last", "")
    if last.isascii() and last.isdigit() and len(last) < 19:
        notices.mark_read(user_of(request), last=int(last), at=datetime.now(UTC))
    return SeeOther(reverse("home"))
