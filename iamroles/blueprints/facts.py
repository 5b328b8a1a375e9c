"""What a requester told us, as values: the only input of a blueprint. Texts are already tidied; nothing is looked up.

`from_answers` functions turn a form's texts into facts and problems; the web tier, the commands and the worker use the
same facts, so that the same answers always give the same documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from iamroles import canonical
from iamroles.iam import arns

ROLE = "role"
GRANT = "grant"
DEFAULT_ROLE_NAME = "ecsCodeDeployRole"  # the guide's name, seed step S7
DEFAULT_EXECUTION_ROLE = "ecsTaskExecutionRole"

ManagedChoice = Literal["limited", "full"]


@dataclass(frozen=True)
class AccountFacts:
    """The AWS account's record as far as documents depend on it. `boundary` is an ARN or None."""

    number: str
    name: str
    partition: str = "aws"
    production: bool = False
    role_path: str = "/"
    policy_path: str = "/"
    boundary: str | None = None


@dataclass(frozen=True)
class RoleFacts:
    """A CodeDeploy service role for ECS with the roles that it must be able to pass, given as ARNs.

    `hardened` adds `aws:SourceAccount` to the trust policy; without it the guide's plain form is used.
    """

    account: AccountFacts
    team: str
    role_name: str = DEFAULT_ROLE_NAME
    managed_policy: ManagedChoice = "limited"
    execution_roles: tuple[str, ...] = ()
    task_roles: tuple[str, ...] = ()
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    policy_name: str = ""
    policy_description: str = ""
    hardened: bool = True
    kind: Literal["role"] = "role"

    @property
    def role_arn(self) -> str:
        """The role's ARN, at the account's role path."""
        return arns.role_arn(self.account.partition, self.account.number, self.role_name, self.account.role_path)


@dataclass(frozen=True)
class GrantFacts:
    """PassRole grants for a CodeDeploy role that exists already. `anyway` keeps a grant that is covered already."""

    account: AccountFacts
    team: str
    role_name: str = DEFAULT_ROLE_NAME
    execution_roles: tuple[str, ...] = ()
    task_roles: tuple[str, ...] = ()
    policy_name: str = ""
    policy_description: str = ""
    anyway: bool = False
    kind: Literal["grant"] = "grant"

    @property
    def role_arn(self) -> str:
        """The role's ARN, at the account's role path."""
        return arns.role_arn(self.account.partition, self.account.number, self.role_name, self.account.role_path)


Facts = RoleFacts | GrantFacts


def passed_roles(facts: Facts) -> tuple[str, ...]:
    """Returns the ARNs of every role that is to be passed, each once, in the order given."""
    return tuple(dict.fromkeys((*facts.execution_roles, *facts.task_roles)))


def default_policy_name(role_name: str) -> str:
    """Returns the prefilled name of the PassRole policy for a role: at most 128 characters."""
    return f"{role_name}-PassRole"[:128]


def default_policy_description(role_name: str) -> str:
    """Returns the prefilled description of the PassRole policy. IAM never lets it be changed."""
    return f"Lets {role_name} pass the named roles to ECS tasks. Managed by Roledesk."


def write(facts: Facts) -> str:
    """Returns the canonical text that a revision stores."""
    value = asdict(facts)
    value["tags"] = dict(value.get("tags") or {})
    for name in ("execution_roles", "task_roles"):
        value[name] = list(value[name])
    return canonical.dumps(value).decode()


def read(text: str) -> Facts:
    """Returns the facts that `write` wrote. Raises ValueError for another kind or a missing part."""
    value: Any = canonical.loads(text)
    try:
        kind = value.pop("kind")
        value["account"] = AccountFacts(**value["account"])
        for name in ("execution_roles", "task_roles"):
            value[name] = tuple(value[name])
        if kind == ROLE:
            return RoleFacts(**value)
        if kind == GRANT:
            value.pop("tags", None)
            return GrantFacts(**value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"The stored facts cannot be read: {error}") from error
    raise ValueError(f"There is no blueprint for the kind {kind!r}.")
