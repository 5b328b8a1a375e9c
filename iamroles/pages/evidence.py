"""The evidence of one request on one page: what was asked, approved, called and read back, and its sealed events.

Everything comes from the stored text that the digests cover and from the events' own canonical texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from iamroles import audit, canonical
from iamroles.audit import EventFilter
from iamroles.audit.words import sentence
from iamroles.models import AuditEvent, Decision, Proposal, Request, Revision, Run
from iamroles.pages import runs as run_pages
from iamroles.pages import sections as section_pages
from iamroles.pages import status
from iamroles.pages.facts import Fact, facts_of
from iamroles.pages.progress import let_go_sentence
from iamroles.pages.requests import KIND_WORDS
from iamroles.pages.sections import Section
from iamroles.pages.status import Status
from iamroles.pages.steps import StepView
from iamroles.proposal import read as read_proposal

SCHEMA: Final = "roledesk.evidence/1"
MOST_EVENTS: Final = 2_000


@dataclass(frozen=True)
class DecisionLine:
    """One decision. `seen` is the digest on the approver's screen; `counts` is False once it ended."""

    who: str
    decision: str
    revision: int
    at: datetime
    reason: str
    digest: str
    seen: str
    groups: tuple[str, ...]
    acknowledged: tuple[str, ...]
    counts: bool
    key_id: str
    signature: str


@dataclass(frozen=True)
class ReadBack:
    """What AWS was read back as at the end, against what was approved."""

    at: datetime
    target_digest: str
    read_digest: str
    event: str

    @property
    def equal(self) -> bool:
        """True when AWS said exactly what was approved."""
        return self.target_digest == self.read_digest


@dataclass(frozen=True)
class RunLine:
    """One run with its steps."""

    number: int
    head: str
    started_at: datetime
    ended_at: datetime | None
    steps: tuple[StepView, ...]
    read_back: ReadBack | None


@dataclass(frozen=True)
class EventLine:
    """One event; `seq` is its place in the sealed trail, None while it waits. `leaf` is its hash."""

    reference: str
    at: datetime
    sentence: str
    action: str
    outcome: str
    seq: int | None
    leaf: str


@dataclass(frozen=True)
class Evidence:
    """All values of the evidence page. `note` is the newest checkpoint, `covered` how many of the events it covers."""

    request: Request
    kind: str
    status: Status
    revision: Revision | None
    facts: tuple[Fact, ...]
    desired: str
    proposal: Proposal | None
    sections: tuple[Section, ...]
    target: str
    decisions: tuple[DecisionLine, ...]
    let_go: str
    runs: tuple[RunLine, ...]
    events: tuple[EventLine, ...]
    more_events: bool
    note: str
    covered: int


def evidence_of(request: Request) -> Evidence:
    """Returns the evidence of a request. The number of queries grows with its runs alone."""
    revision = request.revisions.select_related("created_by").filter(number=request.revision_number).first()
    proposal = request.current_proposal()
    stored = read_proposal(proposal.canonical) if proposal and proposal.body else None
    runs = list(request.runs.prefetch_related("steps").order_by("number"))
    page = audit.find(EventFilter(request=request.reference), limit=MOST_EVENTS)
    events, state = page.events[::-1], audit.status()
    places = audit.places_of([event.pk for event in events])
    lines = tuple(_event(event, places.get(event.pk)) for event in events)
    return Evidence(
        request=request,
        kind=KIND_WORDS.get(request.kind, request.kind),
        status=status.status_of(request, runs[-1] if runs else None),
        revision=revision,
        facts=facts_of(revision.facts) if revision else (),
        desired=_json(stored.body["desired"]) if stored else "",
        proposal=proposal,
        sections=section_pages.sections_of(stored, proposal) if stored and proposal else (),
        target=_json(stored.body["target"]) if stored else "",
        decisions=_decisions(request, events),
        let_go=let_go_sentence(proposal, request.decisions.filter(revision=revision)) if proposal else "",
        runs=tuple(_run(request, run, events) for run in runs),
        events=lines,
        more_events=page.has_older,
        note=state.note or "",
        covered=sum(line.seq is not None and line.seq < state.sealed for line in lines),
    )


def as_json(evidence: Evidence) -> dict[str, Any]:
    """Returns the same for programs. `proposal_canonical` hashes to `proposal_digest`, and so does `proposal`."""
    proposal, revision, request = evidence.proposal, evidence.revision, evidence.request
    return {
        "schema": SCHEMA,
        "request": request.reference,
        "kind": request.kind,
        "status": evidence.status.word,
        "aws_account": request.account.number if request.account else None,
        "role_name": request.role_name,
        "team": request.team.slug if request.team else None,
        "requester": request.requester.display_name,
        "revision": revision.number if revision else None,
        "reason": revision.reason if revision else None,
        "facts": json.loads(revision.facts) if revision else None,
        "desired_digest": revision.desired_digest if revision else None,
        "proposal_digest": proposal.digest if proposal else None,
        "proposal": proposal.body if proposal else None,
        "proposal_canonical": proposal.canonical if proposal else None,
        "decisions": [asdict(line) for line in evidence.decisions],
        "approved_by_rule": evidence.proposal.unattended if evidence.let_go and evidence.proposal else None,
        "runs": [_run_json(run) for run in evidence.runs],
        "events": [asdict(line) for line in evidence.events],
        "checkpoint": evidence.note or None,
    }


def _run_json(run: RunLine) -> dict[str, Any]:
    kept = ("position", "api", "resource", "state", "attempt", "aws_request_id", "code")
    return {
        "number": run.number,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "steps": [{name: getattr(step, name) for name in kept} for step in run.steps],
        "read_back": asdict(run.read_back) | {"equal": run.read_back.equal} if run.read_back else None,
    }


def _json(value: Any) -> str:
    return canonical.dumps(value).decode()


def _data(event: AuditEvent) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(event.canon)["data"]
    return data


def _decisions(request: Request, events: Sequence[AuditEvent]) -> tuple[DecisionLine, ...]:
    seen = {
        (event.revision, event.actor_id): str(_data(event)["seen_digest"])
        for event in events
        if event.action == "approval.given"
    }
    rows = Decision.objects.filter(request=request).select_related("approver", "revision").order_by("pk")
    return tuple(
        DecisionLine(
            who=row.approver.display_name,
            decision={"approve": "approved", "changes": "asked for changes", "reject": "rejected"}[row.decision],
            revision=row.revision.number,
            at=row.at,
            reason=row.reason,
            digest=row.proposal_digest,
            seen=seen.get((row.revision.number, str(row.approver_id)), ""),
            groups=tuple(row.groups),
            acknowledged=tuple(row.acknowledged),
            counts=not row.ended_by,
            key_id=row.key_id,
            signature=row.signature,
        )
        for row in rows
    )


def _run(request: Request, run: Run, events: Sequence[AuditEvent]) -> RunLine:
    views, head = run_pages.steps_of(request, run)
    name = f"{request.reference} run {run.number}"
    verified = next((e for e in events if e.action == "run.verified" and e.object_id == name), None)
    back = None
    if verified is not None:
        data = _data(verified)
        back = ReadBack(verified.at, data["target_digest"], data["read_digest"], verified.reference)
    return RunLine(run.number, head, run.started_at, run.ended_at, views, back)


def _event(event: AuditEvent, seq: int | None) -> EventLine:
    leaf = bytes(event.leaf).hex()
    return EventLine(event.reference, event.at, sentence(event), event.action, event.outcome, seq, leaf)
