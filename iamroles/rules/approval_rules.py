"""The approval rules as data: which requests need whom, how long an approval holds, and what needs nobody. Pure.

A rule has conditions that must all match and requirements that it adds; every matching rule adds its own. The contents
of one version are canonical JSON, whose SHA-256 each proposal carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from iamroles import canonical
from iamroles.blueprints.facts import DEPLOYER, KINDS, REMOVAL
from iamroles.rules import groups, risk
from iamroles.rules.approval import Requirement

OWNER: Final = "@owner"  # stands for the group that owns the request's AWS account
_ELSE: Final = ""  # a value that no rule can name
LIFE_AT_MOST: Final = 90
# condition -> the words before its values; a condition without words is true or false
CONDITIONS: Final[dict[str, str]] = {
    "account": "AWS account",
    "environment": "environment",
    "production": "",
    "kind": "kind",
    "adopts": "",
    "risk": "risk",
    "finding": "finding",
    "team": "team",
}
_NAME: Final = re.compile(r"[A-Za-z0-9_.@+-]{1,100}")  # what a rule can name: no blanks, so that its text can be read
# A removal takes a second person, and a deployer policy belongs to no role whose whole state could be proved.
UNATTENDED_KINDS: Final = tuple(kind for kind in KINDS if kind not in (REMOVAL, DEPLOYER))
_RATED: Final = (risk.LOW, risk.MEDIUM, risk.HIGH)

# Version 1: what every installation starts with. Never edited: a change is a new version, proposed and confirmed.
STARTING_RULES: Final[dict[str, Any]] = {
    "version": 1,
    "life_days": 7,
    "rules": [
        {
            "when": {"adopts": [False]},
            "needs": [{"any_of": [groups.APPROVERS], "count": 1}],
            "why": "Every request needs an approver.",
        },
        {
            "when": {"adopts": [True]},
            "needs": [{"any_of": [OWNER], "count": 1}],
            "why": "The AWS account's owner answers for adopting a role that exists already.",
        },
        {
            "when": {"risk": [risk.HIGH]},
            "needs": [{"any_of": [groups.SECURITY], "count": 1}],
            "why": "High risk needs somebody of security.",
        },
    ],
    "unattended": [],
}


@dataclass(frozen=True)
class Subject:
    """What conditions look at. `account` is the number, `team` the slug, `findings` the ids beyond the standard."""

    account: str
    environment: str
    production: bool
    kind: str
    adopts: bool
    risk: str
    findings: frozenset[str]
    team: str

    def as_mapping(self) -> dict[str, Any]:
        """Returns the JSON-able form that a proposal stores."""
        return {**vars(self), "findings": sorted(self.findings)}

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> Subject:
        """Returns the subject that `as_mapping` wrote."""
        return cls(**{**value, "findings": frozenset(value["findings"])})


@dataclass(frozen=True)
class Certainty:
    """What is proved of a proposal. Only with all of it may a request go without a person.

    `guarded`: rights and trust of the role's whole resulting state are proved inside the AWS account's guardrails.
    `foreign`: parts of others are on the role, or others use its policies. `first_grants`: it passes a role that nobody
    was granted before. `removes`: it only takes rights away.
    """

    guarded: bool
    foreign: bool
    first_grants: bool
    removes: bool = False


def digest(content: Mapping[str, Any]) -> str:
    """Returns the SHA-256 (hex) of one version's contents, its number included."""
    return canonical.digest(dict(content))


def requirements_for(
    subject: Subject, *, owner_group: str, content: Mapping[str, Any] = STARTING_RULES
) -> tuple[Requirement, ...]:
    """Returns what must hold: of every matching rule its requirements, of equal ones the larger count.

    Forbidden has none: nobody can approve it.
    """
    if subject.risk == risk.FORBIDDEN:
        return ()
    found: dict[tuple[str, ...], Requirement] = {}
    for rule in content["rules"]:
        if not _matches(rule["when"], subject):
            continue
        for need in rule["needs"]:
            # Told apart before the owner's group is filled in: "one owner and one of security" are two people even
            # where security owns the AWS account.
            key = tuple(sorted(need["any_of"]))
            first, *others = dict.fromkeys(owner_group if name == OWNER else name for name in need["any_of"])
            wanted = Requirement(first, need["count"], rule["why"], tuple(others))
            if key not in found or found[key].count < wanted.count:
                found[key] = wanted
    return tuple(found.values())


def why_attended(subject: Subject, certainty: Certainty, content: Mapping[str, Any] = STARTING_RULES) -> str:
    """Returns "" when a rule lets the request go without a person, else the first reason why one must decide."""
    reasons = (
        (unattended_rule(subject, content) is None, "no_rule"),
        (subject.kind not in UNATTENDED_KINDS or certainty.removes, "removes"),
        (subject.risk != risk.LOW, "not_low"),
        (subject.adopts, "adopts"),
        (not certainty.guarded, "not_guarded"),
        (certainty.foreign, "foreign_parts"),
        (certainty.first_grants, "first_grant"),
    )
    return next((code for holds, code in reasons if holds), "")


def unattended_rule(subject: Subject, content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Returns the first rule that lets such requests go without a person, or None. Production must be named."""
    rules: Sequence[Mapping[str, Any]] = content["unattended"]
    return next((rule for rule in rules if _matches({"production": [False], **rule["when"]}, subject)), None)


def _matches(when: Mapping[str, Sequence[Any]], subject: Subject) -> bool:
    values = {**vars(subject), "finding": subject.findings}
    return all(
        bool(subject.findings & set(wanted)) if name == "finding" else values[name] in wanted
        for name, wanted in when.items()
    )


def is_name(value: object) -> bool:
    """Returns whether a rule can name this: a group, environment or team without blanks."""
    return isinstance(value, str) and value != "owner" and _NAME.fullmatch(value) is not None


def named_groups(content: Mapping[str, Any]) -> frozenset[str]:
    """Returns every group that a version names; the owners' groups stand in the AWS accounts' records."""
    return frozenset(
        name for rule in content["rules"] for need in rule["needs"] for name in need["any_of"] if name != OWNER
    )


def check(content: object) -> tuple[str, ...]:
    """Returns what is wrong with a version's contents, as sentences; nothing when they can be used.

    Beyond its form, a version must ask for somebody in every case: what no rule covers could be approved by nobody.
    """
    wrong = _check_form(content)
    if wrong or not isinstance(content, Mapping):
        return tuple(wrong)
    for case in _every_case():
        if not requirements_for(case, owner_group=OWNER, content=content):
            return (f"No rule says who approves this: {_said(case)}. Add a rule that covers it.",)
    return ()


def _check_form(content: object) -> list[str]:
    if not isinstance(content, Mapping) or set(content) != {"version", "life_days", "rules", "unattended"}:
        return ["The rules need exactly version, life_days, rules and unattended."]
    life = content["life_days"]
    wrong = (
        [] if type(life) is int and 1 <= life <= LIFE_AT_MOST else [f"An approval can hold 1 to {LIFE_AT_MOST} days."]
    )
    if not isinstance(content["rules"], list) or not content["rules"] or not isinstance(content["unattended"], list):
        return [*wrong, "rules and unattended are lists, and there is at least one rule."]
    for place, rule in enumerate(content["rules"], start=1):
        wrong += [f"Rule {place}: {what}" for what in _check_rule(rule, {"when", "needs", "why"})]
    for place, rule in enumerate(content["unattended"], start=1):
        wrong += [f"Without a person, {place}: {what}" for what in _check_rule(rule, {"when", "why"})]
    return wrong


def _check_rule(rule: object, keys: set[str]) -> list[str]:
    if not isinstance(rule, Mapping) or set(rule) != keys or not isinstance(rule["when"], Mapping):
        return [f"it needs exactly {', '.join(sorted(keys))}."]
    wrong = [] if isinstance(rule["why"], str) and 3 <= len(rule["why"]) <= 200 else ["say why, in a sentence."]
    if not wrong and (rule["why"] != rule["why"].strip() or not rule["why"].isprintable()):
        wrong.append("the reason is one line.")
    for name, values in rule["when"].items():
        wrong += _check_condition(name, values)
    if "needs" in keys:
        needs = rule["needs"] if isinstance(rule["needs"], list) else []
        wrong += [] if needs else ["say how many of which group must approve."]
        wrong += [what for need in needs for what in _check_need(need)]
    elif not rule["when"].get("kind"):
        wrong.append("name the kinds of request that may go without a person.")
    elif not set(map(str, rule["when"]["kind"])) <= set(UNATTENDED_KINDS):
        wrong.append(f"without a person go {', '.join(UNATTENDED_KINDS)}; other kinds always need one.")
    return wrong


def _check_condition(name: object, values: object) -> list[str]:
    if name not in CONDITIONS:
        return [f"there is no condition {name!r}. There are: {', '.join(CONDITIONS)}."]
    if not isinstance(values, list) or not values:
        return [f"{name}: give at least one value."]
    if name in ("production", "adopts"):
        return [] if values in ([True], [False]) else [f"{name} is either true or false; without it both match."]
    allowed = {"kind": KINDS, "risk": _RATED}.get(str(name))
    if allowed is not None:
        return [] if set(map(str, values)) <= set(allowed) else [f"{name} is one of {', '.join(allowed)}."]
    if not all(map(is_name, values)):
        return [f"{name}: names have no blanks."]
    return []


def _check_need(need: object) -> list[str]:
    if not isinstance(need, Mapping) or set(need) != {"any_of", "count"}:
        return ["each requirement has any_of and count."]
    wrong = [] if type(need["count"]) is int and 1 <= need["count"] <= 9 else ["1 to 9 people can be asked for."]
    names = need["any_of"]
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        wrong.append("name at least one group, and each once.")
    elif not all(n == OWNER or (isinstance(n, str) and n != "owner" and _NAME.fullmatch(n)) for n in names):
        wrong.append('group names have no blanks, and none is called "owner": that is the AWS account\'s owner.')
    return wrong


def _every_case() -> Iterable[Subject]:
    """Yields the subjects that fewest rules match: an AWS account, environment and team that no rule names, and no
    findings. Whatever matches them matches every other subject too.
    """
    for production, kind, adopts, rated in product((False, True), KINDS, (False, True), _RATED):
        yield Subject(_ELSE, _ELSE, production, kind, adopts, rated, frozenset(), _ELSE)


def _said(subject: Subject) -> str:
    flags = (("production", subject.production), ("adopting", subject.adopts))
    said = [word if holds else f"not {word}" for word, holds in flags]
    return ", ".join([f"kind {subject.kind}", f"risk {subject.risk}", *said])
