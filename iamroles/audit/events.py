"""Every event name with the keys of its `data`. Names are `subject.past_tense` and are never renamed.

Declarations only: `record` refuses what is not declared here, `words` says each in a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

OUTCOMES: Final = ("success", "refused", "failed", "unknown")


class UnknownEvent(ValueError):
    """No event has this name."""


class WrongData(ValueError):
    """A key of an event's `data` is missing or not declared."""


@dataclass(frozen=True)
class Keys:
    """The keys that an event's `data` must have, and those that it may have."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


def _keys(required: str, optional: str = "") -> Keys:
    return Keys(frozenset(required.split()), frozenset(optional.split()))


_PROPOSED = (
    "revision proposal_digest base_digest target_digest desired_digest plan_digest dependencies_digest findings "
    "rule_digests approvals_needed expires_at"
)

EVENTS: Final[dict[str, Keys]] = {
    # signing in
    "session.started": _keys("method mfa"),
    "session.refused": _keys("method code typed_name"),
    "session.ended": _keys("cause", "session"),
    "session.confirmed": _keys("method"),
    "session.not_confirmed": _keys("method code"),
    "sign_in.throttled": _keys("scope until"),
    "credential.changed": _keys("kind change"),
    # people and teams
    "user.created": _keys("user changes"),
    "user.invited": _keys("user by"),
    "user.changed": _keys("user changes"),
    "user.deactivated": _keys("user changes"),
    "membership.granted": _keys("user group", "change proposed_by cause"),
    "membership.removed": _keys("user group", "change proposed_by cause"),
    "provider_groups.changed": _keys("target values", "change proposed_by"),
    "team.created": _keys("team changes"),
    "team.changed": _keys("team changes", "change proposed_by"),
    # what a verb would not or could not do
    "verb.refused": _keys("verb code", "seen_digest"),
    "verb.failed": _keys("verb error_class"),
    # requests
    "request.created": _keys("account team kind facts_digest"),
    "request.edited": _keys("changes"),
    "draft.discarded": _keys("facts_digest"),
    "request.submitted": _keys("revision facts_digest"),
    "request.reminded": _keys("revision told"),
    "request.commented": _keys("revision comment_digest"),
    "base.observed": _keys("revision base_digest role_id resources"),
    "observation.ordered": _keys("revision observed_at"),
    "observation.failed": _keys("code retry_at", "revision"),
    "revision.created": _keys("revision cause previous_digest"),
    "revision.proposed": _keys(_PROPOSED),
    "request.found_right": _keys("revision base_digest target_digest"),
    "approval.given": _keys("revision proposal_digest seen_digest groups given needed", "approval acknowledged viewed"),
    "approval.taken_back": _keys("revision proposal_digest approval cause"),
    "approval.voided": _keys("revision proposal_digest approval cause"),
    "changes.requested": _keys("revision proposal_digest"),
    "request.rejected": _keys("revision proposal_digest"),
    "request.approved": _keys("revision proposal_digest approvals"),
    "request.auto_approved": _keys("revision proposal_digest version rule rules_digest"),
    "request.withdrawn": _keys("revision from_state"),
    "request.expired": _keys("revision from_state"),
    "removal.requested": _keys("inventory target_digest"),
    "request.handed_over": _keys("revision proposal_digest terraform_digest"),
    "request.reopened": _keys("revision cause differences"),
    "request.superseded": _keys("revision superseded_by", "from_state done not_done unknown"),
    "request.applied": _keys("run target_digest read_digest"),
    "request.retried": _keys("from_state"),
    "request.abandoned": _keys("from_state", "done not_done unknown"),
    "plan.renewed": _keys("new_revision"),
    "resolution.proposed": _keys("claim live_digest", "proposed_by"),
    "resolution.confirmed": _keys("claim live_digest proposed_by"),
    "finding.accepted": _keys("finding place until"),
    # runs, steps and leases
    "run.started": _keys("run fence hard_until"),
    "run.resumed": _keys("run fence hard_until"),
    "run.taken_over": _keys("run fence previous_fence", "hard_until"),
    "run.fenced_out": _keys("run held_fence", "fence hard_until"),
    "step.intended": _keys("run step fence service api resource arguments_digest"),
    "step.completed": _keys("run step http_status"),
    "step.failed": _keys("run step code retryable", "http_status"),
    "step.looked_up": _keys("run step found"),
    "run.waiting": _keys("run code retry_at"),
    "run.stopped": _keys("run reason"),
    "run.verified": _keys("run target_digest read_digest"),
    "run.released": _keys("run"),
    "follow_up.retried": _keys("run"),
    "follow_up.settled": _keys("run live_digest"),
    "lease.forced": _keys("resource previous_fence"),
    # inventory, drift, AWS
    "drift.detected": _keys("resource desired_digest live_digest changes"),
    "drift.cleared": _keys("resource desired_digest live_digest changes"),
    "drift.accepted": _keys("resource desired_digest live_digest changes"),
    "scan.completed": _keys("account checked drifted"),
    "scan.failed": _keys("account code"),
    "sweep.recovered": _keys("requests"),
    "check.ordered": _keys("account role_name"),
    "look.ordered": _keys("account kind"),
    "account.checked": _keys("account state missing"),
    "inventory.updated": _keys("resource team entity_id desired_digest"),
    "inventory.adopted": _keys("resource document_digest"),
    "inventory.released": _keys("resource document_digest"),
    "aws.unexplained_write": _keys("account cloudtrail_event session api resource"),
    "account.added": _keys("account changes scope"),
    "account.changed": _keys("account changes scope", "change proposed_by"),
    "account.paused": _keys("account changes scope"),
    "account.resumed": _keys("account changes scope"),
    # rules, and what one person proposes and another confirms
    "change.proposed": _keys("change subject target digest"),
    "change.refused": _keys("change subject target digest"),
    "change.withdrawn": _keys("change subject target digest"),
    "approval_rule.changed": _keys("version previous_version changes", "digest change proposed_by"),
    "guardrail.changed": _keys("version previous_version changes", "change proposed_by"),
    "standard.changed": _keys("version previous_version changes", "change proposed_by"),
    "catalogue.updated": _keys("version previous_version changes"),
    # the trail itself
    "audit.viewed": _keys("filter"),
    "export.started": _keys("format filter size root"),
    "export.completed": _keys("rows bytes sha256"),
    "export.failed": _keys("code"),
    "export.downloaded": _keys("sha256"),
    "export.expired": _keys("sha256"),
    "bundle.created": _keys("selection sha256"),
    "verification.completed": _keys("mode size root exit first_bad"),
    "audit.lagged": _keys("pending oldest_at"),
    "audit.recovered": _keys("pending oldest_at"),
    "audit.halted": _keys("reason", "last_note"),
    "audit.forked": _keys("previous generation last_note lost_from lost_to change proposed_by"),
    "publication.failed": _keys("publisher size code"),
    "signing_key.rotated": _keys("old_vkey new_vkey"),
    "signing_key.revoked": _keys("old_vkey new_vkey"),
    "disclosure.erased": _keys("event path"),
    # the portal
    "setting.changed": _keys("name changes"),
    "notices.ordered_again": _keys("count"),
    "mail.tested": _keys("taken", "error_class"),
    "portal.started": _keys("version settings_digest"),
    "portal.migrated": _keys("version settings_digest"),
}

# A stopped run says more, depending on why it stopped.
STOPPED_KEYS: Final[dict[str, frozenset[str]]] = {
    "blocked": frozenset({"api", "code"}),
    "conflict": frozenset({"base_digest", "target_digest", "live_digest"}),
    "quarantined": frozenset({"tries", "last_step"}),
    "invalid": frozenset({"approved_digest", "recomputed_digest"}),
    "recalled": frozenset({"cause"}),
}


def check(action: str, data: Mapping[str, object]) -> None:
    """Raises UnknownEvent for a name that is not declared, WrongData for a missing or undeclared key."""
    keys = EVENTS.get(action)
    if keys is None:
        raise UnknownEvent(f"there is no event {action!r}")
    required = keys.required
    if action == "run.stopped" and "reason" in data:
        reason = data["reason"]
        if reason not in STOPPED_KEYS:
            raise WrongData(f"run.stopped: there is no reason {reason!r}")
        required |= STOPPED_KEYS[str(reason)]
    missing = sorted(required - data.keys())
    unknown = sorted(data.keys() - required - keys.optional)
    if missing or unknown:
        parts = [f"missing {', '.join(missing)}"] * bool(missing) + [f"unknown {', '.join(unknown)}"] * bool(unknown)
        raise WrongData(f"{action}: {'; '.join(parts)}")
