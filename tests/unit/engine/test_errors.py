"""What each error of AWS or of the way to it means for the engine: APPLY.md part 4 as a table."""

from __future__ import annotations

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError

from iamroles.aws.boto import as_aws_error
from iamroles.aws.gateway import AwsError


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("Throttling", 400, "retry"),
        ("RequestLimitExceeded", 400, "retry"),
        ("ConcurrentModification", 409, "retry"),
        ("EntityTemporarilyUnmodifiable", 409, "retry"),
        ("ServiceFailure", 500, "unknown"),
        ("SomethingNew", 503, "unknown"),
        ("Throttling", 503, "unknown"),
        ("ExpiredToken", 403, "renew"),
        ("InvalidClientTokenId", 403, "renew"),
        ("PackedPolicyTooLarge", 400, "renew"),
        ("NoSuchEntity", 404, "wait"),
        ("EntityAlreadyExists", 409, "wait"),
        ("MalformedPolicyDocument", 400, "wait"),
        ("AccessDenied", 403, "wait"),
        ("DeleteConflict", 409, "wait"),
        ("LimitExceeded", 409, "blocked"),
        ("InvalidInput", 400, "blocked"),
        ("PolicyNotAttachable", 400, "blocked"),
        ("UnmodifiableEntity", 400, "blocked"),
        ("SomethingNew", 400, "blocked"),
    ],
)
def test_a_code_has_a_class(code: str, status: int, kind: str) -> None:
    error = exceptions.ClientError(
        {
            "Error": {"Code": code, "Message": "m"},
            "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "r-1"},  # type: ignore[typeddict-item]
        },
        "CreateRole",
    )
    found = as_aws_error(error, "CreateRole")
    assert (found.code, found.message, found.api, found.request_id, found.http_status, found.kind) == (
        code,
        "m",
        "CreateRole",
        "r-1",
        status,
        kind,
    )


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (exceptions.ConnectTimeoutError(endpoint_url="u"), "ConnectTimeout", "retry"),
        (exceptions.EndpointConnectionError(endpoint_url="u"), "EndpointConnection", "retry"),
        (exceptions.ReadTimeoutError(endpoint_url="u"), "ReadTimeout", "unknown"),
        (exceptions.ConnectionClosedError(endpoint_url="u"), "ConnectionClosed", "unknown"),
        (exceptions.HTTPClientError(error="e"), "ConnectionBroken", "unknown"),
        (exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), "UnreadableAnswer", "unknown"),
        (ResponseParserError("no XML"), "UnreadableAnswer", "unknown"),
        (exceptions.NoCredentialsError(), "NoCredentials", "renew"),
        (exceptions.ParamValidationError(report="r"), "ValidationError", "blocked"),
        (KeyError("Role"), "UnreadableAnswer", "unknown"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_a_broken_way_has_a_class(error: Exception, code: str, kind: str) -> None:
    found = as_aws_error(error, "CreateRole")
    assert (found.code, found.kind) == (code, kind)


def test_a_message_never_decides() -> None:
    assert AwsError("Unknown", "Throttling: Rate exceeded").kind == "blocked"
