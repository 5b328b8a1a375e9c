"""Ending sessions that nobody signed out of: the row goes once its time is over, and one event tells of it.

Who signs out has an event from the web; what is still there after its time ends here alone, in one transaction.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from allauth.usersessions.models import UserSession
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction

from iamroles import audit
from iamroles.audit import Actor, Subject, config
from iamroles.models import User

AT_ONCE: Final = 500


def end_expired(*, actor: Actor, at: datetime) -> int:
    """Deletes sessions whose time is over, at most 500, with one `session.ended` for each that somebody signed in to.

    Returns how many people's sessions ended. Two processes at once record none twice.
    """
    keys = Session.objects.filter(expire_date__lte=at).order_by("expire_date").values_list("pk", flat=True)
    return sum(_end(key, actor, at) for key in list(keys[:AT_ONCE]))


def _end(key: str, actor: Actor, at: datetime) -> bool:
    with transaction.atomic():
        row = Session.objects.filter(pk=key, expire_date__lte=at).first()
        user = _user_of(row) if row else None
        deleted, _ = Session.objects.filter(pk=key, expire_date__lte=at).delete()
        if not deleted:
            return False  # another process was quicker
        UserSession.objects.filter(session_key=key).delete()
        if user is None:
            return False
        audit.record(
            "session.ended",
            actor=replace(actor, session=config.session_hash(key)),
            subject=Subject("user", str(user.pk), user.display_name),
            at=at,
            data={"cause": "expired"},
        )
    return True


def _user_of(row: Session) -> User | None:
    """Returns who signed in to a session; one whose contents cannot be read any more is known by allauth's row."""
    said = row.get_decoded().get(SESSION_KEY)
    known = UserSession.objects.filter(session_key=row.pk).values_list("user_id", flat=True).first()
    return User.objects.filter(pk=said or known).first()
