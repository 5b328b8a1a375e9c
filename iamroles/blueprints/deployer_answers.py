"""Problems of a deployer policy's facts: who holds it, what it deploys, and the roles that it hands out."""

from __future__ import annotations

from iamroles.blueprints import named
from iamroles.blueprints.deployer import deployer_document
from iamroles.blueprints.facts import DeployerFacts
from iamroles.blueprints.problems import PORTAL_ROLE, FieldProblem, at
from iamroles.iam import arns, documents, limits


def check(facts: DeployerFacts) -> tuple[FieldProblem, ...]:
    """Returns the problems, each at its field."""
    names = (
        ("application", facts.application, "Application", limits.check_codedeploy_name),
        ("cluster", facts.cluster, "Cluster", limits.check_ecs_name),
        ("service", facts.service, "Service", limits.check_ecs_name),
    )
    problems: list[FieldProblem] = []
    for field, value, what, rule in names:
        problems += at(field, limits.check_placeholders(value) or rule(value, what))
    if facts.deployment_group:
        problems += at("deployment_group", limits.check_codedeploy_name(facts.deployment_group, "Deployment group"))
    problems += named.read_region(facts.region)[1]
    if not any(problem.field == "application" for problem in problems):  # both are made of it where nothing is typed
        problems += at("policy_name", limits.check_policy_name(facts.policy_name))
        problems += at("policy_description", limits.check_policy_description(facts.policy_description))
    problems += _check_roles(facts)
    if not problems and (size := documents.size(deployer_document(facts))) > limits.MANAGED_POLICY_SIZE:
        message = (
            f"The policy would have {size:,} characters; IAM takes {limits.MANAGED_POLICY_SIZE:,}. Name fewer roles."
        )
        problems.append(FieldProblem("task_roles", "VA05", message))
    return tuple(dict.fromkeys(problems))


def _check_roles(facts: DeployerFacts) -> list[FieldProblem]:
    """The holder and the passed roles: each in the account, and no role that would hand out itself."""
    account, holder = facts.account, facts.holder
    problems: list[FieldProblem] = []
    roles = (("role_name", (holder,)), ("codedeploy_role", (facts.codedeploy_role,)))
    for field, found in (*roles, ("execution_roles", facts.execution_roles), ("task_roles", facts.task_roles)):
        for arn in found:
            problems += at(field, limits.check_role_arn_in(arn, account.partition, account.number))
    if problems:
        return problems
    path, name = arns.split_role(holder)
    if name.lower() == PORTAL_ROLE.lower() or path.startswith(("/portal/", "/aws-service-role/")):
        problems.append(
            FieldProblem("role_name", "HOLDER", f"{name} is not a role that people or pipelines deploy with.")
        )
    if holder == facts.codedeploy_role:
        message = f"{name} is the role for CodeDeploy. Whoever deploys needs a role of their own: name that one."
        problems.append(FieldProblem("role_name", "HOLDER", message))
    for field in ("execution_roles", "task_roles"):
        if facts.codedeploy_role in getattr(facts, field):
            message = (
                f"{arns.role_name_of(facts.codedeploy_role)} is the role for CodeDeploy. Your tasks need their own."
            )
            problems.append(FieldProblem(field, "TR01", message))
    return problems
