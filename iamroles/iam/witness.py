"""From a leftover box to one AWS call that a person can read, confirmed by the evaluator where that is possible.

The question that was asked is a value here too, because confirming means asking it again of single calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from iamroles.iam import catalogue
from iamroles.iam.boxes import ACTION, KEY, PRINCIPAL, RESOURCE, Box, Boxes, Test
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import Request, evaluate
from iamroles.iam.patterns import Builder, literal

Width = Literal["wide", "exact"]
_SWAPPED: tuple[tuple[Width, Width], ...] = (("exact", "wide"), ("wide", "exact"))


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


def confirmed(question: Question, piece: Box, boxes: Boxes, values: Mapping[str, str]) -> Request | None:
    """The plausible call, if the evaluator says that new allows it and the reference does not; for trust policies also
    with the two ways of reading a Deny's principals swapped. None otherwise.
    """
    witness = plausible(question, piece, boxes, values)
    if witness is None:
        return None
    for narrow, wide in _SWAPPED if question.trust else _SWAPPED[:1]:
        if not evaluate(question.new, question.boundary, witness, ids=question.ids, denied_principals=narrow).allowed:
            return None
        if evaluate(question.reference, None, witness, ids=question.ids, denied_principals=wide).allowed:
            return None
    return witness


def plausible(question: Question, piece: Box, boxes: Boxes, values: Mapping[str, str]) -> Request | None:
    """The call out of a piece, unconfirmed: all there is under the second reading, which the evaluator does not have.

    None when the piece rests on an operator that is not modelled, or on an account root beside one of its principals.
    """
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
    action = _known_action(piece, boxes)
    resource = _likely_resource(piece, boxes, action) if RESOURCE in piece.tests else "*"
    principal = None
    if PRINCIPAL in piece.tests:
        kind, _, name = str(boxes.value(piece.of(PRINCIPAL))).partition(":")
        principal = (kind, name)
        if _delegated(question, principal):
            return None
    return Request(action, resource, dict(sorted(context.items())), principal)


def _known_action(piece: Box, boxes: Boxes) -> str:
    """An action of the piece, if possible one that a person knows, in its own spelling."""
    known = catalogue.actions()
    names = Test(ACTION, "word", positive=True, patterns=frozenset(map(literal, known)))
    found = boxes.value(piece.of(ACTION) | {names}) or boxes.value(piece.of(ACTION))
    return known[str(found)].name if found in known else str(found)


def _likely_resource(piece: Box, boxes: Boxes, action: str) -> str:
    """A resource of the piece, if possible an ARN of the action's own service."""
    pattern = Builder().resource(f"arn:aws:{action.partition(':')[0]}:*:*:?*", "")
    tests = piece.of(RESOURCE)
    if pattern is not None:
        likely = boxes.value(tests | {Test(RESOURCE, "word", positive=True, patterns=frozenset({pattern}))})
        if likely:
            return str(likely)
    return str(boxes.value(tests))


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
