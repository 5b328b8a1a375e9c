"""Proposals: what is live plus what is wanted gives the target, the plan, the findings, the words and one digest."""

from iamroles.proposal.calls import Call
from iamroles.proposal.context import Context, ManagedPolicyVersion, PassedRole
from iamroles.proposal.envelope import Envelope, Known
from iamroles.proposal.plan import calls_between, same
from iamroles.proposal.propose import Proposal, Stored, digest_of, propose, read, resources

__all__ = [
    "Call",
    "Context",
    "Envelope",
    "Known",
    "ManagedPolicyVersion",
    "PassedRole",
    "Proposal",
    "Stored",
    "calls_between",
    "digest_of",
    "propose",
    "read",
    "resources",
    "same",
]
