"""TR findings of a trust policy by itself: who may assume the role, for whom, and what else it gives.

What compares with the live trust (TR07, TR09) is decided above.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from iamroles.iam.boxes import PRINCIPAL, Test
from iamroles.iam.checks.facts import Finding
from iamroles.iam.checks.ground import Ground, Reach, action, key_absent, key_outside, no_action, principal
from iamroles.iam.checks.passrole import USUAL_SERVICES
from iamroles.iam.patterns import literal
from iamroles.iam.phrases import listed, services
from iamroles.iam.statements import Statement

SOURCE_ACCOUNT = "aws:SourceAccount"
SOURCE_ARN = "aws:SourceArn"
_ASSUME = "sts:AssumeRole"
_REGIONAL = re.compile(r"codedeploy\.[a-z0-9-]+\.amazonaws\.com(\.cn)?", re.ASCII)
_STRANGER = "AWS:arn:aws:iam::{}:role/{}"


def check(ground: Ground) -> Iterator[Finding]:
    """Yields the findings of every Allow of a trust policy."""
    if ground.document.kind != "trust":
        return
    for statement in ground.allows():
        if statement.not_principals:
            yield ground.finding(
                "TR05",
                "forbidden",
                statement,
                "NotPrincipal lets in everybody who is not named.",
                "Name who may use the role.",
                ground.reach([], [statement]),
            )
        yield from _anyone(ground, statement)
        yield from _unexpected(ground, statement)
        yield from _unguarded(ground, statement)
        yield from _disagreeing(ground, statement)
        yield from _foreign(ground, statement)
        yield from _more(ground, statement)


def _anyone(ground: Ground, statement: Statement) -> Iterator[Finding]:
    stranger = _STRANGER.format("999999999999" if ground.account != "999999999999" else "888888888888", "Unmentioned")
    reach = ground.reach([principal(stranger)], [statement])
    if reach and not statement.not_principals:
        yield ground.finding(
            "TR01",
            "forbidden",
            statement,
            "Anybody in any AWS account may assume this role.",
            f"Name the expected principal, such as {services(_expected(ground)[:1])}.",
            reach,
        )


def _expected(ground: Ground) -> tuple[str, ...]:
    return ground.facts.expected_trust or USUAL_SERVICES


def _unexpected(ground: Ground, statement: Statement) -> Iterator[Finding]:
    expected = _expected(ground)
    if statement.not_principals:
        return
    for kind, name in statement.principals:
        if (kind == "Service" and name in expected) or (kind == "AWS" and name in expected) or name == "*":
            continue
        only = Test(PRINCIPAL, "word", positive=True, patterns=frozenset({literal(f"{kind}:{name}")}))
        reach = ground.reach([only], [statement])
        regional = kind == "Service" and _REGIONAL.fullmatch(name) is not None
        if not reach and not name.isdigit():
            continue
        yield ground.finding(
            "TR02",
            "note" if regional else "high" if ground.facts.expected_trust else "medium",
            statement,
            f"{name} is CodeDeploy's name in one Region. It works there and needs a look."
            if regional
            else f"{name} may also use this role; expected is {listed(expected, 'or')}.",
            "Remove it, or write codedeploy.amazonaws.com." if regional else "Remove it.",
            *([reach] if reach else []),
        )


def _unguarded(ground: Ground, statement: Statement) -> Iterator[Finding]:
    reach = _service_reach(ground, statement, [key_absent(SOURCE_ACCOUNT), key_absent(SOURCE_ARN)])
    if reach and not statement.not_principals:
        yield ground.finding(
            "TR03",
            "medium",
            statement,
            "Nothing checks for which AWS account the service acts (confused deputy).",
            f"Add {SOURCE_ACCOUNT}, or {SOURCE_ARN} of the deployment group or stack.",
            reach,
        )


def _service_reach(ground: Ground, statement: Statement, tests: list[Test]) -> Reach:
    return ground.reach([action(_ASSUME), principal("Service:*"), *tests], [statement])


def _disagreeing(ground: Ground, statement: Statement) -> Iterator[Finding]:
    accounts = _plain_values(statement, SOURCE_ACCOUNT)
    in_arns = {
        piece for arn in _plain_values(statement, SOURCE_ARN) for piece in arn.split(":")[4:5] if piece.isdigit()
    }
    strange = sorted(in_arns - accounts)
    if accounts and strange:
        yield ground.finding(
            "TR04",
            "medium",
            statement,
            f"{SOURCE_ACCOUNT} names {listed(sorted(accounts))}, but {SOURCE_ARN} lies in {listed(strange)}.",
            "Name one AWS account in both.",
            will_not_work=True,
        )


def _plain_values(statement: Statement, key: str) -> set[str]:
    return {
        value
        for one in statement.conditions
        if one.key == key.lower() and not one.operator.negated and one.operator.base != "Null"
        for value in one.values
    }


def _foreign(ground: Ground, statement: Statement) -> Iterator[Finding]:
    """TR06: a source key is tested, yet another account gets through: by account or, where it alone counts, ARN."""
    if ground.known_account is None:
        return
    tested = {one.key for one in statement.conditions}
    account = ground.account
    own_arn = f"arn:*:*:*:{account}:*"
    reach = Reach()
    if SOURCE_ACCOUNT.lower() in tested:
        reach = _service_reach(ground, statement, key_outside(SOURCE_ACCOUNT, account))
    if not reach and SOURCE_ARN.lower() in tested:
        foreign_arn = key_outside(SOURCE_ARN, own_arn)
        reach = _service_reach(ground, statement, [*foreign_arn, *key_outside(SOURCE_ACCOUNT, account)])
    if reach:
        yield ground.finding(
            "TR06",
            "forbidden",
            statement,
            "Calls that the service makes for another AWS account get through the source check.",
            f"Demand AWS account {account}.",
            reach,
        )


def _more(ground: Ground, statement: Statement) -> Iterator[Finding]:
    reach = ground.reach([principal("Service:*"), no_action(_ASSUME)], [statement])
    if reach and not statement.not_principals:
        yield ground.finding(
            "TR08",
            "high",
            statement,
            f"A service gets more than {_ASSUME} on this role.",
            f"Allow {_ASSUME} only.",
            reach,
        )
