"""Does one set of policies allow anything that another does not? Proved, refuted by a confirmed call, or not known.

Only "proved" is green. A counterexample is an AWS call that `evaluate`, which shares no matching code, has confirmed.
What variables, readings or unmodelled operators leave open is "maybe"; a budget that ran out is "unknown".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from iamroles.iam.boxes import KEY, Box, Boxes, Test, box
from iamroles.iam.boxing import FIRST, Boxing, Reading, domain
from iamroles.iam.documents import Document
from iamroles.iam.emptiness import DEFAULT, Budget, OutOfBudget
from iamroles.iam.evaluate import Request
from iamroles.iam.guesses import guesses
from iamroles.iam.patterns import literal
from iamroles.iam.regions import Region, regions_of
from iamroles.iam.statements import parts, variables
from iamroles.iam.witness import Question, confirmed, plausible, root_beside_exceptions

Word = Literal["proved", "counterexample", "maybe", "unknown"]
Policies = Document | Sequence[Document]
_BOTH: tuple[Literal["any", "all"], ...] = ("any", "all")

__all__ = ["DEFAULT", "Budget", "Policies", "Question", "Verdict", "Word", "contains", "leftovers", "other_readings"]


@dataclass(frozen=True)
class Verdict:
    """`witness` is a call that new allows and the reference does not; `regions` is all that was not proved inside."""

    verdict: Word
    witness: Request | None = None
    regions: tuple[Region, ...] = ()
    reason: str = ""


def contains(
    new: Policies,
    reference: Policies,
    account: str | None = None,
    *,
    boundary: Document | None = None,
    ids: Mapping[str, str] | None = None,
    budget: Budget = DEFAULT,
) -> Verdict:
    """Returns whether everything that `new` (within `boundary`) allows is allowed by `reference` too.

    Several documents are a union. Raises ValueError when trust and identity policies are mixed. Never raises for a
    budget: that is the verdict "unknown" with the reason.
    """
    question = Question(_listed(new), _listed(reference), account, boundary, ids)
    if len({document.kind for document in question.documents}) > 1:
        raise ValueError("Trust policies are compared with trust policies only.")
    if boundary is None and set(question.new) == set(question.reference):
        return Verdict("proved", reason="both mean the same, statement for statement")
    mixed = _mixed_key(question)
    if mixed:
        return Verdict("unknown", reason=f"{mixed} is tested with and without ForAnyValue or ForAllValues")
    try:
        return _verdict(question, budget)
    except OutOfBudget as error:
        return Verdict("unknown", reason=str(error))


def _listed(policies: Policies) -> tuple[Document, ...]:
    return (policies,) if isinstance(policies, Document) else tuple(policies)


def _verdict(question: Question, budget: Budget) -> Verdict:
    search = _Search(question, FIRST, budget)
    first = search.verdict()
    for reading, name in other_readings(question):
        if _Search(question, reading, budget).verdict().verdict != first.verdict:
            first = Verdict("maybe", reason=f"depends on how {name} is read")
            break
    if first.verdict == "proved":
        return first
    try:
        return replace(first, regions=search.regions())
    except OutOfBudget as error:
        return replace(first, reason=first.reason or f"not every region was worked out: {error}")


class _Search:
    """One question under one reading: pieces are looked for one by one, so that the first confirmed call ends it."""

    def __init__(self, question: Question, reading: Reading, budget: Budget) -> None:
        self._question = question
        self._reading = reading
        self._boxes = Boxes(budget)
        self._boxing = Boxing(reading, ids=question.ids)
        handing = root_beside_exceptions(question)
        if handing:
            self._boxing.doubts[f"AWS account {handing} may hand its right to those that are left out"] = None
        self._found: list[Box] = []
        self._more = leftovers(question, self._boxing, self._boxes)

    def verdict(self) -> Verdict:
        """Returns the verdict without regions. Raises `OutOfBudget`."""
        for piece in self._more:
            self._found.append(piece)
            if self._boxing.doubts:
                break
            witness = self._call(piece, self._boxes, {})
            if witness is not None:
                return Verdict("counterexample", witness)
        if self._boxing.doubts:
            return Verdict("maybe", reason=next(iter(self._boxing.doubts)))
        return self._with_values() if self._found else Verdict("proved")

    def regions(self) -> tuple[Region, ...]:
        """Returns all regions. Raises `OutOfBudget`."""
        self._found.extend(self._more)
        return regions_of(self._found, self._boxes)

    def _call(self, piece: Box, boxes: Boxes, values: Mapping[str, str]) -> Request | None:
        confirm = confirmed if self._reading == FIRST else plausible
        return confirm(self._question, piece, boxes, values)

    def _with_values(self) -> Verdict:
        """Nothing was confirmed as it stands: tries the variables with shared values, then says why it stays open."""
        keys = sorted({v.key for document in self._question.documents for v in _variables(document)})
        if not keys:
            return Verdict("maybe", reason=_why_open(self._found))
        for values in guesses(keys, self._found, self._boxes):
            boxing = Boxing(self._reading, values=values, ids=self._question.ids)
            for piece in leftovers(self._question, boxing, self._boxes, _fixing(keys, values)):
                witness = self._call(piece, self._boxes, values)
                if witness is not None:
                    return Verdict("counterexample", witness)
        return Verdict("maybe", reason=f"depends on what ${{{keys[0]}}} stands for")


def _fixing(keys: Sequence[str], values: Mapping[str, str]) -> list[Test]:
    """The tests that give each variable's key its value, or none at all."""
    tests = []
    for key in keys:
        if key in values:
            only = frozenset({literal(values[key])})
            tests += [Test(KEY + key, quantifier, positive=True, patterns=only) for quantifier in _BOTH]
        else:
            tests.append(Test(KEY + key, "null", positive=True))
    return tests


def leftovers(question: Question, boxing: Boxing, boxes: Boxes, extra: Sequence[Test] = ()) -> Iterator[Box]:
    """Yields disjoint boxes: what new allows, its boundary too, and the reference denies or does not allow.

    `extra` tests limit what is asked for. Raises `OutOfBudget`.
    """
    bounded = () if question.boundary is None else (question.boundary,)
    denied = boxing.denies((*question.new, *bounded), "exact")
    refused = boxing.denies(question.reference, "wide")
    allowed = boxing.allows(question.reference, "wide")
    limits = boxing.allows(bounded) if bounded else [box(())]
    asked = domain(trust=question.trust, account=question.account)
    for start in boxing.allows(question.new):
        if boxes.empty(start):
            continue
        for outer in asked:
            for limit in limits:
                met = boxes.meet(start, outer)
                met = met and boxes.meet(met, limit)
                met = met and boxes.meet(met, box(extra))
                if met is None:
                    continue
                rest = boxes.subtract_all([met], denied)
                for refusal in refused:
                    yield from (found for one in rest if (found := boxes.meet(one, refusal)) is not None)
                    rest = boxes.subtract_all(rest, [refusal])
                yield from boxes.subtract_all(rest, allowed)


def _why_open(left: list[Box]) -> str:
    for piece in left:
        for test in piece.all_tests():
            for pattern in test.patterns:
                if pattern.atom:
                    return f"{pattern.identity.split()[0]} is not modelled"
    return "the evaluator did not confirm the counterexample"


def _variables(document: Document) -> Iterator[Any]:
    for statement in document.statements:
        for text in statement.resources:
            yield from variables(text, document.version)
        for condition in statement.conditions:
            if condition.operator.takes_variables:
                for text in condition.values:
                    yield from variables(text, document.version)


def _mixed_key(question: Question) -> str:
    seen: dict[str, bool] = {}
    for document in question.documents:
        for statement in document.statements:
            for condition in statement.conditions:
                if condition.operator.base == "Null":
                    continue
                qualified = bool(condition.operator.qualifier)
                if seen.setdefault(condition.key, qualified) != qualified:
                    return condition.written
    return ""


def other_readings(question: Question) -> Iterator[tuple[Reading, str]]:
    """Yields the readings beside the first that can change an answer, each with what it reads in another way."""
    wild = next(_crossable(question), "")
    every = any(
        condition.operator.qualifier == "all"
        for document in question.documents
        for statement in document.statements
        for condition in statement.conditions
    )
    if wild:
        yield Reading(crossing=True), f"a wildcard ({wild})"
    if every:
        yield Reading(ignore_empty=True), "an empty string in ForAllValues"
    if wild and every:
        yield Reading(crossing=True, ignore_empty=True), f"a wildcard ({wild}) or an empty string"


def _crossable(question: Question) -> Iterator[str]:
    """The resource patterns that the two readings of wildcards tell apart."""
    for document in question.documents:
        for statement in document.statements:
            for text in statement.resources:
                written = "".join(one for one in parts(text, document.version) if isinstance(one, str))
                head = written.split(":", 5)[:5]
                if text != "*" and (written.count(":") < 5 or any(sign in part for part in head for sign in "*?")):
                    yield text
