"""What a lint is told and what it answers: `LintFacts` in, `Finding` out. Plain values, also as JSON.

Whoever knows the portal fills the facts; without them the checks that need them are silent or milder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from iamroles.iam import given
from iamroles.iam.documents import Document

Severity = Literal["forbidden", "high", "medium", "note"]


@dataclass(frozen=True)
class Finding:
    """One result. `statement` is the position in the document or None; `standard` says that the account's standard
    gives all of it anyway, so that it counts for nothing.
    """

    id: str
    severity: Severity
    will_not_work: bool
    statement: int | None
    message: str
    fix: str
    standard: bool = False

    def as_mapping(self) -> dict[str, Any]:
        """Returns the published form."""
        return {
            "id": self.id,
            "severity": self.severity,
            "will_not_work": self.will_not_work,
            "statement": self.statement,
            "message": self.message,
            "fix": self.fix,
            "standard": self.standard,
        }


@dataclass(frozen=True)
class LintFacts:
    """What the requester told and the portal saw.

    `expected_trust`: principals that the trust policy should name. `expected_grants`: role ARN to the service that may
    get it. `passed_trust`: role ARN to the service that the role must trust; `passed` its observed trust policy.
    `standard`: the documents accepted as normal in the account; `needs`: what the facts need beyond them (without needs
    ST01 is silent). `rest`: whatever else the role holds. The roles, hooks,
    topics and bundles are what deployments need; give them once a role, with its managed policy.
    """

    expected_trust: tuple[str, ...] = ()
    expected_grants: Mapping[str, str] = field(default_factory=dict)
    passed_trust: Mapping[str, str] = field(default_factory=dict)
    passed: Mapping[str, Document] = field(default_factory=dict)
    standard: tuple[Document, ...] = ()
    needs: tuple[Document, ...] = ()
    rest: tuple[Document, ...] = ()
    policy_label: str = "Limited"
    execution_roles: tuple[str, ...] = ()
    task_roles: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    bundles_tagged: bool = True
    owned_prefixes: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> LintFacts:
        """Returns the facts out of their JSON form. Raises `DocumentError` for another shape."""
        value = given.mapping(value, "facts", _KNOWN)
        expected = given.mapping(value.get("expected", {}), "facts.expected", _EXPECTED)
        passed = given.mapping(value.get("passed", {}), "facts.passed")
        return cls(
            expected_trust=given.texts(expected.get("trust", []), "facts.expected.trust"),
            expected_grants=given.text_pairs(expected.get("grants", {}), "facts.expected.grants"),
            passed_trust=given.text_pairs(expected.get("passed_trust", {}), "facts.expected.passed_trust"),
            passed={arn: given.document(one, f"facts.passed.{arn}", "trust") for arn, one in passed.items()},
            policy_label=given.text(value.get("policy_label", "Limited"), "facts.policy_label"),
            bundles_tagged=given.truth(value.get("bundles_tagged", True), "facts.bundles_tagged"),
            standard=given.document_list(value.get("standard", []), "facts.standard"),
            needs=given.document_list(value.get("needs", []), "facts.needs"),
            rest=given.document_list(value.get("rest", []), "facts.rest"),
            **{name: given.texts(value.get(name, []), f"facts.{name}") for name in _TEXTS},
        )


_TEXTS = ("execution_roles", "task_roles", "hooks", "topics", "bundles", "owned_prefixes")
_KNOWN = frozenset({"expected", "passed", "standard", "needs", "rest", "policy_label", "bundles_tagged", *_TEXTS})
_EXPECTED = frozenset({"trust", "grants", "passed_trust"})
