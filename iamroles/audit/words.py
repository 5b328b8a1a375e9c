"""One sentence for every event, as the history page and the CSV export show it. Reads `canon`, never the columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from string import Formatter
from typing import Any, Final

from iamroles.models import AuditEvent

# {actor}, {object}, {request} ("REQ-000142" or the object's name), {rev} (" (revision 1)" or nothing), {why} (a reason
# in quotes or nothing), and the keys of `data`.
SENTENCES: Final[dict[str, str]] = {
    "session.started": "{actor} signed in ({method}).",
    "session.refused": "A sign-in was refused ({code}).",
    "session.ended": "{object} signed out ({cause}).",
    "session.confirmed": "{actor} confirmed to be themselves ({method}).",
    "session.not_confirmed": "{actor} could not confirm to be themselves ({code}).",
    "sign_in.throttled": "Signing in was slowed down for {scope} until {until}.",
    "credential.changed": "{actor} changed a credential of {object}: {kind}, {change}.",
    "user.created": "{actor} added the person {object}.",
    "user.invited": "{actor} made an invitation link for {object} ({by}).",
    "user.changed": "{actor} changed the person {object}: {changes}.",
    "user.deactivated": "{actor} deactivated {object}.",
    "membership.granted": "{actor} put {object} into {group}.",
    "membership.removed": "{actor} took {object} out of {group}.",
    "provider_groups.changed": "{actor} changed which of the identity provider's groups fill {target}: {values}.",
    "team.created": "{actor} added the team {object}.",
    "team.changed": "{actor} changed the team {object}: {changes}.",
    "verb.refused": "{actor} may not {verb} {request}{rev}: {code}.",
    "verb.failed": "{verb} on {request} failed and was rolled back: {error_class}.",
    "request.created": "{actor} started {request} for AWS account {account}.",
    "request.edited": "{actor} edited {request}: {changes}.",
    "draft.discarded": "{actor} discarded the draft {request}.",
    "request.submitted": "{actor} sent {request}{rev} for review{why}.",
    "request.reminded": "{actor} reminded {told} people of {request}{rev}.",
    "request.commented": "{actor} commented on {request}{rev}{why}.",
    "base.observed": "{actor} looked at the live state for {request}{rev}.",
    "observation.ordered": "{actor} ordered a new look at AWS for {request}{rev}: the last is of {observed_at}.",
    "observation.failed": "{actor} could not look at AWS for {request}: {code}; next try {retry_at}.",
    "revision.created": "{actor} made revision {revision} of {request}: {cause}.",
    "revision.proposed": "{actor} proposed the changes of {request}{rev}; {approvals_needed} needed.",
    "request.found_right": "{actor} found that AWS is already right for {request}{rev}; it is closed.",
    "approval.given": "{actor} approved {request}{rev}{why}.",
    "approval.taken_back": "{actor} took back the approval of {request}{rev}.",
    "approval.voided": "An approval of {request}{rev} stopped counting: {cause}.",
    "changes.requested": "{actor} asked for changes to {request}{rev}{why}.",
    "request.rejected": "{actor} rejected {request}{rev}{why}.",
    "request.approved": "{request}{rev} has all approvals.",
    "request.auto_approved": "Version {version} of the approval rules let {request}{rev} go without a person: “{rule}”",
    "request.withdrawn": "{actor} withdrew {request}{rev}{why}.",
    "request.expired": "{request}{rev} expired.",
    "removal.requested": "{actor} asked to remove {object}.",
    "request.handed_over": "{request}{rev} was handed over as text for another tool; nothing was called in AWS.",
    "request.reopened": "{actor} returned {request}{rev} to review: {cause}.",
    "request.superseded": "{actor} closed {request}{rev} as superseded by {superseded_by}{why}.",
    "request.applied": "{request} is applied: AWS reads as approved.",
    "request.retried": "{actor} started {request} again ({from_state}){why}.",
    "request.abandoned": "{actor} abandoned {request}{why}.",
    "plan.renewed": "{actor} renewed the plan of {request} as revision {new_revision}{why}.",
    "resolution.proposed": "{actor} proposed to mark {request} as resolved: {claim}.",
    "resolution.confirmed": "{actor} confirmed that {request} is resolved: {claim}.",
    "finding.accepted": "{actor} accepted the finding {finding} at {place} until {until}.",
    "run.started": "{actor} began to apply {request}.",
    "run.resumed": "{actor} went on applying {request}.",
    "run.taken_over": "{actor} took over applying {request} from a worker that stopped answering.",
    "run.fenced_out": "{actor} was kept from writing for {request}: another worker holds it.",
    "step.intended": "{actor} is about to call {api} (step {step}) for {request}.",
    "step.completed": "AWS did {api} (step {step}) for {request}.",
    "step.failed": "AWS refused {api} (step {step}) for {request}: {code}.",
    "step.looked_up": "{actor} looked up what became of step {step} for {request}: {found}.",
    "run.waiting": "Applying {request} waits until {retry_at}: {code}.",
    "run.stopped": "Applying {request} stopped: {reason}.",
    "run.verified": "{actor} read AWS back for {request}: it says what was approved.",
    "run.released": "{actor} released {request} from quarantine{why}.",
    "follow_up.retried": "{actor} ordered another try at the follow-up of {request}{why}.",
    "follow_up.settled": "{actor} ended the follow-up of {request}: AWS has its deny for older sessions no more{why}.",
    "lease.forced": "{actor} forced the lease of {resource}{why}.",
    "drift.detected": "{resource} no longer reads as the inventory says.",
    "drift.cleared": "{resource} reads as the inventory says again.",
    "drift.accepted": "{actor} accepted what {resource} reads now.",
    "scan.completed": "{actor} checked {checked} resources of AWS account {account}: {drifted} differ.",
    "scan.failed": "{actor} could not check AWS account {account}: {code}.",
    "sweep.recovered": "{actor} picked up what a lost message left: {requests}.",
    "look.ordered": "{actor} ordered a {kind} of AWS account {account}.",
    "account.checked": "{actor} tested the connection to AWS account {account}: {state}.",
    "check.ordered": "{actor} ordered a look at {role_name} in AWS account {account}.",
    "inventory.updated": "{actor} keeps {resource} in the inventory for the team {team}.",
    "inventory.adopted": "{actor} adopted {resource} into the inventory.",
    "inventory.released": "{actor} released {resource} from the inventory.",
    "aws.unexplained_write": "{session} called {api} on {resource} in AWS account {account} without a step of ours.",
    "account.added": "{actor} added AWS account {object} ({account}).",
    "account.changed": "{actor} changed AWS account {object}: {changes}.",
    "account.paused": "{actor} paused {scope} in {object}{why}.",
    "account.resumed": "{actor} resumed {scope} in {object}{why}.",
    "change.proposed": "{actor} proposed {change}, a change of {object}{why}.",
    "change.refused": "{actor} refused {change}, a change of {object}{why}.",
    "change.withdrawn": "{actor} withdrew {change}, a change of {object}.",
    "approval_rule.changed": "{actor} changed the approval rules to version {version}.",
    "guardrail.changed": "{actor} changed the guardrail of {object} to version {version}.",
    "standard.changed": "{actor} changed the standard of {object} to version {version}.",
    "catalogue.updated": "{actor} updated the catalogue to version {version}.",
    "audit.viewed": "{actor} looked at the audit history.",
    "export.started": "{actor} exported the audit history as {format}, sealed to {size}.",
    "export.completed": "The export for {actor} is complete: {rows} events.",
    "export.failed": "The export for {actor} failed: {code}.",
    "export.downloaded": "{actor} downloaded {object}.",
    "export.expired": "{object} expired; its file was deleted.",
    "bundle.created": "{actor} made an evidence bundle: {selection}.",
    "verification.completed": "{actor} verified the audit trail ({mode}): exit {exit}.",
    "audit.lagged": "Sealing is late: {pending} events wait since {oldest_at}.",
    "audit.recovered": "Sealing has caught up.",
    "audit.halted": "Sealing is halted: {reason}.",
    "audit.forked": "{actor} declared a restore from a backup: generation {generation} begins at {lost_from}.",
    "publication.failed": "The checkpoint of size {size} could not be published to {publisher}: {code}.",
    "signing_key.rotated": "The audit key was rotated.",
    "signing_key.revoked": "The audit key was revoked.",
    "disclosure.erased": "{actor} erased the clear value of {path} in {event}.",
    "setting.changed": "{actor} changed the setting {name}.",
    "notices.ordered_again": "{actor} had {count} notices sent again that were given up.",
    "mail.tested": "{actor} sent a test mail; taken by the mail server: {taken}.",
    "portal.started": "The portal started, version {version}.",
    "portal.migrated": "The database was migrated for version {version}.",
}


def sentence(event: AuditEvent) -> str:
    """Returns what happened, e.g. "Ada Okafor approved REQ-000142 (revision 1)." """
    return sentence_of(json.loads(event.canon))


def sentence_of(envelope: dict[str, Any]) -> str:
    """Returns the sentence for an event's parsed canonical text."""
    action = envelope["action"]
    if action not in SENTENCES:
        return f"{envelope['actor']['name']}: {action} {envelope['object']['name']}."
    return "".join([said + (_WORDS[name](envelope) if name else "") for said, name in _parts(action)])


@cache
def _parts(action: str) -> tuple[tuple[str, str], ...]:
    """Returns the sentence of an action as pairs of text and the name of the word behind it; exports ask millions."""
    return tuple((said, name or "") for said, name, _, _ in Formatter().parse(SENTENCES[action]))


def _of_object(envelope: dict[str, Any]) -> str:
    return str(envelope["object"]["name"] or envelope["object"]["id"])


def _of_data(name: str, envelope: dict[str, Any]) -> str:
    return _say(envelope["data"].get(name))


class _Words(dict[str, Callable[[dict[str, Any]], str]]):
    """What a word of a sentence says; a name that is none of the envelope's is one of `data`."""

    def __missing__(self, name: str) -> Callable[[dict[str, Any]], str]:
        self[name] = partial(_of_data, name)
        return self[name]


_WORDS: Final = _Words(
    actor=lambda said: said["actor"]["name"],
    object=_of_object,
    request=lambda said: said["request"] or _of_object(said),
    rev=lambda said: f" (revision {said['revision']})" if said["revision"] else "",
    why=lambda said: f", saying “{said['reason']}”" if said["reason"] else "",
    verb=lambda said: _of_data("verb", said).replace("_", " "),
    api=lambda said: _of_data("api", said) or str((said["aws"] or {}).get("api") or ""),
)


def _say(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_say(inner) for inner in value)
    if isinstance(value, dict) and {"group", "count"} <= value.keys():
        return f"{value['count']} of {value['group']}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_say(inner)}" for key, inner in value.items())
    return "" if value is None else str(value)
