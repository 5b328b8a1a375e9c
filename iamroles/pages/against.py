"""What a request under review is compared with beside AWS: the standard, its last revision, or another request.

Documents are paired by their title, then by how alike their lines are. The standard is what is normal, not what is
demanded: parts of it that the request leaves out are no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from iamroles.blueprints import facts
from iamroles.blueprints.state import RoleState, State
from iamroles.iam import arns, catalogue, documents, wording
from iamroles.iam.documents import Document
from iamroles.models import Proposal, Request
from iamroles.pages import comparison
from iamroles.pages.comparison import Difference
from iamroles.proposal import read as read_proposal
from iamroles.proposal.wording import policy_label
from iamroles.rules.standard import standard_documents

BASE: Final = "base"
STANDARD: Final = "standard"
REVISION: Final = "revision"
_ALIKE: Final = 0.4  # below it two texts are no two versions of one
_VALUES: Final = "Values"


@dataclass(frozen=True)
class DocumentChange:
    """A document that says something else than what it is compared with; one side may be empty."""

    title: str
    difference: Difference


@dataclass(frozen=True)
class Against:
    """`same` are titles of what reads alike, `gone` and `came` sentences; `note` stands where nothing is compared."""

    title: str
    before_title: str
    changes: tuple[DocumentChange, ...] = ()
    same: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    came: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class _Text:
    title: str
    text: str
    trust: bool = False


def usual(proposal: Proposal) -> str:
    """Returns what a proposal is compared with where nobody chose: a new role with the standard, others with AWS."""
    if not proposal.body:
        return BASE
    stored = read_proposal(proposal.canonical)
    return STANDARD if stored.base.role is None and stored.target.role is not None else BASE


def against_revision(proposal: Proposal) -> Against | None:
    """Returns how the proposal differs from the newest earlier one of the request, or None when it is the first."""
    rows = Proposal.objects.filter(
        revision__request=proposal.revision.request_id, revision__number__lt=proposal.revision.number
    )
    before = rows.select_related("revision__request").order_by("-revision__number").first()
    if before is None or not before.intact:
        return None
    number = before.revision.number
    return _between(before, proposal, f"Against revision {number}", "That revision")


def against_request(proposal: Proposal, other: Request) -> Against:
    """Returns how the proposal differs from another request's current one. One query."""
    title, before = f"Against {other.reference}", other.current_proposal()
    if before is None or not before.intact:
        return Against(title, other.reference, note=f"{other.reference} has no proposal to compare with yet.")
    return _between(before, proposal, title, other.reference)


def against_standard(proposal: Proposal, request: Request) -> Against:
    """Returns what the proposal has that the standard of its AWS account has not. One query."""
    account = request.account
    title = f"Against the standard of {account.name}" if account else "Against the standard"
    stored = read_proposal(proposal.canonical)
    if account is None or stored.target.role is None:
        return Against(title, "The standard", note="The standard speaks of roles. This request leaves none.")
    service = facts.service_of(facts.read(proposal.revision.facts))
    normal = standard_documents(account.facts(), service, account.rules())
    wanted = [*_managed(stored.target.role), *_named(stored.target)]
    texts = [_as_text(*one) for one in wanted]
    changes, same = _paired([_as_text("The standard", one) for one in normal], texts, whole=False)
    said = {sentence for one in normal for sentence in wording.sentences(one)}
    differing = {change.title for change in changes}
    came = [s for name, one in wanted if name in differing for s in wording.sentences(one)]
    came = [sentence for sentence in dict.fromkeys(came) if sentence not in said]
    return Against(title, "The standard", changes, same, came=tuple(came))


def _between(before: Proposal, now: Proposal, title: str, before_title: str) -> Against:
    old, new = (read_proposal(one.canonical).target for one in (before, now))
    changes, same = _paired(_whole(old), _whole(new), whole=True)
    gone = tuple(sentence for sentence in before.sentences if sentence not in now.sentences)
    came = tuple(sentence for sentence in now.sentences if sentence not in before.sentences)
    return Against(title, before_title, changes, same, gone, came)


def _paired(
    old: Sequence[_Text], new: Sequence[_Text], *, whole: bool
) -> tuple[tuple[DocumentChange, ...], tuple[str, ...]]:
    """Returns what differs and what reads alike; `whole` counts what only the old side has as a difference."""
    left, changes, same = list(old), [], []
    for one in new:
        partner = _partner(one, left)
        if partner is not None and whole:
            left.remove(partner)
        if partner is not None and partner.text == one.text:
            same.append(one.title)
        else:
            before = partner.text if partner else ""
            changes.append(DocumentChange(one.title, comparison.compare(before, one.text)))
    if whole:
        changes += [DocumentChange(one.title, comparison.compare(one.text, "")) for one in left]
    return tuple(sorted(changes, key=lambda change: change.title)), tuple(same)


def _partner(one: _Text, among: Sequence[_Text]) -> _Text | None:
    """Returns the text of the same title or contents, else the one most alike, or None where nothing is."""
    kin = [other for other in among if other.trust is one.trust]
    for other in kin:
        if other.text == one.text or other.title == one.title:
            return other
    rated = [(_likeness(other.text, one.text), other) for other in kin if _VALUES not in (other.title, one.title)]
    best = max(rated, key=lambda pair: pair[0], default=(0.0, None))
    return best[1] if best[0] >= _ALIKE else None


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one.splitlines(), other.splitlines(), autojunk=False).ratio()


def _as_text(title: str, document: Document) -> _Text:
    return _Text(title, documents.pretty(document), document.kind == "trust")


def _whole(state: State) -> list[_Text]:
    values = _values(state.role) if state.role is not None else ""
    texts = [_as_text(title, document) for title, document in _named(state)]
    return [*texts, *([_Text(_VALUES, values)] if values else [])]


def _named(state: State) -> list[tuple[str, Document]]:
    role = state.role
    found = [("Trust policy", role.trust)] if role is not None else []
    found += [(f"Policy {p.name}", p.document) for _, p in sorted(state.policies.items()) if p is not None]
    found += [(f"Inline policy {name}", one) for name, one in sorted(role.inline.items())] if role is not None else []
    return found


def _managed(role: RoleState) -> list[tuple[str, Document]]:
    """The attached policies of AWS whose documents are known here; `policy_label` names them."""
    found = []
    for arn in sorted(role.attached):
        try:
            document = catalogue.managed_policy(arn.rsplit("/", 1)[-1], arns.parse_arn(arn).partition).document
        except (KeyError, ValueError):
            continue
        found.append((policy_label(arn), document))
    return found


def _values(role: RoleState) -> str:
    lines = [
        f"Name: {role.name}",
        f"Path: {role.path}",
        f"Permissions boundary: {role.boundary or 'none'}",
        f"Description: {role.description or 'empty'}",
        f"Longest session: {role.max_session // 60} minutes",
        *(f"Attached: {policy_label(arn)}" for arn in sorted(role.attached)),
        *(f"Tag {key}: {value}" for key, value in sorted(role.tags.items())),
    ]
    return "\n".join(lines)
