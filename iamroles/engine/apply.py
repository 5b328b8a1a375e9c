"""The apply loop: look, explain, compare, intent, one call, outcome; again until AWS reads as approved.

No call is repeated blindly, none outside the plan is made, and "applied" is said only after two equal looks in a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from iamroles.aws.gateway import REPEATABLE, AwsError, Gateway, WrongAccount
from iamroles.blueprints.state import State
from iamroles.engine import ends, explain, finish, handover, journal, known, lease, ownership, trace
from iamroles.engine.claim import NothingToDo, claim, reopen
from iamroles.engine.ends import Ending, Waits
from iamroles.engine.explain import Difference
from iamroles.engine.journal import Journal
from iamroles.engine.lease import FencedOut
from iamroles.engine.look import look_around, look_at
from iamroles.engine.proof import Proved
from iamroles.engine.reading import Reading
from iamroles.engine.tools import Tools
from iamroles.engine.writing import NameTaken, Writing, call_of, with_nonce
from iamroles.iam import documents
from iamroles.models import Step
from iamroles.proposal import older_sessions
from iamroles.proposal.calls import Call
from iamroles.proposal.context import Context
from iamroles.proposal.plan import calls_between, same
from iamroles.transitions import WrongState

_log = structlog.get_logger(__name__)


@trace.by_request
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
    reading = Reading(going, proved.proposal.digest)
    applying = Applying(going, proved, tools, reading, Writing(going, proved, reading))
    try:
        try:
            applying.go()
        except Ending as ending:
            return ends.write(going, ending)
    except (FencedOut, WrongState) as lost:
        _log.warning("fenced_out", run=journal.number_of(going.run), reason=str(lost))
        journal.fenced_out(going)
        if not going.run.request.begun():
            lease.release(going.held)
    return "fenced_out"


@dataclass
class Applying:
    """One claim at work. Nothing in here outlives it; what must is in the journal."""

    journal: Journal
    proved: Proved
    tools: Tools
    reading: Reading
    writing: Writing
    equal_looks: int = 0
    odd_looks: int = 0
    patience: int = 0

    def go(self) -> None:
        """Runs the loop until it raises its Ending, or FencedOut or WrongState when the run is not ours any more."""
        began = self.tools.local()
        self._first_look()
        while (self.tools.local() - began).total_seconds() <= self.tools.limits.run:
            self._round()
        raise Waits("Yielded", timedelta(0))

    def _first_look(self) -> None:
        """What the claim must know before anything is written: quarantine, AWS's clock, and the context."""
        self._require_patience()
        context = self.reading.ask(self._context)
        self._require_clock()
        changed = self._changed_dependencies(context)
        if changed and self.journal.begun():
            raise ends.conflict(self.proved.stored, changed, None, "ContextChanged")
        if changed:
            self._reopen(changed)

    def _require_patience(self) -> None:
        limits = self.tools.limits
        deaths = self.journal.run.detail.get("deaths", {})
        if self.journal.run.tries >= limits.tries or max(deaths.values(), default=0) >= limits.deaths:
            raise ends.quarantined(self.journal)

    def _require_clock(self) -> None:
        """AWS's clock is known from the look just made; a late call of a dead claim can do nothing any more."""
        if self.reading.session().clock() is None:  # a plan that depends on nothing has asked nothing yet
            self.reading.ask(self._look)
        clock, limits = self.reading.session().clock(), self.tools.limits
        if clock is None or abs(clock.skew_to(self.tools.now(), self.tools.local()).total_seconds()) > limits.skew:
            raise Waits("ClockSkew", timedelta(seconds=60))
        quiet_until = self.journal.held.quiet_until
        if quiet_until is not None and self.reading.aws_now() < quiet_until:
            raise Waits("QuietPeriod", quiet_until - self.reading.aws_now())

    def _changed_dependencies(self, context: Context) -> list[Difference]:
        """Believed after as many looks that show it as any change of others: stale and lying answers void nobody's
        approval. Disbelieved only after two in a row that do not: nor does one of them let a change pass.
        """
        stored, limits = self.proved.stored, self.tools.limits
        changed = explain.changed_dependencies(stored, context)
        shown, unchanged = 1, 0
        while changed and shown < limits.looks:
            self.tools.pause(limits.verify_pause * (shown + unchanged))
            seen = explain.changed_dependencies(stored, self.reading.ask(self._context))
            shown, unchanged = (shown + 1, 0) if seen else (shown, unchanged + 1)
            changed = seen or changed
            if unchanged == 2:
                return []
        return changed

    def _context(self, gateway: Gateway) -> Context:
        wanted = self.proved.stored.body["dependencies"]
        return look_around(gateway, wanted["passed_roles"], wanted["managed_policies"])

    def _require_not_taken_over(self, seen: State) -> None:
        """A role that another tool has claimed since is not written to: back to review, or a conflict once begun."""
        claimed = handover.taken_over(seen, self.proved.stored, self.tools)
        if claimed is None:
            return
        if self.journal.begun():
            raise ends.conflict(self.proved.stored, [claimed], seen, "OwnedElsewhere")
        self._reopen([claimed], "owned_elsewhere")

    def _reopen(self, changed: list[Difference], cause: str = "context_changed") -> None:
        run = self.journal.run
        try:
            reopen(run.request, cause, changed, self.tools, anew=True)
        except (AwsError, WrongAccount) as error:
            code = error.code if isinstance(error, AwsError) else "WrongAccount"
            raise Waits(code, self.tools.backoff(run.tries), counts=True) from error
        lease.release(self.journal.held)
        raise ends.BackInReview("in_review")

    def _round(self) -> None:
        """One look and, if AWS does not read as approved yet, at most one call."""
        stored = self.proved.stored
        seen = self.reading.ask(self._look)
        self._require_not_taken_over(seen)
        observed = explain.fit(seen, stored)
        target = self._target(observed)
        remaining = calls_between(observed, target, widens=stored.widens)
        self._settle_unknown(observed, remaining)
        odd = explain.unexplained(observed, stored, self.journal.made, begun=self.journal.begun())
        odd += self._uncut(observed, remaining)
        if odd:
            self._look_again(odd, observed)
            return
        strangers = explain.foreign_users(observed, stored)
        if strangers:
            raise ends.conflict(stored, strangers, observed, "ForeignUser")
        self._mark_in_place(remaining)
        if not remaining and same(observed, target):
            self.odd_looks = 0
            self._delete_or_confirm(observed)
            return
        self.equal_looks = 0
        step = self._next(remaining[0])
        if step is None:
            outside = Difference(f"call {remaining[0].api}", None, "not planned", remaining[0].resource)
            self._look_again([outside], observed, "OutsidePlan")
            return
        self.odd_looks = 0
        if not self._must_wait_for(step, observed):
            self._write(step, remaining)

    def _target(self, observed: State) -> State:
        """The approved target; with the deny for older sessions where the plan has one, from the change of trust on."""
        target = self.proved.stored.target
        if not self.proved.stored.cuts or observed.role is None or target.role is None:
            return target
        changed = documents.equal(observed.role.trust, target.role.trust)
        if changed and self.journal.trust_changed_at is None:
            journal.trust_changed(self.journal, self.reading.aws_now())
        return older_sessions.with_cut(target, self.journal.cut_until)

    def _look(self, gateway: Gateway) -> State:
        stored = self.proved.stored
        return look_at(gateway, stored.base.role_arn, stored.target.policies)

    def _uncut(self, observed: State, remaining: tuple[Call, ...]) -> list[Difference]:
        """What an earlier request's deny keeps from older sessions is not added once that deny is gone."""
        stored, account = self.proved.stored, self.journal.held.account
        if stored.cuts or not older_sessions.adds(stored.base, remaining[:1]):
            return []
        return explain.uncut(stored, observed) if known.uncut(account, stored, observed, self.tools.now()) else []

    def _look_again(self, odd: list[Difference], observed: State, code: str = "NotExplainable") -> None:
        self.odd_looks += 1
        if self.odd_looks >= self.tools.limits.looks:
            raise ends.conflict(self.proved.stored, odd, observed, code)
        self.tools.pause(self.tools.limits.verify_pause * self.odd_looks)

    def _delete_or_confirm(self, observed: State) -> None:
        """A planned deletion is sent once even where reads say that the thing is gone: reads lie about absence."""
        deleting = [step for step in self.journal.steps if step.api in journal.DELETING]
        unsent = next((step for step in deleting if step.state != journal.OK), None)
        if unsent is None:
            self._confirm(observed, doubtful=any(step.code for step in deleting))
        elif not self._must_wait_for(unsent, observed):
            self._write(unsent, ())

    def _confirm(self, observed: State, *, doubtful: bool) -> None:
        """Two equal looks in a row; five over half a minute where a deletion is known from reads alone."""
        self.equal_looks += 1
        limits = self.tools.limits
        if self.equal_looks < (limits.absent_looks if doubtful else 2):
            self.tools.pause(limits.absent_pause if doubtful else limits.verify_pause)
            return
        finish.finish(self.journal, self.proved, observed)
        raise ends.Applied("applied")

    def _settle_unknown(self, observed: State, remaining: tuple[Call, ...]) -> None:
        """Closes outcomes that nobody knew, where AWS shows the effect."""
        for step in self.journal.steps:
            if step.api in journal.CREATING:
                if str(step.position) in self.journal.unsure and step.resource not in self.journal.made:
                    self._test_ownership(step, observed)
            elif step.state == journal.UNKNOWN and not _remains(step, remaining):
                journal.looked_up(self.journal, step, "done")

    def _test_ownership(self, step: Step, observed: State) -> None:
        there = observed.role if step.api == "CreateRole" else observed.policies.get(step.resource)
        if there is None:
            return
        unsure = self.journal.unsure[str(step.position)]
        times = (datetime.fromisoformat(unsure["since"]), datetime.fromisoformat(unsure["until"]))
        sent = with_nonce(call_of(step), unsure["nonce"])
        made = self.reading.ask(lambda gateway: ownership.test(gateway, sent, times, observed, self.tools.limits))
        if made is not None:
            journal.looked_up(self.journal, step, "done", entity_id=made)
        elif step.state == journal.UNKNOWN:
            journal.looked_up(self.journal, step, "other")

    def _mark_in_place(self, remaining: tuple[Call, ...]) -> None:
        """Planned parts whose effect is there already need no call of this run. A deletion is never believed so."""
        open_steps = [s for s in self.journal.steps if s.state in (journal.PLANNED, journal.FAILED)]
        there = [s for s in open_steps if s.api not in journal.DELETING and not _remains(s, remaining)]
        if there:
            journal.in_place(self.journal, there)

    def _next(self, call: Call) -> Step | None:
        """Returns the planned step that comes next, None for a call outside the plan."""
        return next((step for step in self.journal.steps if explain.is_planned(call, call_of(step))), None)

    def _must_wait_for(self, step: Step, observed: State) -> bool:
        """An own success that AWS does not show yet is waited for; an unknown creating call waits the quiet period."""
        now, limits = self.tools.now(), self.tools.limits
        if step.state == journal.OK and step.ended_at is not None and journal.was_made(step):
            if (now - step.ended_at).total_seconds() > limits.not_shown:
                unseen = Difference(f"step {step.position}", None, "made by us", "not shown by AWS")
                raise ends.conflict(self.proved.stored, [unseen], observed, "NotShown")
            self.patience += 1
            if self.patience > limits.looks and step.code == "NoSuchEntity":
                self._answered_wrongly(step)
                return False
            if self.patience > limits.looks:
                raise Waits("NotShownYet", timedelta(seconds=min(30, limits.verify_pause * self.patience)))
            self.tools.pause(limits.verify_pause * self.patience)
            return True
        if step.state == journal.UNKNOWN and step.started_at is not None:
            quiet_until = step.started_at + timedelta(seconds=limits.lease + limits.quiet)
            if step.api not in REPEATABLE and now < quiet_until:
                raise Waits("QuietPeriod", quiet_until - now, hold=True)
            journal.looked_up(self.journal, step, "not_done")
        return False

    def _answered_wrongly(self, step: Step) -> None:
        """AWS said that there was nothing to delete, yet goes on showing it: the call is due again, not endlessly."""
        if self.reading.count(step.position, "StillShown") > self.tools.limits.refusals:
            raise Waits("NotShownYet", self.tools.backoff(self.journal.run.tries), counts=True)
        journal.looked_up(self.journal, step, "not_done")

    def _write(self, step: Step, remaining: tuple[Call, ...]) -> None:
        self.patience = 0
        plan = [call_of(planned) for planned in self.journal.steps]
        following = [explain.find_planned(later, plan) for later in remaining[1:]]
        try:
            self.writing.write(step, [call for call in following if call is not None])
        except NameTaken as taken:
            found = Difference(step.resource, None, "made by us", "made by others")
            live = self.reading.ask(self._look)
            raise ends.conflict(
                self.proved.stored, [found], live, taken.error.code, step=step, error=taken.error
            ) from taken


def _remains(step: Step, remaining: tuple[Call, ...]) -> bool:
    return any(explain.is_planned(call, call_of(step)) for call in remaining)
