"""Approval rules: seats are filled by different people, and no requirements are never met."""

from __future__ import annotations

from itertools import combinations, permutations

from hypothesis import given
from hypothesis import strategies as st

from iamroles.rules.approval import Approval, Quorum, Requirement, quorum

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

    def test_either_group_fills_a_seat_that_names_both(self) -> None:
        either = Requirement("approvers", 1, "rule", ("security",))
        assert quorum([either], [approval("mei", "security")]).met
        assert quorum([either], [approval("eve", "finance")]) == Quorum(0, 1, ("approvers or security",))

    def test_no_requirements_are_never_met(self) -> None:
        assert not quorum([], [approval("amara", "approvers")]).met


GROUPS = ("a", "b", "c")
people = st.lists(
    st.tuples(st.sampled_from("pqrs"), st.frozensets(st.sampled_from(GROUPS))).map(lambda t: Approval(*t)), max_size=5
)
requirements = st.lists(
    st.tuples(st.lists(st.sampled_from(GROUPS), min_size=1, max_size=2, unique=True), st.integers(1, 2)),
    min_size=1,
    max_size=3,
)


def brute_force(seats: list[list[str]], approvals: list[Approval]) -> int:
    """The most seats that different people can fill, by trying every choice."""
    merged: dict[str, set[str]] = {}
    for given_ in approvals:
        merged.setdefault(given_.person, set()).update(given_.groups)
    names = list(merged)
    for size in range(min(len(seats), len(names)), 0, -1):
        for chosen in combinations(range(len(seats)), size):
            for order in permutations(names, size):
                if all(merged[name].intersection(seats[seat]) for seat, name in zip(chosen, order, strict=True)):
                    return size
    return 0


@given(requirements, people)
def test_agrees_with_trying_everything(wanted: list[tuple[list[str], int]], approvals: list[Approval]) -> None:
    rules = [Requirement(names[0], count, "rule", tuple(names[1:])) for names, count in wanted]
    seats = [names for names, count in wanted for _ in range(count)]
    found = quorum(rules, approvals)
    best = brute_force(seats, approvals)
    assert (found.given, found.needed, found.met, len(found.missing)) == (
        best,
        len(seats),
        best == len(seats),
        len(seats) - best,
    )
