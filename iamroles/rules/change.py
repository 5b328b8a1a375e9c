"""TR07 and TR09: what replacing a live trust policy does to whoever uses the role now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iamroles.blueprints.facts import AccountFacts
from iamroles.blueprints.state import RoleState
from iamroles.iam.contain import contains
from iamroles.iam.documents import Document
from iamroles.iam.phrases import listed
from iamroles.rules.findings import Finding
from iamroles.rules.observed import Around, Attached


def check(
    account: AccountFacts, live: RoleState, target: RoleState, attached: Sequence[Attached], around: Around
) -> Iterator[Finding]:
    """Yields TR07 and TR09 of a trust policy that is replaced."""
    lost = sorted(_principals(live.trust) - _principals(target.trust))
    if lost:
        message = f"This stops {listed(lost)} from using this role."
        yield Finding("TR09", "high", message, "Keep them, or use a new role.", "trust")
    elif around.last_used:
        message = f"{live.name} was last used on {around.last_used}: replacing its trust policy may stop its user."
        yield Finding("TR09", "high", message, "Find out who uses it, or use a new role.", "trust")
    if contains(live.trust, target.trust, account.number).verdict == "proved":
        return
    after = [policy.document for policy in attached]
    if after and contains(after, around.before, account.number).verdict != "proved":
        who = listed(lost) if lost else "whoever no longer may"
        if around.cuts:
            message = f"Sessions that {who} began before are cut off before anything is added, wanted ones too."
            yield Finding("TR07", "note", message, "Choose an hour without deployments.", "trust")
            return
        hours = live.max_session / 3600
        message = (
            f"Sessions that {who} began before stay valid for up to {hours:g} hours and get the new rights of "
            f"{live.name} too."
        )
        yield Finding("TR07", "high", message, "Cut the older sessions off, or use a new role.", "trust")


def _principals(document: Document) -> frozenset[str]:
    """Returns the principals of every Allow, as people write them."""
    return frozenset(
        name for statement in document.statements if statement.effect == "Allow" for _, name in statement.principals
    )
