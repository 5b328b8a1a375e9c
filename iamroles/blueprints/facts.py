"""What a requester told us, as values: the only input of a blueprint. Texts are already tidied; nothing is looked up.

`from_answers` functions turn a form's texts into facts and problems; the web tier, the commands and the worker use the
same facts, so that the same answers always give the same documents.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal

from iamroles import canonical
from iamroles.iam import arns, trust

ROLE = "role"
GRANT = "grant"
INFRASTRUCTURE = "infrastructure"
DEPLOYER = "deployer"
REMOVAL = "removal"
DEFAULT_ROLE_NAME = "ecsCodeDeployRole"  # the guide's name, seed step S7
DEFAULT_INFRASTRUCTURE_ROLE = "ecsInfrastructureRoleForLoadBalancers"
DEFAULT_EXECUTION_ROLE = "ecsTaskExecutionRole"

ManagedChoice = Literal["limited", "full", "scoped"]
SESSION_SECONDS = (3600, 43200)  # IAM's limits of a role's longest session, AWS.md part 3
DeployerScope = Literal["scoped", "unscoped"]


@dataclass(frozen=True)
class AccountFacts:
    """The AWS account's record as far as documents depend on it. `boundary` is an ARN or None.

    `tag_keys` are the only tag keys that roles may carry, none meaning any; `required_tags` those that each must carry.
    """

    number: str
    name: str
    partition: str = "aws"
    production: bool = False
    role_path: str = "/"
    policy_path: str = "/"
    boundary: str | None = None
    tag_keys: tuple[str, ...] = ()
    required_tags: tuple[str, ...] = ()

    def as_mapping(self) -> dict[str, Any]:
        """Returns the JSON-able form; what was stored before there were lists of tag keys digests the same."""
        value = {name: list(part) if isinstance(part, tuple) else part for name, part in asdict(self).items()}
        return {name: part for name, part in value.items() if part != []}


def deployer_path(policy_path: str) -> str:
    """Returns where an account's deployer policies lie: apart from those of roles, as they are never versioned."""
    return f"{policy_path}deployer/"


@dataclass(frozen=True)
class RoleFacts:
    """A CodeDeploy service role for ECS with what its deployments use, all given as ARNs.

    `listeners` holds listeners and rules; `bundles` objects or prefixes that end with `*`, where AppSpec files lie.
    `hardened` adds `aws:SourceAccount` to the trust policy; without it the guide's plain form is used. `sources` are
    the only deployment groups (with `cloudformation`: stacks) that may use the role. `max_session` is in seconds, None
    leaves what is there. `why_full` says why Limited is not enough.
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
    services: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()
    target_groups: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    bundles_tagged: bool = False
    uses_policy_name: str = ""
    sources: tuple[str, ...] = ()
    cloudformation: bool = False
    max_session: int | None = None
    why_full: str = ""
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


@dataclass(frozen=True)
class InfrastructureFacts:
    """The role with which Amazon ECS itself moves traffic in a blue/green deployment, as AWS documents it."""

    account: AccountFacts
    team: str
    role_name: str = DEFAULT_INFRASTRUCTURE_ROLE
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["infrastructure"] = "infrastructure"

    @property
    def role_arn(self) -> str:
        """The role's ARN, at the account's role path."""
        return arns.role_arn(self.account.partition, self.account.number, self.role_name, self.account.role_path)


@dataclass(frozen=True)
class DeployerFacts:
    """What a person's or a pipeline's role needs to deploy one ECS service through CodeDeploy, as one managed policy.

    `holder` is the ARN of the team's role that will hold it; the team attaches it itself. Without `deployment_group`
    every group of the application is meant, without `region` every Region.
    """

    account: AccountFacts
    team: str
    holder: str
    application: str
    cluster: str
    service: str
    codedeploy_role: str
    deployment_group: str = ""
    execution_roles: tuple[str, ...] = ()
    task_roles: tuple[str, ...] = ()
    scope: DeployerScope = "scoped"
    region: str = ""
    policy_name: str = ""
    policy_description: str = ""
    kind: Literal["deployer"] = "deployer"

    @property
    def role_name(self) -> str:
        """The name of the role that will hold the policy."""
        return arns.role_name_of(self.holder)


@dataclass(frozen=True)
class RemovalFacts:
    """Rights that are no longer needed. `role_arn` and `policies` (ARNs) are as the inventory knows them.

    With `whole` the role goes and these policies with it; without, the policies alone go and the role stays. A deployer
    policy belongs to no role of the portal: `role_arn` is None then, and `role_name` that of its holder.
    """

    account: AccountFacts
    team: str
    role_name: str
    role_arn: str | None
    policies: tuple[str, ...] = ()
    whole: bool = True
    kind: Literal["removal"] = "removal"


PassingFacts = RoleFacts | GrantFacts
Facts = PassingFacts | InfrastructureFacts | DeployerFacts | RemovalFacts
_KINDS: Mapping[str, type[Facts]] = {
    ROLE: RoleFacts,
    GRANT: GrantFacts,
    INFRASTRUCTURE: InfrastructureFacts,
    DEPLOYER: DeployerFacts,
    REMOVAL: RemovalFacts,
}
KINDS: Final = tuple(_KINDS)


def service_of(facts: Facts) -> str:
    """Returns the service that must be able to use the role."""
    return trust.ECS if isinstance(facts, InfrastructureFacts) else trust.CODEDEPLOY


def passed_services(facts: Facts) -> Mapping[str, str]:
    """Returns the ARN of every role that is to be passed with the service that may get it, in the order given."""
    if not isinstance(facts, PassingFacts | DeployerFacts):
        return {}
    tasks = dict.fromkeys((*facts.execution_roles, *facts.task_roles), trust.ECS_TASKS)
    return {facts.codedeploy_role: trust.CODEDEPLOY, **tasks} if isinstance(facts, DeployerFacts) else tasks


def passed_roles(facts: Facts) -> tuple[str, ...]:
    """Returns the ARNs of every role that is to be passed, each once, in the order given."""
    return tuple(passed_services(facts))


def default_policy_name(role_name: str) -> str:
    """Returns the prefilled name of the PassRole policy for a role: at most 128 characters."""
    return f"{role_name}-PassRole"[:128]


def deployer_policy_name(application: str, taken: Container[str] = ()) -> str:
    """Returns the first free name of a deployer policy: a change of one is a new name, `-r2` and so on.

    `taken` are the names of the AWS account's deployer policies in lower case: IAM's names are unique ignoring case.
    """
    name, number = f"{application}-Deployer"[:128], 1
    while name.lower() in taken:
        number += 1
        name = f"{application}-Deployer"[:120] + f"-r{number}"
    return name


def default_policy_description(role_name: str) -> str:
    """Returns the prefilled description of the PassRole policy. IAM never lets it be changed."""
    return f"Lets {role_name} pass the named roles to ECS tasks. Managed by Roledesk."


def default_uses_policy_name(role_name: str) -> str:
    """Returns the prefilled name of the policy for what deployments use: at most 128 characters."""
    return f"{role_name}-Deployments"[:128]


def deployer_policy_description(facts: DeployerFacts) -> str:
    """Returns the description of a deployer policy: it records for which role of which team it was made, for ever."""
    return f"For {facts.role_name} of {facts.team}: deploys {facts.application}. Made by Roledesk, never changed."


def write(facts: Facts) -> str:
    """Returns the canonical text that a revision stores."""
    value = {name: list(part) if isinstance(part, tuple) else part for name, part in asdict(facts).items()}
    account = facts.account.as_mapping()
    return canonical.dumps({**value, "account": account, "tags": dict(value.get("tags") or {})}).decode()


def read(text: str) -> Facts:
    """Returns the facts that `write` wrote. Raises ValueError for another kind or a missing part."""
    value: Any = canonical.loads(text)
    try:
        kind = _KINDS.get(value["kind"])
        if kind is None:
            raise ValueError(f"There is no blueprint for the kind {value['kind']!r}.")
        known = {one.name for one in fields(kind)}
        parts: dict[str, Any] = {name: tuple(part) if isinstance(part, list) else part for name, part in value.items()}
        if "tags" not in known:
            del parts["tags"]
        account: dict[str, Any] = {n: tuple(p) if isinstance(p, list) else p for n, p in parts["account"].items()}
        parts["account"] = AccountFacts(**account)
        return kind(**parts)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"The stored facts cannot be read: {error}") from error
