"""The state check of the journal: runs and steps must be what their last events say, down to what was sent to AWS."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from iamroles.audit.states import last_events
from iamroles.models import AuditEvent, Run, Step
from iamroles.rules import states

_RUN_AFTER: Final[dict[str, str]] = {
    "run.started": states.GOING,
    "run.resumed": states.GOING,
    "run.taken_over": states.GOING,
    "run.waiting": states.WAITING,
    "run.stopped": states.STOPPED,
    "run.verified": states.DONE,
}
# What a step may be after its last event, by the event's action and outcome or finding. A worker's death leaves an
# intent unknown, and what AWS shows to be in place becomes ok, both without an event of the step's own.
_STEP_AFTER: Final[dict[tuple[str, str], frozenset[str]]] = {
    ("step.intended", "success"): frozenset({"intent", "unknown"}),
    ("step.completed", "success"): frozenset({"ok"}),
    ("step.failed", "failed"): frozenset({"failed", "ok"}),
    ("step.failed", "unknown"): frozenset({"unknown"}),
    ("step.looked_up", "done"): frozenset({"ok"}),
    ("step.looked_up", "not_done"): frozenset({"failed", "ok"}),
    ("step.looked_up", "other"): frozenset({"failed", "ok"}),
}
_NO_EVENT: Final = frozenset({"planned", "ok"})


def wrong_runs(using: str) -> Iterator[str]:
    """Yields a sentence for each run whose state is not that of its last event."""
    last = last_events(using, _RUN_AFTER, "object_id")
    rows = Run.objects.using(using).order_by("pk").values_list("request_id", "number", "state")
    for request_id, number, state in rows.iterator(chunk_size=2_000):
        reference = f"REQ-{request_id:06d} run {number}"
        if reference not in last:
            yield f"{reference} exists, but no event tells of it"
            continue
        action, event = last[reference]
        if state != _RUN_AFTER[action]:
            yield f"{reference} is {state}, but {event} ({action}) left it {_RUN_AFTER[action]}"


@dataclass
class _Told:
    """What the events of one step say: the last of them, the last intent, and how many intents there were."""

    reference: str = ""
    action: str = ""
    ending: str = ""
    request_id: str = ""
    intents: int = 0
    api: str = ""
    resource: str = ""
    arguments: str = ""


def wrong_steps(using: str) -> Iterator[str]:
    """Yields a sentence for each step whose state, attempts, call or AWS request id its events do not tell."""
    told = _tell_steps(using)
    rows = Step.objects.using(using).select_related("run").order_by("pk")
    for step in rows.iterator(chunk_size=500):
        place = f"REQ-{step.run.request_id:06d}-r{step.run.number}-s{step.position}"
        problem = _problem(step, told.get(place, _Told()))
        if problem:
            yield f"step {place} {problem}"


def _tell_steps(using: str) -> dict[str, _Told]:
    told: dict[str, _Told] = {}
    rows = AuditEvent.objects.using(using).filter(object_type="step").order_by("pk")
    for event in rows.only("object_id", "action", "aws_request_id", "outcome", "canon").iterator(chunk_size=2_000):
        data: dict[str, Any] = json.loads(event.canon)["data"]
        step = told.setdefault(event.object_id, _Told())
        step.reference, step.action = event.reference, event.action
        step.ending = str(data.get("found") or event.outcome)
        if event.action != "step.looked_up":
            step.request_id = event.aws_request_id
        if event.action == "step.intended":
            step.intents += 1
            step.api, step.resource, step.arguments = data["api"], data["resource"], data["arguments_digest"]
    return told


def _problem(step: Step, told: _Told) -> str | None:
    if not told.action:
        fits = step.state in _NO_EVENT and not step.attempt
        return None if fits else f"is {step.state}, but no event tells of it"
    if step.state not in _STEP_AFTER[told.action, told.ending]:
        return f"is {step.state}, but {told.reference} ({told.action}) says otherwise"
    if step.attempt != told.intents:
        return f"counts {step.attempt} attempts, but its events {told.intents}"
    sent = hashlib.sha256(step.arguments.encode()).hexdigest()
    if (step.api, step.resource, sent) != (told.api, told.resource, told.arguments):
        return "is another call than its events tell of"
    if step.state in {"ok", "failed"} and step.aws_request_id != told.request_id[:80]:
        return f"has another AWS request id than {told.reference}"
    return None
