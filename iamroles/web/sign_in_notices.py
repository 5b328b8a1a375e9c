"""What people are told of their own signing in: tries that failed, a browser that is new to them, another password or
second factor (ASVS 5.0, 6.3.5 and 6.3.7). Into the outbox, in the transaction of the event; allauth's own mails come
after it and know nothing of tries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from django.core.cache import cache
from django.http import HttpRequest

from iamroles import audit, notices
from iamroles.browsers import browser_of
from iamroles.models import User

FAILING: Final = 5  # tries in a day that failed, with which a person is told
SUSPICIOUS: Final = 3  # of them before one that succeeds
_COUNTED_FOR: Final = timedelta(days=1)
_KNOWN_FOR: Final = timedelta(days=180)  # a browser with which somebody signed in
_ONCE_IN: Final = timedelta(hours=1)
# How "Your …" ends. Recovery codes that go away go with the second factor that they belong to.
_CHANGES: Final = {
    ("password", "changed"): "password was changed",
    ("password", "set"): "password was set",
    ("totp", "added"): "authenticator app was set up as a second factor",
    ("totp", "removed"): "authenticator app was removed as a second factor",
    ("webauthn", "added"): "security key was added as a second factor",
    ("webauthn", "removed"): "security key was removed as a second factor",
    ("recovery_codes", "added"): "recovery codes were made anew",
    ("single sign-on", "connected"): "sign-in was connected to your organisation's single sign-on",
}


def tell_of_sign_in(request: HttpRequest, user: User) -> None:
    """Tells of a sign-in after tries that failed, else with a browser that is new to the person.

    Before its event is recorded. The first sign-in of all is no news.
    """
    at = datetime.now(UTC)
    failed = int(cache.get(_counter(user), 0))
    cache.delete(_counter(user))
    if failed >= SUSPICIOUS:
        notices.warn(user, "sign_in.after_failures", at=at, tries=failed, **_origin(request))
        return
    known = {browser_of(agent) for agent in audit.agents_of_sign_ins(str(user.pk), since=at - _KNOWN_FOR)}
    if known and _origin(request)["browser"] not in known:
        notices.warn(user, "sign_in.new_browser", at=at, **_origin(request))


def tell_of_failure(request: HttpRequest, user: User, *, wrong_code: bool = False) -> None:
    """Counts a try that failed, and tells once of many in a day; of a wrong code after the right password at once."""
    at = datetime.now(UTC)
    failed = int(cache.get(_counter(user), 0)) + 1
    cache.set(_counter(user), failed, _COUNTED_FOR.total_seconds())
    if failed == FAILING:
        notices.warn(user, "sign_in.failing", at=at, tries=failed, **_origin(request))
    if wrong_code and cache.add(f"roledesk.wrong_code.{user.pk}", 1, _ONCE_IN.total_seconds()):
        notices.warn(user, "sign_in.wrong_code", at=at, **_origin(request))


def tell_of_credential(request: HttpRequest | None, user: User, kind: str, change: str) -> None:
    """Tells of another password or second factor; of kinds and changes as `credential.changed` has them."""
    what = _CHANGES.get((kind, change))
    if what is not None:
        notices.warn(user, "credential.changed", at=datetime.now(UTC), what=what, **_origin(request))


def _counter(user: User) -> str:
    return f"roledesk.failed.{user.pk}"


def _origin(request: HttpRequest | None) -> dict[str, str]:
    if request is None:  # a shell
        return {}
    return {"browser": browser_of(request.headers.get("User-Agent", "")), "ip": request.META.get("REMOTE_ADDR") or ""}
