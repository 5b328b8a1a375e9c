"""The follow-up of a closed change: takes the deny for older sessions away once no older session can live any more.

It is a run of its own on a closed request. Nobody waits for it, so what would stop another run is tried again later;
only what is no longer what was approved stops it, once.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog
from django.db import transaction

from iamroles import canonical
from iamroles.blueprints.state import RoleState, State
from iamroles.engine import claim, ends, journal, lease, proof, trace
from iamroles.engine.apply import Applying
from iamroles.engine.ends import Applied, Ending, Stops, Waits
from iamroles.engine.journal import Journal, number_of
from iamroles.engine.lease import FencedOut
from iamroles.engine.reading import Reading
from iamroles.engine.tools import Tools
from iamroles.engine.writing import Writing
from iamroles.iam import documents
from iamroles.models import Run
from iamroles.proposal import older_sessions
from iamroles.proposal.calls import Call
from iamroles.rules import states
from iamroles.transitions import WrongState, move_run

_log = structlog.get_logger(__name__)
HELD: Final = timedelta(minutes=5)
LATER: Final = timedelta(hours=1)


@trace.by_run
def follow_up(*, run_id: int, tools: Tools) -> str:
    """Does the follow-up of an ended run that is due. Returns a word for the log; never raises for what AWS answers."""
    now = tools.now()
    rows = Run.objects.filter(pk=run_id, request__state=states.CLOSED, state__in=states.ENDED, follow_up_at__lte=now)
    if not rows.update(follow_up_at=now + HELD):
        return "not_due"
    done = Run.objects.select_related("request__account", "proposal__revision").get(pk=run_id)
    if done.request.account is None:
        return "not_due"
    resources = claim.resources_of(done.proposal)
    try:
        held = lease.take(done.request.account, resources, f"{tools.worker}:{secrets.token_hex(6)}", tools)
    except lease.LeaseBusy:
        return "busy"
    try:
        proved = _proved(done, tools)
        if isinstance(proved, Stops):
            return _end(_journal(done, (), held, tools), proved, done)
        role = proved.stored.target.role
        going = _journal(done, (older_sessions.removal(role),) if role else (), held, tools)
        reading = Reading(going, done.proposal.digest)
        return _work(
            FollowingUp(going, proved, tools, reading, Writing(going, proved, reading), done=done), done, tools
        )
    except (FencedOut, WrongState) as lost:
        _log.warning("fenced_out", run=number_of(done), reason=str(lost))
        return "fenced_out"


def _proved(done: Run, tools: Tools) -> proof.Proved | Stops:
    reference = done.request.reference
    try:
        return proof.prove(done.request, done.proposal, tools, quorum=False)
    except proof.NotWhatWasApproved as error:
        return ends.not_approved(reference, error.what, error.approved, error.recomputed)
    except proof.NotEnough as error:
        return ends.not_approved(reference, error.cause, "", done.proposal.digest)


def _end(going: Journal, end: Stops, done: Run) -> str:
    """Stops for good, once: the follow-up's last run says why, and operators find it under stopped work."""
    end.detail["follow_up"] = True
    with transaction.atomic():
        word = ends.write(going, end)
        Run.objects.filter(pk=done.pk).update(follow_up_at=None)
    return word


def _journal(done: Run, plan: Sequence[Call], held: lease.Held, tools: Tools) -> Journal:
    later = Run.objects.select_related("request", "proposal").filter(request=done.request, number__gt=done.number)
    begun = later.filter(state__in=(states.GOING, states.WAITING)).order_by("number").first()
    if begun is not None:
        going = journal.resume(begun, plan, held, tools)
    else:
        going = journal.begin(done.request, done.proposal, plan, held, tools)
    going.closed = True
    return going


def _work(following: FollowingUp, done: Run, tools: Tools) -> str:
    try:
        following.go()
    except Ending as ending:
        if isinstance(ending, Stops) and ending.reason == "quarantined":
            journal.start_over(following.journal)
        if isinstance(ending, Stops) and ending.reason != "invalid":
            ending = Waits(str(ending.event.get("code", ending.reason)), LATER)
        if isinstance(ending, Stops):
            return _end(following.journal, ending, done)
        word = ends.write(following.journal, ending)
        if isinstance(ending, Waits):
            Run.objects.filter(pk=done.pk).update(follow_up_at=tools.now() + max(ending.delay, timedelta(seconds=1)))
        return word
    return "waiting"


class FollowingUp(Applying):
    """One claim on a follow-up. The deny of a later change, which carries another time, is not its own, nor is that of
    a role which was made anew under the name.
    """

    def __init__(self, *given: object, done: Run) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.done = done

    def _first_look(self) -> None:
        self._require_patience()
        self.reading.ask(lambda gateway: gateway.role(self._arn))
        self._require_clock()

    @property
    def _arn(self) -> str:
        role = self.proved.stored.target.role
        if role is None:
            raise ValueError("There is no deny to follow up without a role.")
        return role.arn

    def _round(self) -> None:
        role = self.reading.ask(lambda gateway: gateway.role(self._arn))
        (step,) = self.journal.steps
        if role is None or not self._is_there(role):
            self._gone(role)
            return
        self.equal_looks = 0
        if not self._must_wait_for(step, State(self._arn, role)):
            self.writing.write(step, ())

    def _is_there(self, role: RoleState) -> bool:
        base, deny = self.proved.stored.base.role, role.inline.get(older_sessions.NAME)
        if base is None or role.role_id != base.role_id or deny is None:
            return False
        return documents.equal(deny, older_sessions.document(self.journal.cut_until))

    def _gone(self, role: RoleState | None) -> None:
        """Two looks after our own call; what is known from reads alone takes as many as a deletion does."""
        (step,), limits = self.journal.steps, self.tools.limits
        if step.state == journal.UNKNOWN:
            journal.looked_up(self.journal, step, "done")
        doubtful = step.state != journal.OK
        self.equal_looks += 1
        if self.equal_looks < (limits.absent_looks if doubtful else 2):
            self.tools.pause(limits.absent_pause if doubtful else limits.verify_pause)
            return
        now = self.tools.now()
        wanted = older_sessions.without(role).as_mapping() if role else None
        data: dict[str, object] = {
            "run": number_of(self.journal.run),
            "target_digest": canonical.digest(wanted),
            "read_digest": canonical.digest(role.as_mapping() if role else None),
        }
        with transaction.atomic():
            lease.require_ours(self.journal.held)
            if step.state == journal.PLANNED:
                journal.in_place(self.journal, [step])
            actor = self.tools.actor
            move_run(self.journal.run, "finish", event="run.verified", actor=actor, at=now, data=data)
            Run.objects.filter(pk=self.done.pk).update(follow_up_at=None)
            lease.release(self.journal.held)
        raise Applied("followed_up")
