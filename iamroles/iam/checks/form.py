"""DU and VA findings: what a document says in vain, in an odd way, or so that IAM refuses it."""

from __future__ import annotations

from collections.abc import Iterator

from iamroles.iam import catalogue, limits
from iamroles.iam.boxing import ACCOUNT
from iamroles.iam.checks.facts import Finding, Severity
from iamroles.iam.checks.ground import Ground
from iamroles.iam.documents import Document
from iamroles.iam.limits import Problem
from iamroles.iam.statements import VARIABLES_VERSION, Condition, Statement, ascii_lower, parts

_EQUALS = frozenset({"StringEquals", "StringEqualsIgnoreCase"})


def check(ground: Ground) -> Iterator[Finding]:
    """Yields the findings about form, document first, then statement by statement."""
    document = ground.document
    yield from _values(ground)
    if document.version != VARIABLES_VERSION and "${" in document.given:
        yield ground.finding(
            "DU07",
            "medium",
            None,
            f"Variables such as ${{…}} are plain text without Version {VARIABLES_VERSION}.",
            f'Set "Version": "{VARIABLES_VERSION}".',
            will_not_work=True,
        )
    for statement in document.statements:
        yield from _in_vain(ground, statement)
        for condition in statement.conditions:
            yield from _condition(ground, statement, condition)
        yield from _unknown(ground, statement)


def _values(ground: Ground) -> Iterator[Finding]:
    document = ground.document
    kind = "trust" if document.kind == "trust" else "managed"
    for problem in limits.check_document_size(document, kind):
        yield ground.finding("DU08", "medium", None, problem.message, "Merge or split.", will_not_work=True)
    problems: list[Problem] = [*limits.check_document_characters(document), *_arns(document)]
    for statement in document.statements:
        for text in (*statement.resources, *(name for _, name in statement.principals)):
            problems += limits.check_placeholders(text)
    for problem in dict.fromkeys(problems):
        severity: Severity = "high" if problem.look_alike else "medium"
        yield ground.finding(problem.id, severity, None, problem.message, "Correct it.", will_not_work=True)


def _arns(document: Document) -> Iterator[Problem]:
    """Yields what is wrong with the ARNs of resources and principals (VA08), wildcards and variables aside."""
    partitions: dict[str, None] = {}
    for statement in document.statements:
        for text in (*statement.resources, *(name for kind, name in statement.principals if kind == "AWS")):
            pieces = text.split(":", 5)
            if len(pieces) == 6 and "${" not in ":".join(pieces[:5]):
                if not _wild(pieces[1]):
                    partitions[pieces[1]] = None
                yield from (Problem("VA08", message) for message in _arn_faults(text, pieces))
    for partition in list(partitions)[1:]:
        message = f"ARNs of {next(iter(partitions))} and of {partition} stand in one document. Split it."
        yield Problem("VA08", message)


def _arn_faults(text: str, pieces: list[str]) -> Iterator[str]:
    _, partition, service, region, account, _ = pieces
    longest = limits.ARN_LENGTH[1]
    if len(text) > longest:
        yield f"An ARN can have {longest:,} characters. {text[:60]}… has {len(text):,}."
    if not _wild(partition) and partition not in limits.PARTITIONS:
        yield f"There is no AWS partition {partition!r}, as in {text[:200]}."
    if service == "iam" and region.strip("*"):
        yield f"IAM ARNs have no region. Remove {region!r} from {text[:200]}."
    if account.isdigit() and not ACCOUNT.fullmatch(account):
        yield f"An AWS account has 12 digits, not {account!r} as in {text[:200]}."


def _in_vain(ground: Ground, statement: Statement) -> Iterator[Finding]:
    if statement.effect != "Allow":
        return
    if not ground.reach([], [statement], anywhere=True):
        yield ground.finding(
            "DU02", "note", statement, "This statement allows nothing: no call can match it.", "Remove it."
        )
        return
    if len(ground.document.statements) > 1 and ground.shadowed(statement):
        yield ground.finding("DU01", "note", statement, "The other statements allow all of this already.", "Remove it.")


def _condition(ground: Ground, statement: Statement, condition: Condition) -> Iterator[Finding]:
    operator = condition.operator
    if operator.base in _EQUALS:
        plain = [v for v in condition.values if any(_wild(part) for part in parts(v, ground.document.version))]
        if plain:
            yield ground.finding(
                "DU03",
                "medium",
                statement,
                f"{condition.name} takes {plain[0]} word for word: its * or ? is no wildcard.",
                f"Use {condition.name.replace('Equals', 'Like').replace('IgnoreCase', '')}.",
            )
    if operator.base == "StringLike" and catalogue.is_arn_key(condition.key):
        yield ground.finding(
            "DU04", "note", statement, f"{condition.written} is an ARN.", "Use ArnLike, which reads its segments."
        )
    if operator.base in {"ArnEquals", "ArnLike"} and any(value.count(":") < 5 for value in condition.values):
        yield ground.finding(
            "DU04",
            "note",
            statement,
            f"{condition.written} is compared with a pattern of fewer than six segments, which matches nothing.",
            "Write all six segments.",
        )
    if operator.qualifier == "all" and statement.effect == "Allow" and not _demands(statement, condition.key):
        yield ground.finding(
            "DU05",
            "high",
            statement,
            f"{condition.name} on {condition.written} also holds when the key is absent.",
            f'Add "Null": {{"{condition.written}": "false"}}.',
        )


def _wild(part: object) -> bool:
    return isinstance(part, str) and ("*" in part or "?" in part)


def _demands(statement: Statement, key: str) -> bool:
    return any(
        one.key == key and one.operator.base == "Null" and one.values == ("false",) for one in statement.conditions
    )


def _unknown(ground: Ground, statement: Statement) -> Iterator[Finding]:
    known = catalogue.actions()
    for name in statement.actions:
        folded = ascii_lower(name)
        service = folded.split(":", 1)[0]
        wild = "*" in folded or "?" in folded
        if not wild and catalogue.knows_service(service) and folded not in known:
            yield _note(ground, statement, f"The action {name}")
    for condition in statement.conditions:
        if not catalogue.knows_key(condition.key):
            yield _note(ground, statement, f"The condition key {condition.written}")


def _note(ground: Ground, statement: Statement, what: str) -> Finding:
    message = f"{what} is not in our catalogue of {catalogue.data_date()}."
    return ground.finding("DU06", "note", statement, message, "Check the spelling; AWS may be newer than our data.")
