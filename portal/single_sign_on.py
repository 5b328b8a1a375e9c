"""Confirming at the identity provider that it is still you, for people who sign in there.

The provider is told to ask again (`prompt=login`, `max_age`), and its `auth_time` must lie after that asking. allauth
alone counts a person with neither a password nor a second factor as recently confirmed for ever.
"""

from __future__ import annotations

import time
from typing import Any, Final

from allauth.account.internal.flows.login import record_authentication
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from iamroles.web.sessions import record_not_confirmed

CLOCKS_DIFFER: Final = 60  # seconds that the provider's clock and ours may differ
MAX_AGE: Final = 300  # seconds; the provider must then say `auth_time` (OpenID Connect Core 3.1.2.1)
_ASKED: Final = "confirm"

_REFUSED: Final = {
    "another_person": "You signed in there as somebody else. Nothing was confirmed.",
    "no_auth_time": "Your organisation's sign-in does not tell when you signed in there, so it cannot confirm that it "
    "is you. Register a second factor under Settings, within 5 minutes of signing in, and confirm with that.",
    "not_asked_again": "Your organisation's sign-in did not ask you again. Sign out there, then confirm once more.",
}


def authenticated_at(login: SocialLogin) -> int | None:
    """Returns when the provider last checked the person: the token's `auth_time`, or None when it is silent."""
    token = login.account.extra_data.get("id_token") or {}
    at = token.get("auth_time")
    return at if isinstance(at, int) and not isinstance(at, bool) else None


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Takes the provider's answer to a confirmation that this portal asked for; leaves signing in to allauth."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Records the confirmation, or answers 403 with the reason; the session and what was typed stay."""
        asked = (sociallogin.state.get("data") or {}).get(_ASKED)
        if asked is None:
            return
        code = _refusal(request, sociallogin, asked)
        if code:
            record_not_confirmed(request, code)
            raise ImmediateHttpResponse(render(request, "403.html", {"reason": _REFUSED[code], "who": " "}, status=403))
        record_sign_in(request, sociallogin, reauthenticated=True)


def _refusal(request: HttpRequest, login: SocialLogin, asked: dict[str, Any]) -> str:
    same = request.user.is_authenticated and login.user == request.user and str(request.user.pk) == asked["person"]
    if not same:
        return "another_person"
    at = authenticated_at(login)
    if at is None:
        return "no_auth_time"
    return "" if asked["at"] - CLOCKS_DIFFER <= at <= time.time() + CLOCKS_DIFFER else "not_asked_again"


def record_sign_in(request: HttpRequest, login: SocialLogin, *, reauthenticated: bool = False) -> None:
    """Notes in the session when the provider checked the person, if it says so."""
    at = authenticated_at(login)
    if at is None:
        return
    known = {"provider": login.account.provider, "uid": login.account.uid, "auth_time": at}
    record_authentication(request, login.user, "socialaccount", **known, reauthenticated=reauthenticated or None)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_at_provider(request: HttpRequest, provider: str) -> HttpResponse:
    """Says what happens next; a POST goes to the provider. 404 for a provider at which the person has no account."""
    if not SocialAccount.objects.filter(user=request.user, provider=provider).exists():
        raise Http404("There is no such sign-in.")
    known = get_adapter().get_provider(request, provider=provider)
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    following = wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}) else "/"
    if request.method != "POST":
        context = {"provider": known, "next": following}
        return render(request, "account/reauthenticate_provider.html", context)
    answer: HttpResponse = known.redirect(
        request,
        AuthProcess.REDIRECT,
        next_url=following,
        data={_ASKED: {"person": str(request.user.pk), "at": int(time.time())}},
        auth_params={**known.get_auth_params(), "prompt": "login", "max_age": str(MAX_AGE)},
    )
    return answer
