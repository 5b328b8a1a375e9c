"""What the worker looked at but does not change: passed roles, attached managed policies.

It is part of the proposal as dependencies; a change of them after approval sends the request back to review.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from iamroles.iam import documents
from iamroles.iam.documents import Document


@dataclass(frozen=True)
class PassedRole:
    """A role that a grant passes, as observed. `role_id` and `trust` are None when AWS has no such role."""

    arn: str
    role_id: str | None
    trust: Document | None
    attached: frozenset[str] = frozenset()
    inline: Mapping[str, Document] = field(default_factory=dict)
    boundary: str | None = None


@dataclass(frozen=True)
class ManagedPolicyVersion:
    """The default version of a managed policy that is, or will be, attached to the role."""

    arn: str
    version: str
    document: Document


@dataclass(frozen=True)
class Context:
    """All that was looked at. Keys of both mappings are ARNs."""

    passed: Mapping[str, PassedRole] = field(default_factory=dict)
    managed: Mapping[str, ManagedPolicyVersion] = field(default_factory=dict)

    def dependencies(self) -> dict[str, Any]:
        """Returns the part of the proposal digest that the context gives: ids, versions and digests only."""
        return {
            "passed_roles": {
                arn: {"role_id": r.role_id, "trust": documents.digest(r.trust) if r.trust else None}
                for arn, r in sorted(self.passed.items())
            },
            "managed_policies": {
                arn: {"version": m.version, "document": documents.digest(m.document)}
                for arn, m in sorted(self.managed.items())
            },
        }
