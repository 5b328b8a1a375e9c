"""What is proved of a whole role as it will be, so that a rule may let its request go without a person.

What was not seen, or reads otherwise than the portal wrote it, is never called proved or ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from iamroles.blueprints.facts import Facts, passed_roles
from iamroles.blueprints.state import State
from iamroles.iam.documents import Document
from iamroles.proposal.context import Context
from iamroles.proposal.envelope import Envelope, Known
from iamroles.proposal.lay_over import Kept, Target
from iamroles.rules.approval_rules import Certainty
from iamroles.rules.findings import Finding
from iamroles.rules.tool_tags import owner_of

_OUTSIDE = frozenset({"GR01", "GR02", "GR03", "GR05"})  # what `rules.guardrail` finds of anything that is not proved


def certainty(
    facts: Facts,
    base: State,
    target: Target,
    context: Context,
    envelope: Envelope,
    found: Sequence[Finding],
    *,
    removes: bool,
) -> Certainty:
    """Returns what is certain of a proposal whose findings are `found`; `removes`: its plan only takes away."""
    known = envelope.known
    passed = ((arn, context.passed[arn].role_id if arn in context.passed else None) for arn in passed_roles(facts))
    return Certainty(
        guarded=_guarded(target.state, context, envelope, found),
        foreign=_foreign(facts, base, target, context, envelope),
        first_grants=any(role not in known.granted for role in passed),
        removes=removes,
    )


def _guarded(target: State, context: Context, envelope: Envelope, found: Sequence[Finding]) -> bool:
    """Both guardrails are set, everything that the role holds was seen, and nothing is found outside."""
    rules, role = envelope.account_rules, target.role
    if role is None or not rules.guardrail or not rules.trust_guardrail:
        return False
    own = {arn for arn, policy in target.policies.items() if policy}
    unseen = (role.attached - own | {role.boundary or ""}) - context.managed.keys() - {""}
    return not unseen and _OUTSIDE.isdisjoint(finding.id for finding in found)


def _foreign(facts: Facts, base: State, target: Target, context: Context, envelope: Envelope) -> bool:
    """Something of others stays or is replaced, a document reads otherwise than we left it, others use a policy, or
    another tool manages the role.
    """
    known = envelope.known
    live = [policy for policy in base.policies.values() if policy]
    documents = [policy.document for policy in live]
    if base.role is not None:
        documents.append(base.role.trust)
        if owner_of(base.role.tags, envelope.tool_tags) or base.role.boundary not in (None, facts.account.boundary):
            return True
    return (
        bool(target.replaced)
        or any(policy.users - {base.role_arn} for policy in live)
        or any(document not in known.approved for document in documents)
        or not all(_is_ours(kept, base, context, known) for kept in target.kept)
    )


def _is_ours(kept: Kept, base: State, context: Context, known: Known) -> bool:
    if kept.kind == "trust":  # already held against what was approved
        return True
    if (kept.kind, kept.name) not in known.own:
        return False
    if kept.kind == "tag" or (kept.kind == "attached" and ":iam::aws:policy/" in kept.name):
        return True
    return _document(kept, base, context) in known.approved


def _document(kept: Kept, base: State, context: Context) -> Document | None:
    """The document of a policy that stays, as AWS showed it."""
    if kept.kind == "inline":
        return base.role.inline.get(kept.name) if base.role else None
    own, seen = base.policies.get(kept.name), context.managed.get(kept.name)
    return own.document if own else seen.document if seen else None
