"""Low requests of the same shape, for deciding them together: equal but for account, names and tags.

Of a request that is decided so, nothing was there before; its facts may differ in `MAY_DIFFER` alone, and what differs
is a column of the table. All else, the plan's calls, findings and needed approvals included, is equal by the shape.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from iamroles import canonical
from iamroles.models import Proposal, Request, User
from iamroles.pages import frame
from iamroles.proposal import read as read_proposal
from iamroles.rules import risk

AT_MOST: Final = 20  # decided at once
_LOOKED_AT: Final = 200  # Low requests that wait, oldest first
_NAMES: Final = ("role_name", "tags", "description", "policy_name", "policy_description", "uses_policy_name")
MAY_DIFFER: Final = frozenset(("account", "team", "execution_roles", "task_roles", *_NAMES))


@dataclass(frozen=True)
class Member:
    """One request of the table; `values` are the names and values of what differs, in the order of the columns."""

    request: Request
    proposal: Proposal
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Group:
    """The requests of one shape that wait for a person, and what differs between them. `more` counts the unlisted."""

    shape: str
    columns: tuple[str, ...]
    members: tuple[Member, ...]
    more: int

    @property
    def sentences(self) -> list[str]:
        """What the first of them makes different; the others likewise."""
        return self.members[0].proposal.sentences


def shape_of(proposal: Proposal, kind: str) -> str:
    """Returns what requests must share to be decided together, as 16 digits; "" for one that is decided by itself."""
    if not proposal.intact or proposal.rated != risk.LOW or proposal.adopts:
        return ""
    stored = read_proposal(proposal.canonical)
    if stored.base.role is not None or any(stored.base.policies.values()):
        return ""
    facts = json.loads(proposal.revision.facts)
    shared = {
        "kind": kind,
        "facts": {name: value for name, value in facts.items() if name not in MAY_DIFFER},
        "lengths": {name: len(facts[name]) for name in ("execution_roles", "task_roles") if name in facts},
        "calls": [call.api for call in stored.plan],
        "findings": sorted([f["id"], f["severity"], f["standard"]] for f in proposal.findings),
        "requirements": proposal.requirements,
        "environment": proposal.body["subject"]["environment"],
    }
    return canonical.digest(shared)[:16]


def group_of(user: User, shape: str) -> Group | None:
    """Returns what waits for the person in one shape, oldest first; None when nothing does. Four queries."""
    rows = frame.waiting_for(user).filter(risk=risk.LOW).select_related("requester", "team", "account")
    waiting = list(rows.order_by("submitted_at", "pk")[:_LOOKED_AT])
    proposals = current_proposals(waiting)
    same = [row for row in waiting if row.pk in proposals and shape_of(proposals[row.pk], row.kind) == shape]
    if not same:
        return None
    listed = same[:AT_MOST]
    told = [_told(row, proposals[row.pk]) for row in listed]
    columns = tuple(name for name in told[0] if len({one.get(name, "") for one in told}) > 1)
    members = tuple(
        Member(row, proposals[row.pk], tuple((name, one.get(name, "")) for name in columns))
        for row, one in zip(listed, told, strict=True)
    )
    return Group(shape, columns, members, len(same) - len(listed))


def current_proposals(rows: Sequence[Request]) -> dict[int, Proposal]:
    """Returns the proposals of the requests' current revisions by request. One query."""
    found = Proposal.objects.filter(revision__request__in=[row.pk for row in rows]).select_related("revision__request")
    numbers = {row.pk: row.revision_number for row in rows}
    return {p.revision.request_id: p for p in found if p.revision.number == numbers[p.revision.request_id]}


def _told(row: Request, proposal: Proposal) -> dict[str, str]:
    facts: dict[str, Any] = json.loads(proposal.revision.facts)
    account = facts.pop("account", {})
    told = {"asked for by": row.requester.display_name, "reason": proposal.revision.reason}
    told |= {f"AWS account: {name.replace('_', ' ')}": _text(value) for name, value in account.items()}
    return told | {name.replace("_", " "): _text(value) for name, value in facts.items()}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_text(one)}" for name, one in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "" if value is None else str(value)
