"""One sentence for each region of a difference: who can now or no longer do what, to which, under which condition.

The other scope is named where a pattern was excluded ("not only those named …"). An uncertain region says "possibly".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from iamroles.iam import catalogue
from iamroles.iam.phrases import deeds, listed, scope, services, short_name, verbs
from iamroles.iam.regions import KeyWords, Region, Words

Change = Literal["allowed", "lost", "denied", "undenied"]
_STARTS = {
    "allowed": ("Can now", "Can now possibly"),
    "lost": ("Can no longer", "Can possibly no longer"),
    "denied": ("Is now explicitly denied to", "Is now possibly denied to"),
    "undenied": ("Is no longer explicitly denied to", "Is possibly no longer denied to"),
}
_PASSED_TO = "iam:passedtoservice"


def sentence(region: Region, change: Change, names: Mapping[str, str]) -> str:
    """Returns the sentence of one region. `names` gives the spelling of condition keys that the documents use."""
    region = replace(region, conditions=tuple(replace(c, key=names.get(c.key, c.key)) for c in region.conditions))
    start = _STARTS[change][not region.certain]
    if region.principal is not None:
        return _trust_sentence(region, change)
    resources = _one_list(region.resource)
    told, rest = _passing(region, resources)
    if not told:
        told = _what(region, resources)
        rest = list(region.conditions)
    excluded = _excluded(region)
    return f"{start} {told}{_conditions(rest)}{excluded if change == 'allowed' else _but(region)}."


def _one_list(words: Words) -> list[str]:
    """The narrowest of the lists that must all be hit; `*` when nothing limits."""
    shortest: tuple[str, ...] = min(words.matches, key=len) if words.matches else ("*",)
    return list(shortest)


def _what(region: Region, resources: Sequence[str]) -> str:
    lists = region.action.matches
    if not lists:
        but = f" but {listed(region.action.but_not)}" if region.action.but_not else ""
        return f"do everything{but} on {scope('resource', resources)}"
    actions = min(lists, key=len)
    groups, unknown = deeds(actions)
    texts = [f"{verbs(found)} {scope(noun, resources)}" for noun, found in groups]
    if unknown:
        but = f" (but not {listed(region.action.but_not)})" if region.action.but_not else ""
        texts.append(f"use {listed(unknown)}{but} on {scope('resource', resources)}")
    return "; ".join(texts)


def _passing(region: Region, resources: Sequence[str]) -> tuple[str, list[KeyWords]]:
    """The words of a region of iam:PassRole to named services, and the conditions left to tell; '' for others."""
    if [tuple(name.lower() for name in one) for one in region.action.matches] != [("iam:passrole",)]:
        return "", []
    limits = [one for one in region.conditions if one.key.lower() == _PASSED_TO]
    rest = [one for one in region.conditions if one.key.lower() != _PASSED_TO]
    roles = scope("role", resources)
    if not limits:
        return f"pass {roles} to any service", rest
    words = limits[0].words
    if len(words.matches) == 1 and not words.but_not and not limits[0].absent:
        return f"pass {roles} to {services(words.matches[0])}", rest
    if not words.matches and words.but_not:
        return f"pass {roles} to any service, not only to {services(words.but_not)}", rest
    return f"pass {roles}", list(region.conditions)


def _excluded(region: Region) -> str:
    """For something gained: what was allowed already, because it is cut out of the region."""
    names = list(dict.fromkeys(short_name(one) for one in region.resource.but_not))
    return f", not only those named {listed(names, 'or')}" if names else ""


def _but(region: Region) -> str:
    names = list(dict.fromkeys(short_name(one) for one in region.resource.but_not))
    return f", except those named {listed(names, 'or')}" if names else ""


def _conditions(conditions: Sequence[KeyWords]) -> str:
    barred = [one for one in conditions if one.absent and one.words.but_not and not one.words.matches]
    texts = [_condition(one) for one in conditions if one not in barred]
    unless = [f"{one.key} is {listed((_quoted(v) for v in one.words.but_not), 'or')}" for one in barred]
    return (f", if {' and '.join(texts)}" if texts else "") + (f", unless {' or '.join(unless)}" if unless else "")


def _condition(one: KeyWords) -> str:
    texts = [f"is {listed((_quoted(value) for value in values), 'or')}" for values in one.words.matches]
    if one.words.but_not:
        texts.append(f"is not {listed((_quoted(value) for value in one.words.but_not), 'or')}")
    if not texts:
        return f"{one.key} is absent" if one.absent else f"{one.key} is present"
    return f"{one.key} {' and '.join(texts)}" + (" or absent" if one.absent else "")


def _quoted(value: str) -> str:
    return value if value.strip() else f'"{value}"'


def _trust_sentence(region: Region, change: Change) -> str:
    lists = region.principal.matches if region.principal else ()
    names = [_principal(one) for one in min(lists, key=len)] if lists else ["anybody"]
    but = ""
    if region.principal and region.principal.but_not:
        but = f" other than {listed([_principal(one) for one in region.principal.but_not])}"
    use = "use this role"
    actions = region.action.matches
    if actions and {name.lower() for name in actions[0]} != {"sts:assumerole"}:
        use = f"call {listed(actions[0])} on this role"
    elif not actions:
        use = "call everything on this role"
    modal = {
        "allowed": "can now",
        "lost": "can no longer",
        "denied": "is now explicitly denied to",
        "undenied": "is no longer explicitly denied to",
    }[change]
    possibly = "" if region.certain else " possibly"
    return f"{listed(names)}{but} {modal}{possibly} {use}{_conditions(region.conditions)}."


def _principal(text: str) -> str:
    kind, _, name = text.partition(":")
    if kind == "Service":
        return catalogue.service_words(name)
    if text in {"AWS:*", "AWS:?*"}:
        return "anybody in any AWS account"
    return name if kind == "AWS" else text
