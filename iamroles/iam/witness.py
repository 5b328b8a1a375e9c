"""From a leftover box to one AWS call that a person can read, confirmed by the evaluator where that is possible.

The question that was asked is a value here too, because confirming means asking it again of single calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from iamroles.iam import catalogue
from iamroles.iam.boxes import ACTION, KEY, PRINCIPAL, RESOURCE, Box, Boxes, Test
from iamroles.iam.boxing import ACCOUNT
from iamroles.iam.documents import Document, DocumentError
from iamroles.iam.evaluate import Request, evaluate
from iamroles.iam.patterns import Builder
from iamroles.iam.statements import Statement

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
    try:
        held = all(_holds(question, witness, boxes, *swap) for swap in (_SWAPPED if question.trust else _SWAPPED[:1]))
    except DocumentError as error:
        if error.code != "too_large":
            raise
        return None  # too long to be compared, or out of time: not confirmed
    return witness if held else None


def _holds(question: Question, call: Request, boxes: Boxes, narrow: Width, wide: Width) -> bool:
    stop, ids = boxes.budget.stop, question.ids
    if not evaluate(question.new, question.boundary, call, ids=ids, denied_principals=narrow, stop=stop).allowed:
        return False
    return not evaluate(question.reference, None, call, ids=ids, denied_principals=wide, stop=stop).allowed


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
    tests = sorted(piece.of(ACTION), key=lambda test: test.domain)  # those that say most first
    for name, action in catalogue.actions().items():
        if all(test.positive == any(one.matches(name) for one in test.patterns) for test in tests):
            return action.name
    return str(boxes.value(piece.of(ACTION)))


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
    account = _account_of(principal[1])
    if principal[0] != "AWS" or not account:
        return False
    named = [name for s in _statements(question.reference, "Allow") for name in _aws_names(question, s)]
    beside = [name for name in named if _account_of(name) == account]
    return bool(beside) if _is_root(principal[1]) else any(map(_is_root, beside))


def root_beside_exceptions(question: Question) -> str:
    """The AWS account whose root new lets in, while the reference leaves single principals of the account out; else ''.

    The root may hand its right to exactly those.
    """
    let_in = {
        _account_of(name)
        for statement in _statements(question.new, "Allow")
        if not statement.not_principals
        for name in _aws_names(question, statement)
        if _is_root(name)
    }
    left_out = [
        *_statements(question.reference, "Deny"),
        *(one for one in _statements(question.reference, "Allow") if one.not_principals),
    ]
    names = (name for statement in left_out for name in _aws_names(question, statement) if not _is_root(name))
    return next((account for account in map(_account_of, names) if account in let_in), "")


def _statements(policies: Iterable[Document], effect: str) -> Iterator[Statement]:
    return (one for document in policies for one in document.statements if one.effect == effect)


def _aws_names(question: Question, statement: Statement) -> Iterator[str]:
    ids = question.ids or {}
    return (ids.get(name, name) for kind, name in statement.principals if kind == "AWS")


def _account_of(name: str) -> str:
    return name if ACCOUNT.fullmatch(name) else "".join(name.split(":", 5)[4:5])


def _is_root(name: str) -> bool:
    return ACCOUNT.fullmatch(name) is not None or name.split(":", 5)[5:] == ["root"]
