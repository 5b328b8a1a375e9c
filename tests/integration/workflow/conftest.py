"""A small organisation, a request in review, and keys in a temporary folder: what the verbs' tests start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from iamroles.audit import Actor
from iamroles.blueprints import RoleFacts, State, build_desired
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.facts import default_policy_description, default_policy_name
from iamroles.eligibility import deciding_groups
from iamroles.iam import catalogue, trust
from iamroles.models import AskedGroup, AwsAccount, Proposal, Request, User, current_rules
from iamroles.proposal import Context, Envelope, ManagedPolicyVersion, PassedRole, propose
from iamroles.proposal import Proposal as ProposalValue
from iamroles.transitions import move_request
from iamroles.workflow import draft, organisation, submit

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SYSTEM = Actor(type="system", id="test", name="Test", channel="command")
WORKER = Actor(type="worker", id="worker", name="worker", channel="worker")


def actor(user: User) -> Actor:
    return Actor(type="user", id=str(user.pk), name=user.display_name)


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, settings: Any) -> None:
    """An approval key pair of this test."""
    key = Ed25519PrivateKey.generate()
    private = tmp_path / "approval.key"
    public = tmp_path / "approval.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    settings.ROLEDESK_SIGNING_KEY_FILE = str(private)
    settings.ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE = str(public)


@pytest.fixture
def account(db: None) -> AwsAccount:
    """orders-staging, owned by orders-platform, used by the Orders team."""
    return organisation.add_account(
        number="111122223333",
        name="orders-staging",
        environment="staging",
        owner="orders-platform",
        actor=SYSTEM,
        at=AT,
    )


@pytest.fixture
def person(account: AwsAccount) -> Callable[..., User]:
    """Makes people; the Orders team exists."""
    organisation.add_team(slug="orders", name="Orders", accounts=[account], actor=SYSTEM, at=AT)

    def make(login: str, *groups: str, teams: tuple[str, ...] = ()) -> User:
        return organisation.add_person(
            login=login,
            first_name=login.title(),
            last_name="",
            password=None,
            groups=groups,
            teams=teams,
            actor=SYSTEM,
            at=AT,
        )

    return make


@pytest.fixture
def requester(person: Callable[..., User], approver: User, security: User) -> User:
    """Of the Orders team, and, to make trouble, an approver as well. There are people to approve what they send."""
    return person("rosa", "approvers", teams=("orders",))


@pytest.fixture
def approver(person: Callable[..., User]) -> User:
    return person("amara", "approvers")


@pytest.fixture
def security(person: Callable[..., User]) -> User:
    return person("mei", "security")


@pytest.fixture
def outsider(person: Callable[..., User], requester: User) -> User:
    return person("eve")


@pytest.fixture
def facts(account: AwsAccount) -> RoleFacts:
    return RoleFacts(
        account=account.facts(),
        team="orders",
        task_roles=("arn:aws:iam::111122223333:role/orders-api-task",),
        policy_name=default_policy_name("ecsCodeDeployRole"),
        policy_description=default_policy_description("ecsCodeDeployRole"),
    )


def send(user: User, facts: RoleFacts) -> Request:
    """A draft, sent. Full says why Limited is not enough, as the form demands."""
    if facts.managed_policy == "full" and not facts.why_full:
        facts = replace(facts, why_full="Hooks whose names cannot change")
    request = draft.save(
        user=user,
        kind="role",
        answers={"team": facts.team, "account": facts.account.number, "role_name": facts.role_name},
        title="Limited role",
        actor=actor(user),
        at=AT,
    )
    return submit.submit(
        request_id=request.pk, user=user, facts=facts, reason="Blue/green, ORD-1", actor=actor(user), at=AT
    )


def observed(request: Request) -> Proposal:
    """What a worker would make of the request when AWS has no such role and the passed ones are fine."""
    request.refresh_from_db()
    revision = request.revisions.get(number=request.revision_number)
    facts = facts_module.read(revision.facts)
    assert isinstance(facts, RoleFacts)
    value: ProposalValue = propose(
        facts=facts,
        base=State(facts.role_arn, None, dict.fromkeys(build_desired(facts).policies)),
        context=Context(
            passed={
                arn: PassedRole(arn, "AROAX", trust.ecs_tasks_trust())
                for arn in (*facts.execution_roles, *facts.task_roles)
            },
            managed={
                m.arn: ManagedPolicyVersion(m.arn, m.version, m.document)
                for m in map(catalogue.managed_policy, (catalogue.CODEDEPLOY_ECS, catalogue.CODEDEPLOY_ECS_LIMITED))
            },
        ),
        envelope=Envelope(
            request=request.reference,
            revision=revision.number,
            requester=str(request.requester_id),
            owner_group="orders-platform",
            expires_at="2026-12-01T12:00:00Z",
            managed_here=False,
            rules=current_rules(),
            environment="staging",
        ),
    )
    row = Proposal.objects.create(
        revision=revision,
        canonical=value.canonical,
        digest=value.digest,
        risk=value.risk,
        adopts=value.adopts,
        observed_at=AT,
        expires_at=AT + timedelta(days=7),
    )
    AskedGroup.objects.bulk_create([AskedGroup(proposal=row, group=name) for name in deciding_groups(row)])
    digests = ("base_digest", "target_digest", "desired_digest", "plan_digest", "dependencies_digest")
    zeros = dict.fromkeys(digests, "0" * 64)
    move_request(
        request,
        "propose",
        event="revision.proposed",
        actor=WORKER,
        at=AT,
        data={
            "revision": revision.number,
            "proposal_digest": value.digest,
            **zeros,
            "findings": [],
            "rule_digests": [],
            "approvals_needed": [],
            "expires_at": "2026-12-01T12:00:00Z",
        },
        fields={"risk": value.risk},
    )
    return row


@pytest.fixture
def in_review(requester: User, facts: RoleFacts) -> Request:
    """A low request of the requester, waiting for a decision."""
    request = send(requester, facts)
    observed(request)
    return request
