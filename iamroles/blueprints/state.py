"""What IAM holds, as plain values: a role, a managed policy, and the state made of them.

Base, desired and target are all written in these words, so that comparing and laying one over another needs no
translation. Documents compare by meaning and are written as the exact text that AWS gets. Nothing here reads AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from iamroles.iam import documents
from iamroles.iam.documents import Document


@dataclass(frozen=True)
class RoleState:
    """One IAM role. `role_id` is None while it is only wanted. `inline` maps policy names to documents.

    `last_used` is the day (YYYY-MM-DD) that AWS reports; it is no part of the state: neither compared nor written.
    """

    arn: str
    name: str
    path: str
    trust: Document
    description: str = ""
    boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    max_session: int = 3600
    attached: frozenset[str] = frozenset()
    inline: Mapping[str, Document] = field(default_factory=dict)
    role_id: str | None = None
    last_used: str | None = field(default=None, compare=False)

    def as_mapping(self) -> dict[str, Any]:
        """Returns the JSON-able form that digests are made of: documents as the text that is sent, sets sorted."""
        return {
            "arn": self.arn,
            "name": self.name,
            "path": self.path,
            "trust": documents.minified(self.trust),
            "description": self.description,
            "boundary": self.boundary,
            "tags": dict(sorted(self.tags.items())),
            "max_session": self.max_session,
            "attached": sorted(self.attached),
            "inline": {name: documents.minified(doc) for name, doc in sorted(self.inline.items())},
            "role_id": self.role_id,
        }

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> RoleState:
        """Returns the role that `as_mapping` wrote."""
        return cls(
            arn=value["arn"],
            name=value["name"],
            path=value["path"],
            trust=documents.parse(value["trust"], kind="trust"),
            description=value["description"],
            boundary=value["boundary"],
            tags=dict(value["tags"]),
            max_session=value["max_session"],
            attached=frozenset(value["attached"]),
            inline={name: documents.parse(doc) for name, doc in value["inline"].items()},
            role_id=value["role_id"],
        )


@dataclass(frozen=True)
class PolicyState:
    """One customer managed policy: `document` is that of the default version. `users` are ARNs of its holders.

    `versions` maps version ids to document digests; it, `users` and `policy_id` are observed, never desired, and empty
    there. `drops` are the versions that a target says good-bye to once its own document is in force.
    """

    arn: str
    name: str
    path: str
    document: Document
    description: str = ""
    default_version: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    users: frozenset[str] = frozenset()
    policy_id: str | None = None
    drops: tuple[str, ...] = ()

    def as_mapping(self) -> dict[str, Any]:
        """Returns the JSON-able form that digests are made of. What was stored before ids were looked at has none."""
        known_id = {"policy_id": self.policy_id} if self.policy_id else {}
        return {
            **known_id,
            "arn": self.arn,
            "name": self.name,
            "path": self.path,
            "document": documents.minified(self.document),
            "description": self.description,
            "default_version": self.default_version,
            "versions": dict(sorted(self.versions.items())),
            "users": sorted(self.users),
            **({"drops": list(self.drops)} if self.drops else {}),
        }

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> PolicyState:
        """Returns the policy that `as_mapping` wrote."""
        return cls(
            arn=value["arn"],
            name=value["name"],
            path=value["path"],
            document=documents.parse(value["document"]),
            description=value["description"],
            default_version=value["default_version"],
            versions=dict(value["versions"]),
            users=frozenset(value["users"]),
            policy_id=value.get("policy_id"),
            drops=tuple(value.get("drops", ())),
        )


@dataclass(frozen=True)
class State:
    """The resources of one plan. `role` is None when AWS has no such role.

    `policies` maps the ARN of each customer managed policy of the plan to its state, or to None when it is absent.
    `role_arn` is None when the plan is about policies alone: whoever holds them is no part of it, so they are only ever
    made or deleted, never versioned.
    """

    role_arn: str | None
    role: RoleState | None
    policies: Mapping[str, PolicyState | None] = field(default_factory=dict)

    @property
    def resources(self) -> tuple[str, ...]:
        """The ARNs of everything that the plan may touch, the role first."""
        return (*([self.role_arn] if self.role_arn else []), *sorted(self.policies))

    @property
    def gone(self) -> bool:
        """True when nothing is there of what the state is about: the role, or the policies where it is about them."""
        return self.role is None if self.role_arn is not None else not any(self.policies.values())

    def as_mapping(self) -> dict[str, Any]:
        """Returns the JSON-able form that digests are made of."""
        return {
            "role_arn": self.role_arn,
            "role": self.role.as_mapping() if self.role else None,
            "policies": {arn: p.as_mapping() if p else None for arn, p in sorted(self.policies.items())},
        }

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> State:
        """Returns the state that `as_mapping` wrote."""
        return cls(
            role_arn=value["role_arn"],
            role=RoleState.from_mapping(value["role"]) if value["role"] else None,
            policies={a: PolicyState.from_mapping(p) if p else None for a, p in value["policies"].items()},
        )
