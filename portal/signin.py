"""How people sign in: django-allauth's adapter. Nobody makes an account for themselves; people are invited."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.decorators import reauthentication_required
from allauth.account.views import password_set
from allauth.core.exceptions import ReauthenticationRequired
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from iamroles.models import User
from iamroles.permissions import Allowance
from iamroles.web.caller import provider_told_at
from iamroles.web.reading import refuse_look
from iamroles.web.sessions import record_credential, record_throttled
from portal.single_sign_on import record_sign_in
from portal.wording import ACCOUNT_ERRORS, WAYS

NO_WAY = (
    "Your sign-in is too old for this step, and there is nothing to confirm it with: no password, no second factor, "
    "no organisation's sign-in. Sign out and in again, and register a second factor within 5 minutes."
)


SIGN_IN_THERE = "Your organisation's sign-in decides about your groups here, so sign in there and not with a password."


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Closes self-service sign-up; tells the audit trail when somebody tries too often; knows how to confirm."""

    error_messages: ClassVar[Mapping[str, Any]] = {**DefaultAccountAdapter.error_messages, **ACCOUNT_ERRORS}

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Counts the try. Raises ValidationError when there were too many, once it is recorded."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            record_throttled(request)
            raise

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Returns False: accounts come from invitations or the identity provider."""
        return False

    def pre_login(self, request: HttpRequest, user: User, **more: Any) -> HttpResponse | None:
        """Notes when the identity provider checked the person, which may be hours before it sent them here.

        Answers 403 to a password of whoever is in a group by the provider: it is heard at each sign-in.
        """
        login = (more.get("signal_kwargs") or {}).get("sociallogin")  # None after a password
        if login is not None:
            record_sign_in(request, login)
        elif settings.ROLEDESK_SINGLE_SIGN_ON and provider_told_at(user):
            return refuse_look(request, "sign_in", Allowance(False, "provider_decides", SIGN_IN_THERE))
        answer: HttpResponse | None = super().pre_login(request, user, **more)
        return answer

    def get_reauthentication_methods(self, user: User | AnonymousUser) -> list[dict[str, Any]]:
        """Returns how the person can confirm: allauth's own ways, then each identity provider.

        Only the provider where it must say anew which groups the person is in. None for somebody not signed in, whom
        allauth then sends to sign in. Raises PermissionDenied, which the 403 page shows, when there is no way at all.
        """
        if not user.is_authenticated:
            return []
        told = provider_told_at(user)
        stale = told is not None and time.time() - told.timestamp() > settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        own = [] if stale else super().get_reauthentication_methods(user)
        methods = [{**method, "description": WAYS[method["id"]]} for method in own]
        for account in SocialAccount.objects.filter(user=user).order_by("pk"):
            url = reverse("confirm_at_provider", args=[account.provider])
            name = account.get_provider(self.request).name
            methods.append(
                {"id": f"provider:{account.provider}", "description": f"Sign in again at {name}", "url": url}
            )
        if not methods:
            raise PermissionDenied(NO_WAY)
        return methods

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """Mails the link to whoever has a password; to others how they sign in, since a mailbox is no other way in."""
        if user.has_usable_password():
            super().send_password_reset_mail(user, email, context)
        else:
            self.send_mail("account/email/no_password", email, context)

    def set_password(self, user: User, password: str) -> None:
        """Sets the password, and records that in the same transaction."""
        change = "changed" if user.has_usable_password() else "set"
        with transaction.atomic():
            super().set_password(user, password)
            record_credential(self.request, user, "password", change)

    def is_reauthentication_required(self, *, app: str) -> bool:
        """Returns True. Raises ReauthenticationRequired itself where allauth would count everybody as confirmed.

        That is who has neither a password nor a second factor: else an old session could register one and confirm
        with it. Here the moment of signing in to the portal counts, so that a silent provider locks nobody out.
        """
        request = self.request
        if not super().get_reauthentication_methods(request.user):
            records = get_authentication_records(request, request.user)
            newest = max((float(record.get("at", 0)) for record in records), default=0.0)
            if time.time() - newest > settings.ACCOUNT_REAUTHENTICATION_TIMEOUT:
                raise ReauthenticationRequired
        return True


@login_required
def keep_email(request: HttpRequest) -> HttpResponse:
    """Answers 403, recorded: the address says which sign-ins are one person, who never approves their own."""
    reason = "Your e-mail address says who you are here, so you cannot change it. Ask an operator."
    return refuse_look(request, "change_email", Allowance(False, "email_kept", reason))


set_password = reauthentication_required(app="portal")(password_set)
