"""What a proposal is bound to besides facts, base and context: who asks, until when, and what it is weighed against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from iamroles.iam.documents import Document
from iamroles.rules.account_rules import AccountRules
from iamroles.rules.tool_tags import ToolTag


@dataclass(frozen=True)
class Known:
    """What the portal itself knows. `approved` and `attached`: the documents of the role when it was last applied, and
    the ARNs of what was attached then. `own`: kind and name of the parts that the portal gave the role and that read
    the same. `granted`: ARN and RoleId of the passed roles that were granted before. `deployers`: the ARN of a
    CodeDeploy role to the teams that deploy through it, each with its policies. `left`: principals that were taken out
    of the role's trust so recently that sessions of them may still live, and that no deny cuts off.
    """

    approved: tuple[Document, ...] = ()
    attached: frozenset[str] = frozenset()
    own: frozenset[tuple[str, str]] = frozenset()
    granted: frozenset[tuple[str, str | None]] = frozenset()
    deployers: Mapping[str, Mapping[str, tuple[Document, ...]]] = field(default_factory=dict)
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Envelope:
    """What the proposal is bound to besides documents. Times are `YYYY-MM-DDTHH:MM:SSZ`.

    `rules` is one version of the approval rules, `account_rules` are the AWS account's standard and guardrails as they
    are set, `known` what the portal knows itself.
    `tool_tags` say by which tags another tool manages a role: then nothing is called, the target is handed over.
    """

    request: str
    revision: int
    requester: str
    owner_group: str
    expires_at: str
    managed_here: bool
    rules: Mapping[str, Any]
    account_rules: AccountRules = field(default_factory=AccountRules)
    known: Known = field(default_factory=Known)
    environment: str = ""
    tool_tags: tuple[ToolTag, ...] = ()
