"""A second opinion on policies for tests: decides one AWS call by its own slow matching, in every reading.

It shares no code with `iamroles.iam`; it reads raw JSON documents. Wildcards are matched by recursion. What it judges
is made by `generator`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

Letter = tuple[str, str]  # what it is, and how it is taken: "exact", "any" or "no colon"
Call = dict[str, Any]


class Reading(NamedTuple):
    """How a call is decided where AWS leaves two ways."""

    crossing: bool = False  # wildcards of resources run over colons everywhere
    ignore_empty: bool = False  # empty members do not count in ForAllValues
    wide_denies: bool = True  # to deny or exclude an account or role reaches its principals and sessions
    delegating: bool = False  # an account root that is allowed hands on to every principal of the account


FIRST = Reading()


@lru_cache(maxsize=200_000)
def glob(pattern: tuple[Letter, ...], word: str) -> bool:
    if not pattern:
        return not word
    letter, how = pattern[0]
    if letter == "*" and how != "exact":
        if glob(pattern[1:], word):
            return True
        return bool(word) and (how == "any" or word[0] != ":") and glob(pattern, word[1:])
    if not word:
        return False
    fits = word[0] == letter if how == "exact" else how == "any" or word[0] != ":"
    return fits and glob(pattern[1:], word[1:])


Known = tuple[tuple[str, str | None], ...]  # the variables of a pattern and their values


@lru_cache(maxsize=50_000)
def named(text: str, version: str) -> tuple[str, ...]:
    """The keys that a pattern's variables name."""
    if version != "2012-10-17":
        return ()
    inside = [piece.split("}", 1)[0] for piece in text.split("${")[1:]]
    return tuple(one.partition(",")[0].strip().lower() for one in inside if one not in ("*", "?", "$"))


def known(text: str, version: str, context: dict[str, list[str]]) -> Known | None:
    """The values of a pattern's variables, None standing for absent; None if one of them has several."""
    found = [(key, context.get(key) or [None]) for key in named(text, version)]
    if any(len(values) > 1 for _, values in found):
        return None
    return tuple((key, values[0]) for key, values in found)


def tokens(text: str, version: str, values: Known) -> list[tuple[str, bool]] | None:
    """The letters of a pattern with variables filled in, each with whether it was written; None without a value."""
    result: list[tuple[str, bool]] = []
    while text:
        if version != "2012-10-17" or not text.startswith("${"):
            result.append((text[0], True))
            text = text[1:]
            continue
        inner, text = text[2:].split("}", 1)
        if inner in ("*", "?", "$"):
            result.append((inner, False))
            continue
        key, _, default = inner.partition(",")
        value = dict(values)[key.strip().lower()]
        if value is None:
            if not default:
                return None
            value = default.strip()[1:-1]
        result += [(letter, False) for letter in value]
    return result


@lru_cache(maxsize=50_000)
def string_letters(text: str, version: str, values: Known, wild: bool) -> tuple[Letter, ...] | None:
    found = tokens(text, version, values)
    if found is None:
        return None
    return tuple((c, "any" if wild and written and c in "*?" else "exact") for c, written in found)


@lru_cache(maxsize=50_000)
def arn_letters(text: str, version: str, values: Known, pad: bool, crossing: bool) -> tuple[Letter, ...] | None:
    found = tokens(text, version, values)
    if found is None:
        return None
    made: list[Letter] = []
    colons = 0
    for letter, written in found:
        if written and letter == ":":
            colons += 1
        wild = written and letter in "*?"
        made.append((letter, ("any" if crossing or colons >= 5 else "no colon") if wild else "exact"))
    if colons < 5 and not pad:
        return None
    while colons < 5:
        colons += 1
        made += [(":", "exact"), ("*", "any" if crossing or colons >= 5 else "no colon")]
    return tuple(made)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def folded(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def base_hit(base: str, wanted: str, member: str, version: str, context: dict[str, list[str]]) -> bool:
    if base == "Bool":
        return folded(wanted) == folded(member)
    if base.startswith("Numeric"):
        left, right = number(member), number(wanted)
        return left is not None and right is not None and ORDERS[base.removeprefix("Numeric")](left, right)
    values = known(wanted, version, context)
    if values is None:
        return False
    if base in ("ArnLike", "ArnEquals"):
        pattern = arn_letters(wanted, version, values, False, False)
        return pattern is not None and glob(pattern, member)
    made = string_letters(wanted, version, values, base == "StringLike")
    if made is None:
        return False
    if base == "StringLike":
        return glob(made, member)
    word = "".join(letter for letter, _ in made)
    return folded(word) == folded(member) if base == "StringEqualsIgnoreCase" else word == member


ORDERS = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}


def number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def holds(operator: str, key: str, values: Any, version: str, context: dict[str, list[str]], reading: Reading) -> bool:
    members = context.get(folded(key)) or None
    wanted = [str(v).lower() if isinstance(v, bool) else str(v) for v in listed(values)]
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
    if qualifier == "ForAllValues" and reading.ignore_empty:
        members = [one for one in members if one]
    hits = [any(base_hit(base, v, m, version, context) for v in wanted) for m in members]
    if qualifier == "ForAllValues":
        return all(hit != negated for hit in hits)
    if qualifier == "ForAnyValue":
        return any(hit != negated for hit in hits)
    return any(hits) != negated


@lru_cache(maxsize=5_000)
def action_fits(pattern: str, action: str) -> bool:
    return glob(tuple((c, "any" if c in "*?" else "exact") for c in folded(pattern)), folded(action))


def resource_fits(pattern: str, version: str, call: Call, reading: Reading) -> bool:
    if pattern == "*":
        return True
    values = known(pattern, version, call["context"])
    made = None if values is None else arn_letters(pattern, version, values, True, reading.crossing)
    return made is not None and glob(made, call["resource"])


def account_of(name: str) -> str:
    pieces = name.split(":")
    return name if len(name) == 12 and name.isdigit() else pieces[4] if len(pieces) > 5 else ""


def is_root(name: str) -> bool:
    return account_of(name) == name or name.endswith(":root")


def principal_fits(kind: str, name: str, asked: tuple[str, str], effect: str, reading: Reading) -> bool:
    wide = effect == "Deny" and reading.wide_denies
    if kind == "AWS" and name == "*":
        return wide or asked[0] == "AWS"
    if kind != asked[0]:
        return False
    if kind != "AWS":
        return name == asked[1]
    if is_root(name) and account_of(name):
        spreads = wide or (effect == "Allow" and reading.delegating)
        same = account_of(asked[1]) == account_of(name)
        return same and (spreads or is_root(asked[1]))
    if name == asked[1]:
        return True
    session = f"arn:aws:sts::{account_of(name)}:assumed-role/{name.rpartition('/')[2]}/"
    return ":role/" in name and (effect == "Allow" or wide) and asked[1].startswith(session) and asked[1] != session


def principals_fit(statement: dict[str, Any], call: Call, reading: Reading) -> bool:
    element = "Principal" if "Principal" in statement else "NotPrincipal"
    written = {"AWS": "*"} if statement[element] == "*" else statement[element]
    effect = "Deny" if element == "NotPrincipal" else statement["Effect"]
    hit = any(
        principal_fits(kind, name, call["principal"], effect, reading)
        for kind, names in written.items()
        for name in listed(names)
    )
    return hit != (element == "NotPrincipal")


def matches(statement: dict[str, Any], version: str, call: Call, reading: Reading) -> bool:
    for element, fits in (
        ("Action", lambda p: action_fits(p, call["action"])),
        ("Resource", lambda p: resource_fits(p, version, call, reading)),
    ):
        if element in statement:
            if not any(fits(p) for p in listed(statement[element])):
                return False
        elif f"Not{element}" in statement and any(fits(p) for p in listed(statement[f"Not{element}"])):
            return False
    if ("Principal" in statement or "NotPrincipal" in statement) and not principals_fit(statement, call, reading):
        return False
    return all(
        holds(operator, key, values, version, call["context"], reading)
        for operator, tests in statement.get("Condition", {}).items()
        for key, values in tests.items()
    )


def effects(document: dict[str, Any], call: Call, reading: Reading) -> set[str]:
    version = document.get("Version", "2008-10-17")
    return {s["Effect"] for s in listed(document["Statement"]) if matches(s, version, call, reading)}


def allowed(
    documents: list[dict[str, Any]], boundary: dict[str, Any] | None, call: Call, reading: Reading = FIRST
) -> bool:
    """Whether the call goes through. Keys of its context are in lower case, values are lists with members."""
    found = set().union(*(effects(one, call, reading) for one in documents))
    limits = {"Allow"} if boundary is None else effects(boundary, call, reading)
    return "Deny" not in found | limits and "Allow" in found and "Allow" in limits
