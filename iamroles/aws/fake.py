"""An IAM account in memory, behind the same `Gateway`: for tests that need no server. It holds what the engine sends.

It enforces the answers of AWS.md part 4 (duplicates, absence, five versions, delete conflicts) and nothing of rights.
The contract tests hold it against boto3 on a simulator.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from iamroles.aws.gateway import WRITES, Answer, AwsError, Holdings, ListedRole, RoleMaking, ServerClock
from iamroles.aws.sessions import Portal, Writing, fitting
from iamroles.blueprints.state import PolicyState, RoleState
from iamroles.iam import arns, documents
from iamroles.iam.documents import Document
from iamroles.proposal.calls import Call
from iamroles.proposal.context import ManagedPolicyVersion, PassedRole

VERSIONS_AT_MOST = 5
QUOTAS = {
    "RolesQuota": 1000,
    "PoliciesQuota": 1500,
    "AttachedPoliciesPerRoleQuota": 10,
    "VersionsPerPolicyQuota": 5,
    "PolicySizeQuota": 6144,
    "RolePolicySizeQuota": 10240,
    "AssumeRolePolicySizeQuota": 2048,
}


@dataclass
class _Policy:
    state: PolicyState
    versions: dict[str, Document]
    made: RoleMaking
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(2))


@dataclass
class FakeAccount:
    """The account itself; gateways are looks at it. `sent` lists every call that reached it.

    `users` are the ARNs of IAM users and groups that hold a policy, by its ARN; `quotas` are AWS's defaults, by the
    names of GetAccountSummary. `forbidden` are reading calls that are refused;
    `open_doors` says what AssumeRole forgets to demand, of "none" (no ExternalId), "wrong" (any ExternalId) and "name"
    (any session name).
    """

    number: str = "111122223333"
    partition: str = "aws"
    roles: dict[str, RoleState] = field(default_factory=dict)
    policies: dict[str, _Policy] = field(default_factory=dict)
    users: dict[str, frozenset[str]] = field(default_factory=dict)
    managed: dict[str, ManagedPolicyVersion] = field(default_factory=dict)
    made: dict[str, RoleMaking] = field(default_factory=dict)
    sent: list[Call] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    open_doors: set[str] = field(default_factory=set)
    quotas: dict[str, int] = field(default_factory=lambda: dict(QUOTAS))
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_id(self, prefix: str) -> str:
        """Returns an id that was never used before."""
        return f"{prefix}{next(self.ids):017d}"

    def users_of(self, arn: str) -> frozenset[str]:
        """Returns the ARNs of all that hold a policy; roles also as boundary."""
        roles = frozenset(r.arn for r in self.roles.values() if arn in r.attached or r.boundary == arn)
        return roles | self.users.get(arn, frozenset())

    def put_role(self, role: RoleState) -> RoleState:
        """Stores a role as if somebody had made it, with a new RoleId. Returns it."""
        stored = replace(role, role_id=role.role_id or self.new_id("AROA"))
        self.roles[role.name.lower()] = stored
        self.made[stored.arn] = RoleMaking(str(stored.role_id), self.now(), dict(stored.tags))
        return stored

    def put_policy(self, arn: str, document: Document, description: str = "") -> None:
        """Stores a customer managed policy with one version as if somebody had made it."""
        path, name = arn.split(":policy", 1)[1].rsplit("/", 1)
        state = PolicyState(arn=arn, name=name, path=f"{path}/", document=document, description=description)
        self.policies[arn] = _Policy(
            replace(state, default_version="v1"),
            {"v1": document},
            RoleMaking(self.new_id("ANPA"), self.now(), {}),
        )

    def gateway(self) -> FakeGateway:
        """Returns a session in this account."""
        return FakeGateway(self)


def _refuse(code: str, call: Call, status: int = 409) -> AwsError:
    return AwsError(code, f"{call.api} on {call.resource}", api=call.api, request_id="fake", http_status=status)


class FakeGateway:
    """A `Gateway` on a `FakeAccount`."""

    def __init__(self, account: FakeAccount) -> None:
        self._silent = account
        self._answered = False

    @property
    def _account(self) -> FakeAccount:
        """Every look at the account is an answer."""
        self._answered = True
        return self._silent

    def role(self, arn: str) -> RoleState | None:
        """Returns the role of this name; names are unique ignoring case."""
        found = self._account.roles.get(arns.role_name_of(arn).lower())
        return found if found is not None and found.name == arns.role_name_of(arn) else None

    def policy(self, arn: str) -> PolicyState | None:
        """Returns the customer managed policy."""
        found = self._account.policies.get(arn)
        if found is None:
            return None
        return replace(
            found.state,
            document=found.versions[str(found.state.default_version)],
            versions={version: documents.digest(document) for version, document in found.versions.items()},
            users=self._account.users_of(arn),
            policy_id=found.made.entity_id,
        )

    def managed_policy(self, arn: str) -> ManagedPolicyVersion | None:
        """Returns the default version."""
        own = self.policy(arn)
        if own is not None:
            return ManagedPolicyVersion(arn, str(own.default_version), own.document)
        return self._account.managed.get(arn)

    def passed_role(self, arn: str) -> PassedRole:
        """Returns the role that is to be passed."""
        found = self.role(arn)
        if found is None or found.arn != arn:
            return PassedRole(arn=arn, role_id=None, trust=None)
        return PassedRole(arn, found.role_id, found.trust, found.attached, found.inline, found.boundary)

    def roles(self) -> tuple[ListedRole, ...]:
        """Returns every role."""
        return tuple(ListedRole(role.arn, role.trust) for _, role in sorted(self._account.roles.items()))

    def making(self, arn: str) -> RoleMaking | None:
        """Returns creation time and tags."""
        if ":policy/" in arn:
            policy = self._account.policies.get(arn)
            return policy.made if policy else None
        role = self.role(arn)
        return replace(self._account.made[role.arn], tags=dict(role.tags)) if role else None

    def account_summary(self) -> Mapping[str, int]:
        """Returns the two counts that a fake knows, and the quotas that it was given."""
        if "GetAccountSummary" in self._account.forbidden:
            raise AwsError("AccessDenied", "forbidden", api="GetAccountSummary", http_status=403)
        counts = {"Roles": len(self._account.roles), "Policies": len(self._account.policies)}
        return {**counts, **self._account.quotas}

    def holdings(self, wanted: Collection[str]) -> Holdings:
        """Returns what the account holds of these."""
        policies = {arn: self.policy(arn) for arn in self._account.policies if arn in wanted}
        return Holdings(
            roles={role.arn: role for role in self._account.roles.values() if role.arn in wanted},
            policies={arn: policy for arn, policy in policies.items() if policy},
            unreadable={arn: "No JSON." for arn in self._account.unreadable if arn in wanted},
        )

    def probe(self, api: str, arguments: Mapping[str, Any]) -> None:
        """Refuses what the test has forbidden, and answers every other reading call."""
        if not api.startswith(("Get", "List")):
            raise ValueError(f"{api} is no reading call.")
        if api in self._account.forbidden:
            raise AwsError("AccessDenied", f"{api} is forbidden: {dict(arguments)}", api=api, http_status=403)

    def clock(self) -> ServerClock | None:
        """Returns the account's clock, or None before the first answer."""
        now = self._silent.now
        return ServerClock(at=now(), local=now()) if self._answered else None

    def send(self, call: Call) -> Answer:
        """Does what the call says, or raises AwsError as AWS would."""
        if call.api not in WRITES:
            raise ValueError(f"{call.api} is not among the calls that the engine makes.")
        self._account.sent.append(call)
        if ":policy/" in call.resource:
            entity = _POLICY_CALLS[call.api](self._account, call, call.arguments)
        else:
            entity = _ROLE_CALLS[call.api](self._account, call, call.arguments)
        return Answer(request_id=f"fake-{len(self._account.sent)}", http_status=200, entity_id=entity)


def _live_role(account: FakeAccount, call: Call) -> RoleState:
    found = account.roles.get(call.arguments["RoleName"].lower())
    if found is None or found.name != call.arguments["RoleName"]:
        raise _refuse("NoSuchEntity", call, 404)
    return found


def _store(account: FakeAccount, role: RoleState) -> None:
    account.roles[role.name.lower()] = role


def _tags(listed: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in listed or ()}


def _create_role(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> str:
    if given["RoleName"].lower() in account.roles:
        raise _refuse("EntityAlreadyExists", call)
    arn = arns.role_arn(account.partition, account.number, given["RoleName"], given["Path"])
    role = RoleState(
        arn=arn,
        name=given["RoleName"],
        path=given["Path"],
        trust=documents.parse(given["AssumeRolePolicyDocument"], kind="trust"),
        description=given.get("Description", ""),
        boundary=given.get("PermissionsBoundary"),
        tags=_tags(given.get("Tags")),
        max_session=given.get("MaxSessionDuration", 3600),
    )
    return str(account.put_role(role).role_id)


def _update_role(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_role(account, call)
    _store(account, replace(live, description=given["Description"], max_session=given["MaxSessionDuration"]))


def _update_trust(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    _store(account, replace(_live_role(account, call), trust=documents.parse(given["PolicyDocument"], kind="trust")))


def _put_boundary(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    _store(account, replace(_live_role(account, call), boundary=given["PermissionsBoundary"]))


def _put_inline(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_role(account, call)
    document = documents.parse(given["PolicyDocument"])
    _store(account, replace(live, inline={**live.inline, given["PolicyName"]: document}))


def _delete_inline(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_role(account, call)
    if given["PolicyName"] not in live.inline:
        raise _refuse("NoSuchEntity", call, 404)
    _store(account, replace(live, inline={n: d for n, d in live.inline.items() if n != given["PolicyName"]}))


def _attach(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_role(account, call)
    if given["PolicyArn"] not in account.policies and given["PolicyArn"] not in account.managed:
        raise _refuse("NoSuchEntity", call, 404)
    _store(account, replace(live, attached=live.attached | {given["PolicyArn"]}))


def _detach(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_role(account, call)
    if given["PolicyArn"] not in live.attached:
        raise _refuse("NoSuchEntity", call, 404)
    _store(account, replace(live, attached=live.attached - {given["PolicyArn"]}))


def _tag_role(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_role(account, call)
    _store(account, replace(live, tags={**live.tags, **_tags(given["Tags"])}))


def _untag_role(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_role(account, call)
    _store(account, replace(live, tags={k: v for k, v in live.tags.items() if k not in given["TagKeys"]}))


def _delete_role(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_role(account, call)
    if live.attached or live.inline:
        raise _refuse("DeleteConflict", call)
    del account.roles[live.name.lower()]


def _live_policy(account: FakeAccount, call: Call) -> _Policy:
    if call.resource not in account.policies:
        raise _refuse("NoSuchEntity", call, 404)
    return account.policies[call.resource]


def _create_policy(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> str:
    if call.resource in account.policies:
        raise _refuse("EntityAlreadyExists", call)
    account.put_policy(call.resource, documents.parse(given["PolicyDocument"]), given.get("Description", ""))
    stored = account.policies[call.resource]
    stored.made = replace(stored.made, tags=_tags(given.get("Tags")))
    return stored.made.entity_id


def _create_version(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_policy(account, call)
    if len(live.versions) >= VERSIONS_AT_MOST:
        raise _refuse("LimitExceeded", call)
    version = f"v{next(live.numbers)}"
    live.versions[version] = documents.parse(given["PolicyDocument"])
    if given.get("SetAsDefault"):
        live.state = replace(live.state, default_version=version)


def _set_default(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_policy(account, call)
    if given["VersionId"] not in live.versions:
        raise _refuse("NoSuchEntity", call, 404)
    live.state = replace(live.state, default_version=given["VersionId"])


def _delete_version(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_policy(account, call)
    if given["VersionId"] == live.state.default_version:
        raise _refuse("DeleteConflict", call)
    if live.versions.pop(given["VersionId"], None) is None:
        raise _refuse("NoSuchEntity", call, 404)


def _delete_policy(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_policy(account, call)
    if account.users_of(call.resource) or len(live.versions) > 1:
        raise _refuse("DeleteConflict", call)
    del account.policies[call.resource]


def _tag_policy(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_policy(account, call)
    live.made = replace(live.made, tags={**live.made.tags, **_tags(given["Tags"])})


def _untag_policy(account: FakeAccount, call: Call, given: Mapping[str, Any]) -> None:
    live = _live_policy(account, call)
    live.made = replace(live.made, tags={k: v for k, v in live.made.tags.items() if k not in given["TagKeys"]})


_Doing = Callable[[FakeAccount, Call, Mapping[str, Any]], "str | None"]
_ROLE_CALLS: dict[str, _Doing] = {
    "CreateRole": _create_role,
    "UpdateRole": _update_role,
    "UpdateAssumeRolePolicy": _update_trust,
    "PutRolePermissionsBoundary": _put_boundary,
    "PutRolePolicy": _put_inline,
    "DeleteRolePolicy": _delete_inline,
    "AttachRolePolicy": _attach,
    "DetachRolePolicy": _detach,
    "TagRole": _tag_role,
    "UntagRole": _untag_role,
    "DeleteRole": _delete_role,
}
_POLICY_CALLS: dict[str, _Doing] = {
    "CreatePolicy": _create_policy,
    "CreatePolicyVersion": _create_version,
    "SetDefaultPolicyVersion": _set_default,
    "DeletePolicyVersion": _delete_version,
    "DeletePolicy": _delete_policy,
    "TagPolicy": _tag_policy,
    "UntagPolicy": _untag_policy,
}


class FakeSessions:
    """`Sessions` over fake accounts, by number. `opened` lists (name, policy text or "") of each session."""

    def __init__(self, *accounts: FakeAccount) -> None:
        self._accounts = {account.number: account for account in accounts}
        self.opened: list[tuple[str, str]] = []

    def reading(self, portal: Portal, name: str) -> FakeGateway:
        """Returns a session; a fake does not keep it from writing."""
        self.opened.append((f"READ-{name}", ""))
        return self._accounts[portal.number].gateway()

    def knock(self, portal: Portal, session: str, external_id: str | None) -> str:
        """Lets in with the right ExternalId and session name, and through the doors that the test left open."""
        doors = self._accounts[portal.number].open_doors
        known = external_id == portal.external_id or ("none" if external_id is None else "wrong") in doors
        if not known or not (session.startswith(("REQ-", "READ-")) or "name" in doors):
            raise AwsError("AccessDenied", "Not authorized", api="AssumeRole", http_status=403)
        return portal.session_arn(session)

    def writing(self, portal: Portal, name: str, *, identity: str, calls: Sequence[Call], until: datetime) -> Writing:
        """Returns a session for as many calls as a policy would hold."""
        chosen = fitting(calls, until)
        self.opened.append((name, json.dumps([call.api for call in chosen])))
        return Writing(self._accounts[portal.number].gateway(), chosen, until, None)
