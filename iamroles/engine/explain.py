"""Is what AWS shows explainable by our own plan? Pure: states go in, differences come out.

Before the first call everything must read as base (or as target); after it each part on its own must be one of the two.
Whatever else is somebody else's change, and a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from iamroles import canonical
from iamroles.blueprints.state import RoleState, State
from iamroles.iam import documents
from iamroles.proposal import gains, older_sessions
from iamroles.proposal.calls import Call
from iamroles.proposal.context import Context
from iamroles.proposal.propose import Stored

_DOCUMENTS = ("AssumeRolePolicyDocument", "PolicyDocument")


@dataclass(frozen=True)
class Difference:
    """One part that reads neither as base nor as target; None means absent."""

    part: str
    base: str | None
    target: str | None
    live: str | None

    def as_mapping(self) -> dict[str, str | None]:
        """Returns the JSON-able form that a stopped run shows."""
        return {"part": self.part, "base": self.base, "target": self.target, "live": self.live}

    def sentence(self) -> str:
        """Returns it in words; documents are too long for a sentence and stand in the comparison beside it."""
        if self.live is None:
            return f"{self.part}: not there, though it was there when this was observed."
        if self.base is None and self.target is None:
            return f"{self.part}: {_short(self.live)}, put there by somebody else."
        if self.base == self.target:
            return f"{self.part}: was {_short(self.base)}, now {_short(self.live)}."
        known = f"neither as observed ({_short(self.base)}) nor as approved ({_short(self.target)})"
        return f"{self.part}: {_short(self.live)}, {known}."


def _short(value: str | None) -> str:
    if value is None:
        return "not there"
    return "another document" if value.startswith("{") else value or "empty"


def fit(observed: State, stored: Stored) -> State:
    """Returns the observed state with every tag that the plan does not name read as the target has it.

    A cost tool's tag stops nothing, nor does our own nonce.
    """
    if observed.role is None:
        return observed
    if stored.target.role is None:  # a removal names no tag: whatever they are, they go with the role
        tags = stored.base.role.tags if stored.base.role else {}
        return replace(observed, role=replace(observed.role, tags=tags))
    target = stored.target.role.tags
    base = stored.base.role.tags if stored.base.role else {}
    desired = (stored.body["desired"]["role"] or {}).get("tags", {})
    named = {key for key in base.keys() | target.keys() if base.get(key) != target.get(key)} | set(desired)
    tags = {key: value for key, value in target.items() if key not in named}
    tags |= {key: observed.role.tags[key] for key in named if key in observed.role.tags}
    return replace(observed, role=replace(observed.role, tags=tags))


def parts(state: State) -> dict[str, str]:
    """Returns every comparable part of a state by name; what is absent is not there."""
    found: dict[str, str] = {}
    if state.role is not None:
        found |= _role_parts(state.role)
    for arn, policy in state.policies.items():
        if policy is not None:
            found[f"policy {arn}"] = "there"
            found[f"document {arn}"] = documents.canonical(policy.document).decode()
    return found


def _role_parts(role: RoleState) -> dict[str, str]:
    role = older_sessions.without(role)
    return {
        "role": "there",
        "trust": documents.canonical(role.trust).decode(),
        "description": role.description,
        "max_session": str(role.max_session),
        "boundary": role.boundary or "none",
        **{f"tag {key}": value for key, value in role.tags.items()},
        **{f"attached {arn}": "there" for arn in role.attached},
        **{f"inline {name}": documents.canonical(document).decode() for name, document in role.inline.items()},
    }


def unexplained(observed: State, stored: Stored, made: Mapping[str, str], *, begun: bool) -> list[Difference]:
    """Returns what neither base nor target explains; an empty list means explainable. `observed` went through `fit`.

    `made` maps ARNs that our own calls created to the ids AWS gave them.
    """
    base, target, live = parts(stored.base), parts(stored.target), parts(observed)
    found = _strangers(observed, stored, made)
    if not begun and live in (base, target):
        return found
    away = _taken_away_meanwhile(stored) if begun else set()
    for part in sorted(base.keys() | target.keys() | live.keys()):
        value = live.get(part)
        if value is None and part in away:
            continue
        if value != base.get(part) and (not begun or value != target.get(part)):
            found.append(Difference(part, base.get(part), target.get(part), value))
    return found


def uncut(stored: Stored, observed: State) -> list[Difference]:
    """Returns the deny for older sessions as what differs: else neither its presence nor its absence does."""
    before, now = (state.role and state.role.inline.get(older_sessions.NAME) for state in (stored.base, observed))
    base, live = (documents.canonical(given).decode() if given else None for given in (before, now))
    return [Difference(f"inline {older_sessions.NAME}", base, base, live)]


def _taken_away_meanwhile(stored: Stored) -> set[str]:
    """The parts that the plan itself takes away before it puts them back changed."""
    named = {"DetachRolePolicy": ("attached", "PolicyArn"), "DeleteRolePolicy": ("inline", "PolicyName")}
    calls = [call for call in stored.plan if call.api in named]
    return {f"{named[call.api][0]} {call.arguments[named[call.api][1]]}" for call in calls}


def _strangers(observed: State, stored: Stored, made: Mapping[str, str]) -> list[Difference]:
    """Things of the right name that are not the ones of the base, nor made by us."""
    found = []
    if observed.role is not None:
        expected = stored.base.role.role_id if stored.base.role else made.get(observed.role.arn)
        if observed.role.role_id != expected:
            found.append(Difference("role id", expected, expected, observed.role.role_id))
    for arn, policy in observed.policies.items():
        if policy is None:
            continue
        base = stored.base.policies.get(arn)
        if base is None and arn not in made:
            found.append(Difference(f"policy {arn}", None, "made by us", "made by others"))
            continue
        known = base.policy_id if base else made[arn]
        if known and policy.policy_id != known:  # proposals that were made before ids were looked at know none
            found.append(Difference(f"policy id {arn}", known, known, policy.policy_id))
    return found


def foreign_users(observed: State, stored: Stored) -> list[Difference]:
    """Returns the users of policies that the plan changes which were not there when it was approved."""
    found = []
    for arn, target in stored.target.policies.items():
        base, live = stored.base.policies.get(arn), observed.policies.get(arn)
        if base is None or live is None or (target and documents.equal(base.document, target.document)):
            continue
        strangers = live.users - base.users - {stored.base.role_arn}
        found += [Difference(f"user of {arn}", None, None, stranger) for stranger in sorted(strangers)]
    return found


def changed_dependencies(stored: Stored, context: Context) -> list[Difference]:
    """Returns the dependencies of the stored proposal that read otherwise now, unless rights are proved to have only
    gone. The same document under a new version number changes nothing.
    """
    after = context.dependencies()
    found = []
    for kind, wanted in sorted(stored.body["dependencies"].items()):
        for arn, value in sorted(wanted.items()):
            now = after.get(kind, {}).get(arn, {})
            changed = [key for key in value if key != "version" and value[key] != now.get(key)]
            if changed and not _only_removed(arn, stored, context):
                found += [_dependency(f"{kind} {arn} {key}", value[key], now.get(key)) for key in changed]
    return found


def _only_removed(arn: str, stored: Stored, context: Context) -> bool:
    before = stored.context()
    return before is not None and gains.only_removed(arn, stored.target, before, context)


def _dependency(part: str, before: Any, now: Any) -> Difference:
    """Several documents are named by one digest."""
    old, new = (canonical.digest(one) if isinstance(one, dict) else one for one in (before, now))
    return Difference(part, old, old, new)


def _meaning(call: Call) -> dict[str, Any]:
    value = dict(call.arguments)
    if older_sessions.is_cut(call):
        return {**value, "PolicyDocument": older_sessions.NAME}  # its time is the one value that a plan leaves open
    for name in _DOCUMENTS:
        if name in value:
            kind: Any = "trust" if call.api in ("CreateRole", "UpdateAssumeRolePolicy") else "identity"
            value[name] = documents.canonical(documents.parse(value[name], kind=kind))
    if "Tags" in value:
        value["Tags"] = {tag["Key"]: tag["Value"] for tag in value["Tags"]}
    return value


def is_planned(call: Call, planned: Call) -> bool:
    """Returns True when `call`, derived from the live state, is the planned one: by meaning, not by spelling.

    A part of a planned TagRole or UntagRole is planned too.
    """
    if (call.api, call.resource) != (planned.api, planned.resource):
        return False
    mine, theirs = _meaning(call), _meaning(planned)
    if call.api == "TagRole":
        return bool(mine["Tags"].items() <= theirs["Tags"].items())
    if call.api == "UntagRole":
        return set(mine["TagKeys"]) <= set(theirs["TagKeys"])
    return mine == theirs


def find_planned(call: Call, plan: Iterable[Call]) -> Call | None:
    """Returns the planned call that `call` is, or None when the plan does not hold it."""
    return next((planned for planned in plan if is_planned(call, planned)), None)
