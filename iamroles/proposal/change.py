"""The calls on a role that exists: what it loses first, then its boundary, its trust and the rest of it.

What it gains comes after all of these, in `plan`; the order and why it is so stands there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from iamroles.blueprints.state import RoleState, State
from iamroles.iam import documents
from iamroles.iam.contain import contains
from iamroles.iam.documents import Document
from iamroles.proposal import older_sessions
from iamroles.proposal.calls import Call

Change = Literal["same", "loses", "gains", "both"]


def change_of(live: Document, wanted: Document) -> Change:
    """Returns what a document does to the rights of its holder; what is not proved counts as a change."""
    if documents.equal(live, wanted):
        return "same"
    loses = contains(live, wanted).verdict != "proved"
    gains = contains(wanted, live).verdict != "proved"
    return "both" if loses and gains else "loses" if loses else "gains"


def put_inline(target: RoleState, name: str) -> Call:
    """Returns the call that writes an inline policy as the target has it."""
    document = documents.minified(target.inline[name])
    return Call("PutRolePolicy", target.arn, {"RoleName": target.name, "PolicyName": name, "PolicyDocument": document})


@dataclass(frozen=True)
class RoleChange:
    """A role as it is observed and as it will be. `widens`: the target's boundary may give it something."""

    observed: State
    target: State
    live: RoleState
    wanted: RoleState
    widens: bool

    @property
    def _bounds(self) -> bool:
        return self.wanted.boundary is not None and self.wanted.boundary != self.live.boundary

    @property
    def _trusts(self) -> bool:
        return not documents.equal(self.live.trust, self.wanted.trust)

    @property
    def _opens(self) -> bool:
        return self._bounds and self.widens

    def staying(self) -> RoleState:
        """Returns the role with what stays on it while boundary and trust change; the rest is added anew."""
        if self._opens and self._trusts:
            kept = {name: given for name, given in self.live.inline.items() if older_sessions.is_ours(name, given)}
            return replace(self.live, attached=frozenset(), inline=kept)
        inline = {name: given for name, given in self.live.inline.items() if not self._inline_goes(name, given)}
        return replace(self.live, attached=self.live.attached - self._detached(), inline=inline)

    def _inline_goes(self, name: str, given: Document) -> bool:
        if older_sessions.is_ours(name, given):
            return False
        return name not in self.wanted.inline or self._goes_for_now(given, self.wanted.inline[name])

    def _goes_for_now(self, before: Document, after: Document) -> bool:
        """What both loses and gains is taken away before trust or boundary change, and put back after them."""
        return (self._trusts or self._opens) and change_of(before, after) == "both"

    def _detached(self) -> frozenset[str]:
        """The attachments that go, for good or until their policy has changed."""
        for_now = set()
        for arn in self.live.attached & self.wanted.attached:
            before, after = self.observed.policies.get(arn), self.target.policies.get(arn)
            if before and after and self._goes_for_now(before.document, after.document):
                for_now.add(arn)
        return self.live.attached - self.wanted.attached | for_now

    def removals(self, staying: RoleState) -> list[Call]:
        """Returns what goes first: a boundary that gives nothing, then everything that does not stay or loses."""
        live, name = self.live, self.live.name
        calls = [self._put_boundary()] if self._bounds and not self.widens else []
        calls += [
            Call("DetachRolePolicy", live.arn, {"RoleName": name, "PolicyArn": arn})
            for arn in sorted(live.attached - staying.attached)
        ]
        for policy, given in sorted(live.inline.items()):
            if policy not in staying.inline:
                calls.append(Call("DeleteRolePolicy", live.arn, {"RoleName": name, "PolicyName": policy}))
            elif not older_sessions.is_ours(policy, given) and change_of(given, self.wanted.inline[policy]) == "loses":
                calls.append(put_inline(self.wanted, policy))
        return calls

    def _put_boundary(self) -> Call:
        arguments = {"RoleName": self.live.name, "PermissionsBoundary": self.wanted.boundary}
        return Call("PutRolePermissionsBoundary", self.live.arn, arguments)

    def changes(self) -> list[Call]:
        """Returns what changes between removals and additions. Older sessions are cut off before a boundary opens
        anything to them; where nothing is in place it opens nothing.
        """
        opening = [self._put_boundary()] if self._opens else []
        cut = self._cut()
        return [*opening, *self._trust(), *cut, *self._rest()] if self._trusts else [*cut, *opening, *self._rest()]

    def _trust(self) -> list[Call]:
        arguments = {"RoleName": self.live.name, "PolicyDocument": documents.minified(self.wanted.trust)}
        return [Call("UpdateAssumeRolePolicy", self.live.arn, arguments)]

    def _cut(self) -> list[Call]:
        cut, there = self.wanted.inline.get(older_sessions.NAME), self.live.inline.get(older_sessions.NAME)
        if cut is None or not older_sessions.is_ours(older_sessions.NAME, cut):
            return []
        if there is not None and documents.equal(there, cut):
            return []
        return [put_inline(self.wanted, older_sessions.NAME)]

    def _rest(self) -> list[Call]:
        live, target = self.live, self.wanted
        calls = []
        if (live.description, live.max_session) != (target.description, target.max_session):
            lasting = {"Description": target.description, "MaxSessionDuration": target.max_session}
            calls.append(Call("UpdateRole", live.arn, {"RoleName": live.name, **lasting}))
        gone = sorted(live.tags.keys() - target.tags.keys())
        if gone:
            calls.append(Call("UntagRole", live.arn, {"RoleName": live.name, "TagKeys": gone}))
        changed = {key: value for key, value in target.tags.items() if live.tags.get(key) != value}
        if changed:
            tags = [{"Key": key, "Value": value} for key, value in sorted(changed.items())]
            calls.append(Call("TagRole", live.arn, {"RoleName": live.name, "Tags": tags}))
        return calls
