"""What every check stands on: which of a document's effects lie in a question, and whether the standard gives them.

A question that runs out of budget counts as answered with yes, and the finding then says "possibly".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from iamroles.iam.boxes import ACTION, KEY, PRINCIPAL, RESOURCE, Box, Boxes, Test, box
from iamroles.iam.boxing import FIRST, Boxing, Reading, domain
from iamroles.iam.checks.facts import Finding, LintFacts, Severity
from iamroles.iam.documents import Document
from iamroles.iam.emptiness import Budget, OutOfBudget
from iamroles.iam.patterns import Builder, Pattern, glob, literal
from iamroles.iam.statements import Statement, ascii_lower

ANY_ACCOUNT = "111122223333"  # AWS's example account, where the caller names none


def action(*names: str) -> Test:
    """Returns the test that the action is one of these; `*` stands for any letters."""
    return Test(ACTION, "word", positive=True, patterns=frozenset(glob(ascii_lower(name)) for name in names))


def no_action(*names: str) -> Test:
    """Returns the test that the action is none of these."""
    return action(*names).opposite()


def resource(*patterns: str) -> Test:
    """Returns the test that the resource is one of these patterns; `*` alone is the literal star."""
    return Test(RESOURCE, "word", positive=True, patterns=frozenset(_resource(one) for one in patterns))


def no_resource(*patterns: str) -> Test:
    """Returns the test that the resource is none of these."""
    return resource(*patterns).opposite()


def _resource(text: str) -> Pattern:
    if text == "*":
        return literal("*")
    made = Builder().resource(text, "")
    if made is None:
        raise ValueError(f"{text!r} matches nothing")
    return made


def principal(*patterns: str) -> Test:
    """Returns the test that the principal is one of these, written `AWS:…` or `Service:…`."""
    return Test(PRINCIPAL, "word", positive=True, patterns=frozenset(glob(one) for one in patterns))


def key_is(key: str, *values: str) -> list[Test]:
    """Returns the tests that the key is there with one of these values (wildcards allowed) and nothing else."""
    patterns = frozenset(glob(value) for value in values)
    dimension = KEY + ascii_lower(key)
    return [Test(dimension, quantifier, positive=True, patterns=patterns) for quantifier in ("any", "all")]


def key_outside(key: str, *values: str) -> list[Test]:
    """Returns the tests that the key is there and none of its members is among these values."""
    patterns = frozenset(glob(value) for value in values)
    dimension = KEY + ascii_lower(key)
    return [Test(dimension, "all", positive=False, patterns=patterns)]


def key_absent(key: str) -> Test:
    """Returns the test that the key is absent."""
    return Test(KEY + ascii_lower(key), "null", positive=True)


@dataclass(frozen=True)
class Reach:
    """The effects that lie in a question; `possibly` when variables or a budget leave it open."""

    boxes: tuple[Box, ...] = ()
    possibly: bool = False

    def __bool__(self) -> bool:
        return bool(self.boxes) or self.possibly


class Ground:
    """The document under test, what else the role holds if asked for, and the facts."""

    def __init__(self, document: Document, account: str | None, facts: LintFacts, budget: Budget) -> None:
        self.document = document
        self.documents: tuple[Document, ...] = (document,)
        self.known_account = account
        self.account = account or ANY_ACCOUNT
        self.facts = facts
        self.budget = budget
        self._boxing = Boxing()
        self._boxes = Boxes(budget)
        self._domain = domain(trust=document.kind == "trust", account=account)
        self._anywhere = domain(trust=document.kind == "trust", account=None)
        self._text = document.given
        self._known_starts: dict[tuple[tuple[Statement, ...] | None, bool], list[Box]] = {}
        self._known_boxes: dict[Reading, tuple[Boxing, dict[int, tuple[Box, Box]]]] = {}
        self._known_denied: list[Box] | None = None
        self._known_given: dict[tuple[Document, ...], tuple[Boxing, list[Box], list[Box]]] = {}

    def with_rest(self) -> Ground:
        """Returns the ground of the union with the other documents of the role."""
        union = Ground(self.document, self.known_account, self.facts, self.budget)
        union.documents = (self.document, *(one for one in self.facts.rest if one.kind == self.document.kind))
        return union

    def fresh(self, name: str) -> str:
        """Returns a name that the document does not mention."""
        while name in self._text:
            name += "9"
        return name

    def allows(self) -> list[Statement]:
        """Returns the Allow statements of the document under test."""
        return [statement for statement in self.document.statements if statement.effect == "Allow"]

    def reach(
        self, tests: Iterable[Test], statements: Sequence[Statement] | None = None, *, anywhere: bool = False
    ) -> Reach:
        """Returns what the documents, or only these statements of the first, allow within the tests.

        `anywhere` asks about `iam:` actions in every AWS account, not only in the one under test.
        """
        question = box(tests)
        try:
            self._boxes.emptiness.ask_stop()
            found: list[Box] = []
            for start in self._starts(statements, anywhere=anywhere):
                met = self._boxes.meet(start, question)
                if met is not None:
                    found += self._boxes.subtract_all([met], self._denied())
        except OutOfBudget:
            return Reach((), possibly=True)
        open_ones = [any(p.uncertain for test in one.all_tests() for p in test.patterns) for one in found]
        return Reach(tuple(found), possibly=bool(found) and all(open_ones))

    def example_resource(self, tests: Iterable[Test], statements: Sequence[Statement]) -> str | None:
        """Returns one resource that the statements reach within the tests, or None when it is not known."""
        for piece in self.reach(tests, statements).boxes:
            word = self._boxes.value(piece.of(RESOURCE))
            if isinstance(word, str):
                return word
        return None

    def _starts(self, statements: Sequence[Statement] | None, *, anywhere: bool) -> list[Box]:
        """What is allowed inside the domain, before any question: made once, as every check asks of the same boxes."""
        key = (None if statements is None else tuple(statements), anywhere)
        if key not in self._known_starts:
            if statements is None:
                allowed = self._boxing.allows(self.documents)
            else:
                allowed = [self._boxing.one(statement, self.document) for statement in statements]
            asked = self._anywhere if anywhere else self._domain
            inside = [self._boxes.meet(one, outer) for one in allowed if not self._boxes.empty(one) for outer in asked]
            self._known_starts[key] = [one for one in inside if one is not None]
        return self._known_starts[key]

    def _denied(self) -> list[Box]:
        if self._known_denied is None:
            self._known_denied = self._boxing.denies(self.documents, "exact")
        return self._known_denied

    def standard_gives(self, boxes: Iterable[Box]) -> bool:
        """Returns True when the standard's documents of this kind are proved to allow all of the boxes."""
        pieces = list(boxes)
        if not self.facts.standard or not pieces:
            return False
        boxing, denied, allowed = self._given(self.facts.standard)
        try:
            for refused in denied:
                if any(self._boxes.meet(piece, refused) is not None for piece in pieces):
                    return False
            left = self._boxes.subtract_all(pieces, allowed)
        except OutOfBudget:
            return False
        return not left and not boxing.doubts

    def _given(self, given: tuple[Document, ...]) -> tuple[Boxing, list[Box], list[Box]]:
        """What documents of this kind at least deny and at least allow, made once as every finding asks for it."""
        if given not in self._known_given:
            boxing = Boxing()
            same_kind = [one for one in given if one.kind == self.document.kind]
            self._known_given[given] = (boxing, boxing.denies(same_kind, "wide"), boxing.allows(same_kind, "wide"))
        return self._known_given[given]

    def shadowed(self, statement: Statement) -> bool:
        """Returns True when the document's other Allows are proved to allow all of a statement, in both readings."""
        try:
            for reading in (FIRST, Reading(crossing=True)):
                boxing, boxes = self._boxed(reading)
                start = boxes[statement.index][0]
                inside = [self._boxes.meet(start, outer) for outer in self._anywhere]
                others = [one for index, (_, one) in boxes.items() if index != statement.index]
                left = self._boxes.subtract_all([one for one in inside if one is not None], others)
                if left or boxing.doubts:
                    return False
        except OutOfBudget:
            return False
        return True

    def _boxed(self, reading: Reading) -> tuple[Boxing, dict[int, tuple[Box, Box]]]:
        """The document's Allows by position, made once a reading: at most and at least what they allow."""
        if reading not in self._known_boxes:
            self._boxes.emptiness.ask_stop()
            boxing = Boxing(reading)
            found = {
                one.index: (boxing.one(one, self.document), boxing.one(one, self.document, "wide"))
                for one in self.allows()
            }
            self._known_boxes[reading] = (boxing, found)
        return self._known_boxes[reading]

    def beyond(self, statement: Statement) -> Reach:
        """Returns what the statement allows outside the standard and the needs."""
        reach = self.reach([], [statement], anywhere=True)
        _, _, allowed = self._given((*self.facts.standard, *self.facts.needs))
        try:
            return Reach(tuple(self._boxes.subtract_all(reach.boxes, allowed)), reach.possibly)
        except OutOfBudget:
            return Reach((), possibly=True)

    def finding(
        self,
        rule: str,
        severity: Severity,
        statement: Statement | None,
        message: str,
        fix: str,
        *reaches: Reach,
        will_not_work: bool = False,
    ) -> Finding:
        """Returns the finding; with reaches it says "possibly" where open, and folds what the standard gives."""
        if reaches and all(one.possibly for one in reaches):
            message = f"Possibly: {message}"
        boxes = [piece for one in reaches for piece in one.boxes]
        folded = not will_not_work and not any(one.possibly for one in reaches) and self.standard_gives(boxes)
        index = None if statement is None else statement.index
        return Finding(rule, severity, will_not_work, index, message, fix, standard=folded)
