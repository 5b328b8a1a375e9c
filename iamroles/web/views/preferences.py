"""A person's own settings and the help page. The theme is a cookie, so that the server writes it into the next page."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from iamroles.web.caller import actor_of, user_of
from iamroles.web.context import THEMES
from iamroles.web.once import SeeOther, once
from iamroles.workflow.preferences import set_preferences
from iamroles.workflow.verbs import Invalid

_YEAR = 365 * 24 * 3600


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """Shows and stores time zone, single keys and mail."""
    user = user_of(request)
    if request.method != "POST":
        return _page(request, user.time_zone, keys=user.single_keys, mail=user.mail)
    zone = request.POST.get("time_zone", "").strip()
    keys, mail = (request.POST.get(name) == "on" for name in ("single_keys", "mail"))
    address = reverse("preferences")

    def produce() -> str:
        set_preferences(
            user=user, time_zone=zone, single_keys=keys, mail=mail, actor=actor_of(request), at=datetime.now(UTC)
        )
        messages.success(request, "Your settings are saved.")
        return address

    try:
        return once(request, user, produce, meanwhile=address)
    except Invalid as error:
        return _page(request, zone, keys=keys, mail=mail, problem=str(error))


def _page(request: HttpRequest, zone: str, *, keys: bool, mail: bool, problem: str = "") -> HttpResponse:
    context = {
        "zone": zone,
        "single_keys": keys,
        "mail": mail,
        "zones": sorted(available_timezones()),
        "problem": problem,
        "problems": [("time-zone", problem)] if problem else [],
    }
    return render(request, "iamroles/preferences.html", context, status=422 if problem else 200)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keeps light, dark or the system's choice in a cookie and returns to the page that asked."""
    chosen = request.POST.get("theme", "")
    response = SeeOther(_back(request))
    if chosen in THEMES:
        response.set_cookie(
            "theme", chosen, max_age=_YEAR, samesite="Lax", httponly=True, secure=settings.SESSION_COOKIE_SECURE
        )
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response


def _back(request: HttpRequest) -> str:
    wanted = request.POST.get("next", "")
    if wanted and url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return reverse("preferences") if request.user.is_authenticated else "/"


@login_required
@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """Shows the explanations: Limited or Full, what approvers check, keys, words."""
    return render(request, "iamroles/help.html")
