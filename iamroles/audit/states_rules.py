"""The state check of rules: each version of an AWS account's standard or guardrail is what its event says, and what
went without a person went by a rule that there was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from iamroles.models import AccountRule, ApprovalRules, AuditEvent, Proposal
from iamroles.rules import account_rules, approval_rules


def wrong_account_rules(using: str) -> Iterator[str]:
    """Yields a sentence for each version of a rule that nobody set, that reads otherwise, or that is gone."""
    told = _told(using)
    rows = AccountRule.objects.using(using).select_related("account").order_by("pk")
    for row in rows.iterator(chunk_size=500):
        place = f"the {row.kind} of AWS account {row.account.name}, version {row.version},"
        event, digest = told.pop((row.account.number, row.kind, row.version), ("", ""))
        if not event:
            yield f"{place} exists, but no event tells of it"
        elif row.digest != digest or not _intact(row):
            yield f"{place} is not the one that {event} tells of"
    for (number, kind, version), (event, _) in told.items():
        yield f"the {kind} of AWS account {number}, version {version}, is gone, but {event} tells of it"


def _told(using: str) -> dict[tuple[str, str, int], tuple[str, str]]:
    """Returns event and digest of each version, by AWS account, kind and version."""
    events = AuditEvent.objects.using(using).filter(action__in=("standard.changed", "guardrail.changed"))
    found = {}
    for event in events.order_by("pk").only("object_id", "canon").iterator(chunk_size=500):
        said = json.loads(event.canon)
        for change in said["changes"]:
            key = (event.object_id, change["field"], said["data"]["version"])
            found[key] = (event.reference, change["new"] or "")
    return found


def _intact(row: AccountRule) -> bool:
    try:
        return (account_rules.digest_of(row.read()) or "") == row.digest
    except ValueError:
        return False


def wrong_auto_approvals(using: str) -> Iterator[str]:
    """Yields a sentence for each request that went without a person, but not by a rule of the version that its event
    names, or not with the proposal that is stored.
    """
    versions = {row.version: row.read() for row in ApprovalRules.objects.using(using).order_by("version")}
    events = AuditEvent.objects.using(using).filter(action="request.auto_approved").order_by("pk")
    for event in events.only("canon").iterator(chunk_size=500):
        said = json.loads(event.canon)
        data, place = said["data"], f"{said['request']} (revision {said['revision']})"
        content = versions.get(data["version"], approval_rules.STARTING_RULES)
        rows = Proposal.objects.using(using).filter(revision__number=said["revision"], digest=data["proposal_digest"])
        proposal = rows.filter(revision__request=int(said["request"].removeprefix("REQ-"))).first()
        if proposal is None or not proposal.intact:
            yield f"{place} went without a person, but not with the proposal that is stored"
        elif approval_rules.digest(content) != data["rules_digest"] or not _lets_go(content, proposal, data["rule"]):
            version = data["version"]
            yield f"{place} went without a person, but version {version} of the approval rules has no such rule"


def _lets_go(content: Mapping[str, Any], proposal: Proposal, why: str) -> bool:
    subject = approval_rules.Subject.from_mapping(proposal.body["subject"])
    rule = approval_rules.unattended_rule(subject, content)
    return rule is not None and rule["why"] == why
