"""Approval rules: seats are filled by different people, and no requirements are never met."""

from __future__ import annotations

from itertools import combinations, permutations

from hypothesis import given
from hypothesis import strategies as st

from iamroles.rules.approval import STARTING_RULES, Approval, Quorum, Requirement, quorum, requirements_for

APPROVER = Requirement("approvers", 1, "rule")
SECURITY = Requirement("security", 1, "rule")


def approval(person: str, *groups: str) -> Approval:
    return Approval(person, frozenset(groups))


class TestQuorum:
    def test_one_approver_meets_one_seat(self) -> None:
        assert quorum([APPROVER], [approval("amara", "approvers")]) == Quorum(1, 1, ())

    def test_a_person_in_both_groups_fills_one_seat(self) -> None:
        found = quorum([APPROVER, SECURITY], [approval("amara", "approvers", "security")])
        assert found == Quorum(1, 2, ("security",))

    def test_the_same_person_twice_counts_once(self) -> None:
        twice = [approval("amara", "approvers"), approval("amara", "security")]
        assert quorum([APPROVER, SECURITY], twice).given == 1

    def test_moves_a_person_to_the_seat_that_nobody_else_can_fill(self) -> None:
        both = approval("amara", "approvers", "security")
        assert quorum([APPROVER, SECURITY], [both, approval("bo", "approvers")]).met

    def test_a_stranger_fills_nothing(self) -> None:
        assert quorum([APPROVER], [approval("eve", "finance")]) == Quorum(0, 1, ("approvers",))

    def test_no_requirements_are_never_met(self) -> None:
        assert not quorum([], [approval("amara", "approvers")]).met


GROUPS = ("a", "b", "c")
people = st.lists(
    st.tuples(st.sampled_from("pqrs"), st.frozensets(st.sampled_from(GROUPS))).map(lambda t: Approval(*t)), max_size=5
)
requirements = st.lists(st.tuples(st.sampled_from(GROUPS), st.integers(1, 2)), min_size=1, max_size=3)


def brute_force(seats: list[str], approvals: list[Approval]) -> int:
    """The most seats that different people can fill, by trying every choice."""
    merged: dict[str, set[str]] = {}
    for given_ in approvals:
        merged.setdefault(given_.person, set()).update(given_.groups)
    names = list(merged)
    for size in range(min(len(seats), len(names)), 0, -1):
        for chosen in combinations(range(len(seats)), size):
            for order in permutations(names, size):
                if all(seats[seat] in merged[name] for seat, name in zip(chosen, order, strict=True)):
                    return size
    return 0


@given(requirements, people)
def test_agrees_with_trying_everything(wanted: list[tuple[str, int]], approvals: list[Approval]) -> None:
    rules = [Requirement(group, count, "rule") for group, count in wanted]
    seats = [group for group, count in wanted for _ in range(count)]
    found = quorum(rules, approvals)
    best = brute_force(seats, approvals)
    assert (found.given, found.needed, found.met, len(found.missing)) == (
        best,
        len(seats),
        best == len(seats),
        len(seats) - best,
    )


class TestRequirementsFor:
    def test_high_risk_needs_an_approver_and_security(self) -> None:
        found = requirements_for(risk="high", adopts=False, owner_group="orders-platform")
        assert [(r.group, r.count) for r in found] == [("approvers", 1), ("security", 1)]

    def test_adopting_is_for_the_owner(self) -> None:
        found = {
            risk: [(r.group, r.count) for r in requirements_for(risk=risk, adopts=True, owner_group="orders-platform")]
            for risk in ("low", "high")
        }
        assert found == {"low": [("orders-platform", 1)], "high": [("orders-platform", 1), ("security", 1)]}

    def test_forbidden_can_be_approved_by_nobody(self) -> None:
        assert requirements_for(risk="forbidden", adopts=False, owner_group="x") == ()

    def test_every_risk_has_a_rule(self) -> None:
        assert {"low", "medium", "high"} <= STARTING_RULES.keys()
