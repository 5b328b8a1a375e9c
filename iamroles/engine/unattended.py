"""Requests that go without a person: a rule lets them, decided when they are observed and again at each claim.

Nothing is signed. What the claim believes is the digest that the event of the first decision names, and what it makes
anew from the stored facts, base and context under today's rules and guardrails.
"""

from __future__ import annotations

from datetime import datetime

from iamroles import doorbell, eligibility
from iamroles.audit import Actor
from iamroles.blueprints import facts as facts_module
from iamroles.engine import bound
from iamroles.engine.tools import Tools
from iamroles.models import Proposal, Request
from iamroles.proposal import Stored, propose
from iamroles.transitions import move_request


def may_go(proposal: Proposal) -> bool:
    """Returns whether a rule lets the proposal go.

    Only what a person sent goes: a revision that a worker or an operator made returned from somewhere, so people look.
    """
    return proposal.unattended is not None and proposal.revision.cause == eligibility.SENT


def let_go(request: Request, proposal: Proposal, actor: Actor, at: datetime) -> None:
    """Approves a request in review that `may_go`, with its event. Inside the caller's transaction."""
    rule = proposal.unattended or {}
    data: dict[str, object] = {
        "revision": proposal.revision.number,
        "proposal_digest": proposal.digest,
        "version": rule["version"],
        "rule": rule["why"],
        "rules_digest": proposal.body["rules_digest"],
    }
    fields = {"approved_at": at, "next_try_at": at, "tries": 0}
    move_request(request, "approve", event="request.auto_approved", actor=actor, at=at, data=data, fields=fields)
    doorbell.ring(doorbell.APPLY, request_id=request.pk)


def why_not(request: Request, proposal: Proposal, stored: Stored, tools: Tools) -> str:
    """Returns why a request that a rule let go may not go any more, as a code; "" when it still may.

    Makes the proposal anew: nothing that the stored text says of risk, findings or rules is believed.
    """
    context = stored.context()
    if proposal.revision.cause != eligibility.SENT or context is None:
        return "not_unattended"
    facts = facts_module.read(proposal.revision.facts)
    number = proposal.revision.number
    envelope = bound.envelope_of(request, facts, stored.base, context, tools, revision=number)
    made = propose(facts=facts, base=stored.base, context=context, envelope=envelope)
    if (made.target.state, made.plan) != (stored.target, stored.plan):
        return "plan_differs"
    return made.attended
