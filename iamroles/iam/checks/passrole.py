"""PR findings: what a document lets pass, to whom, and how its limits can be missed (POLICY.md part 8).

What needs an observed role (PR07, PR08, PR09, PR15) is decided above or in `passed_roles`.
"""

from __future__ import annotations

from collections.abc import Iterator

from iamroles.iam import catalogue
from iamroles.iam.checks.facts import Finding
from iamroles.iam.checks.ground import (
    Ground,
    Reach,
    action,
    key_absent,
    key_is,
    key_outside,
    no_resource,
    resource,
)
from iamroles.iam.phrases import services, short_name
from iamroles.iam.statements import Statement
from iamroles.iam.trust import CODEDEPLOY, ECS, ECS_TASKS

PASSED_TO = "iam:PassedToService"
USUAL_SERVICES = (ECS_TASKS, CODEDEPLOY, ECS)
_TAG_KEYS = ("aws:resourcetag/", "iam:resourcetag/")
_LETTERS = 8  # a name with so many fixed letters counts as owned by its prefix (PR03)


def check(ground: Ground) -> Iterator[Finding]:
    """Yields the findings of every Allow that reaches iam:PassRole."""
    if ground.document.kind == "trust":
        return
    for statement in ground.allows():
        reach = ground.reach([action("iam:PassRole")], [statement], anywhere=True)
        if reach:
            yield from _statement(ground, statement, reach)


def _statement(ground: Ground, statement: Statement, reach: Reach) -> Iterator[Finding]:
    if statement.not_actions or statement.not_resources:
        element = "NotAction" if statement.not_actions else "NotResource"
        yield ground.finding(
            "PR14",
            "forbidden",
            statement,
            f"An Allow with {element} reaches iam:PassRole: it passes everything that nobody thought of.",
            "Write it positively: name the actions and the role ARNs.",
            reach,
        )
    yield from _services(ground, statement)
    yield from _names(ground, statement)
    yield from _accounts(ground, statement)
    tags = [one.written for one in statement.conditions if one.key.startswith(_TAG_KEYS)]
    if tags:
        yield ground.finding(
            "PR13",
            "medium",
            statement,
            f"The condition on {tags[0]} does not limit iam:PassRole reliably.",
            "Name the role's ARN instead.",
            reach,
        )


def _fresh_role(ground: Ground) -> str:
    return f"arn:*:iam::{ground.account}:role/{ground.fresh('Unmentioned')}"


def _services(ground: Ground, statement: Statement) -> Iterator[Finding]:
    """PR01, PR02, PR04, PR05, PR06."""
    passing = [action("iam:PassRole")]
    fresh_service = ground.fresh("unmentioned.amazonaws.com")
    anyone = ground.reach([*passing, resource(_fresh_role(ground))], [statement])
    unlimited = ground.reach([*passing, *key_is(PASSED_TO, fresh_service)], [statement], anywhere=True)
    absent = ground.reach([*passing, key_absent(PASSED_TO)], [statement], anywhere=True)
    tested = any(one.key == PASSED_TO.lower() for one in statement.conditions)
    if anyone and unlimited:
        yield ground.finding(
            "PR01",
            "forbidden",
            statement,
            "Name each role. A grant for every role lets a deployment run with any role in the AWS account.",
            f"Name the role ARNs, and limit {PASSED_TO}.",
            anyone,
        )
        return
    if anyone:
        yield ground.finding(
            "PR02",
            "high",
            statement,
            f"CodeDeploy could hand any role in this AWS account to {_receivers(statement)}.",
            "Take Limited and grants for exactly the roles you need.",
            anyone,
        )
    if absent and tested:
        yield ground.finding(
            "PR06",
            "high",
            statement,
            f"The condition on {PASSED_TO} can be bypassed: it also holds when the key is absent.",
            "Use plain StringEquals.",
            absent,
        )
    elif unlimited or absent:
        yield ground.finding(
            "PR04",
            "high",
            statement,
            "The role could be passed to any service, not only ECS tasks.",
            f'Add "StringEquals": {{"{PASSED_TO}": "{_expected(ground)[0]}"}}.',
            unlimited or absent,
        )
    if not unlimited:
        yield from _other_services(ground, statement)


def _expected(ground: Ground) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ground.facts.expected_grants.values())) or USUAL_SERVICES


def _other_services(ground: Ground, statement: Statement) -> Iterator[Finding]:
    expected = _expected(ground)
    other = ground.reach([action("iam:PassRole"), *key_outside(PASSED_TO, *expected)], [statement])
    if other:
        yield ground.finding(
            "PR05",
            "high" if ground.facts.expected_grants else "medium",
            statement,
            f"The role could be passed to {_receivers(statement)}; expected is {services(expected)}.",
            "Remove the other services.",
            other,
        )


def _receivers(statement: Statement) -> str:
    named = [
        value
        for one in statement.conditions
        if one.key == PASSED_TO.lower() and not one.operator.negated
        for value in one.values
    ]
    return services(named) if named else "services that nobody named"


def _names(ground: Ground, statement: Statement) -> Iterator[Finding]:
    """PR03 for each pattern that means more than one role of the account, PR12 for the service-linked path."""
    if statement.not_resources or ground.reach([action("iam:PassRole"), resource(_fresh_role(ground))], [statement]):
        return
    own = f"arn:*:iam::{ground.account}:role/*"
    for pattern in statement.resources:
        if not any(sign in pattern.split(":", 5)[-1] for sign in "*?$"):
            continue
        one = _limited_to(statement, pattern)
        reach = ground.reach([action("iam:PassRole"), resource(own)], [one])
        if reach and _more_than_one(ground, one, own):
            name = short_name(pattern)
            yield ground.finding(
                "PR03",
                "medium" if _owned(ground, name) else "high",
                statement,
                f"{name} stands for every role whose name fits, also ones that do not exist yet.",
                "List the exact ARNs.",
                reach,
            )
    linked = ground.reach(
        [action("iam:PassRole"), resource(f"arn:*:iam::{ground.account}:role/aws-service-role/*")], [statement]
    )
    if linked:
        yield ground.finding(
            "PR12",
            "medium",
            statement,
            "Roles below /aws-service-role/ belong to AWS services and cannot be passed.",
            "Remove them.",
            linked,
        )


def _limited_to(statement: Statement, pattern: str) -> Statement:
    return Statement(
        index=statement.index,
        sid=statement.sid,
        effect=statement.effect,
        actions=statement.actions,
        not_actions=statement.not_actions,
        resources=(pattern,),
        conditions=statement.conditions,
    )


def _more_than_one(ground: Ground, statement: Statement, own: str) -> bool:
    word = ground.example_resource([action("iam:PassRole"), resource(own)], [statement])
    if word is None:
        return True
    name = word.split(":", 5)[-1]
    return bool(ground.reach([action("iam:PassRole"), resource(own), no_resource(f"arn:*:*:*:*:{name}")], [statement]))


def _owned(ground: Ground, name: str) -> bool:
    fixed = name.split("*", 1)[0].split("?", 1)[0]
    return len(fixed) >= _LETTERS and any(fixed.startswith(prefix) for prefix in ground.facts.owned_prefixes)


def _accounts(ground: Ground, statement: Statement) -> Iterator[Finding]:
    """PR10 and PR11, by the fifth segment of each pattern."""
    if statement.not_resources:
        return
    own_document = any(ground.document == one.document for one in catalogue.managed_policies())
    for pattern in statement.resources:
        pieces = pattern.split(":", 5)
        if pattern == "*" or len(pieces) < 6 or pieces[2] not in {"iam", "*"}:
            continue
        one = _limited_to(statement, pattern)
        if pieces[4] == "*":
            reach = ground.reach([action("iam:PassRole")], [one], anywhere=True)
            if reach:
                yield ground.finding(
                    "PR11",
                    "note" if own_document else "medium",
                    statement,
                    f"{pattern} names every AWS account. PassRole reaches only its own.",
                    "Write the account's 12 digits.",
                    reach,
                )
        elif ground.known_account is not None and pieces[4] != ground.account:
            exact = not any(sign in pattern for sign in "*?$")
            yield ground.finding(
                "PR10",
                "high",
                statement,
                f"{short_name(pattern)} is a role of AWS account {pieces[4]}. Roles cannot be passed across accounts.",
                f"Name a role of AWS account {ground.account}.",
                will_not_work=exact,
            )
