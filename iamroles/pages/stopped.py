"""What a stopped run leaves, for its page: what is in place, what is not done, what it means, what can be done.

Everything comes from the journal's rows. What can be done is offered as actions beside it (`pages/acts`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from iamroles.models import Run
from iamroles.pages import comparison
from iamroles.pages.comparison import Difference
from iamroles.pages.parts import PartView, part_views
from iamroles.pages.steps import StepView
from iamroles.proposal import read as read_proposal


@dataclass(frozen=True)
class Stopped:
    """The four answers, for a request's run or its `follow_up`. `arns` are the resources that the steps in place have
    touched, `unknown` is neither.
    """

    in_place: tuple[StepView, ...]
    arns: tuple[str, ...]
    not_done: tuple[StepView, ...]
    unknown: tuple[StepView, ...]
    cause: str
    meaning: str
    choices: tuple[str, ...]
    api: str
    code: str
    message: str
    aws_request_id: str
    differences: tuple[str, ...]
    parts: tuple[PartView, ...]
    conflict: Difference | None
    base: str
    follow_up: bool = False

    @property
    def shown_at_step(self) -> bool:
        """True when AWS's message stands at a step already."""
        return any(step.message == self.message for step in (*self.not_done, *self.unknown))


def cause_of(run: Run) -> str:
    """Returns why a run stopped, in one sentence."""
    detail: dict[str, Any] = run.detail
    api, code = detail.get("api") or "", detail.get("code") or ""
    if run.stop_reason == "blocked":
        where = f" at {api}" if api else ""
        return f"AWS refused{where}: {code or 'without a code'}."
    if run.stop_reason == "conflict":
        if code in _LOST_GROUND:
            return f"What the approvals rest on changed after the run began: {code.replace('_', ' ')}."
        return _CONFLICTS.get(code, "AWS reads neither as it was when this was approved, nor as it should afterwards.")
    if run.stop_reason == "quarantined":
        last = f" The last answer was {code}." if code else ""
        return f"It was tried {detail.get('tries') or run.tries or 'too many'} times without coming to an end.{last}"
    if run.stop_reason == "recalled":
        return "The request went back or was closed before the first AWS call."
    if code == "WrongAccount":
        return f"AWS answered as {detail.get('answered') or 'another identity'}, not as {detail.get('expected')}."
    return "The stored plan is not the approved one, or the AWS account that answered is not the approved one."


# Causes of `engine.proof.NotEnough`, found when a run that had begun was claimed again.
_LOST_GROUND: Final = frozenset(
    {
        "no_approval",
        "rule_changed",
        "owner_changed",
        "requester_lost_rights",
        "approvals_no_longer_enough",
        "standard_changed",
        "guardrail_changed",
    }
)
_CONFLICTS: Final = {
    "EntityAlreadyExists": "Somebody made a role or policy of this name before the worker did.",
    "ForeignUser": "Somebody else uses a policy that this request would change.",
    "OutsidePlan": "Reaching what was approved would take a call that was not approved.",
    "OwnedElsewhere": "Another tool’s tag appeared on the role: it manages the role now.",
    "NotShown": "AWS said yes to a call, but has not shown its effect for ten minutes.",
    "ContextChanged": "What the approval depended on has changed since.",
}
_MEANINGS: Final = {
    "blocked": "The worker may not, or cannot, make this call. Trying again by itself would give the same answer. "
    "What is in place stays; nothing is undone.",
    "conflict": "Somebody changed the role after it was observed. Roledesk overwrites nobody's change, so it stopped. "
    "What was observed, what was approved and what is live stand side by side.",
    "quarantined": "The cause is not known. The run is held back so that other requests go on, until a person looks.",
    "recalled": "No AWS call was made by this run. If the request is approved again, a new run starts.",
    "invalid": "What was approved cannot be proved any more, so nothing more is applied, now or later.",
}
_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "blocked": (
        "Give the portal's role the missing permission or quota. An operator then retries, from what is not done.",
        "If AWS should become something else than was approved, an operator renews the plan: it needs new approvals.",
        "If somebody finished it by hand, two operators mark it resolved, once AWS reads as approved.",
        "If it is not wanted any more, an operator abandons it. What is in place stays in AWS.",
    ),
    "conflict": (
        "Find out who changed the role: the audit history of the AWS account (CloudTrail) names them.",
        "To go on from what is live now, an operator renews the plan: it needs new approvals.",
        "If the other change is right and AWS reads as approved, two operators mark it resolved.",
        "If the other change is to stay, an operator abandons this request.",
    ),
    "quarantined": (
        "Read the worker's log for this request before anything else.",
        "When the cause is gone, an operator who neither asked nor approved releases it: a new run goes on.",
        "Otherwise an operator renews the plan or abandons it.",
    ),
    "recalled": ("See the request for what happens next.",),
    "invalid": (
        "Operator and security: look at the event of this run in the audit history before anything else.",
        "Ask again with a new request; this one is never applied. An operator abandons it.",
    ),
}


_LEFT: Final = (
    "What was approved cannot be proved any more, so the deny for older sessions was not taken away. It cuts off "
    "sessions from before the change of trust alone; none of them lives any more."
)
_LEFT_CHOICES: Final = (
    "Operator and security: look at the event of this run in the audit history before anything else.",
    "If the cause is gone, an operator has the follow-up tried again.",
    "Otherwise somebody deletes the inline policy in AWS; an operator ends the follow-up once a look shows it gone.",
)


def stopped_of(run: Run, steps: Sequence[StepView]) -> Stopped:
    """Returns the four answers from the steps as the journal knows them."""
    detail: dict[str, Any] = run.detail
    listed, parts = detail.get("differences"), detail.get("parts")
    in_place = tuple(step for step in steps if step.state == "ok")
    unsure = ("unknown", "intent")
    return Stopped(
        in_place=in_place,
        arns=tuple(dict.fromkeys(step.resource for step in in_place)),
        not_done=tuple(step for step in steps if step.state not in ("ok", *unsure)),
        unknown=tuple(step for step in steps if step.state in unsure),
        cause=cause_of(run),
        meaning=_LEFT if "follow_up" in detail else _MEANINGS[run.stop_reason],
        choices=_LEFT_CHOICES if "follow_up" in detail else _CHOICES[run.stop_reason],
        api=str(detail.get("api") or ""),
        code=str(detail.get("code") or ""),
        message=str(detail.get("message") or ""),
        aws_request_id=str(detail.get("aws_request_id") or ""),
        differences=tuple(str(item) for item in listed) if isinstance(listed, list) else (),
        parts=part_views(parts) if isinstance(parts, list) else (),
        conflict=_conflict(run),
        base=_base(run),
        follow_up="follow_up" in detail,
    )


def _base(run: Run) -> str:
    """What was observed, for a conflict; the text of an invalid run's proposal is not to be trusted."""
    if run.stop_reason != "conflict":
        return ""
    return _readable(read_proposal(run.proposal.canonical).base.as_mapping())


def _conflict(run: Run) -> Difference | None:
    """Approved and live beside each other; None where the engine stored no live state."""
    live = run.detail.get("live")
    if run.stop_reason != "conflict" or not isinstance(live, dict):
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
