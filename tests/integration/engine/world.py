"""A small organisation and an AWS account in memory: what the engine's tests start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from iamroles.audit import Actor
from iamroles.aws.fake import FakeAccount, FakeSessions
from iamroles.blueprints import Facts, RoleFacts
from iamroles.blueprints.facts import default_policy_description, default_policy_name
from iamroles.blueprints.state import RoleState
from iamroles.engine import apply, observe
from iamroles.engine.tools import Limits, Tools
from iamroles.iam import catalogue, trust
from iamroles.models import AuditEvent, AwsAccount, Proposal, Request, Run, User
from iamroles.proposal import ManagedPolicyVersion
from iamroles.workflow import decide, draft, organisation, submit

NUMBER = "111122223333"
ROLE = f"arn:aws:iam::{NUMBER}:role/ecsCodeDeployRole"
POLICY = f"arn:aws:iam::{NUMBER}:policy/ecsCodeDeployRole-PassRole"
TASK = f"arn:aws:iam::{NUMBER}:role/orders-api-task"
SYSTEM = Actor(type="system", id="test", name="Test", channel="command")
QUICK = Limits(verify_pause=0, writes_per_second=1000, backoff_from=0, sealing=1e9)


def now() -> datetime:
    return datetime.now(UTC)


def actor(user: User) -> Actor:
    return Actor(type="user", id=str(user.pk), name=user.display_name)


@dataclass
class Clock:
    """The database's and the worker's clock, moved by tests; it runs on by itself."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_by(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@dataclass
class World:
    """Everything of one test. `aws` is the account in memory; `tools` are the worker's."""

    account: AwsAccount
    requester: User
    approver: User
    owner: User
    security: User
    clock: Clock = field(default_factory=Clock)
    aws: FakeAccount = field(init=False)
    sessions: FakeSessions = field(init=False)
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.aws = FakeAccount(number=self.account.number, now=self.clock)
        for policy in catalogue.managed_policies():
            self.aws.managed[policy.arn] = ManagedPolicyVersion(policy.arn, policy.version, policy.document)
        self.aws.put_role(RoleState(arn=TASK, name="orders-api-task", path="/", trust=trust.ecs_tasks_trust()))
        self.sessions = FakeSessions(self.aws)

    def tools(self, **changes: Any) -> Tools:
        given: dict[str, Any] = {
            "sessions": self.sessions,
            "worker": "worker-1",
            "limits": QUICK,
            "now": self.clock,
            "local": self.clock,
            "pause": self.pauses.append,
            "jitter": lambda most: most,
        }
        return Tools(**{**given, **changes})

    def facts(self, **changes: Any) -> RoleFacts:
        facts = RoleFacts(
            account=self.account.facts(),
            team="orders",
            task_roles=(TASK,),
            tags={"team": "orders"},
            policy_name=default_policy_name("ecsCodeDeployRole"),
            policy_description=default_policy_description("ecsCodeDeployRole"),
        )
        return replace(facts, **changes)

    def submitted(self, facts: Facts | None = None, **changes: Any) -> Request:
        facts = facts or self.facts(**changes)
        request = draft.save(
            user=self.requester,
            kind=facts.kind,
            answers={"team": facts.team, "account": facts.account.number, "role_name": facts.role_name},
            title="Limited role",
            actor=actor(self.requester),
            at=self.clock(),
        )
        return submit.submit(
            request_id=request.pk,
            user=self.requester,
            facts=facts,
            reason="Blue/green, ORD-1",
            actor=actor(self.requester),
            at=self.clock(),
        )

    def in_review(self, facts: Facts | None = None, **changes: Any) -> Request:
        request = self.submitted(facts, **changes)
        assert observe.observe(request_id=request.pk, tools=self.tools()) == "in_review"
        request.refresh_from_db()
        return request

    def approve(self, request: Request) -> Request:
        proposal = request.current_proposal()
        assert proposal is not None
        for user in (self.approver, self.owner, self.security):
            if request.state != "in_review" or not self._needed(user, proposal):
                continue
            request = decide.decide(
                request_id=request.pk,
                user=user,
                decision="approve",
                seen_digest=proposal.digest,
                reason="",
                acknowledged=[finding["id"] for finding in decide.to_acknowledge(proposal)],
                signed_in_at=self.clock(),
                actor=actor(user),
                at=self.clock(),
            )
        return request

    @staticmethod
    def _needed(user: User, proposal: Proposal) -> bool:
        return user.groups.filter(name__in=[needed["group"] for needed in proposal.requirements]).exists()

    def approved(self, facts: Facts | None = None, **changes: Any) -> Request:
        request = self.approve(self.in_review(facts, **changes))
        assert request.state == "approved"
        return request

    def apply(self, request: Request, **changes: Any) -> str:
        word = apply.apply(request_id=request.pk, tools=self.tools(**changes))
        request.refresh_from_db()
        return word

    def steps(self, request: Request) -> list[tuple[str, str, int]]:
        run = self.run(request)
        return [(step.api, step.state, step.attempt) for step in run.steps.all()]

    def run(self, request: Request) -> Run:
        return Run.objects.filter(request=request).order_by("-number")[0]

    def sent(self) -> list[str]:
        return [call.api for call in self.aws.sent]

    def events(self, request: Request) -> list[str]:
        rows = AuditEvent.objects.filter(request=request.reference).order_by("pk")
        return list(rows.values_list("action", flat=True))


def people() -> World:
    """Makes the organisation: orders-staging, the Orders team, and three people."""
    at = now()
    account = organisation.add_account(
        number=NUMBER, name="orders-staging", environment="staging", owner="orders-platform", actor=SYSTEM, at=at
    )
    organisation.add_team(slug="orders", name="Orders", accounts=[account], actor=SYSTEM, at=at)

    def person(login: str, *groups: str, teams: tuple[str, ...] = ()) -> User:
        add: Callable[..., User] = organisation.add_person
        return add(
            login=login,
            first_name=login.title(),
            last_name="",
            password=None,
            groups=groups,
            teams=teams,
            actor=SYSTEM,
            at=at,
        )

    return World(
        account=account,
        requester=person("rosa", teams=("orders",)),
        approver=person("amara", "approvers"),
        owner=person("olu", "orders-platform"),
        security=person("mei", "security"),
    )
