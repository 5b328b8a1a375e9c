"""The run page: steps as they happen, and for a stopped run the four answers of `pages.stopped`.

Everything comes from the journal's rows, so that a reload shows the same at any moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils.crypto import salted_hmac

from iamroles.models import Request, Run, Step, User, tally
from iamroles.pages import status
from iamroles.pages.status import Status
from iamroles.pages.steps import StepView, view_of, with_earlier
from iamroles.pages.stopped import Stopped, cause_of, stopped_of
from iamroles.rules import states

QUIET_SECONDS: Final = 30  # after this long without a sign the page says that another worker will take over
_WAITS = {
    "AccountPaused": "An operator paused this AWS account: nothing is added in it",
    "EverythingPaused": "Operators turned the kill switch on: nothing is changed in any AWS account",
    "OrderedByOperator": "An operator ordered this run",
    "SealingHalted": "The audit trail contradicts what was published: nothing is added until that is explained",
    "SealingLate": "The audit trail is not sealed in time: nothing is added until it is",
}


@dataclass(frozen=True)
class RunPage:
    """All values of the run page and of its polled part. `marker` changes when something is new."""

    request: Request
    run: Run
    status: Status
    head: str
    detail: str
    steps: tuple[StepView, ...]
    done: int
    stopped: Stopped | None
    live: bool
    quiet_since: datetime | None
    marker: str
    poll_seconds: int

    @property
    def in_place(self) -> str:
        """How far the plan came, for beside the status word."""
        return status.in_place(self.done, len(self.steps))


def marker_of(user: User, run: Run, steps: Sequence[Step]) -> str:
    """Returns a short keyed mark of what the person sees: equal marks mean that nothing is new.

    It is keyed with the person, so that only who was shown a page can ask whether it is still current.
    """
    seen = [f"{s.position}:{s.state}:{s.attempt}:{s.code}" for s in steps]
    quiet = _quiet_since(run) is not None
    value = f"{user.pk}|{run.pk}|{run.state}|{run.version}|{run.next_run_at}|{quiet}|{'|'.join(seen)}"
    return salted_hmac("roledesk.run", value, algorithm="sha256").hexdigest()[:16]


def is_live(run: Run) -> bool:
    """Returns whether the page should go on asking."""
    return run.state in (states.GOING, states.WAITING)


def run_page(request: Request, run: Run, steps: Sequence[Step], user: User, *, latest: bool) -> RunPage:
    """Returns the page of one run; `latest` says whether its state is the request's own."""
    known = tally(with_earlier(run, steps))
    every = sorted((*known.done, *known.not_done, *known.unknown), key=lambda step: step.position)
    views = tuple(view_of(step, run) for step in every)
    done = len(known.done)
    head, detail = _head(run, views, done)
    old = (datetime.now(UTC) - run.started_at) > timedelta(minutes=1)
    return RunPage(
        request=request,
        run=run,
        status=status.status_of(request, run) if latest else _run_status(run),
        head=head,
        detail=detail,
        steps=views,
        done=done,
        stopped=stopped_of(run, views) if run.state == states.STOPPED else None,
        live=is_live(run),
        quiet_since=_quiet_since(run),
        marker=marker_of(user, run, steps),
        poll_seconds=5 if old else 2,
    )


def steps_of(request: Request, run: Run) -> tuple[tuple[StepView, ...], str]:
    """Returns a run's steps in words, and its head sentence, from loaded rows."""
    run.request = request
    views = tuple(view_of(step, run) for step in run.steps.all())
    return views, _head(run, views, sum(view.state == "ok" for view in views))[0]


def _run_status(run: Run) -> Status:
    """An older run keeps the word that it ended with."""
    return status.status_of(Request(state=states.APPROVED), run)


def _quiet_since(run: Run) -> datetime | None:
    if run.state != states.GOING:
        return None
    return run.seen_at if datetime.now(UTC) - run.seen_at > timedelta(seconds=QUIET_SECONDS) else None


def _head(run: Run, steps: Sequence[StepView], done: int) -> tuple[str, str]:
    total = len(steps)
    if run.state == states.DONE:
        if not total:
            return "Done: AWS reads as approved", "Nothing had to be called: AWS read as approved already."
        return f"Done: all {_steps(total)} are in place", "AWS was read back afterwards and says the same as approved."
    if run.state == states.STOPPED:
        return f"{run.stop_reason.capitalize()}: {_place(done, total)}", cause_of(run)
    if run.state == states.WAITING:
        code = str(run.detail.get("code") or "AWS asked to slow down")
        at = f" at {run.next_run_at.astimezone(UTC):%H:%M:%S} UTC" if run.next_run_at else ""
        return f"Waiting to retry: {_place(done, total)}", f"{_WAITS.get(code, code)}. The next try starts{at}."
    if done == total:
        return (
            f"Reading back: {_place(done, total)}",
            "The worker reads AWS until it says the same as approved.",
        )
    current = next((s for s in steps if s.state != "ok"), None)
    return f"Applying: step {done + 1} of {total}", f"{current.sentence}." if current else ""


def _place(done: int, total: int) -> str:
    return status.in_place(done, total) or "no step was planned yet"


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
