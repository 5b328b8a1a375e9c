"""IAM and STS through boto3: the only module that imports it. Wire answers become values, errors `AwsError`.

Writes are sent once; reads are retried by botocore's standard mode. No rule of the engine lives here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session, get_session

from iamroles import correlation
from iamroles.aws.gateway import CREATING, WRITES, Answer, AwsError, Holdings, ListedRole, RoleMaking, ServerClock
from iamroles.aws.unreadable import UNREADABLE, next_page, readable, require_from_iam
from iamroles.blueprints.state import PolicyState, RoleState
from iamroles.iam import arns, documents
from iamroles.iam.documents import Document
from iamroles.proposal.calls import Call
from iamroles.proposal.context import ManagedPolicyVersion, PassedRole

# Where each partition signs IAM calls (AWS.md part 3).
IAM_REGIONS = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-eusc": "eusc-de-east-1",
}
CONNECT_SECONDS = 3
READ_SECONDS = 15
_HALF_A_SECOND = timedelta(milliseconds=500)  # the Date header is cut to whole seconds
_lock = threading.Lock()
_shared: Session | None = None

Credentials = Mapping[str, str]


def _session() -> Session:
    """Returns the process's one botocore session: its service models are read once."""
    global _shared  # noqa: PLW0603  (a cache; guarded by the lock)
    with _lock:
        if _shared is None:
            _shared = get_session()
        return _shared


def warm() -> None:
    """Reads the service models, so that the first task of a forked worker does not wait for them."""
    for service in ("iam", "sts"):
        _client(service, "aws", "http://127.0.0.1:9", {"AccessKeyId": "warm", "SecretAccessKey": "warm"}, "", 1)


def _client(
    service: str, partition: str, endpoint: str, credentials: Credentials | None, session_name: str, attempts: int
) -> Any:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        user_agent_extra=" ".join(filter(None, ("roledesk", session_name, correlation.current()))),
    )
    session = _session()
    given = credentials or {}
    with _lock:
        return session.create_client(
            service,
            region_name=IAM_REGIONS[partition],
            endpoint_url=endpoint or None,
            aws_access_key_id=given.get("AccessKeyId"),
            aws_secret_access_key=given.get("SecretAccessKey"),
            aws_session_token=given.get("SessionToken"),
            config=config,
        )


def as_aws_error(error: Exception, api: str) -> AwsError:
    """Returns what a botocore error means for the engine; whatever is not known to be harmless is unknown."""
    if isinstance(error, ClientError):
        answer = error.response
        meta = answer.get("ResponseMetadata", {})
        described = answer.get("Error", {})
        return AwsError(
            str(described.get("Code") or "UnreadableAnswer"),
            str(described.get("Message", "")),
            api=api,
            request_id=str(meta.get("RequestId", "")),
            http_status=meta.get("HTTPStatusCode"),
        )
    names: tuple[tuple[type[Exception], str], ...] = (
        (ConnectTimeoutError, "ConnectTimeout"),
        (EndpointConnectionError, "EndpointConnection"),
        (ReadTimeoutError, "ReadTimeout"),
        (ConnectionClosedError, "ConnectionClosed"),
        (HTTPClientError, "ConnectionBroken"),
        (ResponseParserError, "UnreadableAnswer"),
        (NoCredentialsError, "NoCredentials"),
        (ParamValidationError, "ValidationError"),
    )
    for kind, code in names:
        if isinstance(error, kind):
            return AwsError(code, str(error), api=api)
    return AwsError("UnreadableAnswer", f"{type(error).__name__}: {error}", api=api)


def assume_role(
    *, partition: str, endpoint: str, session_name: str, arguments: Mapping[str, Any]
) -> tuple[str, Credentials, int | None]:
    """Returns the assumed identity's ARN, its credentials, and how full the packed session policy is in percent.

    Raises AwsError. It is a read for our purposes: assuming a role twice changes nothing.
    """
    sts = _client("sts", partition, endpoint, None, session_name, 5)
    answer = _ask(sts, "AssumeRole", dict(arguments))
    credentials = {
        name: str(answer["Credentials"][name]) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")
    }
    return str(answer["AssumedRoleUser"]["Arn"]), credentials, answer.get("PackedPolicySize")


def _ask(client: Any, api: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = getattr(client, xform_name(api))(**arguments)
    except (BotoCoreError, ClientError, ResponseParserError, *UNREADABLE) as error:
        raise as_aws_error(error, api) from error
    return answer


class BotoGateway:
    """A `Gateway` over one set of credentials. The session's name and the correlation of what is being done are in the
    user agent and so in CloudTrail.
    """

    def __init__(self, *, partition: str, endpoint: str, credentials: Credentials, session_name: str) -> None:
        self._reads = _client("iam", partition, endpoint, credentials, session_name, 5)
        self._writes = _client("iam", partition, endpoint, credentials, session_name, 1)
        self._clock: ServerClock | None = None
        self._arn_of_role: dict[str, str] = {}
        self._versions: dict[tuple[str, str], Document] = {}

    @readable
    def role(self, arn: str) -> RoleState | None:
        """Returns the role of this name, or None."""
        name = arns.role_name_of(arn)
        found = self._get_role(name)
        if found is None:
            return None
        try:
            inline = {
                policy: self._document(
                    self._read("GetRolePolicy", RoleName=name, PolicyName=policy)["PolicyDocument"], "identity"
                )
                for policy in self._pages("ListRolePolicies", "PolicyNames", RoleName=name)
            }
            attached = self._attached(name)
        except AwsError as error:
            raise _moved(error) from error
        return self._role_state(found, found, inline, attached)

    def _role_state(
        self, found: dict[str, Any], described: dict[str, Any], inline: dict[str, Document], attached: frozenset[str]
    ) -> RoleState:
        return RoleState(
            arn=found["Arn"],
            name=found["RoleName"],
            path=found["Path"],
            trust=self._document(found["AssumeRolePolicyDocument"], "trust"),
            description=described.get("Description", ""),
            boundary=(found.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
            tags=_tags(found),
            max_session=described.get("MaxSessionDuration", 3600),
            attached=attached,
            inline=inline,
            role_id=found["RoleId"],
            last_used=_day((found.get("RoleLastUsed") or {}).get("LastUsedDate")),
        )

    @readable
    def policy(self, arn: str) -> PolicyState | None:
        """Returns the customer managed policy, or None."""
        found = self._get_policy(arn)
        if found is None:
            return None
        default = found["DefaultVersionId"]
        try:
            versions = {
                version["VersionId"]: self._policy_document(found, version["VersionId"])
                for version in self._pages("ListPolicyVersions", "Versions", PolicyArn=arn)
            }
            users = frozenset(self._users(arn))
        except AwsError as error:
            raise _moved(error) from error
        if default not in versions:
            raise AwsError("ChangedWhileReading", "The default version changed while it was read.", api="GetPolicy")
        return _policy_state(found, versions, users)

    @readable
    def managed_policy(self, arn: str) -> ManagedPolicyVersion | None:
        """Returns the default version of a managed policy of anyone, or None."""
        found = self._get_policy(arn)
        if found is None:
            return None
        version = found["DefaultVersionId"]
        return ManagedPolicyVersion(arn=arn, version=version, document=self._policy_document(found, version))

    def passed_role(self, arn: str) -> PassedRole:
        """Returns the role that is to be passed; a role of the same name on another path is not it."""
        found = self.role(arn)
        if found is None or found.arn != arn:
            return PassedRole(arn=arn, role_id=None, trust=None)
        return PassedRole(
            arn=arn,
            role_id=found.role_id,
            trust=found.trust,
            attached=found.attached,
            inline=found.inline,
            boundary=found.boundary,
        )

    @readable
    def roles(self) -> tuple[ListedRole, ...]:
        """Returns every role of the AWS account; IAM gives at most 1,000 a page."""
        listed = self._pages("ListRoles", "Roles", MaxItems=1000)
        return tuple(ListedRole(one["Arn"], self._listed_trust(one)) for one in listed)

    def _listed_trust(self, listed: dict[str, Any]) -> Document | None:
        """Somebody else's unreadable trust policy is no reason to stop looking."""
        try:
            return self._document(listed["AssumeRolePolicyDocument"], "trust")
        except AwsError:
            return None

    @readable
    def making(self, arn: str) -> RoleMaking | None:
        """Returns creation time and tags of a role or a customer managed policy, or None."""
        if ":policy/" in arn:
            policy = self._get_policy(arn)
            return None if policy is None else RoleMaking(policy["PolicyId"], policy["CreateDate"], _tags(policy))
        role = self._get_role(arns.role_name_of(arn))
        return None if role is None else RoleMaking(role["RoleId"], role["CreateDate"], _tags(role))

    @readable
    def account_summary(self) -> Mapping[str, int]:
        """Returns GetAccountSummary. An answer without figures is unreadable, not an account without quotas."""
        summary: Mapping[str, int] = self._read("GetAccountSummary").get("SummaryMap") or {}
        if not summary:
            raise AwsError("UnreadableAnswer", "The summary holds no figures.", api="GetAccountSummary")
        return summary

    @readable
    def holdings(self, wanted: Collection[str]) -> Holdings:
        """Returns the wanted ones, from all pages of GetAccountAuthorizationDetails.

        Those lack description and session length, which ListRoles has: one call more for each thousand roles.
        Documents that nobody asked for are not read: what others write there is not ours to understand. Who uses a
        policy is asked for it alone only when AWS counts more uses than the roles of the answer have.
        """
        described = {role["Arn"]: role for role in self._pages("ListRoles", "Roles", MaxItems=1000)}
        roles: dict[str, RoleState] = {}
        policies: dict[str, PolicyState] = {}
        unreadable: dict[str, str] = {}
        uses: dict[str, list[str]] = {}
        counted: dict[str, int] = {}
        arguments = {"Filter": ["Role", "LocalManagedPolicy"], "MaxItems": 1000}
        for answer in self._answers("GetAccountAuthorizationDetails", **arguments):
            for found in (*answer["RoleDetailList"], *answer["Policies"]):
                arn = found["Arn"]
                for used in _used_by(found):
                    uses.setdefault(used, []).append(arn)
                if arn not in wanted:
                    continue
                counted[arn] = found.get("AttachmentCount", 0) + found.get("PermissionsBoundaryUsageCount", 0)
                try:
                    if "RoleId" in found:
                        roles[arn] = self._detailed_role(found, described)
                    else:
                        policies[arn] = self._detailed_policy(found)
                except AwsError as error:
                    if error.code != "UnreadableDocument":
                        raise
                    unreadable[arn] = error.message
        for arn, policy in policies.items():
            seen = uses.get(arn, [])
            policies[arn] = replace(policy, users=frozenset(seen if counted[arn] <= len(seen) else self._users(arn)))
        return Holdings(roles=roles, policies=policies, unreadable=unreadable)

    def _detailed_role(self, role: dict[str, Any], described: Mapping[str, dict[str, Any]]) -> RoleState:
        if role["Arn"] not in described or described[role["Arn"]]["RoleId"] != role["RoleId"]:
            raise AwsError("ChangedWhileReading", f"{role['Arn']} was just made.", api="ListRoles")
        inline = {
            policy["PolicyName"]: self._document(policy["PolicyDocument"], "identity")
            for policy in role["RolePolicyList"]
        }
        attached = frozenset(policy["PolicyArn"] for policy in role["AttachedManagedPolicies"])
        return self._role_state(role, described[role["Arn"]], inline, attached)

    def _detailed_policy(self, policy: dict[str, Any]) -> PolicyState:
        versions = {
            version["VersionId"]: self._document(version["Document"], "identity")
            for version in policy["PolicyVersionList"]
        }
        return _policy_state(policy, versions, frozenset())

    def probe(self, api: str, arguments: Mapping[str, Any]) -> None:
        """Sends one reading call. Raises AwsError; ValueError for a call that could change anything."""
        if not api.startswith(("Get", "List")):
            raise ValueError(f"{api} is no reading call.")
        self._read(api, **arguments)

    def send(self, call: Call) -> Answer:
        """Sends one changing call once. Raises AwsError; ValueError for a call that the engine never makes."""
        if call.api not in WRITES:
            raise ValueError(f"{call.api} is not among the calls that the engine makes.")
        answer = _ask(self._writes, call.api, dict(call.arguments))
        meta = self._note(answer)
        made = answer.get("Role", {}).get("RoleId") or answer.get("Policy", {}).get("PolicyId")
        require_from_iam(answer, call.api, creates=call.api in CREATING, made=made)
        return Answer(request_id=str(meta.get("RequestId", "")), http_status=meta["HTTPStatusCode"], entity_id=made)

    def clock(self) -> ServerClock | None:
        """Returns AWS's clock by the last answer."""
        return self._clock

    def _read(self, api: str, **arguments: Any) -> dict[str, Any]:
        answer = _ask(self._reads, api, arguments)
        self._note(answer)
        return answer

    def _note(self, answer: dict[str, Any]) -> dict[str, Any]:
        meta: dict[str, Any] = answer["ResponseMetadata"]
        date = meta.get("HTTPHeaders", {}).get("date")
        if date:
            try:
                at = parsedate_to_datetime(date).astimezone(UTC) + _HALF_A_SECOND
            except ValueError:
                return meta
            self._clock = ServerClock(at=at, local=datetime.now(UTC))
        return meta

    def _pages(self, api: str, key: str, **arguments: Any) -> Iterator[Any]:
        """Yields the items of every page."""
        for answer in self._answers(api, **arguments):
            yield from answer[key]

    def _answers(self, api: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        marker, pages = "", 0
        while True:
            answer = self._read(api, **arguments, **({"Marker": marker} if marker else {}))
            yield answer
            pages += 1
            marker = next_page(answer, marker, pages, api)
            if not marker:
                return

    def _get_role(self, name: str) -> Any:
        try:
            found = self._read("GetRole", RoleName=name)["Role"]
        except AwsError as error:
            if error.code == "NoSuchEntity":
                return None
            raise
        self._arn_of_role[found["RoleId"]] = found["Arn"]
        return found

    def _get_policy(self, arn: str) -> Any:
        try:
            return self._read("GetPolicy", PolicyArn=arn)["Policy"]
        except AwsError as error:
            if error.code == "NoSuchEntity":
                return None
            raise

    def _attached(self, name: str) -> frozenset[str]:
        pages = self._pages("ListAttachedRolePolicies", "AttachedPolicies", RoleName=name)
        return frozenset(policy["PolicyArn"] for policy in pages)

    def _policy_document(self, policy: dict[str, Any], version: str) -> Document:
        """A version never changes and its number is never given again: each is read once a session."""
        key = policy["PolicyId"], version
        if key not in self._versions:
            answer = self._read("GetPolicyVersion", PolicyArn=policy["Arn"], VersionId=version)
            self._versions[key] = self._document(answer["PolicyVersion"]["Document"], "identity")
        return self._versions[key]

    def _document(self, wire: object, kind: Any) -> Document:
        text = json.dumps(wire) if isinstance(wire, dict) else str(wire)
        if text.startswith("%7B"):
            text = unquote(text)
        try:
            return documents.parse(text, kind=kind)
        except documents.DocumentError as error:
            raise AwsError("UnreadableDocument", str(error)) from error

    def _users(self, arn: str) -> Iterator[str]:
        """Yields the ARNs of all that use a policy, as permissions or as boundary (roles exact, others by name)."""
        owner = arns.parse_arn(arn)
        prefix = f"arn:{owner.partition}:iam::{owner.account}"
        for usage in ("PermissionsPolicy", "PermissionsBoundary"):
            for answer in self._answers("ListEntitiesForPolicy", PolicyArn=arn, PolicyUsageFilter=usage):
                for role in answer["PolicyRoles"]:
                    yield self._arn_by_id(role, prefix)
                yield from (f"{prefix}:user/{user['UserName']}" for user in answer["PolicyUsers"])
                yield from (f"{prefix}:group/{group['GroupName']}" for group in answer["PolicyGroups"])

    def _arn_by_id(self, listed: dict[str, str], prefix: str) -> str:
        """A listing names no path: the role is read once, and its id remembered (path and ARN never change)."""
        if listed["RoleId"] not in self._arn_of_role:
            self._get_role(listed["RoleName"])
        return self._arn_of_role.get(listed["RoleId"], f"{prefix}:role/{listed['RoleName']}")


def _used_by(found: dict[str, Any]) -> list[str]:
    """Returns the managed policies that a role of the bulk answer holds, its boundary too; a policy holds none."""
    boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    attached = [policy["PolicyArn"] for policy in found.get("AttachedManagedPolicies", ())]
    return [*attached, boundary] if boundary else attached


def _policy_state(found: dict[str, Any], versions: Mapping[str, Document], users: frozenset[str]) -> PolicyState:
    default = found["DefaultVersionId"]
    return PolicyState(
        arn=found["Arn"],
        name=found["Arn"].rsplit("/", 1)[-1],
        path=found["Path"],
        document=versions[default],
        description=found.get("Description", ""),
        default_version=default,
        versions={version: documents.digest(document) for version, document in versions.items()},
        users=users,
        policy_id=found.get("PolicyId"),  # the simulator leaves it out of the bulk answer
    )


def _day(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%d}" if at else None


def _tags(found: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags") or ()}


def _moved(error: AwsError) -> AwsError:
    """A part that vanishes between two reads of one look means: look again."""
    if error.code == "NoSuchEntity":
        return AwsError("ChangedWhileReading", error.message, api=error.api, request_id=error.request_id)
    return error
