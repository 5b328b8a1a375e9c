"""What views that show a request share: loading it for a person who may see it, and saying no to one who may not.

A refused look is an event like a refused act; the answer is the same 403 page.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from iamroles import audit, canonical, permissions
from iamroles.models import Request
from iamroles.permissions import Allowance
from iamroles.rules import states
from iamroles.transitions import subject_of
from iamroles.web.caller import actor_of, user_of

_VIEWED = "audit_viewed"


def load_request(request_id: int) -> Request:
    """Returns the request with the rows that its pages show. Raises Http404."""
    rows = Request.objects.select_related("requester", "team", "account__owner")
    found = rows.filter(pk=request_id).first()
    if found is None:
        raise Http404(f"There is no REQ-{request_id:06d}.")
    return found


def may_look(http: HttpRequest, row: Request) -> Allowance:
    """Returns whether the person may see the request; somebody else's draft is nobody's business."""
    user = user_of(http)
    if row.state == states.DRAFT and row.requester_id != user.pk:
        return Allowance(False, "not_requester", f"{row.reference} is a draft of {row.requester.display_name}.")
    return permissions.may_see(user, row)


def refuse_look(http: HttpRequest, what: str, allowance: Allowance, row: Request | None = None) -> HttpResponse:
    """Records that a look was refused and returns the 403 page. `what` names the page as a verb: `view_request`."""
    record_refusal(http, what, allowance, row)
    return render(http, "403.html", {"reason": allowance.reason}, status=403)


def record_refusal(http: HttpRequest, what: str, allowance: Allowance, row: Request | None = None) -> None:
    """Records that a person was refused something that no verb was asked for."""
    with transaction.atomic():
        audit.record(
            "verb.refused",
            actor=actor_of(http),
            subject=subject_of(row) if row else audit.Subject("verb", what, what),
            at=datetime.now(UTC),
            request=row.reference if row else None,
            outcome="refused",
            code=allowance.code,
            data={"verb": what, "code": allowance.code},
        )


def record_view(http: HttpRequest, described: dict[str, str], subject: audit.Subject) -> None:
    """Records that somebody reads the trail or evidence: once a session, filter and hour."""
    now = datetime.now(UTC)
    seen: dict[str, str] = http.session.get(_VIEWED, {})
    what, hour = canonical.digest({**described, "subject": subject.id})[:16], f"{now:%Y-%m-%dT%H}"
    if seen.get(what) == hour:
        return
    http.session[_VIEWED] = {**{key: at for key, at in seen.items() if at == hour}, what: hour}
    with transaction.atomic():
        audit.record("audit.viewed", actor=actor_of(http), subject=subject, at=now, data={"filter": described})
