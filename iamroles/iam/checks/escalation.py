"""PE findings: rights that lead to more rights, alone or together with a passed role (POLICY.md part 8).

PE04 asks the same of the union with what else the role holds; PE07, which needs the passed role's policies, is
decided above.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from iamroles.iam.checks.facts import Finding
from iamroles.iam.checks.ground import Ground, Reach, action, key_is, no_action, no_resource, resource
from iamroles.iam.checks.passrole import PASSED_TO
from iamroles.iam.phrases import listed, services
from iamroles.iam.statements import Statement
from iamroles.iam.trust import CODEDEPLOY, ECS_TASKS

_SELF = tuple(
    f"iam:{name}"
    for name in [
        "CreatePolicyVersion",
        "SetDefaultPolicyVersion",
        "CreateAccessKey",
        "CreateLoginProfile",
        "UpdateLoginProfile",
        "AttachUserPolicy",
        "AttachGroupPolicy",
        "AttachRolePolicy",
        "PutUserPolicy",
        "PutGroupPolicy",
        "PutRolePolicy",
        "DetachUserPolicy",
        "DetachGroupPolicy",
        "DetachRolePolicy",
        "DeleteUserPolicy",
        "DeleteGroupPolicy",
        "DeleteRolePolicy",
        "PutRolePermissionsBoundary",
        "PutUserPermissionsBoundary",
        "DeleteRolePermissionsBoundary",
        "DeleteUserPermissionsBoundary",
        "AddUserToGroup",
        "UpdateAssumeRolePolicy",
        "CreateServiceSpecificCredential",
        "ResetServiceSpecificCredential",
        "DeactivateMFADevice",
        "EnableMFADevice",
        "CreateSAMLProvider",
        "UpdateSAMLProvider",
        "CreateOpenIDConnectProvider",
        "UpdateOpenIDConnectProviderThumbprint",
        "AddClientIDToOpenIDConnectProvider",
    ]
)
_DIRECTORIES = ("sso", "identitystore", "organizations")
_READS = ("Get*", "List*", "Describe*", "Search*", "BatchGet*", "IsMemberInGroups")

# Service -> ways to start something there with a passed role; each way is a set of actions that are needed together.
_LAUNCHES: dict[str, tuple[tuple[str, ...], ...]] = {
    ECS_TASKS: (
        ("ecs:RunTask",),
        ("ecs:StartTask",),
        ("ecs:RegisterTaskDefinition", "ecs:CreateService"),
        ("ecs:RegisterTaskDefinition", "ecs:UpdateService"),
        ("ecs:RegisterTaskDefinition", "ecs:CreateTaskSet"),
    ),
    "ec2.amazonaws.com": (("ec2:RunInstances",),),
    "lambda.amazonaws.com": (
        ("lambda:CreateFunction", "lambda:InvokeFunction"),
        ("lambda:CreateFunction", "lambda:CreateEventSourceMapping"),
    ),
    "events.amazonaws.com": (("events:PutTargets",),),
    "ssm.amazonaws.com": (("ssm:StartAutomationExecution",),),
    "glue.amazonaws.com": (("glue:CreateJob",), ("glue:CreateDevEndpoint",)),
    "cloudformation.amazonaws.com": (("cloudformation:CreateStack",),),
    "datapipeline.amazonaws.com": (("datapipeline:CreatePipeline",),),
    "sagemaker.amazonaws.com": (
        ("sagemaker:CreateNotebookInstance",),
        ("sagemaker:CreateTrainingJob",),
        ("sagemaker:CreateProcessingJob",),
    ),
    "codebuild.amazonaws.com": (("codebuild:CreateProject",),),
    "tasks.apprunner.amazonaws.com": (("apprunner:CreateService",),),
    "bedrock.amazonaws.com": (("bedrock:CreateAgent",),),
    "states.amazonaws.com": (("states:CreateStateMachine",),),
    "scheduler.amazonaws.com": (("scheduler:CreateSchedule",),),
    "autoscaling.amazonaws.com": (("autoscaling:CreateAutoScalingGroup",), ("autoscaling:CreateLaunchConfiguration",)),
    "batch.amazonaws.com": (("batch:CreateComputeEnvironment",), ("batch:RegisterJobDefinition", "batch:SubmitJob")),
}
_WORKLOADS: tuple[tuple[str, ...], ...] = (
    ("lambda:UpdateFunctionCode",),
    ("lambda:UpdateFunctionConfiguration",),
    ("ecs:ExecuteCommand",),
    ("ssm:SendCommand",),
    ("ssm:StartSession",),
    ("ssm:StartAutomationExecution",),
    ("codebuild:StartBuild",),
    ("ec2-instance-connect:SendSSHPublicKey",),
    ("ec2-instance-connect:SendSerialConsoleSSHPublicKey",),
    ("cloudformation:UpdateStack",),
    ("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"),
)


_REGISTERS = "ecs:RegisterTaskDefinition"


def check(ground: Ground) -> Iterator[Finding]:
    """Yields PE01 to PE06 of the document, then PE04 for what only the union with the rest allows."""
    if ground.document.kind == "trust":
        return
    alone = [*escalations(ground)]
    yield from alone
    union = ground.with_rest()
    if ground.facts.rest:
        known = {(found.id, found.message) for found in alone}
        for found in escalations(union):
            if (found.id, found.message) not in known:
                message = f"Together with what else the role holds: {found.message}"
                yield replace(found, id="PE04", statement=None, message=message, fix="Split the duties.")
    yield from _registering(union)
    yield from _other_deployments(ground)


def escalations(ground: Ground) -> Iterator[Finding]:
    """Yields PE01, PE02 and PE03 of what the ground's documents allow together."""
    yield from _self(ground)
    yield from _compute(ground)
    yield from _workloads(ground)


def _self(ground: Ground) -> Iterator[Finding]:
    any_of_them = ground.reach([action(*_SELF)])
    hits = {name: reach for name in _SELF if any_of_them and (reach := ground.reach([action(name)]))}
    for service in _DIRECTORIES:
        reads = no_action(*(f"{service}:{name}" for name in _READS))
        reach = ground.reach([action(f"{service}:?*"), reads])
        if reach:
            hits[f"{service}: writes"] = reach
    role = f"arn:*:iam::*:role/{ground.fresh('Unmentioned')}"
    reach = ground.reach([action("sts:AssumeRole"), resource(role)])
    if reach:
        hits["sts:AssumeRole on any role"] = reach
    if hits:
        shown = listed(list(hits)[:4]) + (f" and {len(hits) - 4} more" if len(hits) > 4 else "")
        message = f"Whoever holds this can give themselves more rights: {shown}."
        yield ground.finding("PE01", "forbidden", _first(ground, hits), message, "Remove them.", *hits.values())


def _first(ground: Ground, hits: dict[str, Reach]) -> Statement | None:
    name = next(iter(hits))
    if ":" not in name or " " in name:
        return None
    return next((one for one in ground.allows() if ground.reach([action(name)], [one])), None)


def _together(ground: Ground, names: tuple[str, ...]) -> list[Reach] | None:
    """What each of the actions reaches, or None unless all of them reach something."""
    reaches = [ground.reach([action(name)]) for name in names]
    return reaches if all(reaches) else None


def _compute(ground: Ground) -> Iterator[Finding]:
    if not ground.reach([action("iam:PassRole")]):
        return
    for service, ways in _launches(ground):
        passed = ground.reach([action("iam:PassRole"), *key_is(PASSED_TO, service)])
        if not passed:
            continue
        for names in ways:
            reaches = _together(ground, names)
            if reaches and not _as_expected(ground, service, names):
                message = f"Passing a role to {services([service])} and {listed(names)} runs own work with that role."
                fix = "Drop one of them, or pin the service."
                yield ground.finding("PE02", "high", None, message, fix, passed, *reaches)
                break


def _as_expected(ground: Ground, service: str, names: tuple[str, ...]) -> bool:
    """True when only the roles that the facts name go to ECS tasks, and only to services that the document names.

    Registering definitions for one's own service is what a deployer is for: PE05 says whom it makes powerful.
    """
    expected = [arn for arn, receiver in ground.facts.expected_grants.items() if receiver == service and arn != "*"]
    if service != ECS_TASKS or not expected or _REGISTERS not in names:
        return False
    others = [action("iam:PassRole"), *key_is(PASSED_TO, service), no_resource(*expected)]
    name = ground.fresh("unmentioned")
    places = resource("*", f"arn:*:ecs:*:{ground.account}:service/{name}/{name}")
    return not ground.reach(others) and not ground.reach([action(*(one for one in names if one != _REGISTERS)), places])


def _launches(ground: Ground) -> Iterator[tuple[str, tuple[tuple[str, ...], ...]]]:
    yield from _LAUNCHES.items()
    if _fresh_application(ground, "codedeploy:CreateDeployment", "codedeploy:CreateDeploymentGroup"):
        yield CODEDEPLOY, (("codedeploy:CreateDeploymentGroup",), ("codedeploy:CreateDeployment",))


def _fresh_application(ground: Ground, *names: str, statements: list[Statement] | None = None) -> Reach:
    name = ground.fresh("Unmentioned")
    arn = f"arn:*:codedeploy:*:{ground.account}"
    places = resource(f"{arn}:application:{name}", f"{arn}:deploymentgroup:{name}/{name}")
    return ground.reach([action(*names), places], statements)


def _workloads(ground: Ground) -> Iterator[Finding]:
    hits: dict[str, list[Reach]] = {}
    any_of_them = ground.reach([action(*(name for names in _WORKLOADS for name in names))])
    for names in _WORKLOADS if any_of_them else ():
        reaches = _together(ground, names)
        if reaches:
            hits[listed(names)] = reaches
    if hits:
        message = f"Runs code with the rights of workloads that exist already: {listed(hits)}."
        reaches = [one for found in hits.values() for one in found]
        yield ground.finding("PE03", "high", None, message, "Remove them.", *reaches)


def _registering(ground: Ground) -> Iterator[Finding]:
    passed = ground.reach([action("iam:PassRole"), *key_is(PASSED_TO, ECS_TASKS)])
    sets, registers = (ground.reach([action(name)]) for name in ("ecs:CreateTaskSet", _REGISTERS))
    if sets and passed:
        message = "Whoever may register task definitions decides what runs with the passed roles."
        yield ground.finding("PE05", "note", None, message, "Tell who may register task definitions.", sets, passed)
    elif registers and passed:
        message = "Whoever holds this decides what runs with the passed task roles: they may register task definitions."
        yield ground.finding("PE05", "note", None, message, "Tell who holds it.", registers, passed)


def _other_deployments(ground: Ground) -> Iterator[Finding]:
    for statement in ground.allows():
        reach = _fresh_application(ground, "codedeploy:Create*", "codedeploy:Update*", statements=[statement])
        if reach:
            message = "Deployments of any CodeDeploy application of the AWS account can be made or changed."
            yield ground.finding("PE06", "high", statement, message, "Name the application.", reach)
