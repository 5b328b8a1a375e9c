"""The permanent page of a request: what happens next, facts, plan, documents, decisions, and who may do what now.

Actions are offered exactly by state and person; the verbs decide again. Lists of requests live in `request_list`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils.crypto import salted_hmac

from iamroles import eligibility
from iamroles.blueprints import DeployerFacts, terraform
from iamroles.blueprints import facts as facts_module
from iamroles.models import Decision, Proposal, Request, Revision, Run, Step, User
from iamroles.pages import offers, status
from iamroles.pages import runs as run_pages
from iamroles.pages import sections as section_pages
from iamroles.pages.anew import anew_words
from iamroles.pages.attaching import Attaching, attaching_of
from iamroles.pages.calls import CallWords, words_of
from iamroles.pages.drafts import deployer_key
from iamroles.pages.facts import Fact, facts_of
from iamroles.pages.offers import Button, Case
from iamroles.pages.progress import (
    Progress,
    Staff,
    approvers_of,
    decisions_by_revision,
    progress_of,
    staff_of,
    standing_of,
)
from iamroles.pages.runs import RunPage
from iamroles.pages.sections import Section
from iamroles.pages.status import Status
from iamroles.proposal import Stored
from iamroles.proposal import read as read_proposal
from iamroles.rules import states

TRIES_AT_MOST: Final = 12  # after this many failed looks an operator looks again (UX.md P5)
ANSWER_WITHIN: Final = timedelta(seconds=30)  # a look takes seconds; after this the page says since when it is quiet
LIVE_STATES: Final = (states.SUBMITTED, states.APPROVED)
WHILE_WORKED_ON, WHILE_READ = 2, 30  # seconds between two polls
KIND_WORDS: Final = {
    "role": "CodeDeploy service role",
    "grant": "PassRole grant",
    "infrastructure": "ECS infrastructure role",
    "deployer": "Deployer policy",
    "removal": "Removal",
}


@dataclass(frozen=True)
class RequestPage:
    """All values of the request page for one person."""

    request: Request
    kind: str
    status: Status
    next_step: str
    revision: Revision | None
    proposal: Proposal | None
    facts: tuple[Fact, ...]
    plan: tuple[CallWords, ...]
    sections: tuple[Section, ...]
    progress: Progress | None
    staff: Staff | None
    decisions: tuple[Decision, ...]
    run: RunPage | None
    runs: tuple[Run, ...]
    anew: str
    buttons: tuple[Button, ...]
    own_note: str
    terraform: str
    attaching: Attaching | None
    poll_seconds: int
    marker: str

    @property
    def offered(self) -> frozenset[str]:
        """The slugs of the buttons."""
        return frozenset(button.slug for button in self.buttons)


def markers(user: User, request: Request, run: Run | None, steps: Sequence[Step]) -> str:
    """Returns two keyed marks, "request.progress": equal ones mean that nothing is new for this person."""
    quiet = quiet_since(request, datetime.now(UTC))
    first = f"{user.pk}|{request.pk}|{request.version}|{request.tries}|{request.last_code}|{quiet}"
    head = salted_hmac("roledesk.request", first, algorithm="sha256").hexdigest()[:16]
    return f"{head}.{run_pages.marker_of(user, run, steps) if run else 0}"


def request_page(request: Request, user: User) -> RequestPage:
    """Returns the page of a request that the person may see. The number of queries does not depend on the history."""
    proposal = request.current_proposal()
    revision = proposal.revision if proposal else _revision(request)
    stored = read_proposal(proposal.canonical) if proposal else None
    decisions = decisions_by_revision(request=request)
    current = decisions.get(revision.pk, []) if revision else []
    runs = tuple(request.runs.select_related("proposal__revision").prefetch_related("steps").order_by("-number"))
    latest = runs[0] if runs else None
    current_run = _current(runs, request)
    steps = list(latest.steps.all()) if latest else []
    own_state = latest is not None and latest is current_run
    run_page = run_pages.run_page(request, latest, steps, user, latest=own_state) if latest else None
    counts_today = proposal is not None and request.state != states.CLOSED
    bars = eligibility.bars_for([proposal.revision])[proposal.revision_id] if proposal and counts_today else None
    deciding = proposal is not None and request.state == states.IN_REVIEW
    asked = eligibility.deciding_groups(proposal) if proposal and deciding else ()
    people = eligibility.people_of(asked, besides=[user, *approvers_of(decisions)]) if bars else []
    progress = progress_of(proposal, current, bars) if proposal else None
    staff = staff_of(proposal, current, bars, people) if deciding and proposal and bars else None
    touched = {run.proposal.revision.number for run in runs if any(step.attempt for step in run.steps.all())}
    begun = current_run is not None and request.revision_number in touched
    decides = bool(deciding and proposal and bars and eligibility.may_decide(user, proposal, bars).allowed)
    given = standing_of(decisions, proposal.revision_id, user.pk) if proposal else None
    gave = given is not None and given.decision == "approve"
    old = deciding and proposal is not None and eligibility.look_too_old(proposal, datetime.now(UTC))
    case = Case(request, current_run, user, begun=begun, decides=decides, gave=gave, old=old)
    removable = _removable(request, revision)
    return RequestPage(
        request=request,
        kind=KIND_WORDS.get(request.kind, request.kind),
        status=status.status_of(request, current_run),
        next_step=next_step(request, current_run, progress, current, touched=bool(touched), old=old),
        revision=revision,
        proposal=proposal,
        facts=facts_of(revision.facts) if revision else (),
        plan=tuple(words_of(call) for call in stored.plan) if stored else (),
        sections=section_pages.sections_of(stored, proposal) if stored and proposal else (),
        progress=progress,
        staff=staff,
        decisions=tuple(d for made in decisions.values() for d in made),
        run=run_page,
        runs=runs,
        anew=anew_words(revision),
        buttons=offers.buttons(case, removable),
        own_note=_own_note(request, user),
        terraform=_terraform(request, stored) if stored else "",
        attaching=attaching_of(request, revision),
        poll_seconds=poll_seconds(request, current_run),
        marker=markers(user, request, latest, steps),
    )


def _revision(request: Request) -> Revision | None:
    """Returns the current revision while there is no proposal of it; None for a draft."""
    rows = request.revisions.select_related("created_by")
    return rows.filter(number=request.revision_number).first() if request.revision_number else None


def _removable(request: Request, revision: Revision | None) -> str:
    """Returns how the removal form names what the request made."""
    facts = facts_module.read(revision.facts) if revision else None
    return deployer_key(facts.policy_name) if isinstance(facts, DeployerFacts) else request.role_name


def _terraform(request: Request, stored: Stored) -> str:
    """Returns the Terraform text once the request is approved or AWS reads so; "" before that and after a refusal.

    What the base did not hold is imported only when a worker has read it back.
    """
    if "owned_by" in stored.body and (request.state == states.APPROVED or request.outcome == "handed_over"):
        return terraform.hand_over(stored.target, stored.base)
    if request.state == states.APPROVED:
        return terraform.render(stored.target, stored.base)
    if request.outcome in ("applied", "already_right"):
        return terraform.render(stored.target, stored.target)
    return ""


def _current(runs: Sequence[Run], request: Request) -> Run | None:
    """Returns the newest run of the current revision; an earlier revision's is shown, but decides nothing."""
    of_revision = (run for run in runs if run.proposal.revision.number == request.revision_number)
    return next((run for run in of_revision if run.stop_reason != states.RECALLED), None)


def poll_seconds(request: Request, run: Run | None) -> int:
    """Returns how often the page asks what is new: while a worker has something to do, while a person has; else 0."""
    if request.state == states.IN_REVIEW:
        return WHILE_READ if request.next_try_at is None else WHILE_WORKED_ON
    live = request.state in LIVE_STATES and (run is None or run_pages.is_live(run))
    return WHILE_WORKED_ON if live else 0


def next_step(
    request: Request,
    run: Run | None,
    progress: Progress | None,
    decisions: Sequence[Decision],
    *,
    touched: bool = False,
    old: bool = False,
) -> str:
    """Returns what happens next, in one or two sentences. `touched`: a run of some revision has called AWS; `old`: it
    is in review by a look that is too old to approve by.
    """
    account = request.account.name if request.account else "the AWS account"
    if request.state == states.DRAFT:
        return "Nothing has been sent. Continue the form, check your answers and send them for approval."
    if request.state == states.SUBMITTED:
        return _observing(request, account)
    if request.state == states.IN_REVIEW:
        again = old or request.next_try_at or request.last_code
        return _looking_again(request, account) if again else _waiting_for(progress)
    if request.state == states.CHANGES_REQUESTED:
        asked = next((d for d in reversed(decisions) if d.decision == "changes"), None)
        who = asked.approver.display_name if asked else "An approver"
        return f"{who} asked for changes. Edit and resend the request, or withdraw it."
    if request.state == states.APPROVED:
        return _applying(run, account, touched=touched)
    said = _CLOSED[request.outcome].format(account=account)
    return said.replace(_UNCHANGED, "What a run put in place before stays; it is listed below.") if touched else said


def quiet_since(request: Request, at: datetime) -> datetime | None:
    """Returns since when a worker's look is overdue: since it was sent, or since the next try was due."""
    if request.state != states.SUBMITTED or request.tries >= TRIES_AT_MOST:
        return None
    due = request.next_try_at if request.last_code else request.updated_at
    return due if due and at - due > ANSWER_WITHIN else None


def _observing(request: Request, account: str) -> str:
    quiet = quiet_since(request, datetime.now(UTC))
    if quiet:
        since = f"{quiet.astimezone(UTC):%H:%M:%S} UTC"
        return f"No answer from a worker since {since}; another will take over. Your answers are kept."
    if not request.last_code:
        return f"A worker is reading {account}. Nothing is changed by that; it usually takes a few seconds."
    failed = f"Reading {account} failed: {request.last_code}."
    if request.tries >= TRIES_AT_MOST:
        return f"{failed} It was tried {request.tries} times. An operator has to look."
    at = f" at {request.next_try_at.astimezone(UTC):%H:%M:%S} UTC" if request.next_try_at else ""
    return f"{failed} The next try starts{at}. Your answers are kept."


def _looking_again(request: Request, account: str) -> str:
    after = "If AWS reads the same, all approvals stand; else it is proposed anew from the same answers."
    if request.last_code:
        again = "The next try starts by itself." if request.next_try_at else "Look again once that is settled."
        return f"Reading {account} again failed: {request.last_code}. {again}"
    if request.next_try_at:
        return f"A worker is reading {account} again. {after}"
    return f"{account} was read too long ago to approve by that, so AWS is looked at again first. {after}"


def _waiting_for(progress: Progress | None) -> str:
    if progress is None:
        return "The proposal is being made again."
    if not progress.needed:
        return "It has a forbidden part, so nobody can approve it. Edit the request and send it again."
    return f"It waits for approval by {_people(progress)}. Nothing is changed in AWS before that."


def _people(progress: Progress) -> str:
    missing = [(seat.group, seat.count - seat.done) for seat in progress.seats if not seat.filled]
    names = [group if count == 1 else f"{count} of {group}" for group, count in missing]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _applying(run: Run | None, account: str, *, touched: bool) -> str:
    if run is None:
        tail = "" if touched else f"; nothing has been changed in {account} yet"
        return f"Approved. A worker takes it up next{tail}."
    changed = f"{account} is partly changed." if touched else f"Nothing has been changed in {account} yet."
    return {
        states.GOING: f"A worker is applying it in {account}.",
        states.WAITING: f"A worker goes on by itself; nobody has to do anything. {changed}",
        states.DONE: "All steps are done; the request is being closed.",
        states.STOPPED: "It stopped and does not go on by itself. The run below says what is in place and what is not.",
    }[run.state]


_UNCHANGED: Final = "Nothing was changed in AWS."
_CLOSED: Final = {
    "applied": "Done. {account} was read back and says exactly what was approved.",
    "already_right": "AWS reads as you asked. There is nothing to change or approve.",
    "handed_over": "Another tool manages this role: give its repository the text below. Roledesk changed nothing in "
    "AWS; it watches until AWS reads so.",
    "rejected": f"It was rejected. {_UNCHANGED}",
    "withdrawn": f"It was withdrawn by its requester. {_UNCHANGED}",
    "expired": f"It was not decided in time. {_UNCHANGED}",
    "abandoned": "It was abandoned by an operator; the run below says what is in place.",
    "resolved": "Two operators stated that it is settled: a worker read AWS as approved. The timeline says how.",
    "superseded": "A newer request took its place.",
}


def _own_note(request: Request, user: User) -> str:
    """Returns why there is no decision here for the one who might expect it."""
    own = request.state == states.IN_REVIEW and request.requester_id == user.pk
    return "You asked for this, so someone else must approve it." if own else ""
