"""Findings: one result of the checks, with id, severity, place, reason and fix (POLICY.md part 8 names the ids).

Risk follows from them in `rules.risk`; the wording for people is the finding's own message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Severity = Literal["forbidden", "high", "medium", "note"]
SEVERITIES: Final = ("forbidden", "high", "medium", "note")


@dataclass(frozen=True)
class Finding:
    """`place` is the section of the review page and the statement, e.g. "trust" or "grant:NAME#stmt-1".

    `will_not_work` marks what would make IAM refuse or a deployment fail; `standard` folds what the account's standard
    gives anyway, which then does not count for risk.
    """

    id: str
    severity: Severity
    message: str
    fix: str
    place: str
    will_not_work: bool = False
    standard: bool = False

    def as_mapping(self) -> dict[str, Any]:
        """Returns the JSON-able form that a proposal stores."""
        return {
            "id": self.id,
            "severity": self.severity,
            "message": self.message,
            "fix": self.fix,
            "place": self.place,
            "will_not_work": self.will_not_work,
            "standard": self.standard,
        }
