"""What an approver typed and ticked, kept in the session over a refusal or a sign-in, so that nothing of it is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.http import HttpRequest, QueryDict

_KEPT = "typed_decision"


@dataclass(frozen=True)
class Typed:
    """A decision as it was typed; `decision` is "" where no button was pressed."""

    decision: str = ""
    reason: str = ""
    acknowledged: tuple[str, ...] = ()
    proposal_digest: str = ""

    def __bool__(self) -> bool:
        return bool(self.decision or self.reason or self.acknowledged)


def read(form: QueryDict) -> Typed:
    """Returns what a posted form says."""
    return Typed(
        decision=form.get("decision", "")[:20],
        reason=form.get("reason", ""),
        acknowledged=tuple(form.getlist("acknowledged")),
        proposal_digest=form.get("proposal_digest", "")[:64],
    )


def keep(request: HttpRequest, request_id: int, typed: Typed) -> None:
    """Keeps it for this request's review page, in place of what was kept before. Nothing typed keeps what was kept."""
    if typed:
        request.session[_KEPT] = {**asdict(typed), "acknowledged": list(typed.acknowledged), "request_id": request_id}


def kept(request: HttpRequest, request_id: int) -> Typed:
    """Returns what is kept for this request, or an empty one."""
    found: Mapping[str, Any] = request.session.get(_KEPT) or {}
    if found.get("request_id") != request_id:
        return Typed()
    return Typed(
        decision=str(found.get("decision", "")),
        reason=str(found.get("reason", "")),
        acknowledged=tuple(map(str, found.get("acknowledged", ()))),
        proposal_digest=str(found.get("proposal_digest", "")),
    )


def forget(request: HttpRequest) -> None:
    """Drops what is kept: it was sent."""
    request.session.pop(_KEPT, None)
