"""Single sign-on: who the identity provider sends, what it says about their groups, and confirming there.

For a confirmation the provider is told to ask again (`prompt=login`, `max_age`), and its `auth_time` must lie after
that asking. allauth alone counts a person with neither a password nor a second factor as recently confirmed for ever.
Each answer of the provider is also its newest word on the person's groups; an e-mail address alone opens no account.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from allauth.account.internal.flows.login import record_authentication
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.openid_connect import views as openid_connect
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme, urlsafe_base64_decode
from django.views.decorators.http import require_http_methods, require_POST
from requests import RequestException

from iamroles import invitations
from iamroles.audit import Actor
from iamroles.models import User
from iamroles.web.caller import actor_of
from iamroles.web.sessions import record_not_confirmed
from iamroles.workflow import provider_groups
from iamroles.workflow.verbs import NotAllowed
from portal.second_factor import AT_PROVIDER

CLOCKS_DIFFER: Final = 60  # seconds that the provider's clock and ours may differ
MAX_AGE: Final = 300  # seconds; the provider must then say `auth_time` (OpenID Connect Core 3.1.2.1)
_ASKED: Final = "confirm"
_INVITED: Final = "invited"

_STAYS: Final = "Only an operator ends a sign-in at your organisation, by deactivating you."
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


def claims(login: SocialLogin) -> dict[str, Any]:
    """Returns what the provider says about the person: of the identity token, then of its answer to `userinfo`."""
    told = login.account.extra_data
    return {**(told.get("userinfo") or {}), **(told.get("id_token") or {})}


def groups_told(login: SocialLogin) -> tuple[str, ...]:
    """Returns the person's groups at the provider. No claim, or one that lists no names, is no group."""
    configured = settings.ROLEDESK_SINGLE_SIGN_ON
    told = claims(login).get(configured.groups_claim) if configured else None
    if isinstance(told, str):
        return (told,)
    return tuple(value for value in told if isinstance(value, str)) if isinstance(told, list) else ()


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Decides who comes in by the provider, hears what it says about their groups, and takes its confirmations."""

    error_messages: ClassVar[Mapping[str, Any]] = {
        **DefaultSocialAccountAdapter.error_messages,
        "no_password": _STAYS,  # allauth asks for a password before it asks `validate_disconnect`
        "connected_other": "That sign-in belongs to somebody else here. Ask an operator.",
    }

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Returns False: whoever may come in at the first sign-in is there before allauth asks."""
        return False

    def validate_disconnect(self, account: SocialAccount, accounts: Any) -> None:
        """Raises ValidationError: whoever could cut the provider off would keep what it gave."""
        raise ValidationError(_STAYS)

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Lets the person in, or answers 403 with the reason; the session and what was typed stay."""
        data = sociallogin.state.get("data") or {}
        configured = settings.ROLEDESK_SINGLE_SIGN_ON
        if configured and str(claims(sociallogin).get("iss", "")).rstrip("/") != configured.issuer:
            raise _no("Your organisation's sign-in answered under another name than the configured one.", request)
        if _ASKED in data:
            self._confirm(request, sociallogin, data[_ASKED])
        elif not sociallogin.is_existing:
            self._first_time(request, sociallogin, data.get(_INVITED))
        if sociallogin.is_existing:
            _hear(sociallogin)

    def _confirm(self, request: HttpRequest, login: SocialLogin, asked: dict[str, Any]) -> None:
        code = _refusal(request, login, asked)
        if code:
            record_not_confirmed(request, code)
            if code != "another_person":
                _hear(login)
            raise _no(_REFUSED[code], request)
        record_sign_in(request, login, reauthenticated=True)

    def _first_time(self, request: HttpRequest, login: SocialLogin, invited: int | None) -> None:
        """Joins the provider's account with the person who connects it or was invited, or makes the person."""
        connects = login.state.get("process") == AuthProcess.CONNECT
        person = request.user if connects else User.objects.filter(pk=invited or 0).first()
        told, refused = claims(login), ""
        with transaction.atomic():  # with the event of a refusal
            try:
                if isinstance(person, User):
                    provider_groups.connect(person=person, email=_address(told), **_by(request))
                else:
                    person = _enter(request, login, told)
            except NotAllowed as error:
                refused = str(error)
            else:
                if not connects:
                    login.connect(request, person)
        if refused:
            raise _no(refused, request)


def _address(told: dict[str, Any]) -> str:
    """Returns the e-mail address that the provider tells, "" for none and for one that it says it has not checked."""
    return "" if told.get("email_verified") is False else str(told.get("email") or "")


def _enter(request: HttpRequest, login: SocialLogin, told: dict[str, Any]) -> User:
    configured = settings.ROLEDESK_SINGLE_SIGN_ON
    return provider_groups.enter(
        email=_address(told),
        names=(login.user.first_name, login.user.last_name),
        values=groups_told(login),
        creates=bool(configured and configured.creates_people),
        **_by(request),
    )


def _hear(login: SocialLogin) -> None:
    """Makes the person's groups what the provider says now. It acts itself: nobody else chose them."""
    configured = settings.ROLEDESK_SINGLE_SIGN_ON
    if configured:
        provider = Actor(type="system", id="identity_provider", name=f"The identity provider ({configured.name})")
        provider_groups.hear(person=login.user, values=groups_told(login), actor=provider, at=datetime.now(UTC))


def _by(request: HttpRequest) -> dict[str, Any]:
    return {"actor": actor_of(request), "at": datetime.now(UTC)}


def _no(reason: str, request: HttpRequest) -> ImmediateHttpResponse:
    return ImmediateHttpResponse(render(request, "403.html", {"reason": reason, "who": " "}, status=403))


def _refusal(request: HttpRequest, login: SocialLogin, asked: dict[str, Any]) -> str:
    same = request.user.is_authenticated and login.user == request.user and str(request.user.pk) == asked["person"]
    if not same:
        return "another_person"
    at = authenticated_at(login)
    if at is None:
        return "no_auth_time"
    return "" if asked["at"] - CLOCKS_DIFFER <= at <= time.time() + CLOCKS_DIFFER else "not_asked_again"


def second_factor_there(login: SocialLogin) -> bool:
    """Returns whether the token says that the provider saw a second factor, in a value that the settings trust."""
    configured = settings.ROLEDESK_SINGLE_SIGN_ON
    token = login.account.extra_data.get("id_token") or {}
    told = token.get("amr")
    values = {token.get("acr"), *(told if isinstance(told, list) else [told])} - {None}
    return bool(configured and any(value in configured.mfa_values for value in values if isinstance(value, str)))


def record_sign_in(request: HttpRequest, login: SocialLogin, *, reauthenticated: bool = False) -> None:
    """Notes in the session when the provider checked the person and by what, if it says so."""
    at = authenticated_at(login)
    told = {"auth_time": at, AT_PROVIDER: second_factor_there(login) or None}
    if any(told.values()):
        known = {"provider": login.account.provider, "uid": login.account.uid, **told}
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
    return _leave(
        request,
        known,
        AuthProcess.REDIRECT,
        next_url=following,
        data={_ASKED: {"person": str(request.user.pk), "at": int(time.time())}},
        auth_params={**known.get_auth_params(), "prompt": "login", "max_age": str(MAX_AGE)},
    )


@require_POST
def take_up(request: HttpRequest, uidb64: str, provider: str) -> HttpResponse:
    """Takes an invitation up by signing in at the provider instead of choosing a password: its link was opened here."""
    token = request.session.get(INTERNAL_RESET_SESSION_TOKEN)
    try:
        person = User.objects.filter(pk=int(urlsafe_base64_decode(uidb64))).first()
        known = get_adapter().get_provider(request, provider=provider)
    except (ValueError, SocialApp.DoesNotExist) as error:
        raise Http404("There is no such invitation.") from error
    if person is None or not invitations.tokens.check_token(person, token):
        raise Http404("There is no such invitation.")
    return _leave(request, known, AuthProcess.LOGIN, next_url="/", data={_INVITED: person.pk})


@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Leads to the provider as allauth does; one that does not answer is said in words."""
    try:
        answer: HttpResponse = openid_connect.login(request, provider_id)
    except RequestException as error:
        known = get_adapter().get_provider(request, provider=provider_id)
        return _not_answering(request, known, error)
    return answer


def _leave(request: HttpRequest, provider: Any, process: str, **more: Any) -> HttpResponse:
    try:
        answer: HttpResponse = provider.redirect(request, process, **more)
    except RequestException as error:
        return _not_answering(request, provider, error)
    return answer


def _not_answering(request: HttpRequest, provider: Any, error: Exception) -> HttpResponse:
    answer: HttpResponse = render_authentication_error(request, provider, exception=error)
    answer.status_code = 503
    return answer
