"""Every state-changing form carries a UUID: the second POST of it answers with the first one's result."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from iamroles.models import Submission, User


class SeeOther(HttpResponseRedirect):
    """303: the answer to every POST that did something."""

    status_code = 303


def once(request: HttpRequest, user: User, produce: Callable[[], str]) -> HttpResponse:
    """Runs `produce`, which does the work and returns the address to go to, once per `idempotency_key` and person.

    A second POST with the same key answers 303 to the first result. A missing or malformed key runs without that
    protection, so that a plain client can still post. Errors of `produce` pass through and leave the key unused.
    """
    key = _key(request)
    if key is None:
        return SeeOther(produce())
    known = Submission.objects.filter(key=key, user=user).first()
    if known is not None:
        return SeeOther(known.location)
    try:
        with transaction.atomic():
            row = Submission.objects.create(key=key, user=user, location="", at=datetime.now(UTC))
            row.location = produce()
            row.save(update_fields=["location"])
    except IntegrityError:
        known = Submission.objects.filter(key=key, user=user).first()
        if known is None:
            raise
        return SeeOther(known.location)
    return SeeOther(row.location)


def _key(request: HttpRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("idempotency_key", ""))
    except ValueError:
        return None
