"""How far the approvals of a request are: who has decided, which seats are empty, in words.

Which approvals count is decided by `eligibility`, as at the verb and at the claim; here its rows are read in bulk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from iamroles import eligibility
from iamroles.eligibility import Bars
from iamroles.models import Decision, Proposal, User
from iamroles.rules import approval
from iamroles.rules.approval import Requirement


@dataclass(frozen=True)
class Seat:
    """One requirement on the page: `done` of `count` people of `group`, and why they are needed."""

    group: str
    count: int
    done: int
    why: str

    @property
    def filled(self) -> bool:
        """True when nobody of this group is missing."""
        return self.done >= self.count


@dataclass(frozen=True)
class Progress:
    """`given` of `needed`; `sentence` is what the page says, `note` why a rule did not let it go without a person."""

    given: int
    needed: int
    seats: tuple[Seat, ...]
    sentence: str
    note: str = ""


def decisions_by_revision(**only: Any) -> dict[int, list[Decision]]:
    """Returns the decisions narrowed by `only`, oldest first, approvers loaded without their groups. One query."""
    found: dict[int, list[Decision]] = {}
    for row in Decision.objects.filter(**only).select_related("approver", "revision").order_by("pk"):
        found.setdefault(row.revision_id, []).append(row)
    return found


def approvers_of(decisions: Mapping[int, list[Decision]]) -> list[User]:
    """Returns the loaded approvers, so that `eligibility.people_of` reads their groups with everybody else's."""
    return [row.approver for made in decisions.values() for row in made]


def progress_of(proposal: Proposal, decisions: Iterable[Decision], bars: Bars | None) -> Progress:
    """Returns how far a proposal is, from its loaded decisions. Without `bars` they count as they did when they were
    given: for a closed request, whose approvers may have left since.
    """
    made = list(decisions)
    let_go = let_go_sentence(proposal, made)
    if let_go:
        return Progress(0, 0, (), let_go)
    requirements = eligibility.requirements_of(proposal)
    counted = eligibility.counting(made, bars) if bars else eligibility.counted_when_given(made)
    quorum = approval.quorum(requirements, counted)
    seats = _seats(requirements, quorum.missing)
    why = _ATTENDED.get(proposal.body.get("attended", ""), "")
    note = f"A rule lets such requests go without a person, but {why}." if why else ""
    return Progress(quorum.given, quorum.needed, seats, _sentence(quorum.given, quorum.needed, seats), note)


_ATTENDED: Final = {
    "removes": "this one only takes rights away",
    "not_low": "the risk of this one is not Low",
    "adopts": "this one adopts a role that exists already",
    "not_guarded": "this one is not proved inside both guardrails of the AWS account",
    "foreign_parts": "this role holds parts of others, or others use its policies",
    "first_grant": "this one passes a role that nobody was granted before",
}


def let_go_sentence(proposal: Proposal, decisions: Iterable[Decision]) -> str:
    """Returns by which rule a request was approved without a person; "" for one that people approved or decide."""
    rule = proposal.unattended
    if rule is None or proposal.revision.request.approved_at is None:
        return ""
    if any(row.decision == "approve" and not row.ended_by for row in decisions):
        return ""
    return f"Approved by rule version {rule['version']} without a person, because: {rule['why']}"


def _seats(requirements: Iterable[Requirement], missing: Iterable[str]) -> tuple[Seat, ...]:
    left: dict[str, int] = {}
    for group in missing:
        left[group] = left.get(group, 0) + 1
    seats = []
    for requirement in requirements:
        absent = min(requirement.count, left.get(requirement.name, 0))
        left[requirement.name] = left.get(requirement.name, 0) - absent
        seats.append(Seat(requirement.name, requirement.count, requirement.count - absent, requirement.why))
    return tuple(seats)


@dataclass(frozen=True)
class Staff:
    """Who could still approve; `lacking` says what keeps the request from ever being approved, "" when nothing does."""

    people: tuple[User, ...]
    lacking: str


def staff_of(
    proposal: Proposal, decisions: Iterable[Decision], bars: Bars, people: Iterable[User] | None = None
) -> Staff:
    """Returns who is asked besides those who have decided. `people` as for `eligibility.could_approve`."""
    able = eligibility.could_approve(proposal, bars, people)
    decided = {row.approver_id for row in decisions if not row.ended_by}
    wanted = eligibility.requirements_of(proposal)
    missing = eligibility.unfilled(wanted, able, bars) if wanted else ()
    lacking = ""
    if missing:
        lacking = (
            f"Nobody is left to give {eligibility.missing_words(missing)}. Once an operator has added people, "
            "its requester sends it again: an approval counts from people who were in the group before."
        )
    return Staff(tuple(user for user in able if user.pk not in decided), lacking)


def _sentence(given: int, needed: int, seats: Iterable[Seat]) -> str:
    if not needed:
        return "It has a forbidden part: nobody can approve it."
    done = [seat.group for seat in seats if seat.filled]
    missing = [seat.group for seat in seats if not seat.filled]
    parts = [f"{_listed(done)} done"] if done else []
    parts += [f"{_listed(missing)} missing"] if missing else []
    return f"{given} of {needed} {'approval' if needed == 1 else 'approvals'}: {', '.join(parts)}."


def _listed(names: list[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def standing_of(decisions: Mapping[int, list[Decision]], revision_id: int, user_id: int) -> Decision | None:
    """Returns the person's own decision on a revision that still counts, or None."""
    return next((d for d in decisions.get(revision_id, ()) if d.approver_id == user_id and not d.ended_by), None)
