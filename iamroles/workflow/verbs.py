"""What every verb of people shares: the errors it raises, and the record of refusals.

A verb runs in one transaction. What it refuses is rolled back, recorded as an event of its own, and raised again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import transaction

from iamroles import audit
from iamroles.audit import Subject
from iamroles.models import Request
from iamroles.permissions import Allowance
from iamroles.transitions import WrongState, subject_of

REASON_AT_MOST = 500
Verb = TypeVar("Verb", bound=Callable[..., Any])


class Refused(Exception):
    """A verb said no. `code` is for events, the text is for the person."""

    code = "refused"

    def __init__(self, message: str, code: str | None = None) -> None:
        self.code = code or self.code
        super().__init__(message)


class NotAllowed(Refused):
    """The person may not do this (403)."""

    code = "not_allowed"

    @classmethod
    def by(cls, allowance: Allowance) -> NotAllowed:
        """Returns the error of a refused allowance."""
        return cls(allowance.reason, allowance.code)


class StaleDigest(Refused):
    """The content changed after the person opened it (409)."""

    code = "stale_digest"


class LookTooOld(StaleDigest):
    """AWS was looked at too long ago to approve by what it read; it is looked at again first (409)."""

    code = "look_too_old"


class Invalid(Refused):
    """Something that the verb needs is missing or wrong (422). `field` names the form's field."""

    code = "invalid"

    def __init__(self, message: str, field: str = "", code: str | None = None) -> None:
        self.field = field
        super().__init__(message, code)


class SignInTooOld(Refused):
    """The person must sign in again first; nothing that was typed is lost over it."""

    code = "sign_in_too_old"


def require(allowance: Allowance) -> None:
    """Raises NotAllowed unless the allowance allows."""
    if not allowance.allowed:
        raise NotAllowed.by(allowance)


def require_fresh_sign_in(signed_in_at: datetime, at: datetime, minutes: int, purpose: str) -> None:
    """Raises SignInTooOld when the person proved who they are longer ago than that; `purpose` ends the sentence."""
    if at - signed_in_at > timedelta(minutes=minutes):
        raise SignInTooOld(f"You signed in more than {minutes} minutes ago. Confirm that it is you to {purpose}.")


def require_reason(reason: str) -> str:
    """Returns the reason of an operator's act, tidied. Raises Invalid without one."""
    tidied = reason.strip()
    if not tidied or len(tidied) > REASON_AT_MOST:
        raise Invalid(f"Give a reason of at most {REASON_AT_MOST} characters. It stays in the audit trail.", "reason")
    return tidied


def lock(request_id: int) -> Request:
    """Returns the request, locked until the transaction ends (SQLite: the whole database is, by IMMEDIATE)."""
    rows = Request.objects.select_for_update(of=("self",)).select_related("requester", "team", "account__owner")
    return rows.get(pk=request_id)


def verb(name: str) -> Callable[[Verb], Verb]:
    """Makes a function a verb: one transaction, and an event for each refusal.

    The function takes `request_id` (or None), `actor` and `at` by keyword.
    """

    def decorate(function: Verb) -> Verb:
        @functools.wraps(function)
        def wrapper(**arguments: Any) -> Any:
            try:
                _require_self(arguments)
                with transaction.atomic():
                    return function(**arguments)
            except (Refused, WrongState) as error:
                _record_refusal(name, error, arguments)
                raise

        return wrapper  # type: ignore[return-value]

    return decorate


def _require_self(arguments: dict[str, Any]) -> None:
    """Nobody acts for another: the person whose rights are asked is the one that events name."""
    user = arguments.get("user")
    if user is not None and arguments["actor"].id != str(user.pk):
        raise NotAllowed("You can act only for yourself.", "acting_for_another")


def _record_refusal(name: str, error: Refused | WrongState, arguments: dict[str, Any]) -> None:
    request = Request.objects.filter(pk=arguments.get("request_id") or 0).first()
    code = error.code if isinstance(error, Refused) else "wrong_state"
    data: dict[str, object] = {"verb": name, "code": code}
    if "seen_digest" in arguments:
        data["seen_digest"] = arguments["seen_digest"]
    with transaction.atomic():
        audit.record(
            "verb.refused",
            actor=arguments["actor"],
            subject=subject_of(request) if request else Subject("verb", name, name),
            at=arguments["at"],
            request=request.reference if request else None,
            revision=request.revision_number or None if request else None,
            outcome="refused",
            code=code,
            data=data,
        )
