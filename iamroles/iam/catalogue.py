"""What AWS publishes and we carry with a date: managed policies, and the words, resource types and keys of actions.

The data lie in `data/`, each file with source and date in its head. The catalogue lags AWS: an unknown action or key
is a dated note and never more (POLICY.md part 9).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from iamroles.iam import documents
from iamroles.iam.documents import Document
from iamroles.iam.statements import ascii_lower

CODEDEPLOY_ECS = "AWSCodeDeployRoleForECS"
CODEDEPLOY_ECS_LIMITED = "AWSCodeDeployRoleForECSLimited"
ECS_TASK_EXECUTION = "AmazonECSTaskExecutionRolePolicy"
ECS_INFRASTRUCTURE_LB = "AmazonECSInfrastructureRolePolicyForLoadBalancers"

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class ManagedPolicy:
    """An AWS managed policy as it read on `date` (the day of its default version).

    `verified` is False outside the partition `aws`, where only the live document is to be trusted (AWS.md part 3).
    """

    name: str
    arn: str
    version: str
    date: str
    document: Document
    verified: bool = True


def managed_policy(name: str, partition: str = "aws") -> ManagedPolicy:
    """Returns the AWS managed policy of that name. Raises KeyError when the catalogue does not carry it."""
    known = _managed_policies()
    if name not in known:
        raise KeyError(f"The catalogue carries no AWS managed policy named {name!r}.")
    entry = known[name]
    text = json.dumps(entry["document"])
    if partition != "aws":
        text = text.replace('"arn:aws:', f'"arn:{partition}:')
    return ManagedPolicy(
        name=name,
        arn=f"arn:{partition}:iam::aws:policy{entry['path']}{name}",
        version=entry["version"],
        date=entry["date"],
        document=documents.parse(text),
        verified=partition == "aws",
    )


@cache
def managed_policies() -> tuple[ManagedPolicy, ...]:
    """Returns every AWS managed policy of the catalogue, as in the partition `aws`."""
    return tuple(managed_policy(name) for name in _managed_policies())


@cache
def _managed_policies() -> Mapping[str, Any]:
    value: Mapping[str, Any] = json.loads((_DATA / "managed_policies.json").read_text())["policies"]
    return value


@dataclass(frozen=True)
class Action:
    """An action in words: `verb` and `noun` make a sentence around a scope ("call" … "Lambda function")."""

    name: str
    level: str
    verb: str
    noun: str


def actions() -> Mapping[str, Action]:
    """Returns every action of the catalogue by its name in lower case."""
    return _actions()


def service_words(principal: str) -> str:
    """Returns what people call a service principal, or the principal itself when the catalogue does not know it."""
    return str(_words()["services"].get(principal, principal))


def data_date() -> str:
    """Returns the day (YYYY-MM-DD) that the catalogue of actions and keys was written."""
    return str(_words()["about"]["date"])


def knows_key(key: str) -> bool:
    """Returns True when the catalogue holds the condition key (any case; `/*` there stands for any tag)."""
    folded = ascii_lower(key)
    return any(_key_matches(known, folded) for known in _keys())


def knows_service(prefix: str) -> bool:
    """Returns True when the catalogue carries actions of the service: unknown ones are worth a note."""
    return any(name.startswith(f"{prefix}:") for name in _actions())


def is_list_key(key: str) -> bool:
    """Returns True for a key that AWS fills with a list."""
    return ascii_lower(key) in {ascii_lower(one) for one in _words()["list_keys"]}


def is_arn_key(key: str) -> bool:
    """Returns True for a key that AWS fills with an ARN."""
    return ascii_lower(key) in {ascii_lower(one) for one in _words()["arn_keys"]}


def is_principal_key(key: str) -> bool:
    """Returns True for a key that AWS derives from the principal."""
    return any(_key_matches(ascii_lower(one), ascii_lower(key)) for one in _words()["principal_keys"])


def _key_matches(known: str, key: str) -> bool:
    return key.startswith(known[:-1]) if known.endswith("*") else key == known


@cache
def _keys() -> tuple[str, ...]:
    return tuple(f"{prefix}:{ascii_lower(name)}" for prefix, names in _words()["keys"].items() for name in names)


@cache
def _actions() -> Mapping[str, Action]:
    return {
        ascii_lower(name): Action(name, entry["level"], entry["verb"], entry["noun"])
        for name, entry in _words()["actions"].items()
    }


@cache
def _words() -> Mapping[str, Any]:
    value: Mapping[str, Any] = json.loads((_DATA / "actions.json").read_text())
    return value
