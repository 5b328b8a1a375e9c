"""Findings about one document: risky, useless or doomed parts, with reason and fix (POLICY.md part 8).

The rows that need only the document and given facts live here, in `checks`; what needs the inventory, other roles or
guardrails is `rules.findings`. A question that ran out of budget counts as found and says "possibly".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from iamroles.iam import documents
from iamroles.iam.checks import escalation, form, needs, passrole, reach, trusting
from iamroles.iam.checks.facts import Finding, LintFacts, Severity
from iamroles.iam.checks.ground import Ground, action
from iamroles.iam.documents import Document, DocumentError, Kind
from iamroles.iam.emptiness import DEFAULT, Budget

__all__ = ["Finding", "LintFacts", "Severity", "lint", "reaches", "together"]

_CHECKS = (passrole.check, reach.check, trusting.check, escalation.check, needs.check, form.check)
_MALFORMED = {"too_large": "VA12", "too_deep": "VA12"}


def lint(
    document: Document | str | Mapping[str, Any],
    kind: Kind = "identity",
    account: str | None = None,
    facts: LintFacts | None = None,
    *,
    budget: Budget = DEFAULT,
) -> tuple[Finding, ...]:
    """Returns the findings of a document, each once, in the order of POLICY.md part 8's families.

    A text or mapping that is no document gives one finding (VA11, or VA12 for a bomb) instead of an error.
    """
    if not isinstance(document, Document):
        try:
            document = documents.parse(document, kind)
        except DocumentError as error:
            return (_malformed(error),)
    ground = Ground(document, account, facts or LintFacts(), budget)
    found = tuple(dict.fromkeys(finding for check in _CHECKS for finding in check(ground)))
    return (*found, *_beyond_the_standard(ground, found))


def together(
    several: Sequence[Document], account: str | None = None, facts: LintFacts | None = None, *, budget: Budget = DEFAULT
) -> tuple[Finding, ...]:
    """Returns PE01 to PE03 of what several documents allow together; their Denies count. No statement is named."""
    if not several:
        return ()
    found = escalation.escalations(_union(several, account, facts, budget))
    return tuple(replace(one, statement=None) for one in found)


def reaches(several: Sequence[Document], name: str, account: str | None = None, *, budget: Budget = DEFAULT) -> bool:
    """Returns True when several documents together allow an action on anything, or that could not be excluded."""
    return bool(several) and bool(_union(several, account, None, budget).reach([action(name)]))


def _union(several: Sequence[Document], account: str | None, facts: LintFacts | None, budget: Budget) -> Ground:
    first, *rest = several
    return Ground(first, account, replace(facts or LintFacts(), rest=tuple(rest)), budget).with_rest()


def _beyond_the_standard(ground: Ground, found: tuple[Finding, ...]) -> Iterator[Finding]:
    """ST01, for statements that no finding above note speaks of already."""
    if not ground.facts.needs:
        return
    spoken = {one.statement for one in found if one.severity != "note"}
    for statement in ground.allows():
        reach = ground.beyond(statement)
        if reach and statement.index not in spoken:
            message = "This allows more than the account's standard and what you named need."
            yield ground.finding("ST01", "medium", statement, message, "Drop what is not needed.", reach)


def _malformed(error: DocumentError) -> Finding:
    place = f" ({error.at})" if error.at and error.at not in error.message else ""
    return Finding(
        id=_MALFORMED.get(error.code, "VA11"),
        severity="medium",
        will_not_work=True,
        statement=None,
        message=f"{error.message.rstrip('.')}{place}.",
        fix="Correct the document.",
    )
