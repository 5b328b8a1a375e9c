"""Cutting off sessions from before a change of trust (APPLY.md "Older sessions"): when, by which part, and its words.

A session that a removed principal opened earlier would hold what is added later. An inline policy denies everything to
sessions from before the change; its time is the one value that a plan leaves open. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from iamroles.blueprints.state import RoleState, State
from iamroles.iam import documents
from iamroles.iam.documents import Document
from iamroles.proposal.calls import Call

NAME: Final = "portal-deny-older-sessions"
OPEN: Final = "1 minute after the trust change"  # stands in the plan until AWS's time of the change is known
SPREADS: Final = 60  # seconds: how long a change of trust may take to be in force everywhere
LASTS: Final = 12 * 3600  # seconds: the longest session that IAM allows (AWS.md part 3)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_ADDING: Final = frozenset({"AttachRolePolicy", "PutRolePolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion"})


def document(until: str | None) -> Document:
    """Returns the deny for sessions from before `until`, `YYYY-MM-DDTHH:MM:SSZ`; None leaves the time open."""
    statement = {
        "Sid": "DenyOlderSessions",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": until or OPEN}},
    }
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]})


def is_ours(name: str, given: Document) -> bool:
    """Returns True for exactly such a deny under its name; anything else under that name is somebody else's."""
    if name != NAME or len(given.statements) != 1 or len(given.statements[0].conditions) != 1:
        return False
    values = given.statements[0].conditions[0].values
    until = values[0] if len(values) == 1 else ""
    return (until == OPEN or _TIME.fullmatch(until) is not None) and documents.equal(given, document(until))


def leaving(base: RoleState | None, target: RoleState | None, left: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the principals that the base's trust admits by name, or that `left` it lately, but not the target's."""
    if base is None or target is None:
        return ()
    return tuple(sorted((_admitted(base.trust) | set(left)) - _admitted(target.trust)))


def _admitted(trust: Document) -> set[str]:
    allowing = [statement for statement in trust.statements if statement.effect == "Allow"]
    named = {name for statement in allowing for _, name in statement.principals if not statement.not_principals}
    return named | ({"everybody else"} if any(statement.not_principals for statement in allowing) else set())


def adds(base: State, plan: Sequence[Call]) -> bool:
    """Returns True when the plan adds rights, which sessions of a principal that left the trust would get too."""
    widened = base.role is not None and base.role.boundary is not None
    return any(call.api in _ADDING or (widened and call.api == "PutRolePermissionsBoundary") for call in plan)


def denied_until(role: RoleState) -> str:
    """Returns until when the deny on a role reaches, as `YYYY-MM-DDTHH:MM:SSZ`; "" where there is none of ours."""
    given = role.inline.get(NAME)
    if given is None or not is_ours(NAME, given):
        return ""
    return given.statements[0].conditions[0].values[0]


def with_cut(target: State, until: str | None) -> State:
    """Returns what AWS reads once the target and the deny are in place."""
    if target.role is None:
        return target
    inline = {**target.role.inline, NAME: document(until)}
    return replace(target, role=replace(target.role, inline=inline))


def without(role: RoleState) -> RoleState:
    """Returns the role without a deny of ours: neither its presence nor its absence disturbs a later request."""
    kept = {name: given for name, given in role.inline.items() if not is_ours(name, given)}
    return role if len(kept) == len(role.inline) else replace(role, inline=kept)


def resolved(call: Call, until: str | None) -> Call:
    """Returns the call as it is sent: with the time of the change of trust where the plan left it open."""
    if until is None or not is_cut(call):
        return call
    text = documents.minified(document(until))
    return Call(call.api, call.resource, {**call.arguments, "PolicyDocument": text})


def is_cut(call: Call) -> bool:
    """Returns True for the call that puts the deny in place, with its time open or known."""
    if call.api != "PutRolePolicy" or call.arguments.get("PolicyName") != NAME:
        return False
    return is_ours(NAME, documents.parse(call.arguments["PolicyDocument"]))


def removal(role: RoleState) -> Call:
    """Returns the follow-up that takes the deny away again."""
    return Call("DeleteRolePolicy", role.arn, {"RoleName": role.name, "PolicyName": NAME})


def sentence(names: Sequence[str]) -> str:
    """Returns what people must know about it before they approve."""
    return (
        "Cuts off every running session of the role from before the change of trust, the wanted ones too, so that "
        f"{', '.join(names)} cannot use what is added. New sessions work a minute later. "
        "Roledesk takes the deny away after 12 hours."
    )
