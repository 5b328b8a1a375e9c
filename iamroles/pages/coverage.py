"""What the chosen policy already gives to the roles, hooks, topics and files that a request names, line by line.

Each sentence uses the requester's own names and says what is added for what is not covered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iamroles.blueprints import PassingFacts, RoleFacts, grants, uses
from iamroles.iam import arns, coverage
from iamroles.iam.documents import Document
from iamroles.iam.phrases import services, short_name

_WHY = {"case": ", capitals matter", "path": " because of its path", "case_and_path": ", capitals and path matter"}
_PLACES = {
    uses.HOOK: ("Lambda hook", "CodeDeployHook_"),
    uses.TOPIC: ("SNS topic", "CodeDeployTopic_"),
    uses.BUNDLE: ("AppSpec in S3", ""),
    uses.TAGGED_BUNDLE: ("AppSpec in S3", ""),
}


@dataclass(frozen=True)
class Line:
    """One named thing and what makes it work. `command` is what somebody can run instead of asking for more; `says` is
    what whoever can deploy may do through a role, where a worker has seen it lately.
    """

    arn: str
    name: str
    place: str
    covered: bool
    sentence: str
    command: str = ""
    says: tuple[str, ...] = ()


def role_lines(facts: PassingFacts, attached: Sequence[Document], label: str) -> tuple[Line, ...]:
    """Returns a line for each role that is to be passed to ECS tasks."""
    places = [("Task execution role", arn) for arn in facts.execution_roles]
    places += [("Task role", arn) for arn in facts.task_roles if arn not in facts.execution_roles]
    lines = []
    for place, arn in places:
        answer = coverage.explain_passrole(arn, attached, label, grants.ECS_TASKS)
        name = arns.role_name_of(arn)
        lines.append(Line(arn, name, place, answer.covered, _role_sentence(answer, name, label, attached)))
    return tuple(lines)


def handed_lines(passed: Mapping[str, str]) -> tuple[Line, ...]:
    """Returns a line for each role that whoever deploys may hand out, by ARN; `passed` names the service of each."""
    return tuple(
        Line(arn, arns.role_name_of(arn), "", False, f"{arn} can be handed to {services([to])}, by exactly this ARN.")
        for arn, to in passed.items()
    )


def _role_sentence(answer: coverage.Coverage, name: str, label: str, attached: Sequence[Document]) -> str:
    if answer.covered:
        return answer.message
    if not attached:
        return f"A grant for exactly {name} is added."
    why = _WHY.get(answer.trap or "", "")
    return f"{name} is not covered by {label}{why}. A grant for exactly this role is added."


def use_lines(facts: RoleFacts, managed: Document | None) -> tuple[Line, ...]:
    """Returns a line for each hook, topic and AppSpec place; `managed` is None for Scoped, which names them all."""
    label = facts.managed_policy.capitalize()
    return tuple(_use_line(kind, arn, label, covered=given) for (kind, arn), given in uses.asked(facts, managed))


def _use_line(kind: str, arn: str, label: str, *, covered: bool) -> Line:
    place, prefix = _PLACES[kind]
    name = short_name(arn)
    if covered:
        return Line(arn, name, place, True, f"{label} already covers {name}.")
    if label == "Scoped":
        return Line(arn, name, place, False, f"A statement for exactly {name} is part of Scoped.")
    if not prefix:
        why = f"{label} reads only files with the tag UseWithCodeDeploy = true. A statement for exactly {name} is added"
        return Line(arn, name, place, False, f"{why}, unless you tag the files and say so.", _tag_command(name))
    why = "capitals matter" if name.lower().startswith(prefix.lower()) else f"its name does not start with {prefix}"
    bare = name[len(prefix) :] if name.lower().startswith(prefix.lower()) else name
    fix = f"A statement for exactly {name} is added; or rename it {prefix}{bare}."
    return Line(arn, name, place, False, f"{name} is not covered by {label}: {why}. {fix}")


def _tag_command(place: str) -> str:
    bucket, _, key = place.partition("/")
    tags = "'TagSet=[{Key=UseWithCodeDeploy,Value=true}]'"
    file = f"'{key.removesuffix('*')}appspec.yaml'" if key.endswith("*") else f"'{key}'"
    return f"aws s3api put-object-tagging --bucket {bucket} --key {file} --tagging {tags}"
