"""What the cells apply: approved changes, each in an AWS account of its own, set up past the portal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.utils import timezone

from iamroles import canonical
from iamroles.audit import Actor
from iamroles.aws.gateway import Gateway
from iamroles.aws.sessions import AwsSessions, Portal
from iamroles.blueprints import DeployerFacts, GrantFacts, RemovalFacts, RoleFacts
from iamroles.blueprints.facts import Facts
from iamroles.blueprints.grants import grant_document
from iamroles.engine.look import look_at
from iamroles.iam import arns, documents, trust
from iamroles.models import AwsAccount, ManagedRole, Request, Team, User
from iamroles.proposal.calls import Call
from iamroles.workflow import decide, draft, organisation, submit
from tests.faults.aws import FaultyAws

LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
ROLE, POLICY, TASK = "ecsCodeDeployRole", "ecsCodeDeployRole-PassRole", "orders-api-task"
DEPLOYER, HOLDER = "orders-Deployer", "pipeline"
SYSTEM = Actor(type="system", id="faults", name="Fault matrix", channel="command")
_setting_up = threading.Lock()


@dataclass
class Place:
    """One cell's AWS account and how to look into it past the portal."""

    account: AwsAccount
    team: Team
    gateway: Gateway

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:iam::{self.account.number}:{kind}/{name}"

    def send(self, api: str, kind: str, name: str, **arguments: object) -> None:
        self.gateway.send(Call(api, self.arn(kind, name), arguments))

    def make_role(self, name: str, document: documents.Document, tags: dict[str, str] | None = None) -> None:
        tagged = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        text = documents.minified(document)
        self.send(
            "CreateRole",
            "role",
            name,
            RoleName=name,
            Path="/",
            AssumeRolePolicyDocument=text,
            Description="",
            Tags=tagged,
        )

    def trust_of(self, name: str) -> documents.Document:
        role = self.gateway.role(self.arn("role", name))
        assert role is not None
        return role.trust

    def on_role(self, api: str, **arguments: object) -> None:
        self.send(api, "role", ROLE, RoleName=ROLE, **arguments)

    def make_policy(self, name: str, *passed: str) -> str:
        document = documents.minified(grant_document(tuple(self.arn("role", role) for role in passed)))
        self.send("CreatePolicy", "policy", name, PolicyName=name, Path="/", PolicyDocument=document)
        return self.arn("policy", name)


@dataclass(frozen=True)
class Scenario:
    """`prepare` fills the AWS account; `facts` are what is asked for; `course` is what is struck."""

    name: str
    prepare: Callable[[Place], None]
    facts: Callable[[Place], Facts]
    course: str = "apply"


def _nothing(_place: Place) -> None:
    """The role does not exist yet."""


def _wrong(place: Place) -> None:
    place.make_role(ROLE, trust.ecs_tasks_trust(), {"cost": "7"})


def _of_another_tool(place: Place) -> None:
    place.make_role(ROLE, trust.codedeploy_trust(place.account.number), {"terraform": "true"})


def _limited(place: Place) -> None:
    place.make_role(ROLE, trust.codedeploy_trust(place.account.number))
    place.on_role("AttachRolePolicy", PolicyArn=LIMITED)


def _managed(place: Place) -> None:
    _limited(place)
    _remember(place)


def _remember(place: Place, *policies: str) -> None:
    """The role is the team's already, as an earlier request left it."""
    state = look_at(place.gateway, place.arn("role", ROLE), policies)
    assert state.role is not None
    now = timezone.now()
    ManagedRole.objects.create(
        account=place.account,
        team=place.team,
        arn=state.role.arn,
        role_id=str(state.role.role_id),
        name_folded=ROLE.lower(),
        desired=canonical.dumps(state.as_mapping()).decode(),
        since=now,
        verified_at=now,
    )


def _versions(count: int) -> Callable[[Place], None]:
    """The role holds our policy, which has so many versions; the newest is the default."""

    def prepare(place: Place) -> None:
        _limited(place)
        arn = place.make_policy(POLICY, TASK)
        for number in range(1, count):
            text = documents.minified(grant_document((place.arn("role", TASK), place.arn("role", f"old-{number}"))))
            newest = number == count - 1
            place.send("CreatePolicyVersion", "policy", POLICY, PolicyArn=arn, PolicyDocument=text, SetAsDefault=newest)
        place.on_role("AttachRolePolicy", PolicyArn=arn)
        _remember(place, arn)

    return prepare


def _role(place: Place) -> Facts:
    return RoleFacts(
        account=place.account.facts(),
        team=place.team.slug,
        role_name=ROLE,
        task_roles=(place.arn("role", TASK),),
        tags={"team": "orders"},
        policy_name=POLICY,
        policy_description="Lets it pass.",
    )


def _plain_role(place: Place) -> Facts:
    return RoleFacts(account=place.account.facts(), team=place.team.slug, role_name=ROLE, policy_name=POLICY)


def _removal(*, whole: bool) -> Callable[[Place], Facts]:
    def facts(place: Place) -> Facts:
        return RemovalFacts(
            account=place.account.facts(),
            team=place.team.slug,
            role_name=ROLE,
            role_arn=place.arn("role", ROLE),
            policies=(place.arn("policy", POLICY),),
            whole=whole,
        )

    return facts


def _grant(place: Place) -> Facts:
    return GrantFacts(
        account=place.account.facts(),
        team=place.team.slug,
        role_name=ROLE,
        task_roles=(place.arn("role", TASK), place.arn("role", "orders-worker-task")),
        policy_name=POLICY,
        policy_description="Lets it pass.",
    )


def _deployed(place: Place) -> None:
    place.make_role(ROLE, trust.codedeploy_trust(place.account.number))
    place.make_role(HOLDER, trust.ecs_tasks_trust())


def _deployer(place: Place) -> Facts:
    return DeployerFacts(
        account=place.account.facts(),
        team=place.team.slug,
        holder=place.arn("role", HOLDER),
        application="orders",
        cluster="orders",
        service="orders-api",
        codedeploy_role=place.arn("role", ROLE),
        task_roles=(place.arn("role", TASK),),
        policy_name=DEPLOYER,
        policy_description="For the pipeline.",
    )


SCENARIOS = [
    Scenario("create", _nothing, _role),
    Scenario("update", _wrong, _role),
    Scenario("adopt", _limited, _plain_role),
    Scenario("one version", _versions(1), _grant),
    Scenario("two versions", _versions(2), _grant),
    Scenario("five versions", _versions(5), _grant),
    Scenario("grant", _managed, _grant),
    Scenario("removal of a role", _versions(1), _removal(whole=True)),
    Scenario("removal of a grant", _versions(1), _removal(whole=False)),
    Scenario("deployer", _deployed, _deployer),
    Scenario("follow_up", _wrong, _role, course="follow_up"),
    Scenario("handed_over", _of_another_tool, _plain_role, course="handed_over"),
]
APPLYING = [scenario for scenario in SCENARIOS if scenario.course == "apply"]


class Organisation:
    """The people of all cells, made once; each cell gets an AWS account and a request."""

    def __init__(self, aws: FaultyAws) -> None:
        self._sessions = AwsSessions(aws.url)
        at = timezone.now()
        self.team = organisation.add_team(slug="orders", name="Orders", accounts=[], actor=SYSTEM, at=at)
        self.requester = self._person("rosa", [], ["orders"])
        self.approvers = [
            self._person("amara", ["approvers"], []),
            self._person("olu", ["orders-platform"], []),
            self._person("mei", ["security"], []),
        ]

    @staticmethod
    def _person(login: str, groups: list[str], teams: list[str]) -> User:
        for name in groups:
            Group.objects.get_or_create(name=name)
        return organisation.add_person(
            login=login,
            first_name=login.title(),
            last_name="",
            password=None,
            groups=groups,
            teams=teams,
            actor=SYSTEM,
            at=timezone.now(),
        )

    def place(self, number: str) -> Place:
        """Registers an AWS account that holds the roles to be passed."""
        with _setting_up:
            account = organisation.add_account(
                number=number,
                name=f"cell-{number}",
                environment="staging",
                owner="orders-platform",
                actor=SYSTEM,
                at=timezone.now(),
            )
            self.team.accounts.add(account)
        portal = Portal(number, "aws", account.external_id, "portal/RoledeskWorker")
        place = Place(account, self.team, self._sessions.reading(portal, "TEST"))
        for name in (TASK, "orders-worker-task"):
            place.make_role(name, trust.ecs_tasks_trust())
        return place

    def submit(self, facts: Facts) -> Request:
        """Sends a request of the requester."""
        actor = _actor(self.requester)
        at = timezone.now()
        request = draft.save(
            user=self.requester,
            kind=facts.kind,
            answers={"team": facts.team, "account": facts.account.number, "role_name": facts.role_name},
            title="A cell",
            actor=actor,
            at=at,
        )
        return submit.submit(
            request_id=request.pk, user=self.requester, facts=facts, reason="Fault matrix", actor=actor, at=at
        )

    def approve(self, request: Request) -> None:
        """Approves by as many people as the proposal asks for."""
        request.refresh_from_db()
        proposal = request.current_proposal()
        assert proposal is not None, request.last_code
        needed = {one["group"] for one in proposal.requirements}
        for user in self.approvers:
            if request.state != "in_review" or not user.groups.filter(name__in=needed).exists():
                continue
            at = timezone.now()
            request = decide.decide(
                request_id=request.pk,
                user=user,
                decision="approve",
                seen_digest=proposal.digest,
                reason="",
                acknowledged=[finding["id"] for finding in decide.to_acknowledge(proposal)],
                signed_in_at=at,
                actor=_actor(user),
                at=at,
            )
        assert request.state == "approved", f"{request.state}: {proposal.findings}"


def _actor(user: User) -> Actor:
    return Actor(type="user", id=str(user.pk), name=user.display_name)


def role_name(arn: str) -> str:
    """The name at the end of a role's ARN."""
    return arns.role_name_of(arn)
