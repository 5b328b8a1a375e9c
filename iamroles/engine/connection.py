"""Answering "Test connection": may we in, may nobody else, and can the portal's role do what it must and no more?

Doors and reads are tried. Writes are not made for a test: they are decided by our own evaluator from the role's live
policies, and the answer says so. Nothing is written to AWS.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import structlog
from django.db import transaction

from iamroles import audit
from iamroles.audit import Subject
from iamroles.aws import demands
from iamroles.aws.demands import Demand
from iamroles.aws.gateway import AwsError, Gateway, WrongAccount
from iamroles.aws.sessions import Portal
from iamroles.aws.template import Record
from iamroles.blueprints.facts import DEFAULT_ROLE_NAME
from iamroles.blueprints.state import RoleState
from iamroles.engine.tools import Tools
from iamroles.iam import arns
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import Request, evaluate
from iamroles.models import AccountLook, AwsAccount

_log = structlog.get_logger(__name__)
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_SKEW_WARNS: Final = 5  # seconds; above `Limits.skew` nothing is written
_NEARLY_FULL: Final = 0.9
_QUOTAS: Final = {
    "Roles": ("Roles", "RolesQuota"),
    "Customer managed policies": ("Policies", "PoliciesQuota"),
}
_SIZES: Final = {
    "AttachedPoliciesPerRoleQuota": "managed policies a role",
    "VersionsPerPolicyQuota": "versions a policy",
    "PolicySizeQuota": "characters a managed policy",
    "RolePolicySizeQuota": "characters of inline policies a role",
    "AssumeRolePolicySizeQuota": "characters a trust policy",
}


@dataclass(frozen=True)
class Line:
    """One result. `tone` is ok, warn, bad or unknown; `how` is tried, read or record: what the sentence rests on."""

    title: str
    tone: str
    sentence: str
    how: str


def record_of(account: AwsAccount, portal_role: str) -> Record:
    """Returns the part of an AWS account's record that the portal's role in it follows from."""
    kept = account.managed_roles.filter(handed_over=False).order_by("arn").values_list("arn", flat=True)
    return Record(
        number=account.number,
        partition=account.partition,
        external_id=account.external_id,
        portal_role=portal_role,
        role_path=account.role_path,
        policy_path=account.policy_path,
        boundary=account.boundary,
        role_names=tuple(dict.fromkeys((DEFAULT_ROLE_NAME, *(arns.role_name_of(arn) for arn in kept)))),
        adopted=tuple(kept),
    )


def check(look: AccountLook, tools: Tools) -> dict[str, Any]:
    """Returns the answer of one test: `state`, `lines` and `permissions`, JSON-able. Records `account.checked`.

    What AWS refuses is part of the answer, never raised.
    """
    account, portal = look.account, tools.portal(look.account)
    record = record_of(account, tools.portal_role)
    lines, gateway = _entered(portal, look, tools)
    lines += _kept_out(portal, look, tools, entered=gateway is not None)
    permissions: list[Line] = []
    if gateway is not None:
        permissions += _tried(record, gateway)
        lines += [_clock(gateway, tools), *_quotas(gateway)]
        more, decided = _portal_role(portal, record, gateway)
        lines += more
        permissions += decided
    lines.append(_boundary(account, gateway))
    state = worst(line.tone for line in (*lines, *permissions))
    missing = [line.title for line in permissions if line.tone == "bad"]
    if state == "bad":
        wrong = [line.title for line in lines if line.tone == "bad"]
        _log.error("account_check_failed", account=account.number, wrong=wrong, missing=missing, alarm=True)
    with transaction.atomic():
        audit.record(
            "account.checked",
            actor=tools.actor,
            subject=Subject("account", account.number, account.name),
            at=tools.now(),
            outcome="failed" if state == "bad" else "success",
            data={"account": account.number, "state": state, "missing": missing},
        )
    return {
        "state": state,
        "lines": [asdict(line) for line in lines],
        "permissions": [asdict(line) for line in permissions],
    }


def worst(tones: Iterator[str]) -> str:
    """Returns "bad", "warn" or "ok"; what is not known counts as a warning."""
    found = set(tones)
    return "bad" if "bad" in found else "warn" if found & {"warn", "unknown"} else "ok"


def _entered(portal: Portal, look: AccountLook, tools: Tools) -> tuple[list[Line], Gateway | None]:
    title = "Assume the portal's role"
    try:
        gateway = tools.sessions.reading(portal, f"CHECK-{look.pk}")
    except WrongAccount as error:
        sentence = f"AWS answered with {error.answered}, not with {error.expected}. The credentials were dropped."
        return [Line(title, "bad", sentence, "tried")], None
    except AwsError as error:
        return [Line(title, "bad", f"{portal.arn} could not be assumed: {error.code}.", "tried")], None
    sentence = f"AWS answered as {portal.session_arn(f'READ-CHECK-{look.pk}')}: account, role and session are right."
    return [Line(title, "ok", sentence, "tried")], gateway


def _kept_out(portal: Portal, look: AccountLook, tools: Tools, *, entered: bool) -> list[Line]:
    """Three doors that must be closed. A refusal proves something only where the right key opens."""
    name, wrong = f"READ-CHECK-{look.pk}", secrets.token_hex(16)
    doors: tuple[tuple[str, str, str | None, str], ...] = (
        ("Without an external id", name, None, "any customer of the hub's could make the portal act here"),
        ("With a wrong external id", name, wrong, "the trust policy does not compare it"),
        ("With another session name", f"CHECK-{look.pk}", portal.external_id, "sessions could hide in CloudTrail"),
    )
    found = []
    for title, session, external_id, why in doors:
        try:
            tools.sessions.knock(portal, session, external_id)
        except AwsError as error:
            refused = error.code in _DENIED
            if refused and entered:
                found.append(Line(title, "ok", "Refused, as it must be.", "tried"))
            elif refused:
                found.append(Line(title, "unknown", "Refused, but so was the right one: this proves nothing.", "tried"))
            else:
                found.append(Line(title, "unknown", f"Could not be tried: {error.code}.", "tried"))
        else:
            found.append(Line(title, "bad", f"AWS let us in: {why}. Put the role's template in force.", "tried"))
    return found


def _tried(record: Record, gateway: Gateway) -> list[Line]:
    found = []
    for api, arguments in demands.reads(record).items():
        tone, sentence = "ok", "AWS answered."
        try:
            gateway.probe(api, arguments)
        except AwsError as error:
            if error.code in _DENIED:
                tone, sentence = "bad", "AWS refused it."
            elif error.code != "NoSuchEntity":  # then it was allowed to look
                tone, sentence = "unknown", f"Could not be tried: {error.code}."
        found.append(Line(f"iam:{api}", tone, sentence, "tried"))
    return found


def _clock(gateway: Gateway, tools: Tools) -> Line:
    clock = gateway.clock()
    if clock is None:
        return Line("Clock", "unknown", "AWS's answers carried no time.", "tried")
    seconds = clock.skew_to(tools.now(), tools.local()).total_seconds()
    ahead = f"The database's clock is {abs(seconds):.1f} s {'ahead of' if seconds >= 0 else 'behind'} AWS's"
    if abs(seconds) > tools.limits.skew:
        return Line("Clock", "bad", f"{ahead}: above {tools.limits.skew:.0f} s nothing is written.", "tried")
    return Line("Clock", "warn" if abs(seconds) > _SKEW_WARNS else "ok", f"{ahead}.", "tried")


def _quotas(gateway: Gateway) -> list[Line]:
    try:
        summary = gateway.account_summary()
    except AwsError as error:
        return [Line("Quotas", "unknown", f"Could not be read: {error.code}.", "tried")]
    found = []
    for title, (used, quota) in _QUOTAS.items():
        if used in summary and quota in summary:
            full = summary[used] >= _NEARLY_FULL * summary[quota]
            sentence = f"{summary[used]:,} of {summary[quota]:,} used."
            found.append(Line(title, "warn" if full else "ok", sentence, "tried"))
    sizes = [f"{summary[name]:,} {words}" for name, words in _SIZES.items() if name in summary]
    if sizes:
        found.append(Line("Limits", "ok", f"At most {', '.join(sizes)}.", "tried"))
    return found


def _portal_role(portal: Portal, record: Record, gateway: Gateway) -> tuple[list[Line], list[Line]]:
    """What only reading tells: who is trusted, and what the live policies would decide about calls we do not make."""
    try:
        role = gateway.role(portal.arn)
        policies, boundary = _identity(role, gateway) if role else ([], None)
    except AwsError as error:
        return [Line("The portal's role", "unknown", f"Could not be read: {error.code}.", "tried")], []
    if role is None:
        return [Line("The portal's role", "unknown", f"AWS shows no role {portal.arn}.", "read")], []
    lines = [_trusted(role)]
    allowed = [
        does
        for does, demand in demands.refusals(record).items()
        if evaluate(policies, boundary, _request(demand)).allowed
    ]
    if allowed:
        sentence = f"Its policies would let it {'; '.join(allowed)}. Put the role's template in force."
        lines.append(Line("No more than it needs", "bad", sentence, "read"))
    else:
        sentence = "Its policies would refuse every forbidden call that we know of."
        lines.append(Line("No more than it needs", "ok", sentence, "read"))
    return lines, _decided(demands.writes(record), policies, boundary)


def _identity(role: RoleState, gateway: Gateway) -> tuple[list[Document], Document | None]:
    managed = {arn: gateway.managed_policy(arn) for arn in sorted(role.attached)}
    documents = [policy.document for policy in managed.values() if policy is not None]
    boundary = gateway.managed_policy(role.boundary) if role.boundary else None
    return [*role.inline.values(), *documents], boundary.document if boundary else None


def _request(demand: Demand) -> Request:
    return Request(demand.action, demand.resource, demand.context)


def _trusted(role: RoleState) -> Line:
    principals = {
        name for statement in role.trust.statements if statement.effect == "Allow" for _, name in statement.principals
    }
    said = f"Its trust policy names {', '.join(sorted(principals)) or 'nobody'}."
    if any(name == "*" or name.isdigit() or name.endswith(":root") for name in principals):
        return Line("Who may assume it", "bad", f"{said} It must name the workers' exact role.", "read")
    return Line("Who may assume it", "ok", said, "read")


def _decided(wanted: tuple[Demand, ...], policies: list[Document], boundary: Document | None) -> list[Line]:
    """One line an action; it is missing when it would be refused on any of the roles or policies."""
    refused: dict[str, list[Demand]] = {demand.action: [] for demand in wanted}
    for demand in wanted:
        if not evaluate(policies, boundary, _request(demand)).allowed:
            refused[demand.action].append(demand)
    return [
        Line(action, "bad", f"Its policies would refuse it on {demands_[0].resource}.", "read")
        if demands_
        else Line(action, "ok", "Its policies would allow it.", "read")
        for action, demands_ in refused.items()
    ]


def _boundary(account: AwsAccount, gateway: Gateway | None) -> Line:
    title = "Permissions boundary"
    if not account.boundary:
        sentence = (
            "This AWS account's record names none. Missing: nothing in AWS itself limits what a role made here may do, "
            "so the documents that people approve are the only limit. Name a boundary in the record."
        )
        return Line(title, "warn", sentence, "record")
    if gateway is None:
        return Line(title, "unknown", f"{account.boundary} could not be looked up.", "record")
    try:
        found = gateway.managed_policy(account.boundary)
    except AwsError as error:
        return Line(title, "unknown", f"{account.boundary} could not be read: {error.code}.", "tried")
    if found is None:
        return Line(title, "bad", f"AWS has no policy {account.boundary}: no role can be made.", "tried")
    return Line(title, "ok", f"{account.boundary} exists, version {found.version}.", "tried")
