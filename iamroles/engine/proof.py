"""May this be applied? Recomputed from the stored rows alone at each claim: digest, signatures, quorum of today.

Nothing that a column says beside the digested text is believed. No AWS call is made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from iamroles import audit, canonical, eligibility, permissions, signing
from iamroles.blueprints import build_desired
from iamroles.blueprints import facts as facts_module
from iamroles.engine import unattended
from iamroles.engine.tools import Tools
from iamroles.models import Decision, Proposal, Request, current_rules
from iamroles.proposal.propose import Stored, digest_of, read
from iamroles.rules import approval, approval_rules


class NotWhatWasApproved(Exception):
    """A stored row is not what the approvers saw or signed: never applied, alarm."""

    def __init__(self, what: str, approved: str, recomputed: str) -> None:
        self.what, self.approved, self.recomputed = what, approved, recomputed
        super().__init__(what)


class NotEnough(Exception):
    """The approvals do not suffice today; `cause` is for the event."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


@dataclass(frozen=True)
class Proved:
    """A proposal that may be applied, read from its text, and who vouched for it (an opaque id for SourceIdentity)."""

    proposal: Proposal
    stored: Stored
    identity: str
    expires_at: datetime


def prove(request: Request, proposal: Proposal, tools: Tools, *, quorum: bool = True) -> Proved:
    """Returns the proposal as its own bytes have it. Raises NotWhatWasApproved or NotEnough.

    Without `quorum` nobody's rights of today are asked for, and approvals count that were voided since: what was begun
    long ago is only finished.
    """
    recomputed = digest_of(proposal.canonical)
    if recomputed != proposal.digest:
        raise NotWhatWasApproved("proposal", proposal.digest, recomputed)
    try:
        stored = read(proposal.canonical)
    except (ValueError, KeyError, TypeError) as error:
        raise NotWhatWasApproved("proposal_text", proposal.digest, recomputed) from error
    _require_same_envelope(request, proposal, stored)
    approvals = _require_signatures(proposal, recomputed, finishing=not quorum)
    content = current_rules()
    if quorum:
        _require_today(request, proposal, content)
    if quorum and approvals:
        _require_quorum(proposal, stored, content)
    elif quorum:
        _require_unattended(request, proposal, stored, tools)
    expires_at = datetime.fromisoformat(str(stored.body["expires_at"]))
    return Proved(proposal=proposal, stored=stored, identity=_identity(approvals, content), expires_at=expires_at)


def _identity(approvals: list[Decision], content: Mapping[str, Any]) -> str:
    if not approvals:
        return f"rules-{content['version']}"
    if len(approvals) > 1:
        return "approvals-" + canonical.digest(sorted(row.signature for row in approvals))[:32]
    return f"approver-{approvals[0].approver_id}"


def _require_same_envelope(request: Request, proposal: Proposal, stored: Stored) -> None:
    account = request.account
    rows = {
        "request": request.reference,
        "revision": proposal.revision.number,
        "requester": str(request.requester_id),
        "account": account.number if account else None,
        "partition": account.partition if account else None,
    }
    for name, value in rows.items():
        if stored.body[name] != value:
            raise NotWhatWasApproved(name, proposal.digest, canonical.digest(value))
    try:
        desired = build_desired(facts_module.read(proposal.revision.facts))
    except ValueError as error:
        raise NotWhatWasApproved("facts", proposal.digest, "") from error
    digests = {desired.digest(), proposal.revision.desired_digest, canonical.digest(stored.body["desired"])}
    if len(digests) != 1:
        raise NotWhatWasApproved("facts", canonical.digest(stored.body["desired"]), desired.digest())


def _require_signatures(proposal: Proposal, recomputed: str, *, finishing: bool) -> list[Decision]:
    counting = ("", "voided") if finishing else ("",)
    rows = Decision.objects.filter(revision=proposal.revision, decision="approve", ended_by__in=counting)
    approvals = list(rows.select_related("request", "revision", "approver").order_by("pk"))
    ended = audit.ended_approvals(proposal.revision.request.reference)
    for row in approvals:
        if not row.ended_by and str(row.pk) in ended:
            raise NotWhatWasApproved("ended_approval", row.proposal_digest, recomputed)
        if row.proposal_digest != recomputed:
            raise NotWhatWasApproved("approval", row.proposal_digest, recomputed)
        if not signing.verify(signing.approval_payload(row), key=row.key_id, signature=row.signature):
            raise NotWhatWasApproved("signature", row.proposal_digest, recomputed)
    if not approvals:
        _require_let_go(proposal, recomputed, finishing=finishing)
    return approvals


def _require_let_go(proposal: Proposal, recomputed: str, *, finishing: bool) -> None:
    """Without an approval, the trail must say that a rule let go exactly this, and nothing later that took it back."""
    let_go = audit.auto_approved(proposal.revision.request.reference, proposal.revision.number, ever=finishing)
    if let_go is None:
        raise NotEnough("no_approval")
    if let_go != recomputed:
        raise NotWhatWasApproved("auto_approval", let_go, recomputed)


def _require_today(request: Request, proposal: Proposal, content: Mapping[str, Any]) -> None:
    """Today's rules and records must be those that were proposed for, and the requester may still ask."""
    outdated = eligibility.outdated(request, proposal, content)
    if outdated:
        raise NotEnough(outdated)
    if not permissions.may_request(request.requester, request.team, request.account).allowed:
        raise NotEnough("requester_lost_rights")


def _require_unattended(request: Request, proposal: Proposal, stored: Stored, tools: Tools) -> None:
    why_not = unattended.why_not(request, proposal, stored, tools)
    if why_not:
        raise NotEnough(why_not)


def _require_quorum(proposal: Proposal, stored: Stored, content: Mapping[str, Any]) -> None:
    """What is needed follows from the digested text and today's rule, not from the columns beside it."""
    subject = approval_rules.Subject.from_mapping(stored.body["subject"])
    needed = approval_rules.requirements_for(subject, owner_group=stored.body["owner_group"], content=content)
    if not approval.quorum(needed, eligibility.counting_approvals(proposal.revision)).met:
        raise NotEnough("approvals_no_longer_enough")
