"""LM findings: whether what deployments need is covered, in the user's own names; and PR08, PR09 of passed roles.

They speak only when the facts name roles, hooks, topics, bundles or observed trust policies.
"""

from __future__ import annotations

from collections.abc import Iterator

from iamroles.iam import coverage
from iamroles.iam.arns import role_name_of, split_role
from iamroles.iam.checks.facts import Finding
from iamroles.iam.checks.ground import Ground, action, resource
from iamroles.iam.contain import contains
from iamroles.iam.evaluate import Request, evaluate
from iamroles.iam.phrases import listed, services, short_name
from iamroles.iam.trust import ECS_TASKS, lets_in, others_than

_TAG = "s3:ExistingObjectTag/UseWithCodeDeploy"


def check(ground: Ground) -> Iterator[Finding]:
    """Yields the findings about needs, in the order of the facts."""
    if ground.document.kind == "trust":
        return
    yield from _roles(ground)
    yield from _redundant(ground)
    yield from _places(ground)
    yield from _passed(ground)


def _roles(ground: Ground) -> Iterator[Finding]:
    facts = ground.facts
    attached = (ground.document, *facts.rest)
    for arn in dict.fromkeys((*facts.execution_roles, *facts.task_roles)):
        found = coverage.explain_passrole(arn, attached, facts.policy_label)
        if found.covered:
            continue
        path, name = split_role(arn)
        if found.trap == "case":
            rule, fix = "LM02", f"Rename the role, or add a grant for {name}."
        elif found.trap is not None:
            rule, fix = "LM03", f"Add a grant with the path {path}."
        elif arn in facts.task_roles:
            rule, fix = "LM06", "Grant both the task execution role and the task role."
        else:
            rule, fix = "LM01", f"Add a grant for {name}."
        yield ground.finding(rule, "medium", None, found.message, fix, will_not_work=True)


def _redundant(ground: Ground) -> Iterator[Finding]:
    """LM04: the document is a pure PassRole document, and what else the role holds allows all of it."""
    rest = [one for one in ground.facts.rest if one.kind == "identity"]
    statements = ground.document.statements
    grant = all(
        one.effect == "Allow" and not one.not_actions and {name.lower() for name in one.actions} == {"iam:passrole"}
        for one in statements
    )
    if not rest or not grant:
        return
    if contains(ground.document, rest, ground.known_account, budget=ground.budget).verdict == "proved":
        names = listed(dict.fromkeys(short_name(arn) for one in statements for arn in one.resources))
        message = f"{ground.facts.policy_label} already lets {names} be passed: this grant changes nothing."
        yield ground.finding("LM04", "note", None, message, "Drop it, or keep it and say why.")


def _places(ground: Ground) -> Iterator[Finding]:
    """LM07: hooks, topics and bundles that the role could not reach."""
    facts = ground.facts
    attached = (ground.document, *facts.rest)
    tagged = {_TAG: "true"} if facts.bundles_tagged else {}
    tries = [
        *(("lambda:InvokeFunction", arn, "its name does not start with CodeDeployHook_", {}) for arn in facts.hooks),
        *(("sns:Publish", arn, "its name does not start with CodeDeployTopic_", {}) for arn in facts.topics),
        *(("s3:GetObject", arn, "it lacks the tag UseWithCodeDeploy = true", tagged) for arn in facts.bundles),
    ]
    for name, arn, why, context in tries:
        if not evaluate(attached, None, Request(name, arn, context)).allowed:
            message = f"Deployments with {short_name(arn)} will fail: {facts.policy_label} does not reach it, {why}."
            yield ground.finding(
                "LM07", "medium", None, message, "Rename or tag it, or add a statement for it.", will_not_work=True
            )


def _passed(ground: Ground) -> Iterator[Finding]:
    """PR08 and PR09: the passed roles' own trust policies, where they were observed and the document passes them."""
    for arn, trust in ground.facts.passed.items():
        if not ground.reach([action("iam:PassRole"), resource(arn)]):
            continue
        service = ground.facts.passed_trust.get(arn, ECS_TASKS)
        name = role_name_of(arn)
        if not lets_in(trust, service, arn.split(":")[4]):
            yield ground.finding(
                "PR08",
                "high",
                None,
                f"{name} does not trust {services([service])}. Your tasks need a role that does.",
                f"Let {service} assume {name}, or name another role.",
                will_not_work=True,
            )
            continue
        others = others_than(trust, service)
        if others:
            message = f"{name} may also be used by {listed(others)}."
            yield ground.finding("PR09", "medium", None, message, "Use a role for the tasks alone.")
