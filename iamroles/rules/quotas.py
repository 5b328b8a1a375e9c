"""VA06 and DU08: what a plan needs room for, held against the quotas of its AWS account as they were observed.

A count that moves says nothing until something no longer fits. What AWS did not show is said, and never called enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from iamroles.blueprints.facts import AccountFacts
from iamroles.blueprints.state import RoleState
from iamroles.iam import limits
from iamroles.rules.findings import Finding

TRUST: Final = "AssumeRolePolicySizeQuota"
_ATTACHED: Final = "AttachedPoliciesPerRoleQuota"
_INLINE: Final = "RolePolicySizeQuota"
_RAISE: Final = "Have what nobody uses deleted, or the quota of the AWS account raised."


@dataclass(frozen=True)
class Quotas:
    """`figures` are those of GetAccountSummary: counts and quotas by AWS's own names. They are empty where nobody
    looked; `code` is then what AWS said instead, if somebody did.
    """

    figures: Mapping[str, int] = field(default_factory=dict)
    code: str = ""


@dataclass(frozen=True)
class Room:
    """What a plan needs room for. `versions` is the most that a policy has at once, by name; `trust` and `inline` are
    the characters of what the plan writes there, 0 where it writes nothing.
    """

    roles: int = 0
    policies: int = 0
    attaches: bool = False
    versions: Mapping[str, int] = field(default_factory=dict)
    trust: int = 0
    inline: int = 0

    @property
    def any(self) -> bool:
        """True if the plan needs room at all."""
        return self != Room()


def check(account: AccountFacts, room: Room, quotas: Quotas) -> Iterator[Finding]:
    """Yields a finding for each quota of the AWS account that the plan would exceed."""
    if quotas.code and room.any:
        message = f"AWS did not show the quotas of {account.name} ({quotas.code}): whether there is room is not known."
        yield Finding("VA06", "note", message, "Let the portal's role call iam:GetAccountSummary.", "names")
    figures = quotas.figures
    for wanted, used, what in ((room.roles, "Roles", "role"), (room.policies, "Policies", "customer managed policy")):
        quota = figures.get(f"{used}Quota")
        if wanted and quota is not None and used in figures and figures[used] + wanted > quota:
            yield _finding("VA06", _full(account, what, figures[used], quota, wanted), _RAISE, "names")
    most = figures.get("VersionsPerPolicyQuota")
    for name, count in sorted(room.versions.items()):
        if most is not None and count > most:
            message = f"{name} would have {count} versions at once. {account.name} takes {most} for each policy."
            yield _finding("VA06", message, "Delete old versions in AWS first.", "permissions")
    sizes = ((room.trust, TRUST, "A trust policy", "trust"), (room.inline, _INLINE, _ALL_INLINE, "in-aws"))
    for size, name, what, place in sizes:
        if size > figures.get(name, size):
            message = f"{what} can have {figures[name]:,} characters in {account.name}. This has {size:,}."
            yield _finding("DU08", message, "Merge or split.", place)


_ALL_INLINE: Final = "All inline policies of a role together"


def _full(account: AccountFacts, what: str, used: int, quota: int, wanted: int) -> str:
    plural = "customer managed policies" if what.endswith("policy") else f"{what}s"
    more = "one more" if wanted == 1 else f"{wanted} more"
    return f"{account.name} has {used:,} of {quota:,} {plural}: AWS would refuse {more}."


def attached(
    account: AccountFacts, live: RoleState | None, target: RoleState | None, room: Room, quotas: Quotas
) -> Iterator[Finding]:
    """Yields VA06 for more managed policies than IAM takes for a role. Where nobody saw the quota it is AWS's default,
    unless the role shows that it was raised.
    """
    count = len(target.attached) if target else 0
    quota = quotas.figures.get(_ATTACHED)
    if quota is not None and room.attaches and count > quota:
        message = f"The role would hold {count} managed policies. {account.name} takes {quota} for each role."
        yield _finding("VA06", message, "Merge policies, or have the quota raised.", "permissions")
    before = len(live.attached) if live else 0
    if quota is None and count > max(limits.MANAGED_POLICIES_PER_ROLE, before):
        message = (
            f"The role would hold {count} managed policies. AWS takes {limits.MANAGED_POLICIES_PER_ROLE} "
            "unless the quota of the AWS account was raised."
        )
        yield _finding("VA06", message, "Merge policies, or have the quota raised.", "permissions")


def _finding(name: str, message: str, fix: str, place: str) -> Finding:
    return Finding(name, "medium", message, fix, place, will_not_work=True)
