"""Journalled steps for pages: each in words, and the steps of a plan over all its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iamroles.models import Run, Step
from iamroles.pages.calls import step_sentence
from iamroles.rules import states

_SHAPES = {
    "planned": ("Not started", "ring-dashed"),
    "intent": ("Under way", "ring-bar"),
    "ok": ("Done", "disc-tick"),
    "failed": ("Failed", "ring-cross"),
    "unknown": ("Looking up whether this took effect", "hourglass"),
}
_STOPPED_SHAPES = {
    "planned": ("Not tried", "ring-dashed"),
    "intent": ("Nobody knows whether this took effect", "hourglass"),
    "unknown": ("Nobody knows whether this took effect", "hourglass"),
}


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


def view_of(step: Step, run: Run) -> StepView:
    """Returns a step as the page of `run` shows it; one that an earlier run made says so."""
    word, shape = _SHAPES[step.state]
    if step.state == "ok" and step.attempt and step.code == "NoSuchEntity":
        word = "Was gone already"  # AWS refused the call, and a look found that nothing is left of it
    if run.state == states.STOPPED:
        word, shape = _STOPPED_SHAPES.get(step.state, (word, shape))
    if step.run_id != run.pk and step.attempt:
        word = f"{word}, in an earlier run"
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


def with_earlier(run: Run, steps: Sequence[Step]) -> list[Step]:
    """Returns the steps of all runs of the same proposal up to this one, oldest run first. One query after a first run.

    A run that ended before it looked would else say that nothing is in place.
    """
    if run.number == 1:
        return list(steps)
    earlier = Step.objects.filter(run__proposal_id=run.proposal_id, run__number__lt=run.number)
    return [*earlier.order_by("run__number", "position"), *steps]
