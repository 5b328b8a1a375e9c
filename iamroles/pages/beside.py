"""What stands beside a request under review: how it differs from its last revision, and what was decided lately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from iamroles import permissions
from iamroles.blueprints.state import State
from iamroles.iam import documents
from iamroles.models import Decision, Proposal, Request, User
from iamroles.pages import comparison
from iamroles.pages.comparison import Difference
from iamroles.proposal import read as read_proposal

_LISTED: Final = 5


@dataclass(frozen=True)
class DocumentChange:
    """A document that says something else than in the last revision; one side may be empty."""

    title: str
    difference: Difference


@dataclass(frozen=True)
class AgainstRevision:
    """`number` is the revision that is compared with; `gone` and `came` are sentences."""

    number: int
    changes: tuple[DocumentChange, ...]
    gone: tuple[str, ...]
    came: tuple[str, ...]


@dataclass(frozen=True)
class Beside:
    """The last decisions in the AWS account, and other requests for a role of this name or of this team and kind."""

    decisions: tuple[Decision, ...]
    similar: tuple[Request, ...]


def against_revision(proposal: Proposal) -> AgainstRevision | None:
    """Returns how the proposal differs from the newest earlier one of the request, or None when it is the first."""
    rows = Proposal.objects.filter(
        revision__request=proposal.revision.request_id, revision__number__lt=proposal.revision.number
    )
    before = rows.select_related("revision__request").order_by("-revision__number").first()
    if before is None or not before.intact:
        return None
    old, new = (_texts(read_proposal(one.canonical).target) for one in (before, proposal))
    changes = [
        DocumentChange(title, comparison.compare(old.get(title, ""), new.get(title, "")))
        for title in sorted(old.keys() | new.keys())
        if old.get(title) != new.get(title)
    ]
    gone = tuple(sentence for sentence in before.sentences if sentence not in proposal.sentences)
    came = tuple(sentence for sentence in proposal.sentences if sentence not in before.sentences)
    return AgainstRevision(before.revision.number, tuple(changes), gone, came)


def _texts(state: State) -> dict[str, str]:
    found = {f"Policy {p.name}": documents.pretty(p.document) for p in state.policies.values() if p is not None}
    if state.role is not None:
        found["Trust policy"] = documents.pretty(state.role.trust)
        found |= {f"Inline policy {name}": documents.pretty(one) for name, one in state.role.inline.items()}
    return found


def beside(request: Request, user: User) -> Beside:
    """Returns what the person may see of it, five each, newest first. Two queries."""
    visible = permissions.visible_requests(user).exclude(pk=request.pk)
    decisions = Decision.objects.filter(request__in=visible.filter(account=request.account).values("pk"))
    alike = Q(role_name=request.role_name) if request.role_name else Q(pk=None)
    similar = visible.filter(alike | Q(team=request.team, kind=request.kind)).exclude(state="draft")
    return Beside(
        tuple(decisions.select_related("request", "approver").order_by("-pk")[:_LISTED]),
        tuple(similar.order_by("-pk")[:_LISTED]),
    )
