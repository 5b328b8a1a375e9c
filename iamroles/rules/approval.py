"""Who must approve what: requirements that must all hold, and whether given approvals meet them. Pure.

One natural person counts once, whatever groups they belong to. The requester and editors never count; callers pass only
approvals that may count, `permissions` decides which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from iamroles.rules import groups


@dataclass(frozen=True)
class Requirement:
    """`count` different people of `group` must approve; `why` is shown to everybody."""

    group: str
    count: int
    why: str

    def as_mapping(self) -> dict[str, Any]:
        """Returns the JSON-able form that a proposal stores."""
        return {"group": self.group, "count": self.count, "why": self.why}


@dataclass(frozen=True)
class Approval:
    """One approval that may count: who, and the groups that the person is in today."""

    person: str
    groups: frozenset[str]


@dataclass(frozen=True)
class Quorum:
    """`given` of `needed` seats are filled; `missing` lists a group for each empty seat."""

    given: int
    needed: int
    missing: tuple[str, ...]

    @property
    def met(self) -> bool:
        """True when every requirement holds."""
        return not self.missing


# The rules that every installation starts with. Its canonical SHA-256 is part of each proposal digest.
STARTING_RULES: Final[dict[str, Any]] = {
    "version": 1,
    "low": [{"group": groups.APPROVERS, "count": 1, "why": "Every request needs an approver."}],
    "medium": [{"group": groups.APPROVERS, "count": 1, "why": "Every request needs an approver."}],
    "high": [
        {"group": groups.APPROVERS, "count": 1, "why": "Every request needs an approver."},
        {"group": groups.SECURITY, "count": 1, "why": "High risk needs somebody of security."},
    ],
    "adopt": "The AWS account's owner answers for adopting a role that exists already.",
    "life_days": 7,
}


def requirements_for(
    *, risk: str, adopts: bool, owner_group: str, rules: dict[str, Any] = STARTING_RULES
) -> tuple[Requirement, ...]:
    """Returns what must hold for a proposal of this risk. Forbidden has no requirements: nobody can approve it.

    Adopting is for the AWS account's owner to decide, in the place of any approver.
    """
    if risk == "forbidden":
        return ()
    owner = Requirement(owner_group, 1, rules["adopt"])
    wanted = [Requirement(**r) for r in rules[risk]]
    return tuple(owner if adopts and r.group == groups.APPROVERS else r for r in wanted)


def _seats(requirements: Iterable[Requirement]) -> list[str]:
    return [r.group for r in requirements for _ in range(r.count)]


def _fillable(seats: Sequence[str], approvals: Sequence[Approval]) -> int:
    """Returns the size of a largest matching of people to seats (augmenting paths)."""
    taken: dict[int, int] = {}

    def place(person: int, seen: set[int]) -> bool:
        for seat, group in enumerate(seats):
            if seat in seen or group not in approvals[person].groups:
                continue
            seen.add(seat)
            if seat not in taken or place(taken[seat], seen):
                taken[seat] = person
                return True
        return False

    return sum(place(person, set()) for person in range(len(approvals)))


def quorum(requirements: Sequence[Requirement], approvals: Sequence[Approval]) -> Quorum:
    """Returns how far the approvals go. Each seat needs its own person, so "an approver and one of security" means two
    people even where one person is in both groups. No requirements at all are never met.
    """
    people: dict[str, Approval] = {}
    for approval in approvals:
        known = people.get(approval.person)
        people[approval.person] = Approval(approval.person, approval.groups | (known.groups if known else frozenset()))
    unique = list(people.values())
    seats = _seats(requirements)
    missing = _missing(seats, unique) if seats else ("nobody",)
    return Quorum(given=_fillable(seats, unique), needed=len(seats), missing=missing)


def _missing(seats: Sequence[str], people: Sequence[Approval]) -> tuple[str, ...]:
    """Fills the seats greedily: fillable seats form a matroid, so any order leaves as few empty as possible."""
    filled: list[str] = []
    left: list[str] = []
    for seat in seats:
        if _fillable([*filled, seat], people) > len(filled):
            filled.append(seat)
        else:
            left.append(seat)
    return tuple(left)
