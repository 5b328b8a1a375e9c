"""The run page: steps as they happen, and for a stopped run the four answers (in place, not done, meaning, choices).

Everything comes from the journal's rows, so that a reload shows the same at any moment. Repairing is not offered here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.utils.crypto import salted_hmac

from iamroles.models import Request, Run, Step, User
from iamroles.pages import comparison, status
from iamroles.pages.calls import step_sentence
from iamroles.pages.comparison import Difference
from iamroles.pages.status import Status
from iamroles.proposal import read as read_proposal
from iamroles.rules import states

QUIET_SECONDS: Final = 30  # after this long without a sign the page says that another worker will take over
_SHAPES = {
    "planned": ("Not started", "ring-dashed"),
    "intent": ("Under way", "ring-bar"),
    "ok": ("Done", "disc-tick"),
    "failed": ("Failed", "ring-cross"),
    "unknown": ("Looking up whether this took effect", "hourglass"),
}
_WAITS = {
    "AccountPaused": "An operator paused this AWS account: nothing is added in it",
    "EverythingPaused": "Operators turned the kill switch on: nothing is changed in any AWS account",
    "OrderedByOperator": "An operator ordered this run",
    "SealingLate": "The audit trail is not sealed in time: nothing is added until it is",
}
_NOT_TRIED = ("Not tried", "ring-dashed")


@dataclass(frozen=True)
class StepView:
    """One step in words. `seconds` is None while it is not over."""

    position: int
    sentence: str
    api: str
    resource: str
    state: str
    word: str
    shape: str
    seconds: float | None
    attempt: int
    aws_request_id: str
    code: str
    message: str


@dataclass(frozen=True)
class Stopped:
    """The four answers of a stopped run."""

    in_place: tuple[StepView, ...]
    not_done: tuple[StepView, ...]
    cause: str
    meaning: str
    choices: tuple[str, ...]
    api: str
    code: str
    message: str
    aws_request_id: str
    differences: tuple[str, ...]
    conflict: Difference | None
    base: str

    @property
    def shown_at_step(self) -> bool:
        """True when AWS's message stands at a step already."""
        return any(step.message == self.message for step in self.not_done)


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
    """Returns the page of one run; `latest` says whether it is the request's newest."""
    views = tuple(_step(step, run) for step in steps)
    done = sum(view.state == "ok" for view in views)
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
        stopped=_stopped(run, views) if run.state == states.STOPPED else None,
        live=is_live(run),
        quiet_since=_quiet_since(run),
        marker=marker_of(user, run, steps),
        poll_seconds=5 if old else 2,
    )


def _run_status(run: Run) -> Status:
    """An older run keeps the word that it ended with."""
    return status.status_of(Request(state=states.APPROVED), run)


def _quiet_since(run: Run) -> datetime | None:
    if run.state != states.GOING:
        return None
    return run.seen_at if datetime.now(UTC) - run.seen_at > timedelta(seconds=QUIET_SECONDS) else None


def _step(step: Step, run: Run) -> StepView:
    word, shape = _SHAPES[step.state]
    if step.state == "planned" and run.state == states.STOPPED:
        word, shape = _NOT_TRIED
    over = step.started_at and step.ended_at
    return StepView(
        position=step.position,
        sentence=step_sentence(step),
        api=step.api,
        resource=step.resource,
        state=step.state,
        word=word,
        shape=shape,
        seconds=(step.ended_at - step.started_at).total_seconds() if over else None,  # type: ignore[operator]
        attempt=step.attempt,
        aws_request_id=step.aws_request_id,
        code=step.code,
        message=step.message,
    )


def _head(run: Run, steps: Sequence[StepView], done: int) -> tuple[str, str]:
    total = len(steps)
    if run.state == states.DONE:
        if not total:
            return "Done: AWS reads as approved", "Nothing had to be called: AWS read as approved already."
        return f"Done: all {_steps(total)} are in place", "AWS was read back afterwards and says the same as approved."
    if run.state == states.STOPPED:
        return f"{run.stop_reason.capitalize()}: {done} of {_steps(total)} in place", _cause(run)
    if run.state == states.WAITING:
        code = str(run.detail.get("code") or "AWS asked to slow down")
        at = f" at {run.next_run_at.astimezone(UTC):%H:%M:%S} UTC" if run.next_run_at else ""
        why = f"{_WAITS.get(code, code)}. The next try starts{at}."
        return f"Waiting to retry: {done} of {_steps(total)} in place", why
    if done == total:
        return (
            f"Reading back: {done} of {_steps(total)} in place",
            "The worker reads AWS until it says the same as approved.",
        )
    current = next((s for s in steps if s.state != "ok"), None)
    return f"Applying: step {done + 1} of {total}", f"{current.sentence}." if current else ""


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _cause(run: Run) -> str:
    detail: dict[str, Any] = run.detail
    api, code = detail.get("api") or "", detail.get("code") or ""
    if run.stop_reason == "blocked":
        where = f" at {api}" if api else ""
        return f"AWS refused{where}: {code or 'without a code'}."
    if run.stop_reason == "conflict":
        return "AWS reads neither as it was when this was approved, nor as it should afterwards."
    if run.stop_reason == "quarantined":
        return f"It was tried {run.tries or 'too many'} times without coming to an end."
    if run.stop_reason == "recalled":
        return "The request went back or was closed before the first AWS call."
    return "The stored plan is not the approved one, or the AWS account that answered is not the approved one."


_MEANINGS = {
    "blocked": "The worker may not, or cannot, make this call. Trying again by itself would give the same answer. "
    "What is in place stays; nothing is undone.",
    "conflict": "Somebody changed the role after it was observed. Roledesk overwrites nobody's change, so it stopped. "
    "What was observed, what was approved and what is live stand below.",
    "quarantined": "The cause is not known. The run is held back so that other requests go on, until a person looks.",
    "recalled": "No AWS call was made by this run. If the request is approved again, a new run starts.",
    "invalid": "What was approved cannot be proved any more, so nothing more is applied, now or later.",
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "blocked": (
        "Requester: withdraw is not possible once a step was made. Ask an operator, naming the code above.",
        "Operator: give the portal's role the missing permission or quota; a new run continues with what is not done.",
    ),
    "conflict": (
        "Find out who changed the role: the audit history of the AWS account (CloudTrail) names them.",
        "Ask again: a new request is compared with what is live now and needs a new approval.",
    ),
    "quarantined": ("Operator: read the worker's log for this request before anything else.",),
    "recalled": ("See the request for what happens next.",),
    "invalid": (
        "Operator and security: look at the event of this run in the audit history before anything else.",
        "Ask again with a new request; this one is never applied.",
    ),
}


def _stopped(run: Run, steps: Sequence[StepView]) -> Stopped:
    detail: dict[str, Any] = run.detail
    listed = detail.get("differences") or []
    return Stopped(
        in_place=tuple(step for step in steps if step.state == "ok"),
        not_done=tuple(step for step in steps if step.state != "ok"),
        cause=_cause(run),
        meaning=_MEANINGS[run.stop_reason],
        choices=_CHOICES[run.stop_reason],
        api=str(detail.get("api") or ""),
        code=str(detail.get("code") or ""),
        message=str(detail.get("message") or ""),
        aws_request_id=str(detail.get("aws_request_id") or ""),
        differences=tuple(str(item) for item in listed) if isinstance(listed, list) else (),
        conflict=_conflict(run) if run.stop_reason == "conflict" else None,
        base=_readable(read_proposal(run.proposal.canonical).base.as_mapping()),
    )


def _conflict(run: Run) -> Difference | None:
    """Approved and live beside each other; None where the engine stored no live state."""
    live = run.detail.get("live")
    if not isinstance(live, dict):
        return None
    target = read_proposal(run.proposal.canonical).target.as_mapping()
    return comparison.compare(_readable(target), _readable(live), context=3)


def _readable(state: Any) -> str:
    """Returns a state as JSON for people: the documents, which are texts inside, are opened up."""
    return json.dumps(_opened(state), indent=2, ensure_ascii=False, sort_keys=True)


def _opened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _opened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_opened(inner) for inner in value]
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
