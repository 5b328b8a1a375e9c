"""The review page: everything an approver needs to decide one request, and what changed when the digest is stale.

All of it is read from the stored proposal that the digest covers. Deciding is `workflow.decide`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from iamroles import eligibility
from iamroles.blueprints import facts
from iamroles.eligibility import Bars
from iamroles.models import Decision, Proposal, Request, Revision, User
from iamroles.pages import sections as section_pages
from iamroles.pages import status
from iamroles.pages.anew import anew_words
from iamroles.pages.calls import CallWords, words_of
from iamroles.pages.progress import (
    Progress,
    Staff,
    approvers_of,
    decisions_by_revision,
    progress_of,
    staff_of,
    standing_of,
)
from iamroles.pages.sections import Passed, Section
from iamroles.pages.status import Status
from iamroles.proposal import read as read_proposal
from iamroles.proposal.wording import standard_name
from iamroles.rules import account_rules, states

Ticks = Mapping[tuple[str, str], str]
_GUARDRAILS = ((account_rules.GUARDRAIL, "rights"), (account_rules.TRUST_GUARDRAIL, "trust"))


@dataclass(frozen=True)
class FindingView:
    """One finding with the ids on the page that it concerns. `tick` is what its tick says; "" where none is due."""

    id: str
    severity: str
    message: str
    fix: str
    places: tuple[tuple[str, str], ...]
    will_not_work: bool
    standard: bool
    tick: str


@dataclass(frozen=True)
class ReviewPage:
    """All values of the review page. `closed_reason` says why the person cannot decide; "" when they can.

    `anew` says why a worker proposed the revision anew, "" for one that was sent; with `look_too_old` nobody approves
    before AWS was looked at again.
    """

    request: Request
    proposal: Proposal
    revision: Revision
    status: Status
    findings: tuple[FindingView, ...]
    notes: tuple[FindingView, ...]
    standard: tuple[FindingView, ...]
    progress: Progress
    staff: Staff
    decisions: tuple[Decision, ...]
    sections: tuple[Section, ...]
    passed: tuple[Passed, ...]
    plan: tuple[CallWords, ...]
    own: Decision | None
    closed_reason: str
    anew: str
    look_too_old: bool
    digest: str

    @property
    def ticks(self) -> tuple[FindingView, ...]:
        """The findings that must be ticked to approve."""
        return tuple(finding for finding in self.findings if finding.tick)

    @property
    def why_full(self) -> str:
        """Why Limited is not enough, in the requester's words; "" unless Full is asked for."""
        return str(getattr(facts.read(self.revision.facts), "why_full", ""))

    @property
    def standard_name(self) -> str:
        """What the folded findings come with, in words."""
        return standard_name(self.request.kind, own=bool(self.proposal.body.get("own_standard")))

    @property
    def guardrail(self) -> str:
        """What the request was held against, in words."""
        rules = self.proposal.body.get("account_rules", {})
        held = [words for kind, words in _GUARDRAILS if rules.get(kind)]
        return f"kept for {' and '.join(held)}" if held else "none set: nothing is held against one"

    @property
    def approvable(self) -> bool:
        """False for a forbidden request and by an old look: it can only be sent back or rejected."""
        return self.proposal.rated != "forbidden" and not self.look_too_old


def review_page(request: Request, proposal: Proposal, user: User, ticks: Ticks) -> ReviewPage:
    """Returns the page of a request's current proposal for one person; `ticks` are what the ticks say that approving
    demands, by the id and message of their findings.
    """
    stored = read_proposal(proposal.canonical)
    sections = section_pages.sections_of(stored, proposal)
    decisions = decisions_by_revision(revision=proposal.revision)
    made = decisions.get(proposal.revision_id, [])
    bars = eligibility.bars_for([proposal.revision])[proposal.revision_id]
    people = eligibility.people_of(eligibility.deciding_groups(proposal), besides=approvers_of(decisions))
    own = standing_of(decisions, proposal.revision_id, user.pk)
    found = _findings(proposal.findings, sections, ticks)
    return ReviewPage(
        request=request,
        proposal=proposal,
        revision=proposal.revision,
        status=status.status_of(request, request.latest_run() if request.state == states.APPROVED else None),
        findings=tuple(view for view in found if not view.standard and view.severity != "note"),
        notes=tuple(view for view in found if not view.standard and view.severity == "note"),
        standard=tuple(view for view in found if view.standard),
        progress=progress_of(proposal, made, bars),
        staff=staff_of(proposal, made, bars, people),
        decisions=tuple(made),
        sections=sections,
        passed=next((section.passed for section in sections if section.anchor == "grants"), ()),
        plan=tuple(words_of(call) for call in stored.plan),
        own=own,
        closed_reason=_closed_reason(request, proposal, user, own, bars),
        anew=anew_words(proposal.revision),
        look_too_old=eligibility.look_too_old(proposal, datetime.now(UTC)),
        digest=proposal.digest,
    )


def section_marks(proposal: Proposal) -> dict[str, str]:
    """Returns the id of each section by the mark that says its content. Raises ProposalChanged."""
    sections = section_pages.sections_of(read_proposal(proposal.canonical), proposal) if proposal.body else ()
    return {section.mark: section.anchor for section in sections}


def _closed_reason(request: Request, proposal: Proposal, user: User, own: Decision | None, bars: Bars) -> str:
    """Returns the sentence that stands in the place of the decision form, or ""."""
    allowance = eligibility.may_decide(user, proposal, bars)
    if request.state != states.IN_REVIEW:
        return f"{request.reference} is no longer in review: there is nothing to decide."
    if not allowance.allowed:
        return allowance.reason
    if own is not None:
        words = {"approve": "approved", "changes": "asked for changes", "reject": "rejected"}
        return f"You {words[own.decision]} this revision."
    return ""


def _findings(stored: Sequence[dict[str, Any]], sections: Sequence[Section], ticks: Ticks) -> tuple[FindingView, ...]:
    """Returns the findings in their order; the same one of several documents is shown once, with all its places."""
    grouped: dict[tuple[str, str, bool], list[dict[str, Any]]] = {}
    for finding in stored:
        grouped.setdefault((finding["id"], finding["message"], finding["standard"]), []).append(finding)
    return tuple(
        FindingView(
            id=same[0]["id"],
            severity=same[0]["severity"],
            message=same[0]["message"],
            fix=same[0]["fix"],
            places=tuple(dict.fromkeys(_place(finding["place"], sections) for finding in same)),
            will_not_work=same[0]["will_not_work"],
            standard=same[0]["standard"],
            tick=ticks.get(key[:2], "") if same[0]["severity"] == "high" and not same[0]["standard"] else "",
        )
        for key, same in grouped.items()
    )


def _place(place: str, sections: Sequence[Section]) -> tuple[str, str]:
    """Returns the id on the page and how people call it."""
    anchor = section_pages.anchor_for(place, sections)
    for section in sections:
        exhibit = next((e for e in section.exhibits if anchor == e.anchor), None)
        if exhibit is not None:
            return anchor, exhibit.title
        if anchor == section.anchor:
            return anchor, section.title
        role = next((one for one in section.passed if anchor == one.anchor), None)
        if role is not None:
            return anchor, role.name
        if anchor in section.anchors:
            document, _, number = anchor.rpartition("-stmt-")
            title = next((e.title for e in section.exhibits if e.anchor == document), section.title)
            return anchor, f"{title}, statement {number}"
    return anchor, "The whole request"


@dataclass(frozen=True)
class Changed:
    """What the 409 page shows: what was seen beside what stands now. `before` is None for an unknown digest."""

    before: Proposal | None
    now: Proposal | None
    gone: tuple[str, ...]
    came: tuple[str, ...]
    stays: int


def changed_since(request: Request, seen_digest: str) -> Changed:
    """Returns how the request differs from the proposal that the person had in front of them."""
    rows = Proposal.objects.filter(revision__request=request).select_related("revision")
    before = rows.filter(digest=seen_digest).first()
    now = request.current_proposal()
    old = list(before.sentences) if before else []
    new = list(now.sentences) if now else []
    return Changed(
        before=before,
        now=now,
        gone=tuple(sentence for sentence in old if sentence not in new),
        came=tuple(sentence for sentence in new if sentence not in old),
        stays=sum(sentence in old for sentence in new),
    )
