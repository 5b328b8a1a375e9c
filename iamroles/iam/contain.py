"""Does one set of policies allow anything that another does not? Proved, refuted by a confirmed call, or not known.

Only "proved" is green. A counterexample is an AWS call that `evaluate`, which shares no matching code, has confirmed.
What variables, readings or unmodelled operators leave open is "maybe"; a budget that ran out is "unknown".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from iamroles.iam.boxes import ACTION, KEY, PRINCIPAL, RESOURCE, Box, Boxes, Test, box
from iamroles.iam.boxing import FIRST, Boxing, Reading, domain
from iamroles.iam.documents import Document
from iamroles.iam.emptiness import DEFAULT, Budget, OutOfBudget
from iamroles.iam.evaluate import Request, evaluate
from iamroles.iam.guesses import guesses
from iamroles.iam.patterns import literal
from iamroles.iam.regions import Region, regions_of
from iamroles.iam.statements import variables

Word = Literal["proved", "counterexample", "maybe", "unknown"]
Policies = Document | Sequence[Document]
Width = Literal["wide", "exact"]
_SWAPPED: tuple[tuple[Width, Width], ...] = (("exact", "wide"), ("wide", "exact"))

__all__ = ["DEFAULT", "Budget", "Policies", "Question", "Verdict", "Word", "contains", "leftovers"]


@dataclass(frozen=True)
class Verdict:
    """`witness` is a call that new allows and the reference does not; `regions` is all that was not proved inside."""

    verdict: Word
    witness: Request | None = None
    regions: tuple[Region, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Question:
    """What is asked: the policies, the boundary of new, the account that limits `iam:` actions, ids of principals."""

    new: tuple[Document, ...]
    reference: tuple[Document, ...]
    account: str | None = None
    boundary: Document | None = None
    ids: Mapping[str, str] | None = None

    @property
    def documents(self) -> tuple[Document, ...]:
        """Every document of the question."""
        bounded = () if self.boundary is None else (self.boundary,)
        return (*self.new, *bounded, *self.reference)

    @property
    def trust(self) -> bool:
        """True when trust policies are compared."""
        return any(document.kind == "trust" for document in self.documents)


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
        return _verdict(question, Boxes(budget))
    except OutOfBudget as error:
        return Verdict("unknown", reason=str(error))


def _listed(policies: Policies) -> tuple[Document, ...]:
    return (policies,) if isinstance(policies, Document) else tuple(policies)


def _verdict(question: Question, boxes: Boxes) -> Verdict:
    first = _ask(question, FIRST, boxes)
    answer = first
    for reading, name in _other_readings(question):
        other = _ask(question, reading, Boxes(boxes.budget))
        if other.verdict != first.verdict:
            answer = Verdict("maybe", None, first.regions or other.regions, f"depends on how {name} is read")
            break
    return answer


def _ask(question: Question, reading: Reading, boxes: Boxes) -> Verdict:
    boxing = Boxing(reading, ids=question.ids)
    left = list(leftovers(question, boxing, boxes))
    doubt = next(iter(boxing.doubts), "")
    if not left:
        return Verdict("maybe" if doubt else "proved", reason=doubt)
    regions = regions_of(left, boxes)
    if doubt:
        return Verdict("maybe", None, regions, doubt)
    confirm = _confirmed if reading == FIRST else _plausible
    for piece in left:
        witness = confirm(question, piece, boxes, {})
        if witness is not None:
            return Verdict("counterexample", witness, regions)
    return _with_values(question, reading, boxes, left, regions)


def leftovers(question: Question, boxing: Boxing, boxes: Boxes, extra: Sequence[Test] = ()) -> Iterator[Box]:
    """Yields disjoint boxes: what new allows, its boundary too, and the reference denies or does not allow.

    `extra` tests limit what is asked for. Raises `OutOfBudget`.
    """
    bounded = () if question.boundary is None else (question.boundary,)
    denied = boxing.denies((*question.new, *bounded), "exact")
    refused = boxing.denies(question.reference, "wide")
    allowed = boxing.allows(question.reference)
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


def _with_values(
    question: Question, reading: Reading, boxes: Boxes, left: list[Box], regions: tuple[Region, ...]
) -> Verdict:
    """Nothing was confirmed as it stands: tries the variables with shared values, then says why it stays open."""
    keys = sorted({v.key for document in question.documents for v in _variables(document)})
    if not keys:
        return Verdict("maybe", None, regions, _why_open(left))
    for values in guesses(keys, left, boxes):
        tests = [
            Test(KEY + key, quantifier, positive=True, patterns=frozenset({literal(values[key])}))
            if key in values
            else Test(KEY + key, "null", positive=True)
            for key in keys
            for quantifier in (("any", "all") if key in values else ("null",))
        ]
        boxing = Boxing(reading, values=values, ids=question.ids)
        for piece in leftovers(question, boxing, boxes, tests):
            confirm = _confirmed if reading == FIRST else _plausible
            witness = confirm(question, piece, boxes, values)
            if witness is not None:
                return Verdict("counterexample", witness, regions)
    return Verdict("maybe", None, regions, f"depends on what ${{{keys[0]}}} stands for")


def _why_open(left: list[Box]) -> str:
    for piece in left:
        for test in piece.all_tests():
            for pattern in test.patterns:
                if pattern.atom:
                    return f"{pattern.identity.split()[0]} is not modelled"
    return "the evaluator did not confirm the counterexample"


def _confirmed(question: Question, piece: Box, boxes: Boxes, values: Mapping[str, str]) -> Request | None:
    """The call out of a piece, if the evaluator says that new allows it and the reference does not, both ways of
    reading Denies; None otherwise, and None when the piece rests on an operator that is not modelled.
    """
    witness = _plausible(question, piece, boxes, values)
    if witness is None:
        return None
    for narrow, wide in _SWAPPED if question.trust else _SWAPPED[:1]:
        if not evaluate(question.new, question.boundary, witness, ids=question.ids, denied_principals=narrow).allowed:
            return None
        if evaluate(question.reference, None, witness, ids=question.ids, denied_principals=wide).allowed:
            return None
    return witness


def _plausible(question: Question, piece: Box, boxes: Boxes, values: Mapping[str, str]) -> Request | None:
    context: dict[str, Any] = {}
    for dimension, tests in piece.tests.items():
        if not dimension.startswith(KEY):
            continue
        found = boxes.value(tests)
        if isinstance(found, tuple):
            if any(pattern.atom for test in tests for pattern in test.patterns):
                return None
            context[dimension.removeprefix(KEY)] = found[0] if len(found) == 1 else found
    context.update(values)
    action = boxes.value(piece.of(ACTION))
    resource = boxes.value(piece.of(RESOURCE)) if RESOURCE in piece.tests else "*"
    principal = None
    if PRINCIPAL in piece.tests:
        kind, _, name = str(boxes.value(piece.of(PRINCIPAL))).partition(":")
        principal = (kind, name)
        if _delegated(question, principal):
            return None
    return Request(str(action), str(resource), dict(sorted(context.items())), principal)


def _delegated(question: Question, principal: tuple[str, str]) -> bool:
    """True when the account root and a principal of the account stand on the two sides: one may hand to the other."""
    pieces = principal[1].split(":")
    if principal[0] != "AWS" or len(pieces) < 6 or not pieces[4]:
        return False
    named = {
        value
        for document in question.reference
        for statement in document.statements
        if statement.effect == "Allow"
        for kind, value in statement.principals
        if kind == "AWS"
    }
    root = f":iam::{pieces[4]}:root"
    if pieces[5] == "root":
        return any(value.split(":")[4:5] == [pieces[4]] for value in named)
    return pieces[4] in named or any(value.endswith(root) for value in named)


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


def _other_readings(question: Question) -> Iterator[tuple[Reading, str]]:
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
                head = text.split(":", 5)[:5]
                if text != "*" and (text.count(":") < 5 or any(sign in part for part in head for sign in "*?")):
                    yield text
