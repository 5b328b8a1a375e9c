"""The risk of a proposal: the worst of its findings that the account's standard does not give anyway. Deterministic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from iamroles.rules.findings import Finding

LOW: Final = "low"
MEDIUM: Final = "medium"
HIGH: Final = "high"
FORBIDDEN: Final = "forbidden"
ORDER: Final = (LOW, MEDIUM, HIGH, FORBIDDEN)


def risk_of(findings: Iterable[Finding], *, production: bool) -> str:
    """Returns low, medium, high or forbidden. Production raises medium to high and leaves low (POLICY.md part 8)."""
    counted = [f.severity for f in findings if not f.standard and f.severity != "note"]
    worst = max(counted, key=ORDER.index, default=LOW)
    return HIGH if production and worst == MEDIUM else worst
