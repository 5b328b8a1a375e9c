"""What a requester told us, as names and values for a page: the summary of a request."""

from __future__ import annotations

from dataclasses import dataclass

from iamroles.blueprints import facts as blueprint_facts
from iamroles.blueprints.desired import managed_policy
from iamroles.blueprints.facts import Facts, InfrastructureFacts, PassingFacts, RemovalFacts, RoleFacts
from iamroles.iam import arns
from iamroles.proposal.wording import policy_label


@dataclass(frozen=True)
class Fact:
    """One line of the summary. `values` are shown below each other; `mono` marks names, `copy` what people paste."""

    name: str
    values: tuple[str, ...]
    mono: bool = False
    copy: bool = False


def facts_of(text: str) -> tuple[Fact, ...]:
    """Returns the summary of a revision's stored facts. Raises ValueError when they cannot be read."""
    facts = blueprint_facts.read(text)
    shown = [
        Fact("AWS account", (f"{facts.account.name} ({facts.account.number})",)),
        Fact("Role", (facts.role_arn,), copy=True),
        *_permissions(facts),
    ]
    if isinstance(facts, PassingFacts):
        shown += [
            Fact("Task execution roles", _names(facts.execution_roles), mono=True),
            Fact("Task roles", _names(facts.task_roles), mono=True),
            Fact("PassRole policy", (facts.policy_name,), mono=True),
            Fact("Its description", (facts.policy_description,)),
        ]
    if isinstance(facts, RemovalFacts):
        goes = ("The whole role",) if facts.whole else ()
        shown.append(Fact("Goes", (*goes, *(arn.rsplit("/", 1)[-1] for arn in facts.policies))))
    if isinstance(facts, RoleFacts | InfrastructureFacts):
        shown += [
            Fact("Permissions boundary", (facts.account.boundary or "",), mono=True),
            Fact("Role description", (facts.description,)),
            Fact("Tags", tuple(f"{key} = {value}" for key, value in sorted(facts.tags.items()))),
        ]
    return tuple(fact for fact in shown if any(fact.values))


def _permissions(facts: Facts) -> list[Fact]:
    if not isinstance(facts, RoleFacts | InfrastructureFacts):
        return []
    if isinstance(facts, InfrastructureFacts):
        trust = "Amazon ECS, as AWS documents it"
    elif facts.hardened:
        trust = "CodeDeploy, only for deployments of this AWS account"
    else:
        trust = "CodeDeploy, the guide's plain form without aws:SourceAccount"
    return [
        Fact("Permissions", (policy_label(managed_policy(facts).arn),)),
        Fact("Trust", (trust,)),
    ]


def _names(found: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(arns.role_name_of(arn) for arn in found)
