"""ARNs taken apart and put together, roles and policies above all. Whether a name is allowed is `limits`' matter.

Role paths are part of the ARN; the name is what stands after the last slash.
"""

from __future__ import annotations

from dataclasses import dataclass


class ArnError(ValueError):
    """The text is not the ARN that was expected; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Arn:
    """The six parts of an ARN after `arn:`; `resource` keeps further colons and slashes."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def parse_arn(text: str) -> Arn:
    """Returns the parts. Raises `ArnError` unless partition, service and resource are there."""
    pieces = text.split(":", 5)
    if len(pieces) != 6 or pieces[0] != "arn":
        raise ArnError(f"{text[:200]!r} is not an ARN, which looks like arn:partition:service:region:account:resource.")
    _, partition, service, region, account, resource = pieces
    for name, part in (("partition", partition), ("service", service), ("resource", resource)):
        if not part:
            raise ArnError(f"{text[:200]!r} is not an ARN: its {name} is empty.")
    return Arn(partition, service, region, account, resource)


def role_arn(partition: str, account: str, name: str, path: str = "/") -> str:
    """Returns the ARN of a role; `path` begins and ends with a slash."""
    return f"arn:{partition}:iam::{account}:role{_slashed(path)}{name}"


def policy_arn(partition: str, account: str, name: str, path: str = "/") -> str:
    """Returns the ARN of a customer managed policy; for AWS's own the account is `aws`."""
    return f"arn:{partition}:iam::{account}:policy{_slashed(path)}{name}"


def split_role(arn: str) -> tuple[str, str]:
    """Returns the path (with both slashes) and the name of a role's ARN. Raises `ArnError` for another ARN."""
    parsed = parse_arn(arn)
    if parsed.service != "iam" or not parsed.resource.startswith("role/"):
        raise ArnError(f"{arn[:200]!r} is not the ARN of an IAM role.")
    path, _, name = parsed.resource.removeprefix("role").rpartition("/")
    if not name:
        raise ArnError(f"{arn[:200]!r} names no role: it ends with a slash.")
    return f"{path}/", name


def role_name_of(arn: str) -> str:
    """Returns the name of a role's ARN without its path. Raises `ArnError` for another ARN."""
    return split_role(arn)[1]


def _slashed(path: str) -> str:
    if not (path.startswith("/") and path.endswith("/")):
        raise ArnError(f"A path begins and ends with a slash; {path!r} does not.")
    return path
