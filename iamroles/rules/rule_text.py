"""Approval rules as lines that people read and type; the one form in which pages show and change them. Pure.

    When risk high, production: 2 of security. Two of security for high risk in production.
    Always: 1 of approvers or security and 1 of owner. Why this is asked.
    Nobody when kind grant: Why these grants are routine.
    An approval holds for 7 days.

Reading what was written gives the same contents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from iamroles.rules.approval_rules import CONDITIONS, OWNER

_FLAGS: Final = {
    "production": ("production", True),
    "not production": ("production", False),
    "adopting": ("adopts", True),
    "not adopting": ("adopts", False),
}
_FLAG_WORDS: Final = {flag: words for words, flag in _FLAGS.items()}
_LIFE: Final = re.compile(r"An approval holds for ([0-9]{1,3}) days?\.", re.IGNORECASE)
_LINE: Final = re.compile(r"(Always|When|Nobody when)\b([^:]*):\s*(.*)", re.IGNORECASE)
_NEED: Final = re.compile(r"([0-9]{1,2}) of (.+)")
_NEEDS_AND_WHY: Final = re.compile(r"(.*?)\.\s+(.*)")


class CannotRead(ValueError):
    """A line is not a rule; the text says which and why."""


def write(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns a version's contents as lines, without its number."""
    return tuple(f"{rule} {why}".rstrip() for rule, why in parts(content))


def parts(content: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Returns each line as the rule and its reason; the last has none."""
    found = [(f"{_when(rule['when'])}: {_needs(rule['needs'])}.", rule["why"]) for rule in content["rules"]]
    found += [(f"Nobody when {_conditions(rule['when'])}:", rule["why"]) for rule in content["unattended"]]
    days = content["life_days"]
    return (*found, (f"An approval holds for {days} {'day' if days == 1 else 'days'}.", ""))


def _when(when: Mapping[str, Sequence[Any]]) -> str:
    return f"When {_conditions(when)}" if when else "Always"


def _conditions(when: Mapping[str, Sequence[Any]]) -> str:
    return ", ".join(
        _FLAG_WORDS[name, values[0]] if isinstance(values[0], bool) else f"{CONDITIONS[name]} {' or '.join(values)}"
        for name, values in when.items()
    )


def _needs(needs: Sequence[Mapping[str, Any]]) -> str:
    return " and ".join(
        f"{need['count']} of {' or '.join('owner' if n == OWNER else n for n in need['any_of'])}" for need in needs
    )


def read(text: str, version: int) -> dict[str, Any]:
    """Returns the contents that the lines say, as `version`; empty lines are left out. Raises CannotRead.

    What they mean is checked by `approval_rules.check`, not here.
    """
    content: dict[str, Any] = {"version": version, "life_days": 0, "rules": [], "unattended": []}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        life = _LIFE.fullmatch(line.strip())
        try:
            if life:
                content["life_days"] = int(life[1])
            else:
                name, rule = _read_rule(line.strip())
                content[name].append(rule)
        except CannotRead as error:
            raise CannotRead(f"Line {number}: {error}") from None
    return content


def _read_rule(line: str) -> tuple[str, dict[str, Any]]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise CannotRead('it begins with "Always:", "When …:", "Nobody when …:" or "An approval holds for … days."')
    head, conditions, rest = found[1].lower(), found[2].strip(), found[3].strip()
    when = {} if head == "always" else _read_conditions(conditions)
    if head == "always" and conditions:
        raise CannotRead('nothing stands between "Always" and the colon.')
    if head == "nobody when":
        return "unattended", {"when": when, "why": rest}
    parts = _NEEDS_AND_WHY.fullmatch(rest)
    if parts is None:
        raise CannotRead('after the colon: who, a full stop, and why. For example "1 of security. High risk."')
    return "rules", {"when": when, "needs": [_read_need(need) for need in parts[1].split(" and ")], "why": parts[2]}


def _read_conditions(text: str) -> dict[str, list[Any]]:
    when: dict[str, list[Any]] = {}
    for part in (part.strip() for part in text.split(",")):
        name, values = _read_condition(part)
        if name in when:
            raise CannotRead(f"{CONDITIONS[name] or name} stands twice; join the values by “or”.")
        when[name] = values
    return when


def _read_condition(part: str) -> tuple[str, list[Any]]:
    if part.lower() in _FLAGS:
        name, value = _FLAGS[part.lower()]
        return name, [value]
    for name, words in CONDITIONS.items():
        if words and part.lower().startswith(f"{words.lower()} "):
            return name, [value.strip() for value in part[len(words) + 1 :].split(" or ")]
    known = [*_FLAGS, *(f"{words} …" for words in CONDITIONS.values() if words)]
    raise CannotRead(f"{part!r} is no condition. Conditions are: {', '.join(known)}.")


def _read_need(text: str) -> dict[str, Any]:
    found = _NEED.fullmatch(text.strip())
    if found is None:
        raise CannotRead(f'{text.strip()!r} is not "number of group".')
    names = [OWNER if name.strip() == "owner" else name.strip() for name in found[2].split(" or ")]
    return {"any_of": names, "count": int(found[1])}
