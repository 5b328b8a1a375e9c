"""What one document gives beyond what is usual, found by asking `iam.evaluate` about AWS calls on fresh names.

A fresh name is one that no document mentions: if a call on it is allowed, the document names no particular resource.
Ids, severities and fixes are those of POLICY.md part 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from iamroles.iam import evaluate
from iamroles.iam.documents import Document
from iamroles.rules.findings import Finding, Severity

_ROLE = "arn:aws:iam::000000000000:role/fresh-8c1f"
_ECS = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
_OTHER = {"iam:PassedToService": "fresh.amazonaws.com"}


@dataclass(frozen=True)
class Probe:
    """One AWS call that a tidy document does not allow."""

    id: str
    severity: Severity
    action: str
    resource: str
    message: str
    fix: str
    context: Mapping[str, str] = field(default_factory=dict)


PROBES = (
    Probe(
        "PR01",
        "forbidden",
        "iam:PassRole",
        _ROLE,
        "Any role of the AWS account could be passed to any service.",
        "Name each role and the one service that may get it.",
        _OTHER,
    ),
    Probe(
        "PR02",
        "high",
        "iam:PassRole",
        _ROLE,
        "CodeDeploy could hand any role in this AWS account to ECS tasks.",
        "Choose Limited; the form adds a grant for exactly your roles.",
        _ECS,
    ),
    Probe(
        "RS01",
        "high",
        "lambda:InvokeFunction",
        "arn:aws:lambda:us-east-1:000000000000:function:fresh-8c1f",
        "CodeDeploy could call every Lambda function.",
        "Choose Limited and name your hooks CodeDeployHook_…",
    ),
    Probe(
        "RS02",
        "high",
        "s3:GetObject",
        "arn:aws:s3:::fresh-8c1f/object",
        "CodeDeploy could read every S3 object.",
        "Choose Limited and tag your AppSpec objects UseWithCodeDeploy = true.",
    ),
    Probe(
        "RS03",
        "medium",
        "sns:Publish",
        "arn:aws:sns:us-east-1:000000000000:fresh-8c1f",
        "CodeDeploy could publish to every SNS topic.",
        "Choose Limited and name your topics CodeDeployTopic_…",
    ),
    Probe(
        "RS04",
        "medium",
        "elasticloadbalancing:ModifyListener",
        "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/fresh/8c1f/8c1f",
        "CodeDeploy could change the listeners of every load balancer.",
        "Comes with both of AWS's policies; only a scoped policy avoids it.",
    ),
    Probe(
        "RS05",
        "medium",
        "ecs:CreateTaskSet",
        "*",
        "CodeDeploy could replace the tasks of every ECS service.",
        "Comes with both of AWS's policies; only a scoped policy avoids it.",
    ),
    *(
        Probe(
            "PE01",
            "forbidden",
            action,
            _ROLE,
            f"Whoever holds this may give themselves more rights ({action}).",
            "Remove it.",
        )
        for action in (
            "iam:AttachRolePolicy",
            "iam:PutRolePolicy",
            "iam:UpdateAssumeRolePolicy",
            "iam:CreatePolicyVersion",
            "iam:CreateAccessKey",
            "iam:DeleteRolePermissionsBoundary",
            "sts:AssumeRole",
        )
    ),
)


def allows(document: Document, probe: Probe) -> bool:
    """Returns whether the document allows the probe's call."""
    return evaluate.evaluate(
        [document], None, evaluate.Request(probe.action, probe.resource, dict(probe.context))
    ).allowed


def document_findings(document: Document, *, place: str, standard: frozenset[str]) -> tuple[Finding, ...]:
    """Returns a finding for each probe that the document allows. `standard` are the ids that the standard gives."""
    found: dict[str, Finding] = {}
    for probe in PROBES:
        if probe.id not in found and allows(document, probe):
            found[probe.id] = Finding(
                probe.id, probe.severity, probe.message, probe.fix, place, standard=probe.id in standard
            )
    if "PR01" in found:
        found.pop("PR02", None)
    return tuple(found.values())
