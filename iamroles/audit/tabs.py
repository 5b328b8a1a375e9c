"""The tabs of the history: which events are decisions, what was applied, failures, people and rights, exports."""

from __future__ import annotations

from typing import Final

from django.db.models import Q

from iamroles.audit.events import EVENTS


def _named(*starts: str) -> tuple[str, ...]:
    """Returns the events with these names, or with names that begin so where it ends in a dot."""
    return tuple(name for name in EVENTS if any(name.startswith(s) if s.endswith(".") else name == s for s in starts))


TABS: Final[dict[str, Q]] = {
    "decisions": Q(
        action__in=_named(
            *(
                "approval.",
                "changes.",
                "request.rejected",
                "request.approved",
                "request.auto_approved",
                "finding.accepted",
                "resolution.",
            ),
            *("approval_rule.", "guardrail.", "standard."),
        )
    ),
    "applied": Q(
        action__in=_named(
            *("run.verified", "request.applied", "request.found_right", "request.handed_over", "step.completed"),
            *("inventory.",),
        )
    ),
    "failures": Q(outcome__in=("refused", "failed", "unknown")),
    "access": Q(
        action__in=_named(
            *("session.", "sign_in.", "credential.", "user.", "membership.", "team.", "account."),
            *("provider_groups.",),
        )
    ),
    "exports": Q(action__in=_named("export.", "bundle.", "verification.", "audit.viewed")),
}
