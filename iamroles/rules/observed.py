"""What the checks are told beside the documents of a request: passed roles as observed, and what the portal knows.

Plain values, filled by `proposal` from its context. With `looked` False nobody has asked AWS yet: then only what
follows from the facts is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from iamroles.iam.documents import Document
from iamroles.iam.trust import ECS_TASKS
from iamroles.rules.account_rules import AccountRules
from iamroles.rules.quotas import Quotas, Room


@dataclass(frozen=True)
class Attached:
    """One policy that the role will hold. `place` is its section and name on the review page."""

    arn: str
    place: str
    document: Document


@dataclass(frozen=True)
class Rights:
    """What a role may do: its policies by name and its boundary. `unseen` names policies that AWS did not show."""

    documents: tuple[tuple[str, Document], ...] = ()
    boundary: Document | None = None
    boundary_arn: str | None = None
    unseen: tuple[str, ...] = ()

    @property
    def policies(self) -> tuple[Document, ...]:
        """The documents alone."""
        return tuple(document for _, document in self.documents)


@dataclass(frozen=True)
class Passed:
    """One role that is to be passed to `service`; `task` marks a task role, with which the team's own code runs.

    `trust` and `rights` are as observed; `trust` is None when AWS has no such role, `rights` when nobody looked.
    """

    arn: str
    trust: Document | None
    granted: bool
    rights: Rights | None = None
    task: bool = False
    service: str = ECS_TASKS


@dataclass(frozen=True)
class Around:
    """What was looked at around the role, and what the portal itself knows of it.

    `before` is what the live role holds; `boundary` the document of the boundary that the role will carry; `last_used`
    a day, if recent. `fitting` are roles of the AWS account that ECS tasks may use, asked for or not. `needs` are the
    documents that the blueprint itself wants and those that were approved before. `deployers` maps the ARN of a
    CodeDeploy role to the teams that deploy through it, each with its policies. `team` is who asks. `cuts`: the plan
    cuts off sessions from before a change of trust. `room` is what the plan needs of the `quotas` of the AWS account.
    """

    looked: bool = True
    rules: AccountRules = field(default_factory=AccountRules)
    before: tuple[Document, ...] = ()
    boundary: Document | None = None
    last_used: str = ""
    fitting: tuple[str, ...] = ()
    needs: tuple[Document, ...] = ()
    deployers: Mapping[str, Mapping[str, tuple[Document, ...]]] = field(default_factory=dict)
    team: str = ""
    cuts: bool = False
    room: Room = field(default_factory=Room)
    quotas: Quotas = field(default_factory=Quotas)
