"""What deployments use besides roles, as a policy of our own: ECS services, listeners, hooks, topics, AppSpec files.

Scoped is all of it in place of a managed policy (POLICY.md part 6, AWS.md 2.6); beside Limited it is exactly what
Limited does not give. A policy is known by its pieces: the same pieces, the same document, and back again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from iamroles.blueprints.facts import RoleFacts
from iamroles.blueprints.state import PolicyState
from iamroles.iam import arns, coverage, documents
from iamroles.iam.documents import Document

Piece = tuple[str, str]  # what it is, and its ARN
SERVICE: Final = "service"
LISTENER: Final = "listener"
RULE: Final = "rule"
HOOK: Final = "hook"
TOPIC: Final = "topic"
BUNDLE: Final = "bundle"
TAGGED_BUNDLE: Final = "tagged bundle"

_LOOKS: Final = (  # AWS knows no resource for these, so they are allowed on all (AWS.md 2.6)
    "cloudwatch:DescribeAlarms",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTargetGroups",
)
_READS: Final = ("s3:GetObject", "s3:GetObjectVersion")
_TAG: Final = {"StringEquals": {"s3:ExistingObjectTag/UseWithCodeDeploy": "true"}}
_NAMED: Final[Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]]] = {
    LISTENER: (("elasticloadbalancing:ModifyListener",), {}),
    RULE: (("elasticloadbalancing:ModifyRule",), {}),
    HOOK: (("lambda:InvokeFunction",), {}),
    TOPIC: (("sns:Publish",), {}),
    BUNDLE: (_READS, {}),
    TAGGED_BUNDLE: (_READS, _TAG),
}


def scoped_pieces(facts: RoleFacts) -> frozenset[Piece]:
    """Returns everything that the facts name."""
    named = [(SERVICE, arn) for arn in facts.services]
    rules = [arn for arn in facts.listeners if ":listener-rule/" in arn]
    for arn in (arn for arn in facts.listeners if arn not in rules):
        own = f"{arn.replace(':listener/', ':listener-rule/', 1)}/"
        named += [(LISTENER, arn), *([] if any(one.startswith(own) for one in rules) else [(RULE, f"{own}*")])]
    named += [(RULE, arn) for arn in rules]
    return normal([*named, *(piece for piece, _ in _askable(facts))])


def uncovered_pieces(facts: RoleFacts, managed: Document) -> frozenset[Piece]:
    """Returns the hooks, topics and AppSpec files that a managed policy is not proved to reach."""
    return normal(piece for piece, given in asked(facts, managed) if not given)


def asked_pieces(facts: RoleFacts) -> frozenset[Piece]:
    """Returns the hooks, topics and AppSpec files that the facts name."""
    return normal(piece for piece, _ in _askable(facts))


def asked(facts: RoleFacts, managed: Document | None) -> tuple[tuple[Piece, bool], ...]:
    """Returns the hooks, topics and AppSpec files in order, and whether the policy is proved to give each."""
    return tuple((piece, managed is not None and coverage.covers(need, [managed])) for piece, need in _askable(facts))


def _askable(facts: RoleFacts) -> list[tuple[Piece, coverage.Need]]:
    tagged = facts.bundles_tagged
    return [
        *(((HOOK, arn), coverage.call_hook(arn)) for arn in facts.hooks),
        *(((TOPIC, arn), coverage.publish_to(arn)) for arn in facts.topics),
        *(
            ((TAGGED_BUNDLE if tagged else BUNDLE, arn), coverage.read_bundle(arn, tagged=tagged))
            for arn in facts.bundles
        ),
    ]


def normal(pieces: Iterable[Piece]) -> frozenset[Piece]:
    """Returns the pieces without those that another one of them gives anyway."""
    found = set(pieces)
    found -= {(TAGGED_BUNDLE, arn) for kind, arn in found if kind == BUNDLE}
    wide = {(kind, arn[:-1]) for kind, arn in found if arn.endswith("*")}
    return frozenset(
        (kind, arn)
        for kind, arn in found
        if not any(kind == other and arn.startswith(start) and arn != f"{start}*" for other, start in wide)
    )


def document(pieces: Iterable[Piece]) -> Document:
    """Returns the policy that gives exactly these pieces, each ARN in one place."""
    known = normal(pieces)
    services = sorted(arn for kind, arn in known if kind == SERVICE)
    statements = _service_statements(services) if services else []
    for kind, (actions, condition) in _NAMED.items():
        listed = sorted(arn for one, arn in known if one == kind)
        if listed:
            statements.append(_allow(actions, listed, condition))
    return documents.parse({"Version": "2012-10-17", "Statement": statements})


def _service_statements(services: list[str]) -> list[dict[str, Any]]:
    """CreateTaskSet is allowed on `*` under ecs:cluster and ecs:service until tried on AWS, one statement a cluster."""
    clusters: dict[str, list[str]] = {}
    for arn in services:
        clusters.setdefault(cluster_of(arn), []).append(arn)
    return [
        _allow(_LOOKS, ["*"]),
        _allow(("ecs:DescribeServices", "ecs:UpdateServicePrimaryTaskSet"), services),
        *(
            _allow(("ecs:CreateTaskSet",), ["*"], {"ArnEquals": {"ecs:cluster": cluster, "ecs:service": inside}})
            for cluster, inside in sorted(clusters.items())
        ),
        _allow(("ecs:DeleteTaskSet",), [f"{arn.replace(':service/', ':task-set/', 1)}/*" for arn in services]),
    ]


def cluster_of(service_arn: str) -> str:
    """Returns the ARN of the cluster that an ECS service's ARN names."""
    head, _, rest = service_arn.partition(":service/")
    return f"{head}:cluster/{rest.split('/', 1)[0]}"


def _allow(actions: Iterable[str], resources: list[str], condition: Mapping[str, Any] | None = None) -> dict[str, Any]:
    named = list(actions)
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": named[0] if len(named) == 1 else named,
        "Resource": "*" if resources == ["*"] else resources,
    }
    return {**statement, "Condition": dict(condition)} if condition else statement


def pieces_of(found: Document) -> frozenset[Piece] | None:
    """Returns the pieces of a document that is, by meaning, one of ours; None for every other document."""
    if found.kind != "identity" or not found.statements:
        return None
    pieces: set[Piece] = set()
    for statement in found.statements:
        actions = {name.lower() for name in statement.actions}
        if "ecs:describeservices" in actions:
            pieces |= {(SERVICE, arn) for arn in statement.resources}
        for kind, (named, condition) in _NAMED.items():
            if actions == {name.lower() for name in named} and bool(condition) == bool(statement.conditions):
                pieces |= {(kind, arn) for arn in statement.resources}
    return frozenset(pieces) if pieces and documents.equal(found, document(pieces)) else None


def is_scoped(found: Document) -> bool:
    """Returns True for a policy of ours in place of a managed policy, which is not yet proved on AWS."""
    return any(kind == SERVICE for kind, _ in pieces_of(found) or ())


def uses_policy(facts: RoleFacts, pieces: Iterable[Piece]) -> PolicyState:
    """Returns the wanted managed policy for these pieces, at the account's policy path."""
    account = facts.account
    return PolicyState(
        arn=arns.policy_arn(account.partition, account.number, facts.uses_policy_name, account.policy_path),
        name=facts.uses_policy_name,
        path=account.policy_path,
        document=document(pieces),
        description=f"Lets {facts.role_name} use what its deployments name. Managed by Roledesk.",
    )
