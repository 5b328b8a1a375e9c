"""The states of a request and of a run, and the verbs between them. Data only: `transitions` is who writes."""

from __future__ import annotations

from typing import Final

DRAFT: Final = "draft"
SUBMITTED: Final = "submitted"
IN_REVIEW: Final = "in_review"
CHANGES_REQUESTED: Final = "changes_requested"
APPROVED: Final = "approved"
CLOSED: Final = "closed"
REQUEST_STATES: Final = (DRAFT, SUBMITTED, IN_REVIEW, CHANGES_REQUESTED, APPROVED, CLOSED)

OUTCOMES: Final = (
    "already_right",
    "applied",
    "handed_over",
    "rejected",
    "withdrawn",
    "expired",
    "abandoned",
    "resolved",
    "superseded",
)

GOING: Final = "going"
WAITING: Final = "waiting"
STOPPED: Final = "stopped"
DONE: Final = "done"
RUN_STATES: Final = (GOING, WAITING, STOPPED, DONE)
ENDED: Final = (STOPPED, DONE)

# "recalled": the request went back or was closed before the first AWS call of the run; a later run starts afresh.
RECALLED: Final = "recalled"
STOP_REASONS: Final = ("blocked", "conflict", "quarantined", "invalid", RECALLED)

# verb -> (states it may start from, state it leads to). A verb that is not here changes no state.
REQUEST_VERBS: Final[dict[str, tuple[frozenset[str], str]]] = {
    "submit": (frozenset({DRAFT, IN_REVIEW, CHANGES_REQUESTED}), SUBMITTED),
    "find_right": (frozenset({SUBMITTED}), CLOSED),
    "propose": (frozenset({SUBMITTED}), IN_REVIEW),
    "approve": (frozenset({IN_REVIEW}), APPROVED),
    "ask_for_changes": (frozenset({IN_REVIEW}), CHANGES_REQUESTED),
    "reject": (frozenset({IN_REVIEW}), CLOSED),
    "withdraw": (frozenset({SUBMITTED, IN_REVIEW, CHANGES_REQUESTED, APPROVED}), CLOSED),
    "take_back": (frozenset({IN_REVIEW, APPROVED}), IN_REVIEW),
    "expire": (frozenset({IN_REVIEW, CHANGES_REQUESTED, APPROVED}), CLOSED),
    "reopen": (frozenset({APPROVED}), IN_REVIEW),
    "finish": (frozenset({APPROVED}), CLOSED),
    "renew": (frozenset({APPROVED}), SUBMITTED),
    "propose_anew": (frozenset({IN_REVIEW}), SUBMITTED),
    "abandon": (frozenset({APPROVED}), CLOSED),
    "resolve": (frozenset({APPROVED}), CLOSED),
    "hand_over": (frozenset({APPROVED}), CLOSED),
}

RUN_VERBS: Final[dict[str, tuple[frozenset[str], str]]] = {
    "resume": (frozenset({GOING, WAITING}), GOING),
    "wait": (frozenset({GOING}), WAITING),
    "stop": (frozenset({GOING, WAITING}), STOPPED),
    "finish": (frozenset({GOING}), DONE),
}


def request_target(verb: str, state: str) -> str | None:
    """Returns the state that `verb` leads to from `state`, or None if the table does not allow it."""
    starts, target = REQUEST_VERBS[verb]
    return target if state in starts else None


def run_target(verb: str, state: str) -> str | None:
    """Returns the state that `verb` leads a run to from `state`, or None if the table does not allow it."""
    starts, target = RUN_VERBS[verb]
    return target if state in starts else None
