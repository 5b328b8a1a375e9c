"""Does replacing a permissions boundary give the role anything? Proved not, or the plan makes room for it first. Pure.

Decided once, over the base, and stored with the proposal: between two calls there is less to prove from.
"""

from __future__ import annotations

from collections.abc import Mapping

from iamroles.blueprints.state import State
from iamroles.iam.contain import contains
from iamroles.iam.documents import Document
from iamroles.proposal import older_sessions


def widens(base: State, target: State, managed: Mapping[str, Document]) -> bool:
    """Returns True unless the boundary stays, or it is proved that what the role holds in the base may do nothing more
    within the target's boundary. `managed` are the documents of attached policies and boundaries, by ARN.
    """
    live, wanted = base.role, target.role
    if live is None or wanted is None or live.boundary is None or wanted.boundary in (None, live.boundary):
        return False
    old, new = managed.get(live.boundary), managed.get(wanted.boundary)
    if old is None or new is None:
        return True
    own = {arn: policy.document for arn, policy in base.policies.items() if policy}
    known = {**managed, **own}
    held = [known.get(arn) for arn in sorted(live.attached)]
    held += [given for name, given in sorted(live.inline.items()) if not older_sessions.is_ours(name, given)]
    if any(document is None for document in held):
        return contains(new, old).verdict != "proved"
    documents = tuple(document for document in held if document is not None)
    return bool(documents) and contains(documents, old, boundary=new).verdict != "proved"
