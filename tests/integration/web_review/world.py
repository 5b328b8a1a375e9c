"""A small organisation and requests in every state. The tests and the picture taker build the same one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from iamroles import canonical
from iamroles.audit import Actor
from iamroles.blueprints import PolicyState, RoleFacts, RoleState, State, build_desired
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.facts import default_policy_description, default_policy_name
from iamroles.eligibility import deciding_groups
from iamroles.iam import catalogue, documents, trust
from iamroles.models import AskedGroup, AwsAccount, Proposal, Request, Run, Step, User, current_rules
from iamroles.proposal import Context, Envelope, ManagedPolicyVersion, PassedRole, propose, read
from iamroles.proposal import Proposal as ProposalValue
from iamroles.signing import approval_payload
from iamroles.transitions import move_request, move_run
from iamroles.workflow import decide, draft, organisation, submit

PROD, STAGING = "111122223333", "444455556666"
SYSTEM = Actor(type="system", id="test", name="Test", channel="command")
WORKER = Actor(type="worker", id="worker-1", name="worker-1", channel="worker")
LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"


@dataclass(frozen=True)
class World:
    """`people` by login: rosa and theo ask, amara approves, mei is security, idris audits, oskar, ines operate."""

    prod: AwsAccount
    staging: AwsAccount
    people: dict[str, User]


def now() -> datetime:
    """The moment, as views take it."""
    return datetime.now(UTC)


def actor(user: User) -> Actor:
    """The person as events name them."""
    return Actor(type="user", id=str(user.pk), name=user.display_name)


def build() -> World:
    """Makes the organisation by its verbs."""
    at = now()
    prod = organisation.add_account(
        number=PROD,
        name="orders-prod",
        environment="production",
        is_production=True,
        owner="orders-platform",
        boundary=f"arn:aws:iam::{PROD}:policy/boundary/EcsCodeDeployBoundary",
        actor=SYSTEM,
        at=at,
    )
    staging = organisation.add_account(
        number=STAGING, name="orders-staging", environment="staging", owner="orders-platform", actor=SYSTEM, at=at
    )
    organisation.add_team(slug="orders", name="Orders", accounts=[prod, staging], actor=SYSTEM, at=at)
    wanted: tuple[tuple[str, str, str, tuple[str, ...], tuple[str, ...]], ...] = (
        ("rosa", "Rosa", "Lindqvist", (), ("orders",)),
        ("theo", "Theo", "Marsh", (), ("orders",)),
        ("amara", "Amara", "Okafor", ("approvers", "orders-platform"), ()),
        ("mei", "Mei", "Tanaka", ("security",), ()),
        ("idris", "Idris", "Haddad", ("auditors",), ()),
        ("oskar", "Oskar", "Novak", ("operators",), ()),
        ("ines", "Ines", "Duarte", ("operators",), ()),
        ("eve", "Eve", "Stone", (), ()),
    )
    people = {
        login: organisation.add_person(
            login=login,
            first_name=first,
            last_name=last,
            password=None,
            groups=groups,
            teams=teams,
            actor=SYSTEM,
            at=at,
        )
        for login, first, last, groups, teams in wanted
    }
    return World(prod, staging, people)


def facts_for(account: AwsAccount, **changes: Any) -> RoleFacts:
    """What a requester of the Orders team would usually say."""
    name = changes.get("role_name", "ecsCodeDeployRole")
    usual = RoleFacts(
        account=account.facts(),
        team="orders",
        role_name=name,
        execution_roles=(f"arn:aws:iam::{account.number}:role/ecsTaskExecutionRole",),
        task_roles=(
            f"arn:aws:iam::{account.number}:role/orders-api-task",
            f"arn:aws:iam::{account.number}:role/orders-worker-task",
        ),
        description="CodeDeploy for the Orders services",
        tags={"cost-center": "4711", "team": "orders"},
        policy_name=default_policy_name(name),
        policy_description=default_policy_description(name),
    )
    return replace(usual, **changes)


def saved(user: User, facts: RoleFacts) -> Request:
    """A draft."""
    answers = {"team": facts.team, "account": facts.account.number, "role_name": facts.role_name}
    return draft.save(user=user, kind="role", answers=answers, title="Limited role", actor=actor(user), at=now())


def sent(user: User, facts: RoleFacts, reason: str = "Blue/green deployments for orders-api, ORD-1204") -> Request:
    """A request that waits for a worker to look."""
    row = saved(user, facts)
    return submit.submit(request_id=row.pk, user=user, facts=facts, reason=reason, actor=actor(user), at=now())


def resent(row: Request, user: User, facts: RoleFacts) -> Request:
    """The next revision of a request."""
    return submit.submit(
        request_id=row.pk, user=user, facts=facts, reason="A second try, ORD-1205", actor=actor(user), at=now()
    )


def existing_base(facts: RoleFacts, *, wrong_trust: bool = True) -> State:
    """A role that is there already: another trust, somebody else's policy, an inline policy, one tag."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": ["codedeploy.amazonaws.com", "ec2.amazonaws.com"]},
        "Action": "sts:AssumeRole",
    }
    live_trust = documents.parse({"Version": "2012-10-17", "Statement": [statement]}, kind="trust")
    inline = documents.parse(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::orders-appspec/*"}],
        }
    )
    role = RoleState(
        arn=facts.role_arn,
        name=facts.role_name,
        path="/",
        trust=live_trust if wrong_trust else trust.codedeploy_trust(facts.account.number, source_account=True),
        description="made by hand in 2023",
        tags={"owner": "ada"},
        attached=frozenset({"arn:aws:iam::aws:policy/ReadOnlyAccess"}),
        inline={"appspec-read": inline},
        role_id="AROAEXAMPLEROLEID0001",
    )
    desired = build_desired(facts)
    return State(facts.role_arn, role, dict.fromkeys(desired.policies))


def grown_base(facts: RoleFacts, before: RoleFacts) -> State:
    """Our own role as `before` left it, its PassRole policy included."""
    desired = build_desired(before)
    assert desired.role is not None
    policies: dict[str, PolicyState | None] = {
        arn: replace(policy, default_version="v1", users=frozenset({before.role_arn}), versions={"v1": "0" * 64})
        for arn, policy in desired.policies.items()
    }
    return State(facts.role_arn, replace(desired.role, role_id="AROAEXAMPLEROLEID0002"), policies)


def context_for(facts: RoleFacts) -> Context:
    """Every passed role is there and trusts ECS tasks."""
    managed = [catalogue.managed_policy(name) for name in (catalogue.CODEDEPLOY_ECS, catalogue.CODEDEPLOY_ECS_LIMITED)]
    versions = {m.arn: ManagedPolicyVersion(m.arn, m.version, m.document) for m in managed}
    if facts.account.boundary:
        limits = ["ecs:*", "elasticloadbalancing:*", "iam:PassRole"]
        bound = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": limits, "Resource": "*"}]}
        boundary = facts.account.boundary
        versions[boundary] = ManagedPolicyVersion(boundary, "v1", documents.parse(bound))
    return Context(
        passed={
            arn: PassedRole(arn, f"AROAEXAMPLEPASSED{place:04d}", trust.ecs_tasks_trust())
            for place, arn in enumerate(facts_module.passed_roles(facts), start=1)
        },
        managed=versions,
    )


def proposed(
    row: Request,
    base: State | None = None,
    *,
    managed_here: bool = False,
    context: Context | None = None,
    **envelope: Any,
) -> Proposal:
    """What a worker makes of a sent request: the proposal, and the request in review."""
    row.refresh_from_db()
    at = now()
    revision = row.revisions.get(number=row.revision_number)
    facts = facts_module.read(revision.facts)
    assert isinstance(facts, RoleFacts)
    value: ProposalValue = propose(
        facts=facts,
        base=base or State(facts.role_arn, None, dict.fromkeys(build_desired(facts).policies)),
        context=context or context_for(facts),
        envelope=Envelope(
            request=row.reference,
            revision=revision.number,
            requester=str(row.requester_id),
            owner_group=row.account.owner.name if row.account else "orders-platform",
            expires_at=f"{at + timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}",
            managed_here=managed_here,
            rules=current_rules(),
            environment=row.account.environment if row.account else "",
            **envelope,
        ),
    )
    stored = Proposal.objects.create(
        revision=revision,
        canonical=value.canonical,
        digest=value.digest,
        risk=value.risk,
        adopts=value.adopts,
        observed_at=at,
        expires_at=at + timedelta(days=7),
    )
    AskedGroup.objects.bulk_create([AskedGroup(proposal=stored, group=name) for name in deciding_groups(stored)])
    zeros = dict.fromkeys(
        ("base_digest", "target_digest", "desired_digest", "plan_digest", "dependencies_digest"), "0" * 64
    )
    move_request(
        row,
        "propose",
        event="revision.proposed",
        actor=WORKER,
        at=at,
        data={
            "revision": revision.number,
            "proposal_digest": value.digest,
            **zeros,
            "findings": [f.id for f in value.findings],
            "rule_digests": [],
            "approvals_needed": [r.as_mapping() for r in value.requirements],
            "expires_at": f"{at + timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}",
        },
        fields={"risk": value.risk, "title": value.title, "next_try_at": None},
    )
    return stored


def in_review(user: User, facts: RoleFacts, base: State | None = None, **more: Any) -> Request:
    """A request that waits for decisions."""
    row = sent(user, facts)
    proposed(row, base, **more)
    row.refresh_from_db()
    return row


def approved(row: Request, *people: User) -> Request:
    """The request, approved by these people."""
    for person in people:
        proposal = row.current_proposal()
        assert proposal is not None
        decide.decide(
            request_id=row.pk,
            user=person,
            decision="approve",
            seen_digest=proposal.digest,
            reason="",
            acknowledged=[finding["id"] for finding in decide.to_acknowledge(proposal)],
            signed_in_at=now(),
            actor=actor(person),
            at=now(),
        )
    row.refresh_from_db()
    assert approval_payload(row.decisions.latest("pk"))["request"] == row.reference
    return row


def run_of(row: Request, done: int = 0, *, under_way: bool = False) -> Run:
    """A run of an approved request with its first steps done."""
    proposal = row.current_proposal()
    assert proposal is not None
    at = now()
    run = Run.objects.create(
        request=row,
        number=row.runs.count() + 1,
        proposal=proposal,
        worker="worker-1",
        fence=1,
        started_at=at - timedelta(seconds=9),
        seen_at=at,
    )
    for position, call in enumerate(read(proposal.canonical).plan, start=1):
        over = position <= done
        going = under_way and position == done + 1
        Step.objects.create(
            run=run,
            position=position,
            api=call.api,
            resource=call.resource,
            arguments=canonical.dumps(dict(call.arguments)).decode(),
            state="ok" if over else "intent" if going else "planned",
            attempt=1 if over or going else 0,
            started_at=at - timedelta(seconds=8 - position) if over or going else None,
            ended_at=at - timedelta(seconds=7.4 - position) if over else None,
            aws_request_id=f"6f1c5f0e-0000-4000-8000-{position:012d}" if over else "",
        )
    return run


def stopped(run: Run, reason: str, **detail: Any) -> Run:
    """The run, stopped; the first step that is not done carries the code."""
    step = run.steps.exclude(state="ok").order_by("position").first()
    if step is not None and detail.get("code"):
        Step.objects.filter(pk=step.pk).update(
            state="failed", attempt=3, code=detail["code"], message=detail.get("message", "")
        )
        detail.setdefault("api", step.api)
    keys = {
        "blocked": {"api": detail.get("api", "CreateRole"), "code": detail.get("code", "AccessDenied")},
        "conflict": {"base_digest": "0" * 64, "target_digest": "1" * 64, "live_digest": "2" * 64},
        "quarantined": {"tries": 12, "last_step": 1},
        "invalid": {"approved_digest": "0" * 64, "recomputed_digest": "1" * 64},
    }[reason]
    return move_run(
        run,
        "stop",
        event="run.stopped",
        actor=WORKER,
        at=now(),
        outcome="failed",
        code=detail.get("code"),
        data={"run": run.number, "reason": reason, **keys},
        fields={"stop_reason": reason, "detail": detail},
    )


def finished(run: Run) -> Run:
    """The run, verified, and its request applied."""
    at = now()
    digests = {"target_digest": "1" * 64, "read_digest": "1" * 64}
    move_run(run, "finish", event="run.verified", actor=WORKER, at=at, data={"run": run.number, **digests})
    move_request(
        run.request,
        "finish",
        event="request.applied",
        actor=WORKER,
        at=at,
        data={"run": run.number, **digests},
        fields={"outcome": "applied"},
    )
    return run


def finished_run(row: Request) -> Run:
    """A run of an approved request, with all its steps done and verified; the request is applied."""
    proposal = row.current_proposal()
    assert proposal is not None
    run = run_of(row, len(read(proposal.canonical).plan))
    finished(run)
    return run
