"""The standard and the guardrails of an AWS account: what stands, what is wrong with a text, and its next version.

Two people change them (`change_kinds`). Only while the portal has no two who could, the command line sets one alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from iamroles import audit, canonical
from iamroles.audit import Actor, Change, Subject
from iamroles.iam import documents, limits
from iamroles.iam.documents import Document, DocumentError
from iamroles.models import AccountRule, AwsAccount, ProposedChange
from iamroles.rules import account_rules
from iamroles.workflow import people
from iamroles.workflow.verbs import Invalid, NotAllowed, verb


def content_of(kind: str, text: str) -> dict[str, list[str]]:
    """Returns the content of a change for a JSON text: one document or a list. Raises Invalid at the field `text`."""
    return _content(_read(kind, text))


def text_of(listed: list[str]) -> str:
    """Returns the documents of a change's content as one text."""
    return canonical.dumps(listed).decode()


def stands(target: str) -> dict[str, list[str]]:
    """Returns what is set; raises Invalid for a target that there is not."""
    account, kind = _target(target)
    newest = _newest(account, kind)
    return _content(newest.read() if newest else ())


def lock(target: str) -> None:
    """Holds the AWS account until the transaction ends: what stands is compared and followed by one writer."""
    number, _ = account_rules.parts_of(target)
    AwsAccount.objects.select_for_update().filter(number=number).first()


def wrong(target: str, content: Any) -> Iterable[str]:
    """Returns what is wrong with a content, as sentences."""
    account, kind = _target(target)
    given = content.get("documents") if isinstance(content, Mapping) and len(content) == 1 else None
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        return [f"The {account_rules.WORDS[kind]} is a list of documents."]
    try:
        listed = _read(kind, text_of(given))
        _require_other(account, kind, listed)
    except Invalid as error:
        return [str(error)]
    return []


def write_change(change: ProposedChange, actor: Actor, at: datetime) -> None:
    """Writes the next version as two people decided it."""
    account, kind = _target(change.target)
    by = f"{change.proposed_by.display_name}, confirmed by {actor.name}"
    listed = _read(kind, text_of(change.proposed()["documents"]))
    facts = {"change": change.reference, "proposed_by": str(change.proposed_by_id)}
    write(account, kind, listed, set_by=by, actor=actor, at=at, reason=change.reason, facts=facts)


@verb("set_account_rule")
def set_account_rule(*, number: str, kind: str, text: str, actor: Actor, at: datetime) -> AccountRule:
    """Sets the standard or a guardrail of an AWS account to the documents of a JSON text, as its next version.

    An empty list takes it back. Proposals that were made under the version before return to review when a worker
    claims them. Raises NotAllowed once two people could change it, and Invalid for an unknown account or kind, for what
    is no list of documents, and for no change.
    """
    if people.two_can_confirm():
        said = "Two people change this: propose it on the AWS account's page, then another person confirms it."
        raise NotAllowed(said, "four_eyes")
    target = account_rules.target_of(number, kind)
    lock(target)
    account, kind = _target(target)
    listed = _read(kind, text)
    _require_other(account, kind, listed)
    return write(account, kind, listed, set_by=actor.name, actor=actor, at=at)


def write(
    account: AwsAccount,
    kind: str,
    listed: tuple[Document, ...],
    *,
    set_by: str,
    actor: Actor,
    at: datetime,
    reason: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> AccountRule:
    """Writes the next version with its event, in the caller's transaction under `lock`; who may do so is the caller's
    business.
    """
    before = _newest(account, kind)
    rule = AccountRule.objects.create(
        account=account,
        kind=kind,
        version=before.version + 1 if before else 1,
        documents=account_rules.write(listed),
        digest=account_rules.digest_of(listed) or "",
        set_by=set_by[:200],
        at=at,
    )
    audit.record(
        "standard.changed" if kind == account_rules.STANDARD else "guardrail.changed",
        actor=actor,
        subject=Subject("account", account.number, account.name),
        at=at,
        reason=reason,
        changes=[Change(kind, before.digest if before else None, rule.digest)],
        data={
            "version": rule.version,
            "previous_version": before.version if before else 0,
            "changes": [kind],
            **(facts or {}),
        },
    )
    return rule


def _target(target: str) -> tuple[AwsAccount, str]:
    number, kind = account_rules.parts_of(target)
    account = AwsAccount.objects.filter(number=number).first()
    if account is None:
        raise Invalid(f"There is no AWS account {number}.", "number")
    if kind not in account_rules.KINDS:
        raise Invalid(f"There is no such rule: {kind}. Known: {', '.join(account_rules.KINDS)}.", "kind")
    return account, kind


def _newest(account: AwsAccount, kind: str) -> AccountRule | None:
    return account.rule_versions.filter(kind=kind).order_by("-version").first()


def _content(listed: Iterable[Document]) -> dict[str, list[str]]:
    return {"documents": [documents.minified(one) for one in listed]}


def _read(kind: str, text: str) -> tuple[Document, ...]:
    try:
        listed = account_rules.read(kind, text)
    except DocumentError as error:
        raise Invalid(f"{error.message} ({error.at})" if error.at else error.message, "text", error.code) from error
    for number, document in enumerate(listed, 1):
        for problem in limits.check_document_characters(document):  # not in `read`: what is set stays readable
            said = problem.message if len(listed) == 1 else f"Document {number}: {problem.message}"
            raise Invalid(said, "text", problem.id)
    return listed


def _require_other(account: AwsAccount, kind: str, listed: tuple[Document, ...]) -> None:
    newest = _newest(account, kind)
    if (account_rules.digest_of(listed) or "") == (newest.digest if newest else ""):
        raise Invalid(f"The {account_rules.WORDS[kind]} of {account.name} reads like that already.", "text")
