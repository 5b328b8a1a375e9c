"""Whether given approvals meet what is needed: seats, each filled by a different natural person. Pure.

Which approvals may count is decided by `permissions`; what is needed by `rules.approval_rules`. One person counts once,
whatever groups they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Requirement:
    """`count` different people must approve, each of `group` or of one of `others`; `why` is shown to everybody."""

    group: str
    count: int
    why: str
    others: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group whose people fit."""
        return (self.group, *self.others)

    @property
    def name(self) -> str:
        """How people call it: "approvers or security"."""
        return " or ".join(self.groups)

    def as_mapping(self) -> dict[str, Any]:
        """Returns the JSON-able form that a proposal stores."""
        others = {"others": list(self.others)} if self.others else {}
        return {"group": self.group, "count": self.count, "why": self.why, **others}

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> Requirement:
        """Returns the requirement that `as_mapping` wrote."""
        return cls(value["group"], value["count"], value["why"], tuple(value.get("others", ())))


@dataclass(frozen=True)
class Approval:
    """One approval that may count: who, and the groups that the person counts for."""

    person: str
    groups: frozenset[str]


@dataclass(frozen=True)
class Quorum:
    """`given` of `needed` seats are filled; `missing` names the requirement of each empty seat."""

    given: int
    needed: int
    missing: tuple[str, ...]

    @property
    def met(self) -> bool:
        """True when every requirement holds."""
        return not self.missing


def _fillable(seats: Sequence[Requirement], approvals: Sequence[Approval]) -> int:
    """Returns the size of a largest matching of people to seats (augmenting paths)."""
    taken: dict[int, int] = {}

    def place(person: int, seen: set[int]) -> bool:
        for seat, wanted in enumerate(seats):
            if seat in seen or approvals[person].groups.isdisjoint(wanted.groups):
                continue
            seen.add(seat)
            if seat not in taken or place(taken[seat], seen):
                taken[seat] = person
                return True
        return False

    return sum(place(person, set()) for person in range(len(approvals)))


def quorum(requirements: Iterable[Requirement], approvals: Iterable[Approval]) -> Quorum:
    """Returns how far the approvals go. Each seat needs its own person, so "an approver and one of security" means two
    people even where one person is in both groups. No requirements at all are never met.
    """
    people: dict[str, Approval] = {}
    for approval in approvals:
        known = people.get(approval.person)
        people[approval.person] = Approval(approval.person, approval.groups | (known.groups if known else frozenset()))
    unique = list(people.values())
    seats = [requirement for requirement in requirements for _ in range(requirement.count)]
    missing = _missing(seats, unique) if seats else ("nobody",)
    return Quorum(given=_fillable(seats, unique), needed=len(seats), missing=missing)


def _missing(seats: Sequence[Requirement], people: Sequence[Approval]) -> tuple[str, ...]:
    """Fills the seats greedily: fillable seats form a matroid, so any order leaves as few empty as possible."""
    filled: list[Requirement] = []
    left: list[str] = []
    for seat in seats:
        if _fillable([*filled, seat], people) > len(filled):
            filled.append(seat)
        else:
            left.append(seat.name)
    return tuple(left)
