"""Where a person is signed in, and ending that elsewhere: one other session, or all others, by whoever proves anew
who they are (ASVS 5.0, 7.5.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from allauth.core.exceptions import ReauthenticationRequired
from allauth.usersessions.internal.flows.sessions import end_sessions
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from iamroles.browsers import browser_of
from iamroles.web.caller import signed_in_at, user_of
from iamroles.web.once import SeeOther
from iamroles.web.sessions import record_ended_elsewhere


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def own_sessions(request: HttpRequest) -> HttpResponse:
    """Lists the person's sessions, the newest first; a POST ends the one that `session` names, or all others."""
    if request.method == "POST":
        return _end(request)
    sessions = sorted(UserSession.objects.purge_and_list(user_of(request)), key=lambda row: row.created_at)
    rows = [(row, browser_of(row.user_agent)) for row in reversed(sessions)]
    others = sum(not row.is_current() for row in sessions)
    return render(request, "usersessions/usersession_list.html", {"rows": rows, "others": others})


def _end(request: HttpRequest) -> HttpResponse:
    if datetime.now(UTC) - signed_in_at(request) > timedelta(seconds=settings.ACCOUNT_REAUTHENTICATION_TIMEOUT):
        raise ReauthenticationRequired  # what was posted is kept and comes back
    others = UserSession.objects.filter(user=user_of(request)).exclude(session_key=request.session.session_key)
    named = request.POST.get("session")
    if named is not None:
        others = others.filter(pk=int(named) if named.isascii() and named.isdigit() and len(named) < 19 else 0)
    ended = list(others.select_related("user"))
    with transaction.atomic():
        end_sessions(request, ended)
        for row in ended:
            record_ended_elsewhere(request, row)
    messages.success(request, _said(ended, named is not None))
    return SeeOther(reverse("usersessions_list"))


def _said(ended: list[UserSession], one: bool) -> str:
    if not ended:
        return "That session had ended already." if one else "You are signed in nowhere else."
    if one:
        at = ended[0].created_at.astimezone(UTC)
        return f"{browser_of(ended[0].user_agent)}, signed in {at.day} {at:%b %Y, %H:%M} UTC, is signed out."
    return f"{len(ended)} other session{'s are' if len(ended) > 1 else ' is'} signed out."
