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


def once(
    request: HttpRequest, user: User, produce: Callable[[], str], *, meanwhile: str = "/requests/"
) -> HttpResponse:
    """Runs `produce`, which does the work and returns the address to go to, once per key, person and path.

    The key is the form's `idempotency_key`. A second POST of it answers 303 to the first result, or to `meanwhile`
    while the first still runs. A missing or malformed key runs without that protection, so that a plain client can
    still post. An error of `produce` passes through and frees the key. There is no transaction around `produce`: a
    verb's refusal must stay recorded.
    """
    key = _key(request, user)
    if key is None:
        return SeeOther(produce())
    try:
        with transaction.atomic():
            row = Submission.objects.create(key=key, user=user, location="", at=datetime.now(UTC))
    except IntegrityError:
        known = Submission.objects.filter(key=key, user=user).first()
        return SeeOther((known.location if known else "") or meanwhile)
    try:
        row.location = produce()
    except BaseException:
        row.delete()
        raise
    row.save(update_fields=["location"])
    return SeeOther(row.location)


def _key(request: HttpRequest, user: User) -> uuid.UUID | None:
    """Returns the stored key: another person, or another address, with the same given key gets another one."""
    try:
        given = uuid.UUID(request.POST.get("idempotency_key", ""))
    except ValueError:
        return None
    return uuid.uuid5(given, f"{user.pk} {request.path}")
