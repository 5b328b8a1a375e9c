"""What a role may do, for people: administrator rights said plainly, other privileges, and all of it in words.

This is the blast radius of passing the role: whoever decides what runs with it may do all of it (POLICY.md part 8).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from iamroles.blueprints.facts import AccountFacts
from iamroles.iam import documents, lint, wording
from iamroles.iam.arns import role_name_of
from iamroles.iam.contain import contains
from iamroles.iam.documents import Document
from iamroles.iam.phrases import listed
from iamroles.rules.account_rules import AccountRules
from iamroles.rules.guardrail import example
from iamroles.rules.observed import Rights

EVERYTHING: Final = documents.parse(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
_LONG = 24  # actions of one policy that are still told one by one


def is_administrator(rights: Rights) -> bool:
    """Returns True when the rights are proved to be everything."""
    if contains(EVERYTHING, rights.policies).verdict != "proved":
        return False
    return rights.boundary is None or contains(EVERYTHING, rights.boundary).verdict == "proved"


def privilege_of(rights: Rights, account: AccountFacts, rules: AccountRules) -> str | None:
    """Returns why the role is more than an ordinary one, as the rest of a sentence that starts with its name: it is an
    administrator, can widen its own rights, is outside the guardrail, or holds what nobody could read.
    """
    if rights.policies and is_administrator(rights):
        return "has administrator rights"
    if rights.unseen:
        return f"holds {listed(rights.unseen)}, which AWS did not show: what it may do is not known"
    if not rights.policies:
        return None
    escalations = [found.message for found in _escalations(rights.policies, account)]
    bounded = rights.boundary is not None and not any(_escalations((rights.boundary,), account))
    if escalations and not bounded:
        return f"can widen its own rights. {escalations[0]}".rstrip(".")
    if rules.guardrail:
        verdict = contains(rights.policies, rules.guardrail, account.number, boundary=rights.boundary)
        if verdict.verdict == "counterexample":
            return f"may do what the guardrail of {account.name} forbids{example(verdict.witness)}"
        if verdict.verdict != "proved":
            return f"is not proved inside the guardrail of {account.name}: {verdict.reason}"
    return None


def _escalations(policies: tuple[Document, ...], account: AccountFacts) -> Iterator[lint.Finding]:
    return (found for found in lint.together(policies, account.number) if found.id == "PE01")


def rights_in_words(arn: str, rights: Rights, account: AccountFacts) -> tuple[str, ...]:
    """Returns what the role may do, one sentence for each statement; long policies are counted, not told."""
    name = role_name_of(arn)
    if rights.policies and is_administrator(rights):
        return (f"{name} has administrator rights: everything in {account.name}.",)
    said: list[str] = []
    for policy, document in rights.documents:
        said += _policy_words(policy, document)
    if rights.unseen:
        said.append(f"AWS did not show {listed(rights.unseen)}: what it allows is not known.")
    if not said:
        return (f"{name} has no rights of its own.",)
    if rights.boundary_arn:
        said.append(f"All of it only within the permissions boundary {rights.boundary_arn.rsplit('/', 1)[-1]}.")
    return tuple(said)


def _policy_words(policy: str, document: Document) -> list[str]:
    names = [name for statement in document.statements for name in statement.actions]
    if len(names) <= _LONG:
        return [f"{sentence.rstrip('.')} ({policy})." for sentence in wording.sentences(document)]
    found = sorted({name.split(":", 1)[0] for name in names})
    shown = listed(found) if len(found) <= 6 else f"{', '.join(found[:5])} and {len(found) - 5} more services"
    return [f"May use {len(names)} actions of {shown} ({policy})."]
