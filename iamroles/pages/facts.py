"""What a requester told us, as names and values for a page: the summary of a request."""

from __future__ import annotations

from dataclasses import dataclass

from iamroles.blueprints import facts as blueprint_facts
from iamroles.blueprints.desired import build_desired, managed_policy
from iamroles.blueprints.facts import DeployerFacts, Facts, InfrastructureFacts, PassingFacts, RemovalFacts, RoleFacts
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
    ]
    if isinstance(facts, DeployerFacts):
        return tuple(fact for fact in (*shown, *_deployer(facts)) if any(fact.values))
    shown += [Fact("Role", (facts.role_arn or facts.role_name,), copy=True), *_permissions(facts)]
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


def _deployer(facts: DeployerFacts) -> tuple[Fact, ...]:
    return (
        Fact("Policy", tuple(build_desired(facts).policies), copy=True),
        Fact("Made for the role", (facts.holder,), copy=True),
        Fact("Application", (facts.application,), mono=True),
        Fact("Deployment group", (facts.deployment_group or "every group of it",)),
        Fact("Service", (f"{facts.service} of the cluster {facts.cluster}",)),
        Fact("Region", (facts.region or "every Region",)),
        Fact("CodeDeploy rights", (facts.scope.capitalize(),)),
        Fact("CodeDeploy role", (facts.codedeploy_role,), copy=True),
        Fact("Task execution roles", facts.execution_roles, copy=True),
        Fact("Task roles", facts.task_roles, copy=True),
        Fact("Policy description", (facts.policy_description,)),
    )


def _permissions(facts: Facts) -> list[Fact]:
    if not isinstance(facts, RoleFacts | InfrastructureFacts):
        return []
    if isinstance(facts, InfrastructureFacts):
        trust = "Amazon ECS, as AWS documents it"
    elif facts.sources:
        trust = f"CodeDeploy, only for the {'stacks' if facts.cloudformation else 'deployment groups'} named here"
    elif facts.hardened:
        trust = "CodeDeploy, only for deployments of this AWS account"
    else:
        trust = "CodeDeploy, the guide's plain form without aws:SourceAccount"
    managed = managed_policy(facts)
    label = policy_label(managed.arn) if managed else "Scoped (a policy of our own, not yet proved on AWS)"
    found = [Fact("Permissions", (label,)), Fact("Trust", (trust,))]
    return found + (_role_facts(facts) if isinstance(facts, RoleFacts) else [])


def _role_facts(facts: RoleFacts) -> list[Fact]:
    tag = ("with the tag UseWithCodeDeploy = true",) if facts.bundles and facts.bundles_tagged else ()
    return [
        Fact("Stacks" if facts.cloudformation else "Deployment groups", facts.sources, mono=True),
        Fact("Longest session", (f"{facts.max_session:,} seconds",) if facts.max_session else ()),
        Fact("Why Limited is not enough", (facts.why_full,)),
        Fact("ECS services", facts.services, mono=True),
        Fact("Load balancer", (*facts.listeners, *facts.target_groups), mono=True),
        Fact("Lambda hooks", facts.hooks, mono=True),
        Fact("SNS topics", facts.topics, mono=True),
        Fact("AppSpec files in S3", (*facts.bundles, *tag), mono=True),
    ]


def _names(found: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(arns.role_name_of(arn) for arn in found)
