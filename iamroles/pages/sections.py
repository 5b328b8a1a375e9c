"""The five sections of a proposal, for the review page and the request page: words first, then document and difference.

Everything comes from the stored canonical text, which is what the digest covers; nothing is generated again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from iamroles.blueprints.grants import granted_roles
from iamroles.blueprints.state import PolicyState, RoleState
from iamroles.iam import arns, catalogue, documents
from iamroles.models import Proposal
from iamroles.pages import exhibits
from iamroles.pages.access import access_between
from iamroles.pages.exhibits import (
    MARK_TONES,
    MARK_WORDS,
    Exhibit,
    Mark,
    Sentence,
    Words,
    exhibit,
    slug,
    statement_sentences,
)
from iamroles.proposal import Stored
from iamroles.proposal.wording import policy_label


@dataclass(frozen=True)
class Property:
    """One single value of the role, before and after."""

    name: str
    before: str
    after: str
    mark: Mark

    @property
    def mark_word(self) -> str:
        """The mark in words."""
        return MARK_WORDS[self.mark]

    @property
    def tone(self) -> str:
        """The mark's colour token."""
        return MARK_TONES[self.mark]


@dataclass(frozen=True)
class Passed:
    """A role that the request passes, as it was observed. `says` is what whoever can deploy may do through it."""

    name: str
    arn: str
    role_id: str | None
    says: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """The id of its row."""
        return f"passed-{slug(self.name)}"


@dataclass(frozen=True)
class Section:
    """`anchor` is the section's id; a section has exhibits, or properties, or both."""

    anchor: str
    number: int
    title: str
    summary: str
    exhibits: tuple[Exhibit, ...] = ()
    properties: tuple[Property, ...] = ()
    passed: tuple[Passed, ...] = ()
    anchors: frozenset[str] = field(default_factory=frozenset)

    @property
    def mark(self) -> str:
        """The id with a digest of all that the section shows: another content is another mark."""
        shown = repr((self.title, self.summary, self.exhibits, self.properties, self.passed))
        return f"{self.anchor}.{hashlib.sha256(shown.encode()).hexdigest()[:16]}"


def sections_of(stored: Stored, proposal: Proposal) -> tuple[Section, ...]:
    """Returns what goes, Trust, Permissions, Grants, Tags/boundary/name and In AWS now, in this order.

    A plan about policies alone has no trust, no attachments and no role: its policies stand in the grants' place.
    """
    made: tuple[Section | None, ...]
    if stored.target.role_arn is None:
        made = (_going(stored), _alone(stored), _names_alone(stored), _live_alone(stored))
    else:
        made = (
            _going(stored),
            _trust(stored),
            _permissions(stored),
            _grants(stored),
            _properties(stored),
            _live(stored, proposal),
        )
    shown = (section for section in made if section is not None)
    return tuple(replace(section, number=number) for number, section in enumerate(shown, 1))


def anchor_for(place: str, sections: Sequence[Section]) -> str:
    """Returns the id that a finding's place leads to: the statement, else the document, the section, the findings.

    Places are "trust", "grants:NAME", "in-aws:NAME#stmt-2" and the like (`rules.findings`).
    """
    known = {a for section in sections for a in (section.anchor, *section.anchors)}
    whole, _, statement = place.partition("#")
    section, _, name = whole.partition(":")
    documents_named = (
        [f"{prefix}-{slug(name)}" for prefix in ("grant", "policy", "inline", "passed")] if name else [section]
    )
    wanted = [f"{document}-{slug(statement)}" for document in documents_named if statement]
    return next((anchor for anchor in (*wanted, *documents_named, section) if anchor in known), "findings")


def _section(anchor: str, number: int, title: str, summary: str, exhibits: Sequence[Exhibit], **more: Any) -> Section:
    anchors = {e.anchor for e in exhibits} | {s.anchor for e in exhibits for s in e.words.sentences if s.anchor}
    anchors |= {role.anchor for role in more.get("passed", ())}
    return Section(anchor, number, title, summary, tuple(exhibits), anchors=frozenset(anchors), **more)


def _going(stored: Stored) -> Section | None:
    """What a removal takes away: documents with their words, and the attachments of policies that stay in AWS."""
    base, target = stored.base, stored.target
    if base.role is None and not any(base.policies.values()):
        return None
    shown: list[Exhibit] = []
    rows: list[Property] = []
    if base.role is not None and target.role is None:
        shown.append(exhibits.gone(anchor="going-trust", title="Trust policy", before=base.role.trust))
        shown += [
            exhibits.gone(anchor=f"inline-{slug(name)}", title=f"Inline policy {name}", before=document)
            for name, document in sorted(base.role.inline.items())
        ]
        others = sorted(base.role.attached - base.policies.keys())
        rows += [Property("Detached, stays in AWS", "", policy_label(arn), "gone") for arn in others]
    for arn, policy in sorted(base.policies.items()):
        if policy is not None and target.policies.get(arn) is None:
            shown.append(
                exhibits.gone(
                    anchor=f"grant-{slug(policy.name)}", title=f"Policy {policy.name}", before=policy.document, arn=arn
                )
            )
        elif policy is not None and _detached(arn, stored):
            rows.append(Property("Detached, others use it too", "", policy.name, "gone"))
    if not shown and not rows:
        return None
    if target.role_arn is None:
        summary = "It is attached to nothing, and it is deleted."
    else:
        summary = "The role and what is listed here." if target.role is None else "What is listed here; the role stays."
    return _section("going", 1, "What goes", summary, shown, properties=tuple(rows))


def _detached(arn: str, stored: Stored) -> bool:
    before, after = stored.base.role, stored.target.role
    return before is not None and arn in before.attached and (after is None or arn not in after.attached)


def _trust(stored: Stored) -> Section | None:
    role = stored.target.role
    if role is None:
        return None
    live = stored.base.role
    narrower = any(kept.kind == "trust" for kept in stored.kept)
    shown = exhibit(
        anchor="trust-policy",
        title="Trust policy",
        before=live.trust if live else None,
        after=role.trust,
        note="The live trust policy is narrower than ours and still lets the service in. It stays." if narrower else "",
        kept=narrower,
    )
    summary = {
        "new": "Who may use the role. Nothing is live to compare with.",
        "changed": "Who may use the role changes.",
        "same": "Who may use the role stays as it is.",
        "kept": "Who may use the role stays as it is.",
    }[shown.mark]
    return _section("trust", 1, "Trust", summary, [_with_alias(shown, "trust")])


def _with_alias(shown: Exhibit, anchor: str) -> Exhibit:
    """Statement ids of the one document of a section start with the section's own name (`trust-stmt-1`)."""
    renamed = tuple(
        Sentence(s.text, s.sign, s.anchor.replace(f"{shown.anchor}-", f"{anchor}-", 1)) for s in shown.words.sentences
    )
    return Exhibit(**{**vars(shown), "words": Words(renamed, shown.words.unchanged)})


def _permissions(stored: Stored) -> Section | None:
    role = stored.target.role
    if role is None:
        return None
    before = stored.base.role.attached if stored.base.role else frozenset()
    kept = {k.name for k in stored.kept if k.kind == "attached"}
    shown = [
        _attachment(arn, new=arn not in before, kept=arn in kept)
        for arn in sorted(role.attached, key=lambda arn: (arn in before, arn))
        if arn not in stored.target.policies
    ]
    shown += [_own_policy(arn, policy, stored) for arn, policy in _own(stored, grants=False)]
    shown += [
        exhibit(
            anchor=f"inline-{slug(name)}",
            title=f"Inline policy {name}",
            before=(stored.base.role.inline if stored.base.role else {}).get(name),
            after=document,
            note="Somebody else put it there. It is not changed.",
            kept=any(k.kind == "inline" and k.name == name for k in stored.kept),
        )
        for name, document in sorted(role.inline.items())
    ]
    added = len(role.attached - before - {arn for arn, _ in _own(stored, grants=True)})
    summary = f"{_number(added, 'policy', 'policies')} attached, " if added else "No further policy is attached, "
    return _section("permissions", 2, "Permissions", summary + _kept_words(len(kept) + len(role.inline)), shown)


def _number(count: int, one: str, many: str) -> str:
    return f"1 {one}" if count == 1 else f"{count} {many}"


def _kept_words(count: int) -> str:
    if not count:
        return "nothing of others on the role."
    return f"{_number(count, 'part', 'parts')} of others kept."


def _attachment(arn: str, *, new: bool, kept: bool) -> Exhibit:
    mark: Mark = "new" if new else "kept" if kept else "same"
    label = policy_label(arn)
    anchor = f"policy-{slug(arn.rsplit('/', 1)[-1])}"
    try:
        document = catalogue.managed_policy(arn.rsplit("/", 1)[-1], arns.parse_arn(arn).partition).document
    except (KeyError, ValueError):
        document = None
    return Exhibit(
        anchor=anchor,
        title=label,
        mark=mark,
        words=Words(statement_sentences(document, anchor)) if document else Words(()),
        text=documents.pretty(document) if document else "",
        note="" if document else "Its contents are not part of this request; the policy stays attached as it is.",
        arn=arn,
        open=False,
        access=access_between(None if new else document, document) if document else (),
    )


def _own(stored: Stored, *, grants: bool) -> list[tuple[str, PolicyState]]:
    """The portal's own policies of the target: the PassRole grants, or all others."""
    policies = [(arn, policy) for arn, policy in sorted(stored.target.policies.items()) if policy is not None]
    return [(arn, policy) for arn, policy in policies if (granted_roles(policy.document) is not None) is grants]


def _own_policy(arn: str, policy: PolicyState, stored: Stored, what: str = "Policy", kind: str = "policy") -> Exhibit:
    live = stored.base.policies.get(arn)
    return exhibit(
        anchor=f"{kind}-{slug(policy.name)}",
        title=f"{what} {policy.name}",
        before=live.document if live else None,
        after=policy.document,
        note=_attached_note(arn, policy, stored.base.role, stored.target.role),
        arn=arn,
    )


def _grants(stored: Stored) -> Section | None:
    shown = [_own_policy(arn, policy, stored, "PassRole policy", "grant") for arn, policy in _own(stored, grants=True)]
    passed = _passed(stored)
    if not shown and not passed:
        return None
    summary = (
        "Which roles CodeDeploy may hand to ECS tasks, beyond what the attached policies allow."
        if shown
        else "No grant is needed: the attached policies cover the named roles."
    )
    return _section("grants", 3, "Grants", summary, shown, passed=passed)


def _passed(stored: Stored) -> tuple[Passed, ...]:
    says = {one["arn"]: tuple(one["says"]) for one in stored.body.get("reach", ())}
    seen = sorted(stored.body["dependencies"]["passed_roles"].items())
    return tuple(Passed(arns.role_name_of(arn), arn, one["role_id"], says.get(arn, ())) for arn, one in seen)


def _alone(stored: Stored) -> Section | None:
    """The deployer policy, and the roles that whoever holds it may hand out."""
    shown = [
        exhibit(
            anchor=f"grant-{slug(policy.name)}",
            title=f"Deployer policy {policy.name}",
            before=live.document if (live := stored.base.policies.get(arn)) else None,
            after=policy.document,
            note=policy.description,
            arn=arn,
        )
        for arn, policy in sorted(stored.target.policies.items())
        if policy is not None
    ]
    if not shown:
        return None
    summary = "What whoever holds it may do. The portal attaches it to nothing; the team does."
    return _section("grants", 1, "Deployer policy", summary, shown, passed=_passed(stored))


def _names_alone(stored: Stored) -> Section | None:
    rows = []
    for arn, policy in sorted(stored.target.policies.items()):
        if policy is None:
            continue
        live = stored.base.policies.get(arn)
        pairs = (("Name", policy.name), ("Path", policy.path), ("Description", policy.description or "empty"))
        rows += [Property(name, value if live else "", value, "same" if live else "new") for name, value in pairs]
    summary = "IAM never lets any of these be changed: another name is another policy."
    return _section("names", 1, "Name, path, description", summary, [], properties=tuple(rows)) if rows else None


def _live_alone(stored: Stored) -> Section:
    rows = []
    for arn, policy in sorted(stored.base.policies.items()):
        if policy is None:
            continue
        mark: Mark = "same" if stored.target.policies.get(arn) else "gone"
        rows += [Property("Policy ARN", "", arn, mark), Property("PolicyId", "", policy.policy_id or "", mark)]
        rows += [Property("Attached to", "", user, "same") for user in sorted(policy.users)]
    summary = "The policy exists." if rows else "There is no such policy."
    return _section("in-aws", 1, "In AWS now", summary, [], properties=tuple(rows))


def _attached_note(arn: str, policy: PolicyState, before: RoleState | None, after: RoleState | None) -> str:
    if after is None or arn not in after.attached:
        return ""
    if before is not None and arn in before.attached:
        return f"Attached to {after.name} already."
    return f"Attached to {after.name} by this request."


def _properties(stored: Stored) -> Section | None:
    role = stored.target.role
    if role is None:
        return None
    live = stored.base.role
    kept = {k.name for k in stored.kept if k.kind == "tag"}
    pairs = [
        ("Name", live.name if live else "", role.name),
        ("Path", live.path if live else "", role.path),
        ("Permissions boundary", (live.boundary or "none") if live else "", role.boundary or "none"),
        ("Description", (live.description or "empty") if live else "", role.description or "empty"),
        (
            "Longest session",
            f"{live.max_session // 60} minutes" if live else "",
            f"{role.max_session // 60} minutes",
        ),
    ]
    rows = [Property(name, old, new, _mark(live is None, old, new)) for name, old, new in pairs]
    for key, value in sorted(role.tags.items()):
        old = live.tags.get(key, "") if live else ""
        mark: Mark = "kept" if key in kept else _mark(live is None or key not in live.tags, old, value)
        rows.append(Property(f"Tag {key}", old, value, mark))
    changed = sum(row.mark in ("new", "changed") for row in rows)
    summary = f"{changed} of {len(rows)} values are new or change." if changed else "All of it stays as it is."
    return _section("names", 4, "Tags, boundary, name", summary, [], properties=tuple(rows))


def _mark(new: bool, before: str, after: str) -> Mark:
    if new:
        return "new"
    return "same" if before == after else "changed"


def _live(stored: Stored, proposal: Proposal) -> Section:
    role = stored.base.role
    if role is None:
        return _section("in-aws", 5, "In AWS now", "There is no such role.", [])
    rows = [
        Property("Role ARN", "", role.arn, _kept_mark(stored, role.arn)),
        Property("RoleId", "", role.role_id or "", _kept_mark(stored, "")),
    ]
    for arn in sorted(role.attached):
        mark: Mark = "gone" if _detached(arn, stored) else _kept_mark(stored, arn)
        rows.append(Property("Attached", "", policy_label(arn), mark))
    rows += [Property("Inline policy", "", name, _kept_mark(stored, name)) for name in sorted(role.inline)]
    summary = (
        "The role exists and is not managed here yet: approving adopts it with everything that is attached."
        if proposal.adopts
        else "The role exists and is managed here."
    )
    return _section("in-aws", 5, "In AWS now", summary, [], properties=tuple(rows))


def _kept_mark(stored: Stored, name: str) -> Mark:
    if stored.target.role is None:
        return "gone"
    return "kept" if any(k.name == name for k in stored.kept) else "same"
