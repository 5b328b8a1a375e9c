"""Reads for "Check a role": the answer of a worker's look, in words. No request is involved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from iamroles.blueprints import RoleState
from iamroles.blueprints import facts as facts_module
from iamroles.iam.documents import Document
from iamroles.models import ObservationOrder, User

RIGHT, DIFFERENT, MISSING = "right", "different", "missing"
_HEADLINES = {
    RIGHT: "is configured right",
    DIFFERENT: "is not configured right",
    MISSING: "does not exist",
}


@dataclass(frozen=True)
class RoleCheck:
    """A worker's answer, or the wait for it. `state` is "", right, different, missing or failed."""

    order: ObservationOrder
    state: str
    headline: str
    sentences: tuple[str, ...]
    missing: tuple[str, ...]
    trust: Document | None
    attached: tuple[str, ...]
    inline: tuple[str, ...]
    boundary: str
    error: str
    form_query: str

    @property
    def waits(self) -> bool:
        """True until a worker has answered or given up."""
        return not self.state


def may_see_check(user: User, order: ObservationOrder) -> bool:
    """Returns whether the person may read an answer: whoever ordered it, and everybody whose team uses the account."""
    return order.ordered_by_id == user.pk or order.account.teams.filter(members=user).exists()


def role_check_of(order: ObservationOrder) -> RoleCheck:
    """Returns the answer of an order for its page."""
    result: Mapping[str, Any] = order.result or {}
    error = str(result.get("error", ""))
    state = "" if order.answered_at is None else "failed" if error else str(result.get("state", "failed"))
    role = RoleState.from_mapping(result["role"]) if result.get("role") else None
    return RoleCheck(
        order=order,
        state=state,
        headline=_HEADLINES.get(state, ""),
        sentences=tuple(result.get("sentences", ())),
        missing=tuple(result.get("missing", ())),
        trust=role.trust if role else None,
        attached=tuple(sorted(role.attached)) if role else (),
        inline=tuple(sorted(role.inline)) if role else (),
        boundary=(role.boundary or "") if role else "",
        error=error,
        form_query=urlencode(
            {
                "team": facts_module.read(order.facts).team,
                "account": order.account.number,
                "role_name": order.role_name,
            }
        ),
    )
