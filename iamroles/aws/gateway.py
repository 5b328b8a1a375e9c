"""The door to IAM as values: what a worker may read and send, and errors that say what to do next.

One instance is one session in one AWS account. The engine knows this Protocol and the error's `kind` alone; it never
reads a message. How the answers are fetched is in `boto`, who may fetch them in `sessions`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol

from iamroles.blueprints.state import PolicyState, RoleState
from iamroles.iam.documents import Document
from iamroles.proposal.calls import Call
from iamroles.proposal.context import ManagedPolicyVersion, PassedRole

ErrorKind = Literal["retry", "unknown", "renew", "wait", "blocked"]

# APPLY.md part 4. A code that is not here is "blocked"; any 5xx is "unknown".
KINDS: Final[Mapping[str, ErrorKind]] = {
    "Throttling": "retry",
    "ThrottlingException": "retry",
    "RequestLimitExceeded": "retry",
    "TooManyRequestsException": "retry",
    "ConcurrentModification": "retry",
    "EntityTemporarilyUnmodifiable": "retry",
    "ConnectTimeout": "retry",
    "EndpointConnection": "retry",
    "ChangedWhileReading": "retry",
    "ServiceFailure": "unknown",
    "InternalFailure": "unknown",
    "ServiceUnavailable": "unknown",
    "ReadTimeout": "unknown",
    "ConnectionClosed": "unknown",
    "ConnectionBroken": "unknown",
    "UnreadableAnswer": "unknown",
    "ExpiredToken": "renew",
    "ExpiredTokenException": "renew",
    "RequestExpired": "renew",
    "InvalidClientTokenId": "renew",
    "UnrecognizedClientException": "renew",
    "SignatureDoesNotMatch": "renew",
    "NoCredentials": "renew",
    "PackedPolicyTooLarge": "renew",
    "PackedPolicyTooLargeException": "renew",
    "NoSuchEntity": "wait",
    "EntityAlreadyExists": "wait",
    "MalformedPolicyDocument": "wait",
    "AccessDenied": "wait",
    "AccessDeniedException": "wait",
    "DeleteConflict": "wait",
}
THROTTLES: Final = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"})
# After these a new session is tried once only; credentials that were merely old get as many as they need.
RENEW_ONCE: Final = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"})
TOO_LARGE: Final = frozenset({"PackedPolicyTooLarge", "PackedPolicyTooLargeException"})


class AwsError(Exception):
    """AWS, or the way to it, did not say yes. `kind` says what the engine does; `message` is for people alone."""

    def __init__(
        self, code: str, message: str = "", *, api: str = "", request_id: str = "", http_status: int | None = None
    ) -> None:
        self.code, self.message, self.api = code, message, api
        self.request_id, self.http_status = request_id, http_status
        super().__init__(f"{api}: {code}")

    @property
    def kind(self) -> ErrorKind:
        """What to do: APPLY.md part 4."""
        if self.http_status is not None and self.http_status >= 500:
            return "unknown"
        return KINDS.get(self.code, "blocked")


class WrongAccount(Exception):
    """AssumeRole answered with another identity than the one asked for. The credentials were dropped."""

    def __init__(self, expected: str, answered: str) -> None:
        self.expected, self.answered = expected, answered
        super().__init__(f"Assumed {answered}, not {expected}.")


@dataclass(frozen=True)
class Answer:
    """AWS's yes to one call. `entity_id` is the RoleId or PolicyId that a creating call answers with."""

    request_id: str
    http_status: int
    entity_id: str | None = None


@dataclass(frozen=True)
class RoleMaking:
    """What only the ownership test asks of a role or policy: when AWS made it, and all of its tags."""

    entity_id: str
    created_at: datetime
    tags: Mapping[str, str]


@dataclass(frozen=True)
class ListedRole:
    """One role of the account's listing; `trust` is None when it cannot be read."""

    arn: str
    trust: Document | None


@dataclass(frozen=True)
class ServerClock:
    """AWS's clock by the Date header of the last answer: `at` is AWS's time then, `local` the worker's own."""

    at: datetime
    local: datetime

    def skew_to(self, now: datetime, local: datetime) -> timedelta:
        """Returns how far another clock is ahead of AWS's; `now` was read from it when the worker's said `local`."""
        return now - (self.at + (local - self.local))


@dataclass(frozen=True)
class Holdings:
    """What an AWS account has of the roles and customer managed policies that were asked for, by ARN.

    `unreadable` are those with a document that cannot be read, and why. A policy's `users` are not among what is read.
    """

    roles: Mapping[str, RoleState]
    policies: Mapping[str, PolicyState]
    unreadable: Mapping[str, str] = field(default_factory=dict)


class Gateway(Protocol):
    """Reads return values; absent things are None. Every method may raise AwsError."""

    def role(self, arn: str) -> RoleState | None:
        """Returns the role of this name with all its parts. Its own `arn` may differ from the asked one by path."""

    def policy(self, arn: str) -> PolicyState | None:
        """Returns a customer managed policy with the digests of all versions and everyone who uses it."""

    def managed_policy(self, arn: str) -> ManagedPolicyVersion | None:
        """Returns the default version of any managed policy."""

    def passed_role(self, arn: str) -> PassedRole:
        """Returns a role that is to be passed; its `role_id` is None when AWS has no role of exactly this ARN."""

    def roles(self) -> tuple[ListedRole, ...]:
        """Returns every role of the AWS account with its trust, by one paged listing."""

    def making(self, arn: str) -> RoleMaking | None:
        """Returns when a role or customer managed policy was made, and its tags."""

    def account_summary(self) -> Mapping[str, int]:
        """Returns the account's quotas and counts (GetAccountSummary)."""

    def holdings(self, wanted: Collection[str]) -> Holdings:
        """Returns the roles and customer managed policies of these ARNs, from a reading of the whole AWS account."""

    def probe(self, api: str, arguments: Mapping[str, Any]) -> None:
        """Sends one reading call and forgets the answer: only whether AWS lets us matters."""

    def send(self, call: Call) -> Answer:
        """Sends one changing call, exactly once: no retry of any kind happens below this line."""

    def clock(self) -> ServerClock | None:
        """Returns AWS's clock by the last answer, or None before the first."""


WRITES: Final = frozenset(
    {
        "CreateRole",
        "UpdateRole",
        "UpdateAssumeRolePolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "DeleteRolePolicy",
        "AttachRolePolicy",
        "DetachRolePolicy",
        "TagRole",
        "UntagRole",
        "DeleteRole",
        "CreatePolicy",
        "CreatePolicyVersion",
        "SetDefaultPolicyVersion",
        "DeletePolicyVersion",
        "DeletePolicy",
        "TagPolicy",
        "UntagPolicy",
    }
)
CREATING: Final = frozenset({"CreateRole", "CreatePolicy"})  # answer with the id of what they made
# The same call again does no harm (AWS.md part 4); the others wait out the quiet period after an unknown outcome.
REPEATABLE: Final = frozenset(
    {
        "UpdateRole",
        "UpdateAssumeRolePolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "AttachRolePolicy",
        "DetachRolePolicy",
        "TagRole",
        "UntagRole",
        "SetDefaultPolicyVersion",
        "TagPolicy",
        "UntagPolicy",
    }
)
