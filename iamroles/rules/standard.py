"""The standard of an AWS account: the documents that a person accepted there as normal (POLICY.md part 8).

A finding whose whole region the standard provably gives is folded and counts for no risk; `iam.lint` does the proof.
"""

from __future__ import annotations

from iamroles.blueprints.facts import AccountFacts
from iamroles.iam import catalogue, trust
from iamroles.iam.documents import Document
from iamroles.rules.account_rules import AccountRules, digest_of


def standard_documents(
    account: AccountFacts, service: str = trust.CODEDEPLOY, rules: AccountRules | None = None
) -> tuple[Document, ...]:
    """Returns what is normal in an AWS account for a role of this service.

    What was set for the account stands alone. Until then it is Limited with the hardened trust, and the infrastructure
    role as AWS documents it.
    """
    if rules is not None and rules.standard:
        return rules.standard
    if service == trust.ECS:
        policy = catalogue.managed_policy(catalogue.ECS_INFRASTRUCTURE_LB, account.partition)
        return policy.document, trust.infrastructure_trust()
    limited = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED, account.partition)
    return limited.document, trust.codedeploy_trust(account.number)


def digests(account: AccountFacts, service: str, rules: AccountRules) -> dict[str, str | None]:
    """Returns what a proposal is bound to: the SHA-256 of the standard in use and of each guardrail that is set."""
    return {
        "standard": digest_of(standard_documents(account, service, rules)),
        "guardrail": digest_of(rules.guardrail),
        "trust_guardrail": digest_of(rules.trust_guardrail),
        "boundary": digest_of(rules.boundary),
    }
