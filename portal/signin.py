"""How people sign in: django-allauth's adapter. Nobody makes an account for themselves; people are invited."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from iamroles.web.sessions import record_throttled


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Closes self-service sign-up; tells the audit trail when somebody tries too often."""

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
