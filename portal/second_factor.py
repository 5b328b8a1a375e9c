"""A second factor where a group demands it: nothing but signing in and setting one up until the session has it. And
whoever has one changes it, or adds another, only in a session that has used it: a password alone takes nothing away.

It is had by a code or key of this session, by one that was set up in it, or by an identity provider whose token says so
in a value that the settings trust. Asked for on every page, so that nothing typed is lost over it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models.signals import post_save
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from iamroles.models import User
from iamroles.permissions import group_names
from iamroles.web.caller import user_of

METHOD: Final = "mfa"
AT_PROVIDER: Final = "second_factor"  # set on the record of a sign-in whose provider said so
_OPEN: Final = ("/accounts/", "/static/", "/health/", "/csp-report/", "/settings/theme/", "/invited/", "/demo/")


_FACTORS: Final = "/accounts/2fa/"
_USING: Final = tuple(_FACTORS + path for path in ("needed/", "authenticate/", "reauthenticate/", "webauthn/reauth"))


def demanding(user: User) -> tuple[str, ...]:
    """Returns the groups of the person that demand a second factor, in order."""
    demanded = frozenset(settings.ROLEDESK_MFA_GROUPS)
    return tuple(sorted(demanded & group_names(user))) if demanded else ()


def has_one(request: HttpRequest) -> bool:
    """Returns whether this session was proved by a second factor."""
    records = get_authentication_records(request, request.user)
    return any(record.get("method") == METHOD or record.get(AT_PROVIDER) for record in records)


class DemandSecondFactor:
    """Leads who lacks a second factor to setting one up, or to using it. Nothing is done for them meanwhile."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = get_response
        # allauth's own signal comes after the commit and outside of its `context`.
        post_save.connect(_added, sender=Authenticator, dispatch_uid="roledesk_second_factor_added")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answers the page, or 302 to the second factor; to htmx by its header, which leaves the page."""
        user = request.user
        if not isinstance(user, User) or not self._needs_one(request, user) or has_one(request):
            return self._answer(request)
        following = request.get_full_path() if request.method in ("GET", "HEAD") else "/"
        if request.headers.get("HX-Request"):
            return HttpResponse(status=204, headers={"HX-Redirect": reverse("second_factor_needed")})
        url = f"{reverse('second_factor_needed')}?{urlencode({'next': following})}"
        return HttpResponse(status=302, headers={"Location": url})

    @staticmethod
    def _needs_one(request: HttpRequest, user: User) -> bool:
        path = request.path
        if path.startswith(_FACTORS):
            return not path.startswith(_USING) and is_mfa_enabled(user)
        return not path.startswith(_OPEN) and bool(demanding(user))


@login_required
@require_safe
def needed(request: HttpRequest) -> HttpResponse:
    """Says why a second factor is needed, and leads to using one or to setting one up."""
    user = user_of(request)
    shown: dict[str, Any] = {"groups": demanding(user), "has_one": has_one(request)}
    if is_mfa_enabled(user):
        methods = get_adapter(request).get_reauthentication_methods(user)
        own = [method for method in methods if str(method["id"]).startswith("mfa")] or methods
        if not own:
            raise PermissionDenied("There is no way to use your second factor. Sign out and in again.")
        shown["url"] = f"{own[0]['url']}?{urlencode({'next': request.GET.get('next', '/')})}"
    return render(request, "mfa/needed.html", shown)


def _added(sender: Any, instance: Authenticator, created: bool, **_: Any) -> None:
    """Setting one up uses it; the same code a second time would be refused."""
    request = context.request  # none in a shell
    own = request is not None and request.user == instance.user
    if created and own and instance.type != Authenticator.Type.RECOVERY_CODES:
        record_authentication(request, instance.user, METHOD, type=str(instance.type), id=instance.pk)
