"""Looking while a run is going: one read-only session, patience with its errors, and AWS's clock.

Nothing is written through it. What does not get better by looking again ends the claim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from iamroles.aws.gateway import RENEW_ONCE, AwsError, Gateway, WrongAccount
from iamroles.engine import ends
from iamroles.engine.ends import Waits
from iamroles.engine.journal import Journal
from iamroles.models import Step

Found = TypeVar("Found")
_RENEWALS = 3


@dataclass
class Reading:
    """The reading side of one claim, and the count of what went wrong for both sides."""

    journal: Journal
    digest: str
    gateway: Gateway | None = None
    renewals: int = 0
    refusals: dict[tuple[int, str], int] = field(default_factory=dict)

    def session(self) -> Gateway:
        """Returns the reading session, opened when it is first asked for. Raises AwsError and WrongAccount."""
        if self.gateway is None:
            tools = self.journal.tools
            name = self.journal.run.request.reference
            self.gateway = tools.sessions.reading(tools.portal(self.journal.held.account), name)
        return self.gateway

    def ask(self, look: Callable[[Gateway], Found]) -> Found:
        """Returns what the look answers. Raises Ending when it cannot be had."""
        while True:
            try:
                return look(self.session())
            except WrongAccount as error:
                raise ends.wrong_account(error, self.digest) from error
            except AwsError as error:
                self.failed(error)

    def failed(self, error: AwsError) -> None:
        """A look or a session failed and nothing was written. Returns to try again; raises Ending."""
        run, tools = self.journal.run, self.journal.tools
        if error.kind == "renew":
            self.renew(error, None)
            return
        if error.kind in ("retry", "unknown"):
            raise Waits(error.code, tools.backoff(run.tries), counts=True) from error
        count = self.count(0, error.code)
        if count >= tools.limits.refusals or error.kind == "blocked":
            raise ends.blocked(error, None) from error
        tools.pause(tools.limits.verify_pause * count)

    def renew(self, error: AwsError, step: Step | None) -> None:
        """The credentials are no good any more: the next look opens a new session. Raises Ending after a few."""
        self.renewals += 1
        self.gateway = None
        if error.code in RENEW_ONCE and self.renewals > 1 and step is not None:
            raise ends.blocked(error, step) from error
        if self.renewals > _RENEWALS:
            raise Waits(error.code, self.journal.tools.backoff(self.journal.run.tries), counts=True) from error

    def count(self, position: int, code: str) -> int:
        """Returns how often this code was the answer to this step in this claim, this time included."""
        key = (position, code)
        self.refusals[key] = self.refusals.get(key, 0) + 1
        return self.refusals[key]

    def aws_now(self) -> datetime:
        """Returns AWS's clock, carried on by the worker's own, which only measures the time since the last answer."""
        clock = self.session().clock() if self.gateway is not None else None
        if clock is None:
            return self.journal.tools.now()
        return clock.at + (self.journal.tools.local() - clock.local)
