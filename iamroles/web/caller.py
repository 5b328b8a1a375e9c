"""Who calls: the signed-in person as verbs and events see them, and when that person last proved who they are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest

from iamroles.audit import Actor, config
from iamroles.models import ProviderWord, User
from iamroles.permissions import group_names


def user_of(request: HttpRequest) -> User:
    """Returns the signed-in person; views are behind `login_required`."""
    assert isinstance(request.user, User)
    return request.user


def actor_of(request: HttpRequest) -> Actor:
    """Returns the copy of the caller that events keep: the session only as a keyed hash."""
    agent = request.headers.get("User-Agent", "")[:200] or None
    ip = request.META.get("REMOTE_ADDR") or None
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return Actor(type="anonymous", id=None, name="Somebody not signed in", ip=ip, agent=agent)
    user = user_of(request)
    return Actor(
        type="user",
        id=str(user.pk),
        name=user.display_name,
        groups=tuple(sorted(group_names(user))),
        session=session_hash(request),
        method=_last_method(request).get("method"),
        ip=ip,
        agent=agent,
    )


def session_hash(request: HttpRequest) -> str | None:
    """Returns what events keep of the session, or None for none."""
    key = request.session.session_key
    return config.session_hash(key) if key else None


def signed_in_at(request: HttpRequest) -> datetime:
    """Returns when the person last signed in or confirmed to be themselves; the epoch when that is unknown.

    Not later than when the identity provider last said which groups they are in, if it gave them one: whoever was
    removed there must not act by a second factor here.
    """
    user = user_of(request)
    records = get_authentication_records(request, user)
    proved = datetime.fromtimestamp(max(map(_proved_at, records), default=0), tz=UTC)
    told = provider_told_at(user)
    return min(proved, told) if told else proved


def provider_told_at(user: User) -> datetime | None:
    """Returns when the identity provider last told of a person who is in a group by it; None for everybody else."""
    rows = ProviderWord.objects.filter(user=user, user__group_memberships__by_provider=True)
    return rows.values_list("at", flat=True).first()


def _proved_at(record: dict[str, Any]) -> float:
    """Returns the moment of a proof: an identity provider may bring back somebody whom it checked hours ago."""
    at = float(record.get("at", 0))
    return min(at, float(record.get("auth_time", 0))) if record.get("method") == "socialaccount" else at


def _last_method(request: HttpRequest) -> dict[str, Any]:
    return max(
        get_authentication_records(request, user_of(request)), key=lambda record: record.get("at", 0), default={}
    )
