"""GR findings: the guardrails of an AWS account, which no role of it may exceed, and the boundary that it demands.

Without a guardrail there is no finding of it. Only "proved" is inside; what could not be proved is never called so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iamroles.blueprints.facts import AccountFacts
from iamroles.blueprints.grants import granted_roles
from iamroles.blueprints.state import RoleState
from iamroles.iam.contain import Verdict, contains
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import Request
from iamroles.iam.phrases import listed, short_name
from iamroles.rules.findings import Finding
from iamroles.rules.observed import Around, Attached


def check(
    account: AccountFacts, target: RoleState | None, attached: Sequence[Attached], around: Around
) -> Iterator[Finding]:
    """Yields GR01 to GR05 of what the role will be."""
    if target is None:
        return
    yield from _boundary(account, target, around)
    if around.rules.trust_guardrail:
        yield from _trust(account, target.trust, around.rules.trust_guardrail)
    bounded = target.boundary is None or around.boundary is not None
    if around.rules.guardrail and bounded:
        yield from _rights(account, attached, around)
    if around.boundary is not None:
        yield from _void(account, attached, around.boundary)


def _boundary(account: AccountFacts, target: RoleState, around: Around) -> Iterator[Finding]:
    """GR03: demanded and another or none; not there; or its contents are none that were accepted."""
    name = short_name(target.boundary or "")
    if account.boundary and target.boundary != account.boundary:
        message = f"{account.name} demands the permissions boundary {account.boundary}."
        yield Finding("GR03", "forbidden", message, "Attach it.", "names")
    elif target.boundary and around.looked and around.boundary is None:
        message = f"The permissions boundary {target.boundary} does not exist in {account.name}."
        yield Finding("GR03", "forbidden", message, "Make it first, or correct the record.", "names", True)
    elif around.boundary is not None and around.rules.boundary and around.boundary not in around.rules.boundary:
        message = f"The permissions boundary {name} does not read as it was accepted for {account.name}."
        fix = "Put its contents back, or accept the new ones for the AWS account."
        yield Finding("GR03", "forbidden", message, fix, "names")


def example(call: Request | None) -> str:
    """Returns a call in words, ", such as lambda:InvokeFunction on arn:…", or "" for none."""
    if call is None:
        return ""
    where = "" if call.resource == "*" else f" on {call.resource}"
    return f", such as {call.action}{where}"


def _rights(account: AccountFacts, attached: Sequence[Attached], around: Around) -> Iterator[Finding]:
    allowed, boundary = around.rules.guardrail, around.boundary
    union = [policy.document for policy in attached]
    verdict = contains(union, allowed, account.number, boundary=boundary)
    if verdict.verdict == "proved":
        return
    place = next(
        (
            policy.place
            for policy in attached
            if contains(policy.document, allowed, account.number, boundary=boundary).verdict != "proved"
        ),
        "permissions",
    )
    yield _outside(account, verdict, place)


def _outside(account: AccountFacts, verdict: Verdict, place: str) -> Finding:
    if verdict.verdict == "counterexample":
        message = f"The role could do what the guardrail of {account.name} forbids{example(verdict.witness)}."
        return Finding("GR01", "forbidden", message, "Take it out, or have the guardrail changed.", place)
    message = f"It is not proved that the role stays inside the guardrail of {account.name}: {verdict.reason}."
    return Finding("GR02", "high", message, "Compare both by hand before you approve.", place)


def _trust(account: AccountFacts, document: Document, allowed: Sequence[Document]) -> Iterator[Finding]:
    verdict = contains(document, allowed, account.number)
    if verdict.verdict == "proved":
        return
    who = ""
    if verdict.witness is not None and verdict.witness.principal is not None:
        who = f", such as {verdict.witness.principal[1]}"
    doubt = "" if verdict.witness is not None else f" ({verdict.reason})"
    message = f"The trust policy is not proved inside the trust guardrail of {account.name}{who}{doubt}."
    yield Finding("GR05", "forbidden", message, "Remove who is not allowed there.", "trust")


def _void(account: AccountFacts, attached: Sequence[Attached], boundary: Document) -> Iterator[Finding]:
    """GR04: a grant of which the boundary lets nothing through."""
    for policy in attached:
        names = granted_roles(policy.document)
        if names and contains(policy.document, (), account.number, boundary=boundary).verdict == "proved":
            shown = listed(map(short_name, names))
            message = f"The permissions boundary does not let {shown} be passed: the grant is void."
            yield Finding("GR04", "note", message, "Leave the grant out, or have the boundary widened.", policy.place)
