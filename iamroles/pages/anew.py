"""Why a revision was proposed anew by a worker or an operator, in words: those who decide see it first."""

from __future__ import annotations

from typing import Final

from iamroles.models import Revision

_WHY: Final = {
    "rule_changed": "the approval rules changed",
    "owner_changed": "the AWS account has another owner",
    "account_changed": "the AWS account’s record changed",
    "standard_changed": "the AWS account’s standard changed",
    "guardrail_changed": "the AWS account’s guardrails changed",
    "plan_renewed": "an operator had the plan of a stopped run made again",
    "look_too_old": "the look at AWS had become too old, and AWS reads differently now",
}


def anew_words(revision: Revision | None) -> str:
    """Returns why nobody sent this revision, in two sentences; "" for one that its requester sent."""
    why = _WHY.get(revision.cause, "") if revision else ""
    if revision is None or not why:
        return ""
    return f"Revision {revision.number} was proposed anew: {why}. Approvals of earlier revisions do not count."
