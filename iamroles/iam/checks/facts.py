"""What a lint is told and what it answers: `LintFacts` in, `Finding` out. Plain values, also as JSON.

Whoever knows the portal fills the facts; without them the checks that need them are silent or milder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from iamroles.iam import documents
from iamroles.iam.documents import Document, DocumentError

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
        """Returns the facts out of their JSON form. Raises `DocumentError` (bad_request) for another shape."""
        known = {"expected", "passed", "standard", "needs", "rest", *_TEXTS, "policy_label", "bundles_tagged"}
        unknown = sorted(set(value) - known)
        if unknown:
            raise DocumentError("bad_request", f"There is no fact {unknown[0]!r}.", f"facts.{unknown[0]}")
        expected = _mapping(value.get("expected", {}), "facts.expected")
        return cls(
            expected_trust=_texts(expected.get("trust", []), "facts.expected.trust"),
            expected_grants=_pairs(expected.get("grants", {}), "facts.expected.grants"),
            passed_trust=_pairs(expected.get("passed_trust", {}), "facts.expected.passed_trust"),
            passed={
                arn: documents.parse(one, "trust")
                for arn, one in _mapping(value.get("passed", {}), "facts.passed").items()
            },
            standard=_documents(value.get("standard", []), "facts.standard"),
            needs=_documents(value.get("needs", []), "facts.needs"),
            rest=_documents(value.get("rest", []), "facts.rest"),
            policy_label=str(value.get("policy_label", "Limited")),
            bundles_tagged=bool(value.get("bundles_tagged", True)),
            **{name: _texts(value.get(name, []), f"facts.{name}") for name in _TEXTS},
        )


_TEXTS = ("execution_roles", "task_roles", "hooks", "topics", "bundles", "owned_prefixes")


def kind_of(value: Any) -> Literal["identity", "trust"]:
    """Returns "trust" for a document whose statements name principals, as the command line reads documents."""
    raw = value.get("Statement") if isinstance(value, Mapping) else None
    listed = raw if isinstance(raw, list | tuple) else [raw]
    named = any(isinstance(one, Mapping) and ("Principal" in one or "NotPrincipal" in one) for one in listed)
    return "trust" if named else "identity"


def _mapping(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DocumentError("bad_request", f"{at} must be an object.", at)
    return value


def _texts(value: Any, at: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise DocumentError("bad_request", f"{at} must be a list of strings.", at)
    return tuple(value)


def _pairs(value: Any, at: str) -> dict[str, str]:
    found = _mapping(value, at)
    if not all(isinstance(one, str) for one in found.values()):
        raise DocumentError("bad_request", f"{at} must hold strings.", at)
    return dict(found)


def _documents(value: Any, at: str) -> tuple[Document, ...]:
    if not isinstance(value, list | tuple):
        raise DocumentError("bad_request", f"{at} must be a list of documents.", at)
    return tuple(documents.parse(one, kind_of(one)) for one in value)
