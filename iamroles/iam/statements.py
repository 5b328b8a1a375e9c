"""What a policy document is made of, as frozen values: statements, condition tests, operators, variables.

Checked reading into them is `documents`; what they mean is `evaluate` and `contain`, which share these values and no
matching code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Effect = Literal["Allow", "Deny"]
Qualifier = Literal["", "any", "all"]

VARIABLES_VERSION = "2012-10-17"
_UPPER_TO_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

# Negated operators and the positive ones that they are the opposite of (POLICY.md part 3).
OPPOSITE = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
STRING_OPERATORS = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike"})
ARN_OPERATORS = frozenset({"ArnEquals", "ArnLike"})
ORDER_OPERATORS = frozenset(
    f"{kind}{test}"
    for kind in ("Numeric", "Date")
    for test in ("Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
)
POSITIVE_OPERATORS = STRING_OPERATORS | ARN_OPERATORS | ORDER_OPERATORS | {"Bool", "BinaryEquals", "IpAddress", "Null"}


def ascii_lower(text: str) -> str:
    """Returns the text with A-Z folded and nothing else: U+212A is not a k."""
    return text.translate(_UPPER_TO_LOWER)


@dataclass(frozen=True, slots=True)
class Operator:
    """A condition operator taken apart. `base` is always the positive one; `negated` says that its opposite stood."""

    base: str
    negated: bool = False
    qualifier: Qualifier = ""
    if_exists: bool = False

    @property
    def takes_variables(self) -> bool:
        """True for String and Arn operators, the only ones whose values expand variables."""
        return self.base in STRING_OPERATORS or self.base in ARN_OPERATORS


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one key: `key` in lower case and `written` as given; `values` as strings; `name` the operator."""

    name: str
    operator: Operator
    key: str
    values: tuple[str, ...]
    written: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. Principals are (type, value) pairs and empty in identity policies; resources in trust policies."""

    index: int
    sid: str
    effect: Effect
    actions: tuple[str, ...]
    not_actions: bool = False
    resources: tuple[str, ...] = ()
    not_resources: bool = False
    principals: tuple[tuple[str, str], ...] = ()
    not_principals: bool = False
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """`${key, 'default'}`: the key in lower case, the default or None."""

    key: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Escape:
    """`${*}`, `${?}` or `${$}`: the character itself."""

    character: str


Part = str | Variable | Escape
_VARIABLE = re.compile(r"\$\{([*?$])\}|\$\{\s*([^{}',]+?)\s*(?:,\s*'([^']*)'\s*)?\}")


def parts(text: str, version: str) -> tuple[Part, ...]:
    """Returns a pattern's parts: plain text, variables, escapes. Before Version 2012-10-17 everything is plain."""
    if version != VARIABLES_VERSION or "${" not in text:
        return (text,) if text else ()
    found: list[Part] = []
    end = 0
    for match in _VARIABLE.finditer(text):
        if match.start() > end:
            found.append(text[end : match.start()])
        if match.group(1):
            found.append(Escape(match.group(1)))
        else:
            found.append(Variable(ascii_lower(match.group(2)), match.group(3)))
        end = match.end()
    if end < len(text):
        found.append(text[end:])
    return tuple(found)


def variables(text: str, version: str) -> tuple[Variable, ...]:
    """Returns the variables of a pattern, in order."""
    return tuple(part for part in parts(text, version) if isinstance(part, Variable))


def read_operator(name: str) -> Operator | None:
    """Returns the operator of a written name, or None when there is none of that name."""
    rest = name
    qualifier: Qualifier = ""
    if rest.startswith("ForAnyValue:"):
        qualifier, rest = "any", rest.removeprefix("ForAnyValue:")
    elif rest.startswith("ForAllValues:"):
        qualifier, rest = "all", rest.removeprefix("ForAllValues:")
    if_exists = rest.endswith("IfExists")
    rest = rest.removesuffix("IfExists")
    base = OPPOSITE.get(rest, rest)
    if base not in POSITIVE_OPERATORS or (base == "Null" and (qualifier or if_exists)):
        return None
    return Operator(base, negated=rest in OPPOSITE, qualifier=qualifier, if_exists=if_exists)
