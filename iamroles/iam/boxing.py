"""From statements to boxes under one reading, with what makes an answer less than certain noted on the way.

Principals are read by polarity: what the reference denies or excludes as wide as it can be, what the new policies deny
or exclude as narrow, Allows exactly (POLICY.md part 3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from iamroles.iam import catalogue
from iamroles.iam.boxes import ACTION, KEY, PRINCIPAL, RESOURCE, Box, Test, box
from iamroles.iam.documents import Document
from iamroles.iam.patterns import Builder, Pattern, atom, glob, literal
from iamroles.iam.statements import ARN_OPERATORS, Condition, Statement, ascii_lower

Width = Literal["allow", "wide", "exact"]

_ROOT = re.compile(r"arn:[^:]*:iam::([0-9]{12}):root", re.ASCII)
_ROLE = re.compile(r"(arn:[^:]*):iam::([0-9]{12}):role/(?:.*/)?([^/]+)", re.DOTALL)
ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)


@dataclass(frozen=True)
class Reading:
    """How texts are read where AWS leaves two ways: wildcards that cross colons, empty members that do not count."""

    crossing: bool = False
    ignore_empty: bool = False


FIRST = Reading()


class Boxing:
    """Turns statements into boxes. `doubts` collects why no answer about them can be better than maybe."""

    def __init__(
        self,
        reading: Reading = FIRST,
        *,
        values: Mapping[str, str] | None = None,
        ids: Mapping[str, str] | None = None,
    ) -> None:
        self.builder = Builder(crossing=reading.crossing, values=values)
        self.reading = reading
        self.ids = ids or {}
        self.doubts: dict[str, None] = {}

    def allows(self, documents: Iterable[Document], excluded: Width = "exact") -> list[Box]:
        """Returns a box for each Allow; `excluded` is how NotPrincipal reads: "wide" where too large would be wrong."""
        return [self.one(s, d, excluded) for d in documents for s in d.statements if s.effect == "Allow"]

    def denies(self, documents: Iterable[Document], width: Width) -> list[Box]:
        """Returns a box for each Deny."""
        return [self._box(s, d, width) for d in documents for s in d.statements if s.effect == "Deny"]

    def one(self, statement: Statement, document: Document, excluded: Width = "exact") -> Box:
        """Returns the box of a single Allow of the document."""
        return self._box(statement, document, excluded if statement.not_principals else "allow")

    def _box(self, statement: Statement, document: Document, width: Width) -> Box:
        tests = [
            Test(ACTION, "word", not statement.not_actions, frozenset(map(self.builder.action, statement.actions)))
        ]
        if statement.resources:
            found = (self.builder.resource(one, document.version) for one in statement.resources)
            tests.append(Test(RESOURCE, "word", not statement.not_resources, _present(found)))
        if statement.principals:
            tests.append(self._principals(statement, width))
        tests += [self._condition(one, document) for one in statement.conditions if not _always(one)]
        return box(tests)

    def _principals(self, statement: Statement, width: Width) -> Test:
        if statement.not_principals and statement.effect == "Deny":
            self.doubts["NotPrincipal in a Deny cannot be modelled"] = None
        patterns: set[Pattern] = set()
        for kind, name in statement.principals:
            patterns |= _principal(kind, self.ids.get(name, name), width)
        return Test(PRINCIPAL, "word", not statement.not_principals, frozenset(patterns))

    def _condition(self, condition: Condition, document: Document) -> Test:
        operator = condition.operator
        dimension = KEY + condition.key
        if document.kind == "trust" and catalogue.is_principal_key(condition.key):
            self.doubts[f"AWS derives {condition.written} from the principal"] = None
        if operator.base == "Null":
            return Test(dimension, "null", positive=condition.values[0] == "true")
        if catalogue.is_list_key(condition.key) and not operator.qualifier:
            self.doubts[f"{condition.written} is a list, and {condition.name} is made for single values"] = None
        patterns = _present(self._value(condition, value, document.version) for value in condition.values)
        if operator.base in ARN_OPERATORS and self.builder.found_short_arn:
            self.doubts[f"{condition.written} is compared with a pattern of fewer than six segments"] = None
        positive = not operator.negated
        if operator.qualifier == "all":
            if self.reading.ignore_empty:
                patterns = _with_empty(patterns) if positive else _without_empty(patterns)
            return Test(dimension, "all", positive, patterns, absent=True)
        if operator.qualifier == "any":
            return Test(dimension, "any", positive, patterns, absent=operator.if_exists)
        if positive:
            return Test(dimension, "any", positive, patterns, absent=operator.if_exists)
        return Test(dimension, "all", positive, patterns, absent=True)

    def _value(self, condition: Condition, value: str, version: str) -> Pattern | None:
        base = condition.operator.base
        if base == "StringLike":
            return self.builder.like(value, version)
        if base == "StringEquals":
            return self.builder.equals(value, version)
        if base == "StringEqualsIgnoreCase":
            return self.builder.equals(value, version, ignore_case=True)
        if base in ARN_OPERATORS:
            return self.builder.arn(value, version)
        if base == "Bool":
            return Builder().equals(ascii_lower(value), "", ignore_case=True)
        return atom(f"{base} {value}")


def _always(condition: Condition) -> bool:
    """True for Null with both values, which every call passes."""
    return condition.operator.base == "Null" and set(condition.values) == {"true", "false"}


def _present(found: Iterable[Pattern | None]) -> frozenset[Pattern]:
    return frozenset(one for one in found if one is not None)


def _with_empty(patterns: frozenset[Pattern]) -> frozenset[Pattern]:
    return patterns | {literal("")}


def _without_empty(patterns: frozenset[Pattern]) -> frozenset[Pattern]:
    """The patterns without the empty word, which only a star or an empty pattern matches."""
    kept = set()
    for one in patterns:
        if one.atom or one.shortest:
            kept.add(one)
        elif one.elements:
            kept.add(Pattern((one.elements[0]._replace(star=False), *one.elements), one.text, one.identity))
    return frozenset(kept)


def _principal(kind: str, name: str, width: Width) -> set[Pattern]:
    if kind != "AWS" or (name != "*" and "*" in name):
        text = f"{kind}:{name}"
        # AWS refuses other wildcards, or may one day read them: then they stand for anything, or for nothing.
        return {Pattern(glob(text).elements, text, text)} if "*" in name else {literal(text)}
    if name == "*":
        return {glob("*")} if width == "wide" else {glob("AWS:*")}
    if ACCOUNT.fullmatch(name):
        name = f"arn:aws:iam::{name}:root"
    patterns = {literal(f"AWS:{name}")}
    if width == "exact":
        return patterns
    root = _ROOT.fullmatch(name)
    if root and width == "wide":
        made = Builder().resource(f"arn:*:*:*:{root.group(1)}:*", "")
        assert made is not None  # noqa: S101  (a pattern without variables always is one)
        patterns.add(Pattern((*literal("AWS:").elements, *made.elements), f"AWS:{made.text}"))
    role = _ROLE.fullmatch(name)
    if role:
        start = f"AWS:{role.group(1)}:sts::{role.group(2)}:assumed-role/{role.group(3)}/"
        patterns.add(Pattern((*literal(start).elements, *glob("?*").elements), f"{start}?*"))
    return patterns


def domain(*, trust: bool, account: str | None) -> list[Box]:
    """Returns the boxes of everything that may be asked: well-formed actions, resources and principals.

    With an account, `iam:` actions reach only ARNs of that account, of `aws`, and the literal `*`.
    """
    actions = Test(ACTION, "word", positive=True, domain=True, patterns=frozenset({_two_parts()}))
    if trust:
        kinds = frozenset(
            {_aws_arn(), *(glob(f"{kind}:?*") for kind in ("Service", "AWS", "Federated", "CanonicalUser"))}
        )
        return [box([actions, Test(PRINCIPAL, "word", positive=True, domain=True, patterns=kinds)])]
    everything = Test(RESOURCE, "word", positive=True, domain=True, patterns=frozenset({literal("*"), _arn("*")}))
    if account is None:
        return [box([actions, everything])]
    iam = frozenset({glob("iam:?*")})
    own = frozenset({literal("*"), _arn(account), _arn("aws")})
    return [
        box([actions, everything, Test(ACTION, "word", positive=False, domain=True, patterns=iam)]),
        box(
            [
                actions,
                Test(ACTION, "word", positive=True, domain=True, patterns=iam),
                Test(RESOURCE, "word", positive=True, domain=True, patterns=own),
            ]
        ),
    ]


def _two_parts() -> Pattern:
    one, many = glob("?").elements[0]._replace(colon=False), glob("*").elements[0]._replace(colon=False)
    return Pattern((one, many, *literal(":").elements, one, many), "?*:?*")


def _arn(account: str) -> Pattern:
    made = Builder().resource(f"arn:?*:?*:*:{account}:?*", "")
    assert made is not None  # noqa: S101  (a pattern without variables always is one)
    return made


def _aws_arn() -> Pattern:
    made = _arn("*")
    return Pattern((*literal("AWS:").elements, *made.elements), f"AWS:{made.text}")
