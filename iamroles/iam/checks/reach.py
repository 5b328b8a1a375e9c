"""RS findings: calls that reach any function, object, topic, listener or service instead of named ones.

"Any" is tried with a name that the document does not mention.
"""

from __future__ import annotations

from collections.abc import Iterator

from iamroles.iam.boxes import Test
from iamroles.iam.checks.facts import Finding
from iamroles.iam.checks.ground import Ground, action, key_absent, key_is, resource
from iamroles.iam.statements import Statement

_OBJECT_TAG = "s3:existingobjecttag/"
_TASK_SETS = ("ecs:CreateTaskSet", "ecs:DeleteTaskSet", "ecs:UpdateServicePrimaryTaskSet")


def check(ground: Ground) -> Iterator[Finding]:
    """Yields RS01 to RS05, one for each Allow that reaches a fresh name."""
    if ground.document.kind == "trust":
        return
    for statement in ground.allows():
        yield from _functions(ground, statement)
        yield from _objects(ground, statement)
        yield from _topics(ground, statement)
        yield from _listeners(ground, statement)
        yield from _ecs_services(ground, statement)


def _functions(ground: Ground, statement: Statement) -> Iterator[Finding]:
    arn = f"arn:*:lambda:*:{ground.account}:function:{ground.fresh('Unmentioned')}"
    reach = ground.reach([action("lambda:InvokeFunction"), resource(arn)], [statement])
    if reach:
        message = "Any Lambda function of the AWS account can be called."
        yield ground.finding("RS01", "high", statement, message, "Name the hook functions.", reach)


def _objects(ground: Ground, statement: Statement) -> Iterator[Finding]:
    arn = f"arn:*:s3:::{ground.fresh('unmentioned')}/{ground.fresh('unmentioned')}"
    tags = {one.key for s in ground.document.statements for one in s.conditions if one.key.startswith(_OBJECT_TAG)}
    untagged = [key_absent(key) for key in sorted(tags)]
    reach = ground.reach([action("s3:GetObject", "s3:GetObjectVersion"), resource(arn), *untagged], [statement])
    if reach:
        message = "Any S3 object can be read, tagged for CodeDeploy or not."
        yield ground.finding("RS02", "high", statement, message, "Name the bucket and the prefix.", reach)


def _topics(ground: Ground, statement: Statement) -> Iterator[Finding]:
    arn = f"arn:*:sns:*:{ground.account}:{ground.fresh('Unmentioned')}"
    reach = ground.reach([action("sns:Publish"), resource(arn)], [statement])
    if reach:
        message = "Any SNS topic of the AWS account can be published to."
        yield ground.finding("RS03", "medium", statement, message, "Name the topics.", reach)


def _listeners(ground: Ground, statement: Statement) -> Iterator[Finding]:
    name = ground.fresh("unmentioned")
    start = f"arn:*:elasticloadbalancing:*:{ground.account}"
    arns = [f"{start}:{kind}/{of}/{name}/*" for kind in ("listener", "listener-rule") for of in ("app", "net", "gwy")]
    reach = ground.reach([action("elasticloadbalancing:Modify*"), resource(*arns)], [statement])
    if reach:
        message = "Any load balancer listener of the AWS account can be changed."
        yield ground.finding("RS04", "medium", statement, message, "Name the listeners.", reach)


def _ecs_services(ground: Ground, statement: Statement) -> Iterator[Finding]:
    name = ground.fresh("unmentioned")
    arn = f"arn:*:ecs:*:{ground.account}"
    limits: list[Test] = []
    for key in ("ecs:cluster", "ecs:service"):
        limits += key_is(key, f"arn:aws:ecs:us-east-1:{ground.account}:{key.removeprefix('ecs:')}/{name}")
    places = resource("*", f"{arn}:service/{name}/{name}", f"{arn}:task-set/{name}/{name}/*")
    reach = ground.reach([action(*_TASK_SETS), places, *limits], [statement])
    if reach:
        message = "Tasks of any ECS service of the AWS account can be replaced."
        yield ground.finding("RS05", "medium", statement, message, "Name the cluster and the service.", reach)
