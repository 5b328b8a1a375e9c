"""Policies as formulas for z3, for tests and benchmarks: the part without qualifiers, variables and short patterns.

It shares no code with `iamroles.iam`: wildcards become z3 regular expressions, an absent key a Boolean of its own.
Only single-valued contexts can be encoded, so a disagreement is looked at with that in mind.
"""

from __future__ import annotations

from typing import Any

import z3

_ANY = z3.AllChar(z3.ReSort(z3.StringSort()))
_NO_COLON = z3.Diff(_ANY, z3.Re(":"))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def glob(text: str, letter: Any = _ANY) -> Any:
    pieces = [z3.Star(letter) if c == "*" else letter if c == "?" else z3.Re(c) for c in text]
    if not pieces:
        return z3.Re("")
    return pieces[0] if len(pieces) == 1 else z3.Concat(*pieces)


def resource(pattern: str) -> Any:
    if pattern == "*":
        return z3.Full(z3.ReSort(z3.StringSort()))
    pieces = pattern.split(":", 5)
    pieces += ["*"] * (6 - len(pieces))
    made: list[Any] = []
    for index, piece in enumerate(pieces):
        made += [glob(piece, _ANY if index == 5 else _NO_COLON), z3.Re(":")]
    return z3.Concat(*made[:-1])


class Call:
    """One symbolic AWS call with a well-formed action and resource."""

    def __init__(self) -> None:
        self.action, self.resource = z3.String("action"), z3.String("resource")
        self.keys: dict[str, tuple[Any, Any]] = {}
        letters = z3.Plus(_NO_COLON)
        arn = z3.Concat(
            z3.Re("arn:"), letters, z3.Re(":"), letters, z3.Re(":"), z3.Star(_NO_COLON), z3.Re(":"),
            z3.Star(_NO_COLON), z3.Re(":"), z3.Plus(_ANY),
        )  # fmt: skip
        self.domain = z3.And(
            z3.InRe(self.action, z3.Concat(letters, z3.Re(":"), letters)),
            z3.Or(self.resource == "*", z3.InRe(self.resource, arn)),
        )

    def key(self, name: str) -> tuple[Any, Any]:
        name = name.lower()
        return self.keys.setdefault(name, (z3.Bool(f"has {name}"), z3.String(f"value {name}")))


def condition(call: Call, operator: str, key: str, values: Any) -> Any:
    present, value = call.key(key)
    if operator == "Null":
        return z3.Or(*(z3.Not(present) if v == "true" else present for v in listed(values)))
    exists = operator.endswith("IfExists")
    name = operator.removesuffix("IfExists")
    negated = "Not" in name
    hit = z3.Or(*(z3.InRe(value, glob(v)) if "Like" in name else value == z3.StringVal(v) for v in listed(values)))
    if negated:
        return z3.Or(z3.Not(present), z3.Not(hit))
    return z3.Or(z3.Not(present), hit) if exists else z3.And(present, hit)


def matches(call: Call, statement: dict[str, Any]) -> Any:
    parts = []
    for element, made in (
        ("Action", lambda p: z3.InRe(call.action, glob(p.lower()))),
        ("Resource", lambda p: z3.InRe(call.resource, resource(p))),
    ):
        if element in statement:
            parts.append(z3.Or(*(made(p) for p in listed(statement[element]))))
        else:
            parts.append(z3.Not(z3.Or(*(made(p) for p in listed(statement["Not" + element])))))
    for operator, tests in statement.get("Condition", {}).items():
        parts += [condition(call, operator, key, values) for key, values in tests.items()]
    return z3.And(*parts)


def allowed(call: Call, document: dict[str, Any]) -> Any:
    found: dict[str, list[Any]] = {"Allow": [], "Deny": []}
    for statement in listed(document["Statement"]):
        found[statement["Effect"]].append(matches(call, statement))
    return z3.And(z3.Or(*found["Allow"]), z3.Not(z3.Or(*found["Deny"])))


def exceeds(new: dict[str, Any], reference: dict[str, Any], milliseconds: int) -> str:
    """Returns `sat` (new allows more), `unsat` (it does not) or `unknown`."""
    call = Call()
    solver = z3.Solver()
    solver.set("timeout", milliseconds)
    solver.add(allowed(call, new), z3.Not(allowed(call, reference)), call.domain)
    return str(solver.check())
