"""Check answers: every answer as it will be sent, defaults included, and the field that its Change link leads to."""

from __future__ import annotations

from dataclasses import dataclass

from iamroles import eligibility
from iamroles.blueprints import DeployerFacts, GrantFacts, InfrastructureFacts, RemovalFacts, RoleFacts
from iamroles.blueprints.facts import SESSION_SECONDS, Facts
from iamroles.models import AwsAccount, User


@dataclass(frozen=True)
class CheckedAnswer:
    """One row of check answers. `anchor` is the id of the field that its Change link leads to."""

    label: str
    values: tuple[str, ...]
    anchor: str
    mono: bool = False


def checked_answers(facts: Facts, team: str, reason: str) -> tuple[CheckedAnswer, ...]:
    """Returns every answer as it will be sent, defaults included, in the order of the form."""
    rows = [
        CheckedAnswer("Team", (team,), "id_account"),
        CheckedAnswer("AWS account", (f"{facts.account.name} ({facts.account.number})",), "id_account"),
    ]
    if isinstance(facts, DeployerFacts):
        return (*rows, *_deployer(facts, reason))
    rows.append(CheckedAnswer("Role name", (facts.role_name,), "id_role_name", mono=True))
    if isinstance(facts, InfrastructureFacts):
        return (*rows, CheckedAnswer("Reason and ticket", (reason,), "id_reason"), *_role_settings(facts))
    if isinstance(facts, RemovalFacts):
        goes = ("The whole role",) if facts.whole else ()
        what = CheckedAnswer("What goes", (*goes, *facts.policies), "id_policy_name", mono=not facts.whole)
        return (*rows, what, CheckedAnswer("Reason and ticket", (reason,), "id_reason"))
    rows += [
        CheckedAnswer("Task execution roles", facts.execution_roles, "id_execution_roles", mono=True),
        CheckedAnswer("Task roles", facts.task_roles, "id_task_roles", mono=True),
        CheckedAnswer("Reason and ticket", (reason,), "id_reason"),
        CheckedAnswer("PassRole policy name", (facts.policy_name,), "id_policy_name", mono=True),
    ]
    if isinstance(facts, GrantFacts):
        return (*rows, CheckedAnswer("Its description", (facts.policy_description,), "id_description"))
    return (
        *rows[:3],
        CheckedAnswer("Permissions", (facts.managed_policy.capitalize(),), "id_managed_policy_0"),
        *_why_full(facts),
        *rows[3:],
        CheckedAnswer("Its description", (facts.policy_description,), "id_policy_description"),
        *_uses(facts),
        *_role_settings(facts),
        *_trust(facts),
    )


def _why_full(facts: RoleFacts) -> tuple[CheckedAnswer, ...]:
    if facts.managed_policy != "full":
        return ()
    return (CheckedAnswer("Why Limited is not enough", (facts.why_full,), "id_why_full"),)


def _uses(facts: RoleFacts) -> tuple[CheckedAnswer, ...]:
    """What deployments use; only what is named, the rest has nothing to check."""
    tag = ("with the tag UseWithCodeDeploy = true",) if facts.bundles and facts.bundles_tagged else ()
    rows = (
        CheckedAnswer("ECS services", facts.services, "id_services", mono=True),
        CheckedAnswer("Load balancer", (*facts.listeners, *facts.target_groups), "id_listeners", mono=True),
        CheckedAnswer("Lambda hooks", facts.hooks, "id_hooks", mono=True),
        CheckedAnswer("SNS topics", facts.topics, "id_topics", mono=True),
        CheckedAnswer("AppSpec files in S3", (*facts.bundles, *tag), "id_bundles", mono=True),
    )
    named = tuple(row for row in rows if row.values)
    if not named:
        return ()
    return (*named, CheckedAnswer("Policy for them", (facts.uses_policy_name,), "id_uses_policy_name", mono=True))


def _trust(facts: RoleFacts) -> tuple[CheckedAnswer, ...]:
    who = "This AWS account's deployments only" if facts.hardened else "The AWS guide's plain form"
    if facts.sources:
        who = "These stacks only" if facts.cloudformation else "These deployment groups only"
    longest = facts.max_session
    return (
        CheckedAnswer("Trust", (who, *facts.sources), "id_sources" if facts.sources else "id_plain_trust"),
        CheckedAnswer(
            "Longest session",
            (f"{longest:,} seconds" if longest else f"{SESSION_SECONDS[0]:,} seconds; an existing role keeps its own",),
            "id_max_session",
        ),
    )


def _deployer(facts: DeployerFacts, reason: str) -> tuple[CheckedAnswer, ...]:
    scope = "Unscoped: every CodeDeploy application" if facts.scope == "unscoped" else "Scoped: this application alone"
    return (
        CheckedAnswer("Role that will hold it", (facts.holder,), "id_role_name", mono=True),
        CheckedAnswer("Application", (facts.application,), "id_application", mono=True),
        CheckedAnswer("Deployment group", (facts.deployment_group or "every group of it",), "id_deployment_group"),
        CheckedAnswer("Cluster", (facts.cluster,), "id_cluster", mono=True),
        CheckedAnswer("Service", (facts.service,), "id_service", mono=True),
        CheckedAnswer("CodeDeploy role", (facts.codedeploy_role,), "id_codedeploy_role", mono=True),
        CheckedAnswer("Task execution roles", facts.execution_roles, "id_execution_roles", mono=True),
        CheckedAnswer("Task roles", facts.task_roles, "id_task_roles", mono=True),
        CheckedAnswer("CodeDeploy rights", (scope,), "id_scope_0"),
        CheckedAnswer("Reason and ticket", (reason,), "id_reason"),
        CheckedAnswer("Policy name", (facts.policy_name,), "id_policy_name", mono=True),
        CheckedAnswer("Its description", (facts.policy_description,), "id_policy_description"),
        CheckedAnswer("Region", (facts.region or "every Region",), "id_region"),
    )


def _role_settings(facts: RoleFacts | InfrastructureFacts) -> tuple[CheckedAnswer, ...]:
    tags = tuple(f"{key}={value}" for key, value in sorted(facts.tags.items()))
    return (
        CheckedAnswer("Description of the role", (facts.description,) if facts.description else (), "id_description"),
        CheckedAnswer("Tags", tags, "id_tags", mono=True),
    )


def approvals_needed(facts: Facts, requester: User) -> int:
    """Returns how many people must agree at least, by today's rules, before a worker has looked at AWS."""
    account = AwsAccount.objects.select_related("owner").get(number=facts.account.number)
    return sum(needed.count for needed in eligibility.expected(facts, account, requester))
