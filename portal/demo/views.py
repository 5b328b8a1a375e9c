"""Continue as one of the demo's people without a password. The addresses exist under demo settings alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.views import LoginView, reauthenticate
from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from iamroles.models import ProviderWord, User
from portal.demo import mail
from portal.demo.people import PEOPLE

if not settings.ROLEDESK_DEMO:
    raise ImproperlyConfigured("portal.demo is for demo settings alone.")

_BY_LOGIN = {person.login: person for person in PEOPLE}


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}) else "/"


class DemoSignIn(LoginView):  # type: ignore[misc]
    """The product's own sign-in page with the demo's people beside it."""

    template_name = "account/login.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Returns allauth's context and the people."""
        return {**super().get_context_data(**kwargs), "demo_people": PEOPLE, "demo_next": _next(self.request)}


sign_in = DemoSignIn.as_view()


@require_POST
def continue_as(request: HttpRequest) -> HttpResponse:
    """Signs in as the person whose login was posted; anybody else is not found."""
    person = _BY_LOGIN.get(request.POST.get("login", ""))
    user = get_object_or_404(User, username=person.login if person else "")
    if request.user.is_authenticated and request.user.pk != user.pk:
        logout(request)
    record_authentication(request, user, method="demo")
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect(_next(request))


@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Signs out and shows the people again."""
    logout(request)
    return redirect("account_login")


def confirm(request: HttpRequest) -> HttpResponse:
    """Confirms with one click that the person is still there; the product asks for a password or a key here.

    Whoever came through an identity provider, which somebody is trying out, is asked as the product asks.
    """
    if not request.user.is_authenticated:
        return redirect("account_login")
    if ProviderWord.objects.filter(user=request.user.pk).exists():
        answer: HttpResponse = reauthenticate(request)
        return answer
    if request.method == "POST":
        record_authentication(request, request.user, method="demo", reauthenticated=True)
        return redirect(_next(request))
    return render(request, "iamroles/demo_confirm.html", {"next": _next(request)})


@login_required
@require_safe
def mails(request: HttpRequest) -> HttpResponse:
    """Shows the demo's newest mails."""
    return render(request, "iamroles/demo_mail.html", {"mails": mail.newest(Path(settings.EMAIL_FILE_PATH))})
