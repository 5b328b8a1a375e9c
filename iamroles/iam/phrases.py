"""The small pieces of English that sentences about policies are made of: lists, scopes, principals, conditions.

`wording` puts them together for statements and differences. Names of people's own resources stand as they are;
everything unknown is quoted, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from iamroles.iam import catalogue
from iamroles.iam.catalogue import Action
from iamroles.iam.statements import Condition

_TESTS = {
    "StringEquals": ("is", "is not"),
    "StringEqualsIgnoreCase": ("is, in any capitals,", "is not, in any capitals,"),
    "StringLike": ("is like", "is not like"),
    "ArnEquals": ("is like", "is not like"),
    "ArnLike": ("is like", "is not like"),
    "NumericEquals": ("is the number", "is not the number"),
    "NumericLessThan": ("is less than", ""),
    "NumericLessThanEquals": ("is at most", ""),
    "NumericGreaterThan": ("is more than", ""),
    "NumericGreaterThanEquals": ("is at least", ""),
    "DateEquals": ("is the time", "is not the time"),
    "DateLessThan": ("is before", ""),
    "DateLessThanEquals": ("is not after", ""),
    "DateGreaterThan": ("is after", ""),
    "DateGreaterThanEquals": ("is not before", ""),
    "Bool": ("is", "is not"),
    "BinaryEquals": ("is the bytes", "is not the bytes"),
    "IpAddress": ("lies in", "does not lie in"),
}


def listed(names: Iterable[str], word: str = "and") -> str:
    """Returns "a", "a and b", "a, b and c"."""
    known = list(names)
    if len(known) < 2:
        return "".join(known)
    return f"{', '.join(known[:-1])} {word} {known[-1]}"


def plural(noun: str) -> str:
    """Returns the plural of a catalogue noun."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def short_name(arn: str) -> str:
    """Returns the part of an ARN that a person recognises: role with path, function, topic, bucket and key."""
    pieces = arn.split(":", 5)
    if len(pieces) < 6:
        return arn
    service, resource = pieces[2], pieces[5]
    if service == "iam":
        return resource.split("/", 1)[-1]
    if service in {"lambda", "codedeploy"}:
        return resource.split(":", 1)[-1]
    return resource


def is_pattern(text: str) -> bool:
    """Returns True when a resource holds wildcards or variables."""
    return "*" in text or "?" in text or "${" in text


def scope(noun: str, resources: Sequence[str], *, negated: bool = False) -> str:
    """Returns the noun with the resources that are meant: "every Lambda function", "the role x", "roles named y*"."""
    if negated:
        return f"every {noun} but {listed(_named(resources))}"
    if any(resource == "*" for resource in resources):
        return f"every {noun}"
    exact = [resource for resource in resources if not is_pattern(resource)]
    wide = [resource for resource in resources if is_pattern(resource)]
    groups = []
    if exact:
        word = noun if len(exact) == 1 else plural(noun)
        groups.append(f"the {word} {listed(_named(exact))}")
    if wide:
        groups.append(f"{plural(noun)} named {listed(_named(wide), 'or')}")
    return " and ".join(groups)


def _named(resources: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(short_name(resource) for resource in resources))


def deeds(actions: Iterable[str]) -> tuple[list[tuple[str, list[Action]]], list[str]]:
    """Returns the known actions grouped by noun, in their order, and the unknown or wildcard ones as written."""
    groups: dict[str, list[Action]] = {}
    unknown: list[str] = []
    known = catalogue.actions()
    for name in actions:
        action = known.get(name.lower())
        if action is None:
            unknown.append(name)
        else:
            groups.setdefault(action.noun, []).append(action)
    return list(groups.items()), unknown


def verbs(actions: Iterable[Action]) -> str:
    """Returns the verbs of actions with one noun, each once."""
    return listed(dict.fromkeys(action.verb for action in actions))


def services(names: Iterable[str]) -> str:
    """Returns service principals as people call them, with the principal in brackets."""
    shown = []
    for name in names:
        words = catalogue.service_words(name)
        shown.append(name if words == name else f"{words} ({name})")
    return listed(shown)


def condition(test: Condition) -> str:
    """Returns a condition as words, such as `aws:SourceArn is like arn:…`."""
    operator = test.operator
    if operator.base == "Null":
        if set(test.values) == {"true", "false"}:
            return f"{test.written} is there or not"
        return f"{test.written} is {'absent' if test.values[0] == 'true' else 'present'}"
    words = _TESTS[operator.base][operator.negated]
    values = listed((_quoted(value) for value in test.values), "or")
    who = {"": "", "any": "one of ", "all": "every one of "}[operator.qualifier] + test.written
    absent = ", or is absent" if operator.if_exists or operator.qualifier == "all" else ""
    return f"{who} {words} {values}{absent}"


def _quoted(value: str) -> str:
    return value if value and not value.isspace() else f'"{value}"'


def conditions(tests: Iterable[Condition]) -> str:
    """Returns the tests joined for the end of a sentence, ", if …", or ''."""
    texts = [condition(test) for test in tests]
    return f", if {' and '.join(texts)}" if texts else ""
