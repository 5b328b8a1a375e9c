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
        foreign=_foreign(base, target, context, known) or _owned(base, envelope),
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


def _foreign(base: State, target: Target, context: Context, known: Known) -> bool:
    """Something of others stays or is replaced, a policy reads otherwise than we left it, or others use it."""
    live = [policy for policy in base.policies.values() if policy]
    return (
        bool(target.replaced)
        or any(policy.users - {base.role_arn} for policy in live)
        or any(policy.document not in known.approved for policy in live)
        or not all(_is_ours(kept, base, context, known) for kept in target.kept)
    )


def _owned(base: State, envelope: Envelope) -> bool:
    """Another tool manages the role: a person decides what is handed over to it."""
    return base.role is not None and owner_of(base.role.tags, envelope.tool_tags) is not None


def _is_ours(kept: Kept, base: State, context: Context, known: Known) -> bool:
    role = base.role
    if role is None:
        return False
    if kept.kind == "trust":
        return role.trust in known.approved
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
