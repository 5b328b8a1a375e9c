"""Random policies that reach into the corners of POLICY.md part 3, pairs of them one edit apart, and calls near them.

Everything is drawn from one `random.Random`, so that a seed names a run. The calls come from the texts of the policies
themselves with every wildcard and variable filled in a few ways, because a call that nobody mentions decides nothing.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
Call = dict[str, Any]

ACTIONS = ["s3:Get", "s3:Put", "ec2:Go", "S3:GET", "iam:PassRole"]
ACTION_PATTERNS = ["s3:Get", "S3:gET", "s3:*", "s3:?et", "*", "s3:Put", "ec2:*", "s3:G*", "*:Get", "iam:Pass*"]
RESOURCES = ["*", "arn:aws:s3:::a", "arn:aws:s3:r:1:x/a", "arn:cn:s3:::a", "arn:aws:iam::111122223333:role/a"]
HEADS = [
    "arn:aws:s3:::",
    "arn:aws:s3:::",
    "arn:aws:s3:::",
    "arn:aws:s3:*:*:",
    "arn:*:s3:::",
    "arn:aws:s3:r:1:",
    "arn:aws:s?:::",
]
SHORT = ["*", "arn:aws:s3*", "arn:aws:s3:*", "arn:aws:s3", "arn:*", "arn:?*:s3:::*", "arn:aws:s3:*:b", "arn:*:a", "**"]
TAILS = ["a", "b", "*", "?", "x/", "/", ":", "A", "ab", "${*}"]
MEMBERS = ["", "a", "b", "ab", "A", "c", "aab", "a:b", "AB", "*", "x"]
VALUES = ["a", "b", "*", "?", "ab", "A", "", "${*}", "c", "aB"]
USERS = ["", "a", "ab", "a:b", "b", "x/a", "*", "a" * 9, ":", "/"]
NAMES = ["aws:username", "aws:userid", "k:one"]  # keys that variables name
FILLINGS = ["", "x", "a", ":", "/", "a:b", "ab", "b"]
KEYS = ["k:one", "K:One", "k:two"]
ARN_KEY = "arn:key"
NUMBER_KEY = "n:key"
ARN_VALUES = ["arn:aws:s3:::a", "arn:*:s3:*:*:*", "arn:aws:s3:?:1:?", "arn:aws:s3:::*", "arn:aws:s3:r:1:b"]
ARN_MEMBERS = ["arn:aws:s3:::a", "arn:aws:s3:r:1:b", "arn:aws:s3::1:ab", "a", ""]
STRING_OPERATORS = ["StringEquals", "StringLike", "StringEqualsIgnoreCase"]
NUMERIC_OPERATORS = ["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"]
TRUST_ACTIONS = ["sts:AssumeRole", "sts:*", "*", "sts:TagSession", "sts:Assume*"]
ONE, OTHER = "111122223333", "444455556666"
PRINCIPALS: list[tuple[str, str]] = [
    ("AWS", "*"),
    ("AWS", ONE),
    ("AWS", f"arn:aws:iam::{ONE}:root"),
    ("AWS", f"arn:aws:iam::{ONE}:role/R"),
    ("AWS", f"arn:aws:iam::{ONE}:role/p/R"),
    ("AWS", f"arn:aws:sts::{ONE}:assumed-role/R/s"),
    ("AWS", f"arn:aws:iam::{ONE}:user/U"),
    ("AWS", OTHER),
    ("AWS", "AROAEXAMPLE"),
    ("Service", "a.amazonaws.com"),
    ("Service", "b.amazonaws.com"),
    ("Federated", "f"),
]
ASKING: list[tuple[str, str]] = [
    *((kind, name) for kind, name in PRINCIPALS if name not in ("*", ONE, OTHER, "AROAEXAMPLE")),
    ("AWS", f"arn:aws:sts::{ONE}:assumed-role/R/t"),
    ("AWS", f"arn:aws:iam::{OTHER}:root"),
    ("AWS", f"arn:aws:iam::{OTHER}:role/R"),
]


@dataclass(frozen=True)
class Flavour:
    """What the documents of a run may hold."""

    variables: bool = False
    numbers: bool = False
    trust: bool = False


@dataclass(frozen=True)
class Pair:
    """A question: new within a boundary against a reference, and the dice for its calls."""

    new: Document
    reference: Document
    boundary: Document | None
    flavour: Flavour
    rng: random.Random

    @property
    def documents(self) -> list[Document]:
        return [self.new, self.reference, *([self.boundary] if self.boundary else [])]


def pairs(seed: int, count: int, flavour: Flavour) -> Iterator[Pair]:
    """Yields that many questions, most of them of two policies one edit apart."""
    rng = random.Random(f"{seed} {flavour}")
    for _ in range(count):
        maker = Maker(rng, flavour)
        one = maker.document()
        other = maker.edited(one) if rng.random() < 0.6 else maker.document()
        boundary = maker.document() if rng.random() < 0.2 and not flavour.trust else None
        one, other = (one, other) if rng.random() < 0.5 else (other, one)
        yield Pair(one, other, boundary, flavour, random.Random(rng.random()))


class Maker:
    """Makes the documents of one pair. A key is tested with set prefixes everywhere or nowhere: mixing is unknown."""

    def __init__(self, rng: random.Random, flavour: Flavour) -> None:
        self.rng = rng
        self.flavour = flavour
        self.qualified: dict[str, bool] = {}

    def document(self) -> Document:
        statements = [self.statement() for _ in range(self.rng.choice([1, 1, 2, 3]))]
        return {"Version": self.rng.choice(["2012-10-17"] * 5 + ["2008-10-17"]), "Statement": statements}

    def statement(self) -> dict[str, Any]:
        rng = self.rng
        made: dict[str, Any] = {"Effect": rng.choice(["Allow", "Allow", "Allow", "Deny"])}
        actions = TRUST_ACTIONS if self.flavour.trust else ACTION_PATTERNS
        made[rng.choice(["Action"] * 5 + ["NotAction"])] = rng.choice([rng.choice(actions), rng.sample(actions, 2)])
        if self.flavour.trust:
            made |= self.principals(made["Effect"])
        else:
            count = rng.choice([1, 1, 2, 3])
            made[rng.choice(["Resource"] * 5 + ["NotResource"])] = [self.resource() for _ in range(count)]
        condition = self.condition()
        return {**made, "Condition": condition} if condition else made

    def principals(self, effect: str) -> dict[str, Any]:
        if self.rng.random() < 0.1:
            return {"Principal": "*"}
        chosen: dict[str, list[str]] = {}
        for kind, name in self.rng.sample(PRINCIPALS, self.rng.choice([1, 1, 2, 3])):
            chosen.setdefault(kind, []).append(name)
        if effect == "Allow" and self.rng.random() < 0.15:
            return {"NotPrincipal": chosen}
        return {"Principal": chosen}

    def variable(self) -> str:
        key = self.rng.choice([*NAMES, "aws:username", "AWS:UserName"])
        return "${" + key + self.rng.choice(["", "", ", 'a'", ",''"]) + "}"

    def resource(self) -> str:
        rng = self.rng
        if rng.random() < 0.2:
            return rng.choice(SHORT)
        pieces = TAILS + ([self.variable() for _ in range(5)] if self.flavour.variables else [])
        head = rng.choice(HEADS)
        if self.flavour.variables and rng.random() < 0.1:
            head = rng.choice(["arn:aws:s3:${k:one}:1:", "arn:aws:${aws:username}:::", "arn:aws:s3${aws:username}"])
        return head + "".join(rng.choice(pieces) for _ in range(rng.choice([1, 2, 2, 3])))

    def value(self) -> str:
        pieces = VALUES + ([self.variable() for _ in range(4)] if self.flavour.variables else [])
        return "".join(self.rng.choice(pieces) for _ in range(self.rng.choice([1, 1, 2, 3])))

    def condition(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        keys = [*KEYS, ARN_KEY, *(NAMES[:2] if self.flavour.variables else []), *([NUMBER_KEY] * self.flavour.numbers)]
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            key = self.rng.choice(keys)
            operator, values = self.test(key)
            tests = made.setdefault(operator, {})
            _add(tests, key, values)
            if operator.startswith("ForAllValues") and self.rng.random() < 0.2:
                _add(made.setdefault("Null", {}), key, self.rng.choice(["false", "true"]))
        return {name: tests for name, tests in made.items() if tests}

    def test(self, key: str) -> tuple[str, Any]:
        rng = self.rng
        if rng.random() < 0.15:
            return "Null", rng.choice(["true", "false", ["true", "false"], False])
        if key == ARN_KEY:
            operator = rng.choice(["ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals"])
            texts = [*ARN_VALUES, *(["arn:aws:s3:*"] if self.flavour.numbers else [])]  # too short: left open
            values: Any = rng.choice([rng.choice(texts), rng.sample(texts, 2)])
            if self.flavour.variables and rng.random() < 0.3:
                values = "arn:aws:s3:::" + self.variable()
        elif key == NUMBER_KEY:
            operator, values = rng.choice(NUMERIC_OPERATORS), rng.choice([1, "2", [1, "3"]])
        elif rng.random() < 0.1:
            operator, values = "Bool", rng.choice(["true", "FALSE", True, ["true", "false"]])
        else:
            operator = rng.choice(STRING_OPERATORS)
            operator = operator.replace("String", "StringNot") if rng.random() < 0.4 else operator
            values = [self.value() for _ in range(rng.choice([1, 1, 2]))]
        operator += rng.choice(["", "", "IfExists"])
        if self.qualified.setdefault(key.lower(), rng.random() < 0.4):
            operator = rng.choice(["ForAnyValue:", "ForAllValues:"]) + operator
        return operator, values

    def edited(self, document: Document) -> Document:
        """The document one edit apart: a statement more, fewer, turned around or changed in one element."""
        statements = copy.deepcopy(document["Statement"])
        act = self.rng.choice(["add", "drop", "resource", "condition", "value", "uncondition", "version", "effect"])
        victim = self.rng.choice(statements)
        version = document["Version"]
        if act == "add":
            statements.append(self.statement())
        elif act == "drop" and len(statements) > 1:
            statements.remove(victim)
        elif act == "resource":
            if "Resource" in victim:
                victim["Resource"] = [*victim["Resource"], self.resource()]
            elif isinstance(victim.get("Principal"), dict):
                victim["Principal"].setdefault("AWS", []).append(f"arn:aws:iam::{ONE}:role/R")
        elif act == "condition":
            victim["Condition"] = self.condition() or {"Null": {"k:one": "false"}}
        elif act == "value":
            self.change_value(victim)
        elif act == "uncondition":
            victim.pop("Condition", None)
        elif act == "effect":
            victim["Effect"] = "Allow"
        else:
            version = "2012-10-17"
        return {"Version": version, "Statement": statements}

    def change_value(self, statement: dict[str, Any]) -> None:
        """Another value, or the operator with or without IfExists, in one test."""
        for operator, tests in list(statement.get("Condition", {}).items()):
            if operator == "Null":
                continue
            if self.rng.random() < 0.3 and not {operator, f"{operator}IfExists"} & _with_if_exists(statement):
                statement["Condition"][f"{operator}IfExists"] = statement["Condition"].pop(operator)
            elif "String" in operator:
                key = next(iter(tests))
                tests[key] = [*tests[key], self.value()] if isinstance(tests[key], list) else tests[key]
            return


def _add(tests: dict[str, Any], key: str, values: Any) -> None:
    if key.lower() not in {known.lower() for known in tests}:
        tests[key] = values


def calls(pair: Pair, count: int) -> Iterator[Call]:
    """Yields calls near the pair: resources and members out of its own patterns, and others drawn blindly."""
    rng = pair.rng
    resources, members = _words(pair)
    keys = sorted({key.lower() for one in pair.documents for s in one["Statement"] for key in _keys(s)})
    for _ in range(count):
        context: dict[str, list[str]] = {}
        for name in NAMES if pair.flavour.variables else ():
            if rng.random() < 0.75:
                context[name] = [rng.choice(USERS)]
        for key in keys:
            size = rng.choice([0, 1, 1, 1, 2, 3])
            pool = [*members.get(key, []), *_pool(key)]
            if size and (key not in context or rng.random() < 0.5):
                context[key] = [_filled(rng, rng.choice(pool), context) for _ in range(size)]
            elif key not in context and rng.random() < 0.3:
                context[key] = []  # the same as absent
        if pair.flavour.trust:
            action = rng.choice(["sts:AssumeRole", "sts:TagSession", "s3:Get"])
            yield {"action": action, "resource": "*", "context": context, "principal": rng.choice(ASKING)}
            continue
        resource = _filled(rng, rng.choice(resources), context)
        if resource != "*" and (resource.count(":") < 5 or not _well_formed(resource)):
            resource = rng.choice(RESOURCES)
        yield {"action": rng.choice(ACTIONS), "resource": resource, "context": context}


def _well_formed(resource: str) -> bool:
    pieces = resource.split(":", 5)
    return pieces[0] == "arn" and all(pieces[index] for index in (1, 2, 5))


def _keys(statement: dict[str, Any]) -> list[str]:
    return [key for tests in statement.get("Condition", {}).values() for key in tests]


def _with_if_exists(statement: dict[str, Any]) -> set[str]:
    return {name for name in statement["Condition"] if name.endswith("IfExists")}


def _pool(key: str) -> list[str]:
    return ARN_MEMBERS if key == ARN_KEY else ["1", "2", "3", "x"] if key == NUMBER_KEY else [*MEMBERS, "true", "FALSE"]


def _words(pair: Pair) -> tuple[list[str], dict[str, list[str]]]:
    resources, members = list(RESOURCES), {}
    for document in pair.documents:
        for statement in document["Statement"]:
            for element in ("Resource", "NotResource"):
                resources += [_padded(text) for text in statement.get(element, [])]
            for operator, tests in statement.get("Condition", {}).items():
                if operator != "Null":
                    for key, values in tests.items():
                        listed = values if isinstance(values, list) else [values]
                        members.setdefault(key.lower(), []).extend(str(one) for one in listed)
    return resources, members


def _padded(text: str) -> str:
    return text if text == "*" else text + ":*" * max(0, 5 - text.count(":"))


def _filled(rng: random.Random, text: str, context: dict[str, list[str]]) -> str:
    """A word for a pattern: variables by the context's value or another one, wildcards by a few letters."""
    made = ""
    while text:
        if text.startswith("${"):
            inner, text = text[2:].split("}", 1)
            key, _, default = inner.partition(",")
            value = [*context.get(key.strip().lower(), []), default.strip().strip("'")][0]
            made += inner if inner in ("*", "?", "$") else value if rng.random() < 0.8 else rng.choice(USERS)
            continue
        letter, text = text[0], text[1:]
        if letter == "*":
            made += rng.choice(FILLINGS)
        elif letter == "?":
            made += rng.choice("xa:")
        else:
            made += letter.swapcase() if rng.random() < 0.05 else letter
    return made
