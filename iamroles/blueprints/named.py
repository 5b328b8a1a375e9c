"""From a person's lines to the ARNs of what deployments use: services, listeners, functions, topics, S3 objects.

A bare name becomes an ARN of the account and the Region given; every line that is wrong gets its own sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from iamroles.blueprints.facts import AccountFacts
from iamroles.blueprints.problems import FieldProblem, at, tidy
from iamroles.iam import limits
from iamroles.iam.arns import Arn, ArnError, parse_arn

_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]{2,10}){1,3}-[0-9]{1,2}", re.ASCII)
_LINES_AT_MOST: Final = 60
_WORD: Final = r"[A-Za-z0-9_-]"
_TITLE: Final = r"[A-Za-z0-9._+=,@-]{1,100}"  # CodeDeploy takes more; nobody needs it in an ARN
_BALANCER: Final = r"(?:app|net)/[A-Za-z0-9-]{1,32}/[0-9a-f]+/[0-9a-f]+"


@dataclass(frozen=True)
class Thing:
    """One kind of thing that can be named. `head` stands before the name in the ARN, `tail` after a name alone."""

    noun: str
    service: str
    head: str
    name: re.Pattern[str]
    example: str
    tail: str = ""
    bare: bool = True
    article: str = "a"


ECS_SERVICE: Final = Thing(
    "ECS service",
    "ecs",
    "service/",
    re.compile(rf"{_WORD}{{1,255}}/{_WORD}{{1,255}}", re.ASCII),
    "cluster/service",
    article="an",
)
FUNCTION: Final = Thing(
    "Lambda function",
    "lambda",
    "function:",
    re.compile(rf"{_WORD}{{1,64}}(?::[$A-Za-z0-9_-]{{1,128}})?", re.ASCII),
    "CodeDeployHook_name",
)
TOPIC: Final = Thing(
    "SNS topic", "sns", "", re.compile(rf"{_WORD}{{1,256}}", re.ASCII), "CodeDeployTopic_name", article="an"
)
GROUP: Final = Thing(
    "deployment group",
    "codedeploy",
    "deploymentgroup:",
    re.compile(rf"{_TITLE}/(?:\*|{_TITLE})", re.ASCII),
    "application/group",
)
STACK: Final = Thing(
    "stack",
    "cloudformation",
    "stack/",
    re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}(?:/(?:\*|[0-9a-f-]{36}))?", re.ASCII),
    "name",
    tail="/*",
)
LISTENER: Final = Thing(
    "listener, rule or target group",
    "elasticloadbalancing",
    "",
    re.compile(
        rf"listener/{_BALANCER}|listener-rule/{_BALANCER}/[0-9a-f]+|targetgroup/[A-Za-z0-9-]{{1,32}}/[0-9a-f]+",
        re.ASCII,
    ),
    "listener/app/name/id/id",
    bare=False,
)
Read = tuple[tuple[str, ...], tuple[FieldProblem, ...]]


def lines_of(text: str) -> list[str]:
    """Returns the lines that say something, without spaces, quotes and commas around them, each once."""
    return list(dict.fromkeys(filter(None, map(tidy, text.splitlines()))))


def read_named(text: str, thing: Thing, account: AccountFacts, region: str, field: str) -> Read:
    """Returns the ARNs of the things named one a line (names or ARNs), and the problems found.

    A bare name needs a Region; without one the problem stands at the field `region`.
    """
    found: list[str] = []
    problems: list[FieldProblem] = []
    for line in lines_of(text):
        arn, wrong = _read_line(line, thing, account, region, field)
        found.append(arn)
        problems += wrong
    if len(found) > _LINES_AT_MOST:
        problems.append(
            FieldProblem(field, "VA05", f"{len(found)} lines do not fit one policy. Name at most {_LINES_AT_MOST}.")
        )
    return tuple(dict.fromkeys(filter(None, found))), tuple(dict.fromkeys(problems))


def _read_line(
    line: str, thing: Thing, account: AccountFacts, region: str, field: str
) -> tuple[str, list[FieldProblem]]:
    placeholders = limits.check_placeholders(line)
    if placeholders:
        return "", list(at(field, placeholders))
    wanted = f"arn:{account.partition}:{thing.service}:{region or 'REGION'}:{account.number}:{thing.head}"
    if line.startswith("arn:"):
        return _complete(line, thing), list(at(field, _arn_problems(line, thing, account, wanted)))
    if not thing.bare:
        return "", [FieldProblem(field, "VA08", f"{line}: enter the ARN of each {thing.noun}.")]
    if not thing.name.fullmatch(line):
        return "", [FieldProblem(field, *_wrong_name(line, thing))]
    if not region:
        message = f"Enter the AWS Region of {line}, for example eu-central-1, or enter its ARN."
        return "", [FieldProblem("region", "VA08", message)]
    return _complete(f"{wanted}{line}", thing), []


def _complete(arn: str, thing: Thing) -> str:
    return arn if "/" in arn.partition(f":{thing.head}")[2] else f"{arn}{thing.tail}"


def _wrong_name(line: str, thing: Thing) -> tuple[str, str]:
    if set(line) & set("*?"):
        return "RS00", f"{line}: name each {thing.noun}. A pattern would let deployments use others too."
    return "VA01", f"{line} is no name of {thing.article} {thing.noun}. Enter {thing.example}, or the ARN."


def _arn_problems(arn: str, thing: Thing, account: AccountFacts, wanted: str) -> Iterator[limits.Problem]:
    try:
        parsed = parse_arn(arn)
    except ArnError as error:
        yield limits.Problem("VA08", str(error))
        return
    name = parsed.resource.removeprefix(thing.head)
    if parsed.service != thing.service or not parsed.resource.startswith(thing.head):
        yield limits.Problem(
            "VA08", f"{arn} is not the ARN of {thing.article} {thing.noun}. One looks like {wanted}{thing.example}."
        )
    elif not thing.name.fullmatch(name):
        yield limits.Problem(*_wrong_name(arn, thing))
    if not _REGION.fullmatch(parsed.region):
        yield limits.Problem("VA08", f"{arn} names no AWS Region: {parsed.region or 'nothing'} stands there.")
    yield from _place_problems(parsed, thing, account)


def _place_problems(parsed: Arn, thing: Thing, account: AccountFacts) -> Iterator[limits.Problem]:
    if parsed.partition != account.partition:
        yield limits.Problem(
            "VA08", f"This {thing.noun} is in the partition {parsed.partition}. Enter one of {account.partition}."
        )
    if parsed.account != account.number:
        yield limits.Problem(
            "VA08", f"This {thing.noun} is in AWS account {parsed.account or 'unknown'}. Enter one of {account.number}."
        )


def check_arn(arn: str, thing: Thing, account: AccountFacts, field: str) -> tuple[FieldProblem, ...]:
    """Returns the problems of an ARN that facts hold already."""
    return read_named(arn, thing, account, "", field)[1]


def read_region(text: str) -> tuple[str, tuple[FieldProblem, ...]]:
    """Returns the AWS Region, and a problem when it does not look like one."""
    region = tidy(text)
    if not region or _REGION.fullmatch(region):
        return region, ()
    return "", (FieldProblem("region", "VA08", f"{region} is no AWS Region. One looks like eu-central-1."),)


_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_KEY = re.compile(r"[\x21-\x7E]{1,1024}", re.ASCII)


def read_bundles(text: str, account: AccountFacts, field: str = "bundles") -> Read:
    """Returns the ARNs of the S3 objects or prefixes named one a line, and the problems found.

    `bucket/key` is one object; `bucket/prefix/` becomes all objects below it, written with a `*`.
    """
    found: list[str] = []
    problems: list[FieldProblem] = []
    for line in lines_of(text):
        head = f"arn:{account.partition}:s3:::"
        place = line.removeprefix("s3://").removeprefix(head)
        place = place.removesuffix("*") if place.endswith("/*") else place
        message = _bundle_problem(line, place)
        placeholder = limits.check_placeholders(line)
        if placeholder or message:
            problems += at(field, placeholder or [limits.Problem("VA08", message)])
        else:
            found.append(f"{head}{place}{'*' if place.endswith('/') else ''}")
    return tuple(dict.fromkeys(found)), tuple(dict.fromkeys(problems))


def _bundle_problem(line: str, place: str) -> str:
    bucket, slash, key = place.partition("/")
    if line.startswith("arn:") and place == line:
        return f"{line} is not the ARN of an S3 object in this partition. Enter bucket/prefix/ or bucket/key."
    if not _BUCKET.fullmatch(bucket):
        return f"{line}: {bucket or 'nothing'} is no name of an S3 bucket. Enter bucket/prefix/ or bucket/key."
    if not slash or not key:
        return f"{line}: name where in the bucket the AppSpec files lie, as {bucket}/prefix/ or {bucket}/key."
    if set(key) & set("*?$"):
        return f"{line}: name the prefix or the file. A pattern would let deployments read others too."
    if not _KEY.fullmatch(key):
        return f"{line}: the key can hold printable ASCII without spaces only."
    return ""
