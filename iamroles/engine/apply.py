"""The apply loop: look, explain, compare, intent, one call, outcome; again until AWS reads as approved.

No call is repeated blindly, none outside the plan is made, and "applied" is said only after two equal looks in a row.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn

import structlog
from django.db import transaction

from iamroles import canonical
from iamroles.aws.gateway import RENEW_ONCE, REPEATABLE, AwsError, Gateway, WrongAccount
from iamroles.aws.sessions import Writing
from iamroles.blueprints.state import State
from iamroles.engine import explain, finish, guard, journal, lease, ownership
from iamroles.engine.claim import NothingToDo, claim, reopen, stop_conflict
from iamroles.engine.explain import Difference
from iamroles.engine.journal import Journal
from iamroles.engine.lease import FencedOut
from iamroles.engine.look import look_around, look_at
from iamroles.engine.proof import Proved
from iamroles.engine.tools import Tools
from iamroles.models import Step
from iamroles.proposal.calls import Call
from iamroles.proposal.plan import calls_between, same
from iamroles.transitions import WrongState

_log = structlog.get_logger(__name__)
_RENEWALS = 3


def apply(*, request_id: int, tools: Tools) -> str:
    """Claims an approved request and works until it is applied, waits or stops. Returns a word for the log.

    Never raises for what AWS answers or for a lost race; an unknown id is "not_approved".
    """
    try:
        going, proved = claim(request_id=request_id, tools=tools)
    except NothingToDo as nothing:
        return str(nothing)
    except (WrongState, FencedOut) as lost:
        _log.info("claim_lost", request_id=request_id, reason=str(lost))
        return "overtaken"
    applying = Applying(going, proved, tools)
    try:
        return applying.go()
    except (FencedOut, WrongState) as lost:
        _log.warning("fenced_out", run=journal.number_of(going.run), reason=str(lost))
        journal.fenced_out(going)
        return "fenced_out"


class _Ended(Exception):
    """The run reached a state in which this claim has nothing more to do; the text is the word for the log."""


@dataclass
class Applying:
    """One claim at work. Nothing in here outlives it; what must is in the journal."""

    journal: Journal
    proved: Proved
    tools: Tools
    reading: Gateway | None = None
    writing: Writing | None = None
    covered: list[Call] = field(default_factory=list)
    began: datetime | None = None
    equal_looks: int = 0
    odd_looks: int = 0
    patience: int = 0
    renewals: int = 0
    refusals: dict[tuple[int, str], int] = field(default_factory=dict)

    def go(self) -> str:
        """Runs the loop to its end. Raises FencedOut and WrongState when the run is not ours any more."""
        self.began = self.tools.local()
        try:
            self._first_look()
            while True:
                if (self.tools.local() - self.began).total_seconds() > self.tools.limits.run:
                    self._wait("Yielded", timedelta(0), counts=False)
                self._round()
        except _Ended as ended:
            return str(ended)

    # -- looking

    def _first_look(self) -> None:
        """What the claim must know before anything is written: quarantine, AWS's clock, and the context."""
        limits = self.tools.limits
        deaths = self.journal.run.detail.get("deaths", {})
        if self.journal.run.tries >= limits.tries or max(deaths.values(), default=0) >= limits.deaths:
            self._quarantine()
        context = self._reading(self._dependencies)
        clock = self._reader().clock()
        if clock is None or abs(clock.skew_to(self.tools.now(), self.tools.local()).total_seconds()) > limits.skew:
            self._wait("ClockSkew", timedelta(seconds=60), counts=False)
        quiet_until = self.journal.held.quiet_until
        if quiet_until is not None and self._aws_now() < quiet_until:
            self._wait("QuietPeriod", quiet_until - self._aws_now(), counts=False)
        changed = self._changed_dependencies(context)
        if changed and self.journal.begun():
            self._conflict(changed, None, "ContextChanged")
        if changed:
            self._reopen(changed)

    def _changed_dependencies(self, context: dict[str, Any]) -> list[Difference]:
        """Believed only after three looks: one stale or lying answer voids nobody's approval."""
        wanted = self.proved.stored.body["dependencies"]
        changed = explain.changed_dependencies(wanted, context)
        for look in (1, 2):
            if not changed:
                break
            self.tools.pause(self.tools.limits.verify_pause * look)
            changed = explain.changed_dependencies(wanted, self._reading(self._dependencies))
        return changed

    def _dependencies(self, gateway: Gateway) -> dict[str, Any]:
        wanted = self.proved.stored.body["dependencies"]
        return look_around(gateway, wanted["passed_roles"], wanted["managed_policies"]).dependencies()

    def _reopen(self, changed: list[Difference]) -> NoReturn:
        request = self.journal.run.request
        try:
            reopen(request, "context_changed", changed, self.tools, run=self.journal.run, anew=True)
        except (AwsError, WrongAccount) as error:
            self._wait(getattr(error, "code", "WrongAccount"), self.tools.backoff(self.journal.run.tries), counts=True)
        lease.release(self.journal.held)
        raise _Ended("in_review")

    def _round(self) -> None:
        stored = self.proved.stored
        observed = explain.fit(self._reading(self._look), stored)
        remaining = calls_between(observed, stored.target)
        self._settle_unknown(observed, remaining)
        odd = explain.unexplained(observed, stored, self.journal.made, begun=self.journal.begun())
        if odd:
            self._look_again(odd, observed)
            return
        self.odd_looks = 0
        self._mark_in_place(remaining)
        if not remaining and same(observed, stored.target):
            self._confirm(observed)
            return
        self.equal_looks = 0
        strangers = explain.foreign_users(observed, stored)
        if strangers:
            self._conflict(strangers, observed, "ForeignUser")
        step, call = self._next(remaining[0], observed)
        if self._must_wait_for(step, observed):
            return
        self._write(step, call, remaining)

    def _look(self, gateway: Gateway) -> State:
        stored = self.proved.stored
        return look_at(gateway, stored.base.role_arn, stored.target.policies)

    def _look_again(self, odd: list[Difference], observed: State) -> None:
        self.odd_looks += 1
        if self.odd_looks >= self.tools.limits.looks:
            self._conflict(odd, observed, "NotExplainable")
        self.tools.pause(self.tools.limits.verify_pause * self.odd_looks)

    def _confirm(self, observed: State) -> None:
        self.equal_looks += 1
        if self.equal_looks < 2:
            self.tools.pause(self.tools.limits.verify_pause)
            return
        finish.finish(self.journal, self.proved, observed)
        raise _Ended("applied")

    def _settle_unknown(self, observed: State, remaining: tuple[Call, ...]) -> None:
        """Closes outcomes that nobody knew, where AWS shows the effect."""
        for step in self.journal.steps:
            if step.api in journal.CREATING:
                if str(step.position) in self.journal.unsure and step.resource not in self.journal.made:
                    self._test_ownership(step, observed)
            elif step.state == journal.UNKNOWN and not self._remains(step, remaining):
                journal.looked_up(self.journal, step, "done")

    def _test_ownership(self, step: Step, observed: State) -> None:
        there = observed.role if step.api == "CreateRole" else observed.policies.get(step.resource)
        if there is None:
            return
        unsure = self.journal.unsure[str(step.position)]
        times = (datetime.fromisoformat(unsure["since"]), datetime.fromisoformat(unsure["until"]))
        sent = _with_nonce(_call_of(step), unsure["nonce"])
        made = self._reading(lambda gateway: ownership.test(gateway, sent, times, observed, self.tools.limits))
        if made is not None:
            journal.looked_up(self.journal, step, "done", entity_id=made)
        elif step.state == journal.UNKNOWN:
            journal.looked_up(self.journal, step, "other")

    def _mark_in_place(self, remaining: tuple[Call, ...]) -> None:
        """Planned parts whose effect is there already need no call of this run."""
        there = [s for s in self.journal.steps if s.state == journal.PLANNED and not self._remains(s, remaining)]
        if there:
            journal.in_place(self.journal, there)

    def _remains(self, step: Step, remaining: tuple[Call, ...]) -> bool:
        return any(explain.is_planned(call, _call_of(step)) for call in remaining)

    # -- deciding

    def _next(self, call: Call, observed: State) -> tuple[Step, Call]:
        """Returns the planned step that comes next. A call outside the plan is a conflict."""
        step = next((s for s in self.journal.steps if explain.is_planned(call, _call_of(s))), None)
        if step is None:
            outside = Difference(f"call {call.api}", None, "not planned", call.resource)
            self._conflict([outside], observed, "OutsidePlan")
        return step, _call_of(step)

    def _must_wait_for(self, step: Step, observed: State) -> bool:
        """An own success that AWS does not show yet is waited for; an unknown creating call waits the quiet period."""
        now, limits = self.tools.now(), self.tools.limits
        if step.state == journal.OK and step.ended_at is not None:
            if (now - step.ended_at).total_seconds() > limits.not_shown:
                self._conflict([Difference(f"step {step.position}", None, "ok", "not shown")], observed, "NotShown")
            self.patience += 1
            if self.patience > limits.looks:
                self._wait("NotShownYet", timedelta(seconds=min(30, limits.verify_pause * self.patience)), counts=False)
            self.tools.pause(limits.verify_pause * self.patience)
            return True
        if step.state == journal.UNKNOWN and step.started_at is not None:
            quiet_until = step.started_at + timedelta(seconds=limits.lease + limits.quiet)
            if step.api not in REPEATABLE and now < quiet_until:
                self._wait("QuietPeriod", quiet_until - now, counts=False, hold=True)
            journal.looked_up(self.journal, step, "not_done")
        return False

    # -- writing

    def _write(self, step: Step, call: Call, remaining: tuple[Call, ...]) -> None:
        left = (self.journal.held.hard_until - self._aws_now()).total_seconds()
        covered = self.covered[:1] == [call] and left >= self.tools.limits.renew_under
        if not covered and not self._open_session(call, remaining):
            return
        unsure = self.journal.unsure.get(str(step.position), {})
        sent = _with_nonce(call, unsure.get("nonce") or secrets.token_hex(16))
        if not self._guarded(step, sent):
            return
        session = self.writing
        if session is None:
            raise AssertionError("a guarded call has a session")
        try:
            answer = session.gateway.send(sent)
        except AwsError as error:
            self._refused(step, error)
            return
        self.covered.pop(0)
        self.renewals = self.patience = 0
        journal.complete(self.journal, step, answer)

    def _open_session(self, call: Call, remaining: tuple[Call, ...]) -> bool:
        """Opens a session for the next calls, after the deadline that it carries was committed. False: look again."""
        held, limits = self.journal.held, self.tools.limits
        if (held.hard_until - self._aws_now()).total_seconds() < limits.renew_under or self.writing is not None:
            lease.extend(held, self._aws_now() + timedelta(seconds=limits.lease))
        plan = [_call_of(step) for step in self.journal.steps]
        following = [explain.find_planned(later, plan) for later in remaining[1:]]
        calls = [call, *(later for later in following if later is not None)]
        name = journal.number_of(self.journal.run)
        account = self.tools.portal(held.account)
        try:
            self.writing = self.tools.sessions.writing(
                account,
                name,
                identity=self.proved.identity,
                calls=[_with_nonce(each, "") for each in calls],
                until=held.hard_until,
            )
        except WrongAccount as error:
            self._invalid(error)
        except AwsError as error:
            self._not_read(error)
            return False
        self.covered = calls[: len(self.writing.calls)]
        return True

    def _guarded(self, step: Step, sent: Call) -> bool:
        """Guard and intent in one transaction. False: look again first."""
        while True:
            try:
                with transaction.atomic():
                    now = self.tools.now()
                    guard.check(self.journal, self._aws_now(), now, self.tools.limits)
                    journal.intend(self.journal, step, dict(sent.arguments), now)
            except guard.Later as later:
                self.tools.pause(later.seconds)
                continue
            except guard.TooLate:
                self.covered = []
                return False
            except guard.Paused:
                self._wait("AccountPaused", timedelta(seconds=60), counts=False)
            return True

    # -- errors

    def _refused(self, step: Step, error: AwsError) -> None:
        """AWS did not say yes to a write: journal it, then do what the class of the error says."""
        self.covered = []
        if error.code == "EntityAlreadyExists" and str(step.position) not in self.journal.unsure:
            journal.fail(self.journal, step, error, unknown=False)
            observed = self._reading(self._look)
            self._conflict(
                [Difference(step.resource, None, "made by us", "made by others")], observed, error.code, step, error
            )
        journal.fail(self.journal, step, error, unknown=error.kind == "unknown")
        if error.kind == "retry":
            self._wait(error.code, self.tools.backoff(self.journal.run.tries), counts=True)
        if error.kind == "renew":
            self._renew(error, step)
        if error.kind == "wait":
            self._refused_again(error, step)
        if error.kind == "blocked":
            self._blocked(error, step)
        if error.kind == "unknown":
            self.tools.pause(self.tools.limits.verify_pause)

    def _refused_again(self, error: AwsError, step: Step) -> None:
        if error.code.startswith("AccessDenied") and self._aws_now() >= self.journal.held.hard_until:
            raise FencedOut(self.journal.held.fence)
        key = (step.position, error.code)
        self.refusals[key] = self.refusals.get(key, 0) + 1
        mine = error.code == "NoSuchEntity" and bool(self.journal.made)
        if self.refusals[key] >= self.tools.limits.refusals:
            if mine:
                self._wait(error.code, self.tools.backoff(self.journal.run.tries), counts=True)
            self._blocked(error, step)
        self.tools.pause(self.tools.limits.verify_pause * self.refusals[key])

    def _renew(self, error: AwsError, step: Step | None) -> None:
        self.renewals += 1
        self.covered, self.reading = [], None
        if error.code in RENEW_ONCE and self.renewals > 1 and step is not None:
            self._blocked(error, step)
        if self.renewals > _RENEWALS:
            self._wait(error.code, self.tools.backoff(self.journal.run.tries), counts=True)

    def _reader(self) -> Gateway:
        if self.reading is None:
            name = self.journal.run.request.reference
            self.reading = self.tools.sessions.reading(self.tools.portal(self.journal.held.account), name)
        return self.reading

    def _reading(self, look: Callable[[Gateway], Any]) -> Any:
        """Returns what a look answers; errors of reading make the run wait or stop."""
        while True:
            try:
                return look(self._reader())
            except WrongAccount as error:
                self._invalid(error)
            except AwsError as error:
                self._not_read(error)

    def _not_read(self, error: AwsError) -> None:
        """A look or a session failed: nothing was written, so try again, wait, or stop."""
        if error.kind == "renew":
            self._renew(error, None)
            return
        if error.kind in ("retry", "unknown"):
            self._wait(error.code, self.tools.backoff(self.journal.run.tries), counts=True)
        key = (0, error.code)
        self.refusals[key] = self.refusals.get(key, 0) + 1
        if self.refusals[key] >= self.tools.limits.refusals or error.kind == "blocked":
            self._blocked(error, None)
        self.tools.pause(self.tools.limits.verify_pause * self.refusals[key])

    # -- ends

    def _aws_now(self) -> datetime:
        """AWS's clock, carried on by the worker's own, which only measures the time since."""
        clock = self._reader().clock()
        if clock is None:
            return self.tools.now()
        return clock.at + (self.tools.local() - clock.local)

    def _open_writes(self) -> bool:
        """True if a call of ours may still land: then the lease is kept through the quiet period."""
        now, limits = self.tools.now(), self.tools.limits
        return any(
            step.state in (journal.UNKNOWN, journal.INTENT)
            and step.started_at is not None
            and (now - step.started_at).total_seconds() < limits.lease + limits.quiet
            for step in self.journal.steps
        )

    def _wait(self, code: str, delay: timedelta, *, counts: bool, hold: bool = False) -> NoReturn:
        if counts and self.journal.run.tries + 1 >= self.tools.limits.tries:
            self._quarantine()
        journal.wait(self.journal, code, delay, counts=counts, hold=hold or self._open_writes())
        raise _Ended("waiting")

    def _quarantine(self) -> NoReturn:
        run = self.journal.run
        last = max((s.position for s in self.journal.steps if s.attempt), default=0)
        data: dict[str, object] = {"tries": run.tries, "last_step": last}
        detail = {"code": run.detail.get("code", "WorkerLost"), "tries": run.tries, "last_step": last}
        journal.stop(self.journal, "quarantined", data, detail, hold=self._open_writes())
        raise _Ended("quarantined")

    def _blocked(self, error: AwsError, step: Step | None) -> NoReturn:
        api = error.api or (step.api if step else "")
        detail = {
            "api": api,
            "code": error.code,
            "message": error.message,
            "aws_request_id": error.request_id,
            "step": step.position if step else None,
        }
        journal.stop(self.journal, "blocked", {"api": api, "code": error.code}, detail, hold=self._open_writes())
        raise _Ended("blocked")

    def _invalid(self, error: WrongAccount) -> NoReturn:
        _log.error("wrong_account", run=journal.number_of(self.journal.run), alarm=True)
        data: dict[str, object] = {
            "approved_digest": self.proved.proposal.digest,
            "recomputed_digest": self.proved.proposal.digest,
        }
        detail = {"code": "WrongAccount", "what": "account", "expected": error.expected, "answered": error.answered}
        journal.stop(self.journal, "invalid", data, detail, hold=self._open_writes())
        raise _Ended("invalid")

    def _conflict(
        self,
        differences: list[Difference],
        observed: State | None,
        code: str,
        step: Step | None = None,
        error: AwsError | None = None,
    ) -> NoReturn:
        live = observed.as_mapping() if observed else None
        detail: dict[str, object] = {"code": code}
        if error is not None and step is not None:
            detail |= {"api": error.api, "message": error.message, "aws_request_id": error.request_id}
            detail["step"] = step.position
        stop_conflict(self.journal, self.proved.stored, differences, detail, live=live, hold=self._open_writes())
        raise _Ended("conflict")


def _call_of(step: Step) -> Call:
    """Returns the planned call of a step; a nonce that an attempt added is not part of it."""
    arguments: Any = canonical.loads(step.arguments)
    if step.api in journal.CREATING and "Tags" in arguments:
        kept = [tag for tag in arguments["Tags"] if tag["Key"] != journal.NONCE]
        arguments = {**arguments, "Tags": kept}
        if not kept and step.api == "CreatePolicy":
            del arguments["Tags"]
    return Call(api=step.api, resource=step.resource, arguments=arguments)


def _with_nonce(call: Call, nonce: str) -> Call:
    """A creating call carries 128 random bits, so that a lost answer can be told from somebody else's creation."""
    if call.api not in journal.CREATING:
        return call
    tags = [*call.arguments.get("Tags", ()), {"Key": journal.NONCE, "Value": nonce}]
    return Call(call.api, call.resource, {**call.arguments, "Tags": tags})
