"""What the worker looked at but does not change: passed roles with their rights, attached policies, the boundary.

It is part of the proposal as dependencies, with the documents themselves: a change after approval sends the request
back to review unless `gains` proves from them that rights only went.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from iamroles.iam import documents
from iamroles.iam.documents import Document
from iamroles.rules.observed import Rights
from iamroles.rules.quotas import Quotas


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
    """The default version of a managed policy."""

    arn: str
    version: str
    document: Document


@dataclass(frozen=True)
class Context:
    """All that was looked at. Keys of the mappings are ARNs.

    `managed`: policies that are, or will be, attached to the role, and its boundary. `policies`: those of the passed
    roles, boundaries too; what AWS did not show is left out. `fitting`: the account's roles that ECS tasks may use.
    `last_used`: the day on which the role was last used, if that is recent. `quotas` of the AWS account are no
    dependency: counts move all the time, and AWS itself refuses what exceeds them.
    """

    passed: Mapping[str, PassedRole] = field(default_factory=dict)
    managed: Mapping[str, ManagedPolicyVersion] = field(default_factory=dict)
    policies: Mapping[str, ManagedPolicyVersion] = field(default_factory=dict)
    fitting: tuple[str, ...] = ()
    last_used: str = ""
    quotas: Quotas = field(default_factory=Quotas)

    def rights_of(self, arn: str) -> Rights:
        """Returns what a passed role may do. Raises KeyError for a role that was not looked at."""
        role = self.passed[arn]
        known = [(one, self.policies[one].document) for one in sorted(role.attached) if one in self.policies]
        boundary = self.policies.get(role.boundary or "")
        unseen = [one for one in (*sorted(role.attached), role.boundary) if one and one not in self.policies]
        return Rights(
            documents=(*((_name(one), document) for one, document in known), *sorted(role.inline.items(), key=_first)),
            boundary=boundary.document if boundary else None,
            boundary_arn=role.boundary,
            unseen=tuple(map(_name, unseen)),
        )

    def dependencies(self) -> dict[str, Any]:
        """Returns the part of the proposal digest that the context gives: ids, versions and digests only."""
        return {
            "passed_roles": {arn: self._passed(role) for arn, role in sorted(self.passed.items())},
            "managed_policies": {
                arn: {"version": m.version, "document": documents.digest(m.document)}
                for arn, m in sorted(self.managed.items())
            },
        }

    def _passed(self, role: PassedRole) -> dict[str, Any]:
        attached = {arn: self._digest(arn) for arn in sorted(role.attached)}
        inline = {name: documents.digest(document) for name, document in sorted(role.inline.items())}
        return {
            "role_id": role.role_id,
            "trust": documents.digest(role.trust) if role.trust else None,
            "attached": attached,
            "inline": inline,
            "boundary": {role.boundary: self._digest(role.boundary)} if role.boundary else {},
        }

    def _digest(self, arn: str) -> str | None:
        return documents.digest(self.policies[arn].document) if arn in self.policies else None

    def texts(self) -> dict[str, str]:
        """Returns the documents behind the digests of the dependencies, each once, by digest."""
        return {documents.digest(document): documents.minified(document) for document in self._documents()}

    def _documents(self) -> Iterator[Document]:
        for version in (*self.managed.values(), *self.policies.values()):
            yield version.document
        for role in self.passed.values():
            yield from role.inline.values()
            if role.trust is not None:
                yield role.trust


def read(dependencies: Mapping[str, Any], texts: Mapping[str, str]) -> Context:
    """Returns the context that `dependencies` and `texts` wrote. Raises KeyError when a part was not stored."""

    def version(arn: str, digest: str, name: str = "") -> ManagedPolicyVersion:
        return ManagedPolicyVersion(arn, name, documents.parse(texts[digest]))

    passed, policies = {}, {}
    for arn, one in dependencies["passed_roles"].items():
        passed[arn] = PassedRole(
            arn=arn,
            role_id=one["role_id"],
            trust=documents.parse(texts[one["trust"]], "trust") if one["trust"] else None,
            attached=frozenset(one["attached"]),
            inline={name: documents.parse(texts[digest]) for name, digest in one["inline"].items()},
            boundary=next(iter(one["boundary"]), None),
        )
        seen = {**one["attached"], **one["boundary"]}
        policies.update({policy: version(policy, digest) for policy, digest in seen.items() if digest})
    managed = {
        arn: version(arn, one["document"], one["version"]) for arn, one in dependencies["managed_policies"].items()
    }
    return Context(passed=passed, managed=managed, policies=policies)


def _name(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def _first(item: tuple[str, Document]) -> str:
    return item[0]
