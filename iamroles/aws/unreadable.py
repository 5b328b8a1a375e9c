"""What AWS, or something on the way to it, answers and nobody can read: an error like any other, never one of ours.

The engine then looks again, and treats a write as one whose outcome nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from iamroles.aws.gateway import AwsError

P = ParamSpec("P")
T = TypeVar("T")
UNREADABLE: Final = (KeyError, TypeError, AttributeError, ValueError, RecursionError)
PAGES_AT_MOST: Final = 1_000  # IAM gives up to 1,000 items a page, and an AWS account has far fewer than a million


def readable(read: Callable[P, T]) -> Callable[P, T]:
    """Makes an answer that lacks what its operation must answer, or has it as something else, an AwsError."""

    @wraps(read)
    def asked(*given: P.args, **named: P.kwargs) -> T:
        try:
            return read(*given, **named)
        except UNREADABLE as error:
            message = f"The answer cannot be read: {type(error).__name__}."
            raise AwsError("UnreadableAnswer", message, api=read.__name__) from error

    return asked


def next_page(answer: Mapping[str, Any], before: str, pages: int, api: str) -> str:
    """Returns the marker of the next page, "" after the last. Raises AwsError for a list that does not end."""
    if not answer.get("IsTruncated"):
        return ""
    marker = str(answer.get("Marker") or "")
    if marker in ("", before) or pages >= PAGES_AT_MOST:
        raise AwsError("UnreadableAnswer", f"The list does not end after {pages} pages.", api=api)
    return marker


def require_from_iam(answer: Mapping[str, Any], api: str, *, creates: bool, made: str | None) -> None:
    """Raises AwsError for a yes that bears no request id, as a proxy's page does, or does not name what was made: then
    nobody knows what IAM did.
    """
    if not answer.get("ResponseMetadata", {}).get("RequestId"):
        raise AwsError("UnreadableAnswer", "The answer bears no request id.", api=api)
    if creates and not made:
        raise AwsError("UnreadableAnswer", "The answer does not name what was made.", api=api)
