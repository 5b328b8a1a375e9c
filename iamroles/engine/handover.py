"""Roles that another tool manages: an approved request is handed over as text, and no writing call is ever made."""

from __future__ import annotations

import hashlib

from iamroles.blueprints import terraform
from iamroles.blueprints.state import State
from iamroles.engine.explain import Difference
from iamroles.engine.proof import Proved
from iamroles.engine.tools import Tools
from iamroles.models import Request
from iamroles.proposal import Stored
from iamroles.rules.tool_tags import owner_of
from iamroles.transitions import move_request


def hand_over(request: Request, proved: Proved, tools: Tools) -> None:
    """Closes the request as handed over; scans then watch for its target. Raises WrongState."""
    stored = proved.stored
    text = terraform.hand_over(stored.target, stored.base)
    data: dict[str, object] = {
        "revision": request.revision_number,
        "proposal_digest": proved.proposal.digest,
        "terraform_digest": hashlib.sha256(text.encode()).hexdigest(),
    }
    move_request(
        request,
        "hand_over",
        event="request.handed_over",
        actor=tools.actor,
        at=tools.now(),
        data=data,
        fields={"outcome": "handed_over", "next_try_at": None},
    )


def taken_over(observed: State, stored: Stored, tools: Tools) -> Difference | None:
    """Returns the tag by which another tool has claimed the role since the approval, or None.

    A tag that the request itself asked for claims nothing.
    """
    if observed.role is None:
        return None
    asked = (stored.body["desired"]["role"] or {}).get("tags", {})
    claimed = owner_of({k: v for k, v in observed.role.tags.items() if asked.get(k) != v}, tools.tool_tags)
    if claimed is None:
        return None
    base = stored.base.role.tags if stored.base.role else {}
    key = claimed.tag.partition(" = ")[0]
    return Difference(f"tag {key}", base.get(key), base.get(key), observed.role.tags[key])
