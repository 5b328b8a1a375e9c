"""Who the worker is in an AWS account: one assumed role, one session for a look or for the next few planned calls.

A writing session carries its own fence: a session policy with one statement a call and a deadline on AWS's clock. The
answer of AssumeRole is checked against the account each time. boto3 is not imported here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from iamroles.aws import boto
from iamroles.aws.gateway import TOO_LARGE, AwsError, Gateway, WrongAccount
from iamroles.iam import arns
from iamroles.proposal.calls import Call

SESSION_SECONDS: Final = 900  # the least that STS allows; the condition fences, not the expiry
POLICY_CHARACTERS: Final = 2048  # plain text of a session policy (AWS.md part 3); the packed size is checked by STS
CALLS_A_SESSION: Final = 8
_NAME_LENGTH: Final = 64
_TAGGING: Final = {"CreateRole": "iam:TagRole", "CreatePolicy": "iam:TagPolicy"}
_BOUND: Final = frozenset({"CreateRole", "PutRolePermissionsBoundary"})


@dataclass(frozen=True)
class Portal:
    """The portal's own role in one AWS account. `role` is its path and name without the leading slash."""

    number: str
    partition: str
    external_id: str
    role: str

    @property
    def arn(self) -> str:
        """The role that is assumed."""
        return f"arn:{self.partition}:iam::{self.number}:role/{self.role}"

    def session_arn(self, session: str) -> str:
        """The identity that AssumeRole must answer with; it carries no path."""
        return f"arn:{self.partition}:sts::{self.number}:assumed-role/{self.role.rsplit('/', 1)[-1]}/{session}"


@dataclass(frozen=True)
class Writing:
    """A session for the first `calls` of those asked for. `packed` is how full the packed policy is, in percent."""

    gateway: Gateway
    calls: tuple[Call, ...]
    until: datetime
    packed: int | None


class Sessions(Protocol):
    """Opens sessions. Both methods may raise AwsError and WrongAccount."""

    def reading(self, portal: Portal, name: str) -> Gateway:
        """Returns a session that can only read. `name` is what is looked at, e.g. "REQ-000142"."""

    def writing(self, portal: Portal, name: str, *, identity: str, calls: Sequence[Call], until: datetime) -> Writing:
        """Returns a session for as many of the next calls as fit, refused by AWS itself after `until`."""

    def knock(self, portal: Portal, session: str, external_id: str | None) -> str:
        """Tries whether AWS lets us in under this name with this ExternalId or none. Returns the identity; the session
        that was opened can do nothing and is dropped.
        """


def statement(call: Call, until: datetime) -> dict[str, Any]:
    """Returns the statement that allows one planned call on its exact ARN until the deadline, and nothing else."""
    action = f"iam:{call.api}"
    conditions: dict[str, dict[str, str]] = {"DateLessThan": {"aws:CurrentTime": f"{until:%Y-%m-%dT%H:%M:%SZ}"}}
    if call.api in ("AttachRolePolicy", "DetachRolePolicy"):
        conditions["ArnEquals"] = {"iam:PolicyARN": call.arguments["PolicyArn"]}
    if call.api in _BOUND and call.arguments.get("PermissionsBoundary"):
        conditions["StringEquals"] = {"iam:PermissionsBoundary": call.arguments["PermissionsBoundary"]}
    if call.api in _TAGGING and call.arguments.get("Tags"):
        return {
            "Effect": "Allow",
            "Action": [action, _TAGGING[call.api]],
            "Resource": call.resource,
            "Condition": conditions,
        }
    return {"Effect": "Allow", "Action": action, "Resource": call.resource, "Condition": conditions}


def session_policy(calls: Sequence[Call], until: datetime) -> str:
    """Returns the session policy for these calls, minified."""
    value = {"Version": "2012-10-17", "Statement": [statement(call, until) for call in calls]}
    return json.dumps(value, separators=(",", ":"))


def fitting(calls: Sequence[Call], until: datetime, at_most: int = CALLS_A_SESSION) -> tuple[Call, ...]:
    """Returns the longest beginning of `calls` whose policy is short enough: at least one call."""
    chosen = tuple(calls[:at_most])
    while len(chosen) > 1 and len(session_policy(chosen, until)) > POLICY_CHARACTERS:
        chosen = chosen[:-1]
    return chosen


NOTHING: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}, separators=(",", ":")
)
READ_ONLY: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["iam:Get*", "iam:List*"], "Resource": "*"}],
    },
    separators=(",", ":"),
)


class AwsSessions:
    """Real sessions, from the worker's own credentials. `endpoint` is empty for AWS itself."""

    def __init__(self, endpoint: str = "") -> None:
        self._endpoint = endpoint

    def reading(self, portal: Portal, name: str) -> Gateway:
        """Returns a session that can only read, named `READ-…`."""
        session = f"READ-{name}"[:_NAME_LENGTH]
        gateway, _ = self._assume(portal, session, {"Policy": READ_ONLY})
        return gateway

    def writing(self, portal: Portal, name: str, *, identity: str, calls: Sequence[Call], until: datetime) -> Writing:
        """Returns a session named after request and run. Packed too large: half as many calls, at last one."""
        chosen = fitting(calls, until)
        while True:
            policy = session_policy(chosen, until)
            try:
                gateway, packed = self._assume(
                    portal, name[:_NAME_LENGTH], {"Policy": policy, "SourceIdentity": identity[:_NAME_LENGTH]}
                )
            except AwsError as error:
                if error.code not in TOO_LARGE:
                    raise
                if len(chosen) == 1:
                    raise AwsError("SessionPolicyTooLarge", error.message, api="AssumeRole") from error
                chosen = chosen[: len(chosen) // 2]
                continue
            return Writing(gateway=gateway, calls=chosen, until=until, packed=packed)

    def knock(self, portal: Portal, session: str, external_id: str | None) -> str:
        """Assumes the role with a session policy that denies everything, and forgets the credentials."""
        arguments = {"RoleArn": portal.arn, "RoleSessionName": session, "DurationSeconds": SESSION_SECONDS}
        arguments |= {"Policy": NOTHING} | ({"ExternalId": external_id} if external_id is not None else {})
        answered, _, _ = boto.assume_role(
            partition=portal.partition, endpoint=self._endpoint, session_name=session, arguments=arguments
        )
        return answered

    def _assume(self, portal: Portal, session: str, more: dict[str, str]) -> tuple[Gateway, int | None]:
        named = arns.parse_arn(portal.arn)
        if (named.partition, named.account) != (portal.partition, portal.number):
            raise WrongAccount(portal.number, portal.arn)
        arguments = {
            "RoleArn": portal.arn,
            "RoleSessionName": session,
            "ExternalId": portal.external_id,
            "DurationSeconds": SESSION_SECONDS,
            **more,
        }
        answered, credentials, packed = boto.assume_role(
            partition=portal.partition, endpoint=self._endpoint, session_name=session, arguments=arguments
        )
        if answered != portal.session_arn(session):
            raise WrongAccount(portal.session_arn(session), answered)
        gateway = boto.BotoGateway(
            partition=portal.partition, endpoint=self._endpoint, credentials=credentials, session_name=session
        )
        return gateway, packed
