"""A second opinion on policies for tests: decides by its own slow matching and enumerates many small calls.

It shares no code with `iamroles.iam`; it reads raw JSON documents. Wildcards are matched by recursion.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

ACTIONS = ["s3:Get", "s3:Put", "ec2:Go"]
TAILS = ["a", "b", "ab", "ba", "aab", "a/b", "a:b", "c", "x/a", "x/", "x/ab", "x/ca", "x/a:b", "/", "x/*", "*"]
RESOURCES = ["*"] + [f"arn:aws:s3:::{t}" for t in TAILS] + ["arn:aws:s3:r:1:a", "arn:aws:s3:r:1:x/a", "arn:cn:s3:::a"]
MEMBERS = ["", "a", "b", "ab", "A", "c", "aab", "a:b"]
ARN_MEMBERS = ["arn:aws:s3:::a", "arn:aws:s3:r:1:b", "a", ""]
USERS = [None, "", "a", "ab", "a:b", "b"]
VARIABLE = "aws:username"


def glob(pattern: list[tuple[str, bool]], word: str, *, colons: bool = True) -> bool:
    """Pattern letters are (letter, is wildcard)."""
    if not pattern:
        return not word
    letter, wild = pattern[0]
    if wild and letter == "*":
        if glob(pattern[1:], word, colons=colons):
            return True
        return bool(word) and (colons or word[0] != ":") and glob(pattern, word[1:], colons=colons)
    if not word:
        return False
    fits = (colons or word[0] != ":") if wild else word[0] == letter
    return fits and glob(pattern[1:], word[1:], colons=colons)


def letters(text: str, version: str, context: dict[str, list[str]], *, wild: bool) -> list[tuple[str, bool]] | None:
    """The pattern's letters after filling variables in; None if a variable has no value."""
    result: list[tuple[str, bool]] = []
    while text:
        if version == "2012-10-17" and text.startswith("${"):
            inner, text = text[2:].split("}", 1)
            if inner in ("*", "?", "$"):
                result.append((inner, False))
                continue
            key, _, default = inner.partition(",")
            value = context.get(key.strip().lower())
            if value is None:
                if not default:
                    return None
                value = [default.strip()[1:-1]]
            if len(value) != 1:
                return None
            result += [(letter, False) for letter in value[0]]
        else:
            result.append((text[0], wild and text[0] in "*?"))
            text = text[1:]
    return result


def resource_fits(pattern: str, resource: str, version: str, context: dict[str, list[str]], pad: bool = True) -> bool:
    if pattern == "*" and pad:
        return True
    depth = 0
    pieces, current = [], ""
    for index, letter in enumerate(pattern):
        if version == "2012-10-17" and pattern.startswith("${", index):
            depth += 1
        if letter == ":" and depth == 0 and len(pieces) < 5:
            pieces.append(current)
            current = ""
        else:
            current += letter
        if letter == "}" and depth:
            depth -= 1
    pieces.append(current)
    if len(pieces) < 6:
        if not pad:
            return False
        pieces += ["*"] * (6 - len(pieces))
    made = [letters(piece, version, context, wild=True) for piece in pieces]
    if any(one is None for one in made):
        return False
    if any(":" in "".join(letter for letter, _ in one or []) for one in made[:5]):
        raise NotImplementedError("colons of values in the first five segments")
    parts = resource.split(":", 5)
    if len(parts) < 6:
        return False
    head = all(glob(one or [], part, colons=False) for one, part in zip(made[:5], parts[:5], strict=True))
    return head and glob(made[5] or [], parts[5])


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def base_hit(base: str, wanted: str, member: str, version: str, context: dict[str, list[str]]) -> bool:
    if base == "Bool":
        return wanted.lower() == member.lower()
    if base in ("ArnLike", "ArnEquals"):
        return resource_fits(wanted, member, version, context, pad=False)
    made = letters(wanted, version, context, wild=base == "StringLike")
    if made is None:
        return False
    if base == "StringLike":
        return glob(made, member)
    word = "".join(letter for letter, _ in made)
    if base == "StringEqualsIgnoreCase":
        return word.lower() == member.lower()  # the oracle's alphabet is ASCII
    return word == member


def holds(operator: str, key: str, values: Any, version: str, context: dict[str, list[str]]) -> bool:
    members = context.get(key.lower())
    wanted = [str(v).lower() if isinstance(v, bool) else v for v in listed(values)]
    if operator == "Null":
        return any((members is None) == (v == "true") for v in wanted)
    qualifier, _, name = operator.rpartition(":")
    exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = "Not" in name
    base = name.replace("Not", "")
    if members is None:
        if qualifier == "ForAllValues":
            return True
        return exists or (negated and not qualifier)
    hits = [any(base_hit(base, v, m, version, context) for v in wanted) for m in members]
    if qualifier == "ForAllValues":
        return all(hit != negated for hit in hits)
    if qualifier == "ForAnyValue":
        return any(hit != negated for hit in hits)
    return any(hits) != negated


def matches(statement: dict[str, Any], version: str, call: dict[str, Any]) -> bool:
    context = call["context"]
    for element, fits in (
        ("Action", lambda p: glob([(c, c in "*?") for c in p.lower()], call["action"].lower())),
        ("Resource", lambda p: resource_fits(p, call["resource"], version, context)),
    ):
        if element in statement:
            if not any(fits(p) for p in listed(statement[element])):
                return False
        elif any(fits(p) for p in listed(statement["Not" + element])):
            return False
    return all(
        holds(operator, key, values, version, context)
        for operator, tests in statement.get("Condition", {}).items()
        for key, values in tests.items()
    )


def effects(document: dict[str, Any], call: dict[str, Any]) -> set[str]:
    version = document.get("Version", "2008-10-17")
    return {s["Effect"] for s in listed(document["Statement"]) if matches(s, version, call)}


def allowed(documents: list[dict[str, Any]], boundary: dict[str, Any] | None, call: dict[str, Any]) -> bool:
    found = set().union(*(effects(one, call) for one in documents))
    limits = {"Allow"} if boundary is None else effects(boundary, call)
    return "Deny" not in found | limits and "Allow" in found and "Allow" in limits


def calls(rng: random.Random, keys: list[str], count: int) -> list[dict[str, Any]]:
    """Random small calls: every action with every resource, contexts drawn for the keys."""
    made = []
    for action, resource in itertools.product(ACTIONS, RESOURCES):
        for _ in range(count):
            context: dict[str, list[str]] = {}
            for key in keys:
                size = rng.choice([0, 1, 1, 1, 2, 3])
                pool = ARN_MEMBERS if key.startswith("arn") else MEMBERS
                if size:
                    context[key] = [rng.choice(pool) for _ in range(size)]
            user = rng.choice(USERS)
            if user is not None and VARIABLE not in context:
                context[VARIABLE] = [user]
            made.append({"action": action, "resource": resource, "context": context})
    return made


QUALIFIERS = ["", "", "", "ForAnyValue:", "ForAllValues:"]
OPERATORS = [
    "StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase", "Bool", "Null",
]  # fmt: skip


def random_value(rng: random.Random, *, variables: bool) -> str:
    pieces = ["a", "b", "*", "?", "ab", "A", "", "${*}", "c"] + (
        ["${aws:username}", "${aws:username, 'a'}"] * 2 if variables else []
    )
    return "".join(rng.choice(pieces) for _ in range(rng.choice([1, 1, 2, 3])))


def random_condition(rng: random.Random, qualified: dict[str, str], *, variables: bool) -> dict[str, Any]:
    condition: dict[str, Any] = {}
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        key = rng.choice(["k:one", "K:One", "k:two", "arn:key"] + ([VARIABLE] if variables else []))
        operator = rng.choice(["ArnLike", "ArnNotLike", "ArnEquals"] if key == "arn:key" else OPERATORS)
        group = qualified.setdefault(key.lower(), rng.choice(["plain", "plain", "list"]))
        qualifier = "" if group == "plain" or operator == "Null" else rng.choice(["ForAnyValue:", "ForAllValues:"])
        name = qualifier + operator + (rng.choice(["", "", "IfExists"]) if operator != "Null" else "")
        if operator in ("Null", "Bool"):
            values: Any = rng.choice(["true", "false", ["true", "false"], True])
        elif key == "arn:key":
            values = rng.choice(
                ["arn:aws:s3:::a", "arn:*:s3:*:*:*", "arn:aws:s3:?:1:?", ["arn:aws:s3:::*", "arn:aws:s3:r:1:b"]]
            )
        else:
            values = [random_value(rng, variables=variables) for _ in range(rng.choice([1, 1, 2]))]
        tests = condition.setdefault(name, {})
        if key.lower() not in {known.lower() for known in tests}:
            tests[key] = values
    return {name: tests for name, tests in condition.items() if tests}


def random_resource(rng: random.Random, *, variables: bool) -> str:
    if rng.random() < 0.2:
        return rng.choice(
            [
                "*",
                "arn:aws:s3*",
                "arn:aws:s3:*",
                "arn:*:s3:::a",
                "arn:aws:s3:*:*:x/*",
                "arn:aws:s3:::*",
                "arn:?*:s3:::*",
            ]
        )
    pieces = ["a", "b", "*", "?", "x/", "/", ":"] + (["${aws:username}"] * 3 if variables else [])
    return "arn:aws:s3:::" + "".join(rng.choice(pieces) for _ in range(rng.choice([1, 2, 2, 3])))


def random_statement(rng: random.Random, qualified: dict[str, str], *, variables: bool) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": rng.choice(["Allow", "Allow", "Allow", "Deny"])}
    actions = ["s3:Get", "S3:gET", "s3:*", "s3:?et", "*", "s3:Put", "ec2:*", "s3:G*", "*:Get"]
    element = rng.choice(["Action"] * 5 + ["NotAction"])
    statement[element] = rng.choice([rng.choice(actions), rng.sample(actions, 2)])
    element = rng.choice(["Resource"] * 5 + ["NotResource"])
    statement[element] = [random_resource(rng, variables=variables) for _ in range(rng.choice([1, 1, 2, 3]))]
    condition = random_condition(rng, qualified, variables=variables)
    if condition:
        statement["Condition"] = condition
    return statement


def random_document(rng: random.Random, qualified: dict[str, str], *, variables: bool = False) -> dict[str, Any]:
    statements = [random_statement(rng, qualified, variables=variables) for _ in range(rng.choice([1, 1, 2, 3]))]
    return {"Version": rng.choice(["2012-10-17"] * 5 + ["2008-10-17"]), "Statement": statements}


def edited(
    rng: random.Random, document: dict[str, Any], qualified: dict[str, str], *, variables: bool
) -> dict[str, Any]:
    """The document one edit apart: a statement more, fewer or changed in one element."""
    statements = [dict(s) for s in document["Statement"]]
    act = rng.choice(["add", "drop", "resource", "condition", "uncondition", "version"])
    victim = rng.choice(statements)
    version = document["Version"]
    if act == "add":
        statements.append(random_statement(rng, qualified, variables=variables))
    elif act == "drop" and len(statements) > 1:
        statements.remove(victim)
    elif act == "resource" and "Resource" in victim:
        victim["Resource"] = [*victim["Resource"], random_resource(rng, variables=variables)]
    elif act == "condition":
        victim["Condition"] = random_condition(rng, qualified, variables=variables) or {"Null": {"k:one": "false"}}
    elif act == "uncondition":
        victim.pop("Condition", None)
    elif act == "version":
        version = "2012-10-17"
    return {"Version": version, "Statement": statements}
