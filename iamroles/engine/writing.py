"""Writing while a run is going: a session with a deadline, guard and intent, exactly one call, its outcome.

What is written was planned; whether it should be is decided in `apply`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction

from iamroles import canonical
from iamroles.aws.gateway import AwsError, WrongAccount
from iamroles.aws.sessions import Writing as Session
from iamroles.engine import ends, guard, journal, lease
from iamroles.engine.ends import Waits
from iamroles.engine.journal import Journal
from iamroles.engine.lease import FencedOut
from iamroles.engine.proof import Proved
from iamroles.engine.reading import Reading
from iamroles.models import Step
from iamroles.proposal import older_sessions
from iamroles.proposal.calls import Call


class NameTaken(Exception):
    """A creating call of ours met a thing that exists already, and no earlier attempt can have made it."""

    def __init__(self, step: Step, error: AwsError) -> None:
        self.step, self.error = step, error
        super().__init__(step.resource)


@dataclass
class Writing:
    """The writing side of one claim. `covered` are the calls that the open session allows, next first."""

    journal: Journal
    proved: Proved
    reading: Reading
    session: Session | None = None
    covered: list[Call] = field(default_factory=list)

    def write(self, step: Step, following: Sequence[Call]) -> None:
        """Makes the call of one step, or returns without it when AWS must be looked at again first.

        Raises Ending, NameTaken, FencedOut.
        """
        call = call_of(step)
        session = self._session_for(call, following)
        if session is None:
            return
        unsure = self.journal.unsure.get(str(step.position), {})
        sent = with_nonce(call, unsure.get("nonce") or secrets.token_hex(16))
        sent = older_sessions.resolved(sent, self.journal.cut_until)
        if not self._guarded(step, sent):
            return
        try:
            answer = session.gateway.send(sent)
        except AwsError as error:
            self.covered = []
            self._refused(step, error)
            return
        self.covered.pop(0)
        self.reading.renewals = 0
        journal.complete(self.journal, step, answer)

    def _session_for(self, call: Call, following: Sequence[Call]) -> Session | None:
        """Returns a session that covers the call, opened after the deadline that it carries was committed."""
        held, tools = self.journal.held, self.journal.tools
        near = (held.hard_until - self.reading.aws_now()).total_seconds() < tools.limits.renew_under
        if self.covered[:1] == [call] and not near:
            return self.session
        if near or self.session is not None:
            lease.extend(held, self.reading.aws_now() + timedelta(seconds=tools.limits.lease))
        calls = [call, *following]
        try:
            self.session = tools.sessions.writing(
                tools.portal(held.account),
                journal.number_of(self.journal.run),
                identity=self.proved.identity,
                calls=[with_nonce(each, "") for each in calls],
                until=held.hard_until,
            )
        except WrongAccount as error:
            raise ends.wrong_account(error, self.proved.proposal.digest) from error
        except AwsError as error:
            self.reading.failed(error)
            return None
        self.covered = calls[: len(self.session.calls)]
        return self.session

    def _guarded(self, step: Step, sent: Call) -> bool:
        """Guard and intent in one transaction. False: look again first."""
        tools = self.journal.tools
        while True:
            try:
                with transaction.atomic():
                    removes_only = bool(self.proved.stored.body.get("removes_only"))
                    now = guard.check(self.journal, self.reading.aws_now(), tools.limits, removes_only=removes_only)
                    journal.intend(self.journal, step, dict(sent.arguments), now)
            except guard.Later as later:
                tools.pause(later.seconds)
                continue
            except guard.TooLate:
                self.covered = []
                return False
            except guard.Paused as paused:
                raise Waits(paused.code, timedelta(seconds=60)) from paused
            return True

    def _refused(self, step: Step, error: AwsError) -> None:
        """AWS did not say yes: journals it, then does what the class of the error says."""
        tools = self.journal.tools
        if error.code == "EntityAlreadyExists" and str(step.position) not in self.journal.unsure:
            journal.fail(self.journal, step, error, unknown=False)
            raise NameTaken(step, error) from error
        journal.fail(self.journal, step, error, unknown=error.kind == "unknown")
        if error.code == "NoSuchEntity" and step.api in journal.DELETING:
            journal.looked_up(self.journal, step, "done")
            return
        if error.kind == "retry":
            raise Waits(error.code, tools.backoff(self.journal.run.tries), counts=True) from error
        if error.kind == "blocked":
            raise ends.blocked(error, step) from error
        if error.kind == "renew":
            self.reading.renew(error, step)
        elif error.kind == "wait":
            self._refused_again(step, error)
        else:
            tools.pause(tools.limits.verify_pause)

    def _refused_again(self, step: Step, error: AwsError) -> None:
        """Twice an answer may be AWS not knowing yet what it did; a denial past the deadline is our own fence."""
        tools = self.journal.tools
        if error.code.startswith("AccessDenied") and self.reading.aws_now() >= self.journal.held.hard_until:
            raise FencedOut(self.journal.held.fence) from error
        count = self.reading.count(step.position, error.code)
        if count < tools.limits.refusals:
            tools.pause(tools.limits.verify_pause * count)
        elif error.code == "NoSuchEntity" and self.journal.made:
            raise Waits(error.code, tools.backoff(self.journal.run.tries), counts=True) from error
        else:
            raise ends.blocked(error, step) from error


def call_of(step: Step) -> Call:
    """Returns the planned call of a step; a nonce that an attempt added is not part of it."""
    arguments: Any = canonical.loads(step.arguments)
    if step.api in journal.CREATING and "Tags" in arguments:
        kept = [tag for tag in arguments["Tags"] if tag["Key"] != journal.NONCE]
        arguments = {**arguments, "Tags": kept}
        if not kept and step.api == "CreatePolicy":
            del arguments["Tags"]
    return Call(api=step.api, resource=step.resource, arguments=arguments)


def with_nonce(call: Call, nonce: str) -> Call:
    """A creating call carries 128 random bits, so that a lost answer can be told from somebody else's creation."""
    if call.api not in journal.CREATING:
        return call
    tags = [*call.arguments.get("Tags", ()), {"Key": journal.NONCE, "Value": nonce}]
    return Call(call.api, call.resource, {**call.arguments, "Tags": tags})
