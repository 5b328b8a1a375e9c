"""Signing in and out as events. Signals are used here alone: the acts happen inside django-allauth.

A typed name may be a password in the wrong box, so a refused sign-in keeps only a salted digest of it. The name itself
is kept beside the trail, erasable, only where a person signs in by it: of anything else nobody knows what it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from allauth.account.signals import authentication_step_completed
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.signals import social_account_added
from allauth.usersessions.models import UserSession
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.cache import cache
from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest

from iamroles import audit
from iamroles.audit import Actor, Subject, config
from iamroles.models import AuditEvent, User
from iamroles.web.caller import actor_of
from iamroles.web.sign_in_notices import tell_of_credential, tell_of_failure, tell_of_sign_in

_SHELL: Final = Actor(type="system", id="shell", name="Shell", channel="command")
_WRONG: Final = {"password": "bad_credentials", "mfa": "bad_code"}  # method -> why it was refused
THROTTLED_FOR: Final = timedelta(minutes=5)  # allauth's window for failed tries


def connect() -> None:
    """Connects the receivers once, from the application's `ready`."""
    user_logged_in.connect(_started, dispatch_uid="roledesk_session_started")
    user_logged_out.connect(_ended, dispatch_uid="roledesk_session_ended")
    user_login_failed.connect(_refused, dispatch_uid="roledesk_session_refused")
    authentication_step_completed.connect(_confirmed, dispatch_uid="roledesk_session_confirmed")
    authentication_failed.connect(_wrong_code, dispatch_uid="roledesk_session_wrong_code")
    # Not allauth's own signals: those come after the commit, and the event belongs into the transaction.
    post_save.connect(_factor_saved, sender=Authenticator, dispatch_uid="roledesk_factor_saved")
    post_delete.connect(_factor_deleted, sender=Authenticator, dispatch_uid="roledesk_factor_deleted")
    social_account_added.connect(_connected, dispatch_uid="roledesk_single_sign_on_connected")


def _subject(user: User) -> Subject:
    return Subject("user", str(user.pk), user.display_name)


def _started(sender: Any, request: HttpRequest, user: User, **_: Any) -> None:
    records = get_authentication_records(request, user)
    method = str(records[-1]["method"]) if records else "sign_in"
    with transaction.atomic():
        tell_of_sign_in(request, user)
        audit.record(
            "session.started",
            actor=actor_of(request),
            subject=_subject(user),
            at=datetime.now(UTC),
            data={"method": method, "mfa": any(record["method"] == "mfa" for record in records)},
        )


def _ended(sender: Any, request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is None or not request.user.is_authenticated:
        return
    with transaction.atomic():
        audit.record(
            "session.ended",
            actor=actor_of(request),
            subject=_subject(user),
            at=datetime.now(UTC),
            data={"cause": "signed_out"},
        )


def record_ended_elsewhere(request: HttpRequest, ended: UserSession) -> None:
    """Records that a person ended another session of theirs, with its digest. Inside the caller's transaction."""
    audit.record(
        "session.ended",
        actor=actor_of(request),
        subject=_subject(ended.user),
        at=datetime.now(UTC),
        data={"cause": "ended from another session", "session": config.session_hash(ended.session_key)},
    )


def _confirmed(
    sender: Any, request: HttpRequest, user: User, method: str, reauthenticated: bool = False, **_: Any
) -> None:
    """Gives the session another key: whoever knew the old one gains nothing by the confirmation."""
    if not reauthenticated:
        return
    old = request.session.session_key
    request.session.cycle_key()
    with transaction.atomic():
        UserSession.objects.filter(session_key=old).update(session_key=request.session.session_key)
        audit.record(
            "session.confirmed",
            actor=actor_of(request),
            subject=_subject(user),
            at=datetime.now(UTC),
            data={"method": method},
        )


def _connected(sender: Any, request: HttpRequest, sociallogin: SocialLogin, **_: Any) -> None:
    record_credential(request, sociallogin.user, "single sign-on", "connected")


def record_not_confirmed(request: HttpRequest, code: str) -> None:
    """Records that the identity provider's answer did not confirm the person."""
    actor = actor_of(request)
    with transaction.atomic():
        audit.record(
            "session.not_confirmed",
            actor=actor,
            subject=Subject("user", actor.id or "unknown", actor.name),
            at=datetime.now(UTC),
            outcome="refused",
            code=code,
            data={"method": "socialaccount", "code": code},
        )


def _refused(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    if request is None:
        return
    typed = str(credentials.get("username") or credentials.get("email") or "")
    commitment = audit.commit(typed)
    person = User.objects.filter(Q(username__iexact=typed) | Q(email__iexact=typed)).first() if typed else None
    with transaction.atomic():
        event = _record_refused(request, Subject("session", "sign-in", "sign-in"), "password", commitment)
        if person is not None:
            audit.disclose(event, "data.typed_name", commitment)
            tell_of_failure(request, person)


def _wrong_code(sender: Any, request: HttpRequest, user: User, **_: Any) -> None:
    """Records a wrong second factor; who it is, the password said before, so no name is kept in clear."""
    with transaction.atomic():
        _record_refused(request, _subject(user), "mfa", audit.commit(user.get_username()))
        tell_of_failure(request, user, wrong_code=True)


def _record_refused(request: HttpRequest, subject: Subject, method: str, typed: audit.Commitment) -> AuditEvent:
    code = _WRONG[method]
    return audit.record(
        "session.refused",
        actor=actor_of(request),
        subject=subject,
        at=datetime.now(UTC),
        outcome="refused",
        code=code,
        data={"method": method, "code": code, "typed_name": typed.as_data()},
    )


def _factor_saved(sender: Any, instance: Authenticator, created: bool, **_: Any) -> None:
    if created:
        record_credential(context.request, instance.user, str(instance.type), "added")


def _factor_deleted(sender: Any, instance: Authenticator, **_: Any) -> None:
    record_credential(context.request, instance.user, str(instance.type), "removed")


def record_credential(request: HttpRequest | None, user: User, kind: str, change: str) -> None:
    """Records that a password or second factor of a person is another now, and tells them; never what it is.

    A shell has no request.
    """
    with transaction.atomic():
        tell_of_credential(request, user, kind, change)
        audit.record(
            "credential.changed",
            actor=actor_of(request) if request is not None else _SHELL,
            subject=_subject(user),
            at=datetime.now(UTC),
            data={"kind": kind, "change": change},
        )


def record_throttled(request: HttpRequest) -> None:
    """Records that signing in is slowed down for an address; the same again only after five minutes."""
    actor = actor_of(request)
    if not cache.add(f"roledesk.throttled.{actor.ip}", 1, THROTTLED_FOR.total_seconds()):
        return
    at = datetime.now(UTC)
    with transaction.atomic():
        audit.record(
            "sign_in.throttled",
            actor=actor,
            subject=Subject("session", "sign-in", "sign-in"),
            at=at,
            outcome="refused",
            code="too_many_tries",
            data={"scope": actor.ip or "unknown", "until": (at + THROTTLED_FOR).isoformat()},
        )
