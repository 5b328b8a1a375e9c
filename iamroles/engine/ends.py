"""How a claim on a run ends other than well: waiting or stopped, as values that are raised and then written once.

What a stopped run's page and event say is put together here, for each reason of APPLY.md part 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog

from iamroles import canonical
from iamroles.aws.gateway import AwsError, WrongAccount
from iamroles.blueprints.state import State
from iamroles.engine import journal
from iamroles.engine.explain import Difference
from iamroles.engine.journal import Journal
from iamroles.models import Step
from iamroles.proposal.propose import Stored

_log = structlog.get_logger(__name__)


class Ending(Exception):
    """This claim has nothing more to do; the text is the word for the log."""


class Applied(Ending):
    """Run and request are closed."""


class BackInReview(Ending):
    """The request left the approved state; its run is closed."""


class Waits(Ending):
    """The run goes on after `delay`. `counts` makes it one more try; `hold` keeps the lease meanwhile."""

    def __init__(self, code: str, delay: timedelta, *, counts: bool = False, hold: bool = False) -> None:
        self.code, self.delay, self.counts, self.hold = code, delay, counts, hold
        super().__init__("waiting")


class Stops(Ending):
    """The run stops. `event` are the keys that the reason demands of the event, `detail` is for the page."""

    def __init__(self, reason: str, event: dict[str, object], detail: dict[str, Any]) -> None:
        self.reason, self.event, self.detail = reason, event, detail
        super().__init__(reason)


def blocked(error: AwsError, step: Step | None) -> Stops:
    """Returns the end for a refusal that stays."""
    api = error.api or (step.api if step else "")
    shown = {"message": error.message, "aws_request_id": error.request_id, "step": step.position if step else None}
    named: dict[str, object] = {"api": api, "code": error.code}
    return Stops("blocked", named, {**named, **shown})


def wrong_account(error: WrongAccount, digest: str) -> Stops:
    """Returns the end for an identity that is not the approved account's: never applied, alarm."""
    _log.error("wrong_account", expected=error.expected, answered=error.answered, alarm=True)
    digests: dict[str, object] = {"approved_digest": digest, "recomputed_digest": digest}
    detail = {"code": "WrongAccount", "what": "account", "expected": error.expected, "answered": error.answered}
    return Stops("invalid", digests, detail)


def not_approved(request: str, what: str, approved: str, recomputed: str) -> Stops:
    """Returns the end for a proposal that is not what was approved, or that nobody approved: never applied, alarm."""
    _log.error("not_what_was_approved", request=request, what=what, alarm=True)
    digests: dict[str, object] = {"approved_digest": approved, "recomputed_digest": recomputed}
    return Stops("invalid", digests, {"code": f"invalid_{what}", "what": what, **digests})


def quarantined(going: Journal) -> Stops:
    """Returns the end for a run that died or was put off too often."""
    last = max((step.position for step in going.steps if step.attempt), default=0)
    counted: dict[str, object] = {"tries": going.run.tries, "last_step": last}
    return Stops("quarantined", counted, {"code": going.run.detail.get("code", "WorkerLost"), **counted})


def conflict(
    stored: Stored,
    differences: Sequence[Difference],
    observed: State | None,
    code: str,
    *,
    step: Step | None = None,
    error: AwsError | None = None,
) -> Stops:
    """Returns the end for somebody else's change, with base, target and live for the page."""
    live = observed.as_mapping() if observed is not None else None
    digests: dict[str, object] = {
        "base_digest": canonical.digest(stored.base.as_mapping()),
        "target_digest": canonical.digest(stored.target.as_mapping()),
        "live_digest": canonical.digest(live) if live is not None else "",
    }
    detail: dict[str, Any] = {
        "code": code,
        "live": live,
        "differences": [difference.sentence() for difference in differences],
        "parts": [difference.as_mapping() for difference in differences],
        **digests,
    }
    if step is not None and error is not None:
        detail |= {"api": error.api, "message": error.message, "aws_request_id": error.request_id}
        detail["step"] = step.position
    return Stops("conflict", digests, detail)


def write(going: Journal, ending: Ending) -> str:
    """Journals the end and gives the lease back, unless a call of ours may still land. Returns its word.

    Raises FencedOut and WrongState when the run is not ours any more.
    """
    limits = going.tools.limits
    if isinstance(ending, Waits) and ending.counts and going.run.tries + 1 >= limits.tries:
        ending = quarantined(going)
    if isinstance(ending, Waits):
        hold = ending.hold or may_still_land(going)
        journal.wait(going, ending.code, ending.delay, counts=ending.counts, hold=hold)
    elif isinstance(ending, Stops):
        journal.stop(going, ending.reason, ending.event, ending.detail, hold=may_still_land(going))
    return str(ending)


def may_still_land(going: Journal) -> bool:
    """Returns True while a call whose outcome nobody knows could still change AWS: the quiet period."""
    now, limits = going.tools.now(), going.tools.limits
    return any(
        step.state in (journal.UNKNOWN, journal.INTENT)
        and step.started_at is not None
        and (now - step.started_at).total_seconds() < limits.lease + limits.quiet
        for step in going.steps
    )
