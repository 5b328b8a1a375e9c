"""What is struck besides applying: observing a role that is handed over, and the follow-up that takes a deny away.

Each course drives one cell to its end, says what happened, and declares beforehand what must come of a fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from django.utils import timezone

from iamroles.blueprints.state import RoleState
from iamroles.models import Request, Run, Step
from iamroles.proposal import older_sessions
from tests.faults.aws import Cell
from tests.faults.nursery import Nursery
from tests.faults.scenarios import ROLE, Organisation, Place

GOOD = {"apply": "applied", "follow_up": "followed_up", "handed_over": "handed_over"}
SETTLE_SECONDS = 300.0
# Of the other courses a part is enough for each change: what strikes elsewhere is struck while applying too.
IN_CI = frozenset(
    {
        "dropped x1",
        "answer lost x1",
        "late",
        "denied",
        "kill before",
        "kill after",
        "no such entity x1",
        "no such entity x3",
        "stale x3",
        "stopped",
        "edits trust",
    }
)


class Fault(Protocol):
    """A kind of fault, or somebody else's change."""

    @property
    def name(self) -> str: ...

    @property
    def target(self) -> str: ...


@dataclass
class Course:
    """One cell of another course than applying. `arm` begins to strike, `settle` applies as every cell is applied."""

    nursery: Nursery
    organisation: Organisation
    place: Place
    request: Request
    cell: Cell
    arm: Callable[[], None]
    settle: Callable[[Request, Cell], bool]

    def _deliver(self, verb: str, row: int, until: float) -> None:
        delivery = self.nursery.deliver(verb, row, lambda pid: setattr(self.cell, "pid", pid))
        while not delivery.ended.wait(0.05) and self.cell.stopped != delivery.pid:
            if time.monotonic() > until:
                return

    def _role(self) -> RoleState | None:
        return self.place.gateway.role(self.place.arn("role", ROLE))


class FollowUp(Course):
    """The deny for older sessions is in place and twelve hours have passed."""

    def drive(self) -> bool:
        """Returns True once the follow-up is done, stopped, or put off for an hour."""
        self.nursery.deliver("observe", self.request.pk, lambda _pid: None).ended.wait(60)
        self.organisation.approve(self.request)
        assert self.settle(self.request, self.cell)
        put = Run.objects.get(request=self.request, number=1)
        assert put.follow_up_at is not None
        Run.objects.filter(pk=put.pk).update(follow_up_at=timezone.now())
        self.arm()
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            put.refresh_from_db()
            if put.follow_up_at is None or put.follow_up_at - timezone.now() > timedelta(minutes=30):
                return True
            # Time passes: what a dead or a busy worker holds for minutes is due at once.
            Run.objects.filter(pk=put.pk).update(follow_up_at=timezone.now())
            self._deliver("follow_up", put.pk, until)
            time.sleep(0.1)
        return False

    def judge(self) -> tuple[str, list[str]]:
        """Returns what happened and what is wrong with it."""
        run = Run.objects.filter(request=self.request, number__gt=1).order_by("-number").first()
        if run is None:
            return "no follow-up", []
        happened = "followed_up" if run.state == "done" else run.stop_reason or run.state
        steps = list(Step.objects.filter(run=run))
        landed = [ok for _, _, ok in self.cell.writes].count(True)
        problems = [f"{action} was sent" for action, _, _ in self.cell.writes if action != "DeleteRolePolicy"]
        if len(self.cell.writes) > sum(step.attempt for step in steps):
            problems.append(f"{self.cell.writes} arrived, intended {[step.attempt for step in steps]}")
        if any(step.state == "ok" and step.attempt and not step.code for step in steps) and not landed:
            problems.append("journalled ok, but nothing landed")
        role = self._role()
        if happened == "followed_up" and role is not None and older_sessions.NAME in role.inline:
            return "false success", problems
        return happened, problems


class HandedOver(Course):
    """Another tool manages the role: the looks are struck, and nothing is ever written."""

    def drive(self) -> bool:
        """Returns True once the request is closed, back in review, or given up."""
        self.arm()
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            self.request.refresh_from_db()
            if self.request.state != "submitted":
                break
            if self.request.next_try_at is None:
                return True
            Request.objects.filter(pk=self.request.pk).update(next_try_at=timezone.now())
            self._deliver("observe", self.request.pk, until)
        if self.request.state != "in_review":
            return False
        self.organisation.approve(self.request)
        return self.settle(self.request, self.cell)

    def judge(self) -> tuple[str, list[str]]:
        """Returns what happened and what is wrong with it."""
        given_up = self.request.state == "submitted" and self.request.next_try_at is None
        happened = self.request.outcome or ("given_up" if given_up else self.request.state)
        problems = [f"{action} was sent" for action, _, _ in self.cell.writes]
        role = self._role()
        if role is None or role.tags != {"terraform": "true"} or role.attached:
            problems.append(f"the role reads {role}")
        return happened, problems


COURSES: dict[str, type[FollowUp] | type[HandedOver]] = {"follow_up": FollowUp, "handed_over": HandedOver}


def expected(course: str, kind: Fault, usual: str, reads: list[str], k: int) -> str:
    """Returns the outcome of a fault whose outcome while applying is `usual`, or "" where it is not struck."""
    if course == "apply":
        return usual
    if course == "follow_up":
        # Nobody waits for it: what would stop another run is tried again in an hour. What AWS does not know of the
        # role that the run before made is believed to come, as within one run.
        passes = usual in ("applied", "conflict") or kind.name == "no such entity x3"
        return "followed_up" if passes else "waiting"
    if kind.target == "read" and kind.name.startswith("no such entity"):
        return _not_seen(kind.name, k)
    if usual == "applied" or (kind.target == "read" and reads[k - 1] == "GetAccountSummary"):
        return "handed_over"
    return "given_up"


def _not_seen(name: str, k: int) -> str:
    """A role that AWS does not show cannot be known as another tool's before the claim sees it: back to review.

    Whether three in a row meet the role depends on when the look begins anew: that is not struck.
    """
    if name.endswith("x3"):
        return ""
    return "in_review" if k == 1 else "handed_over"
