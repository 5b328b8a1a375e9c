"""What is wrong with one field of a form, and how a typed line is tidied; shared by the readers of answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from iamroles.iam import limits

# The portal's own role, at whatever path: role names are unique in an AWS account.
PORTAL_ROLE = "RoledeskWorker"


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field. `field` is the published form field's name."""

    field: str
    id: str
    message: str


def tidy(line: str) -> str:
    """Returns the line without spaces, quotes and commas around it."""
    return line.strip().strip("\"'`,").strip()


def at(field: str, problems: Iterable[limits.Problem]) -> tuple[FieldProblem, ...]:
    """Returns the problems of a value as problems of a field."""
    return tuple(FieldProblem(field, p.id, p.message) for p in problems)
