"""What the engine may rely on, whichever gateway answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from iamroles.aws.boto import BotoGateway
from iamroles.aws.fake import QUOTAS
from iamroles.aws.gateway import AwsError, Gateway, ListedRole
from iamroles.aws.sessions import Portal, Sessions
from iamroles.blueprints.state import PolicyState, RoleState
from iamroles.iam import documents
from iamroles.proposal.calls import Call
from iamroles.proposal.context import PassedRole
from tests.contract.conftest import LIMITED

TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Allow",'
    '"Principal":{"Service":"codedeploy.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)


def grant(*roles: str) -> str:
    listed = ",".join(f'"{role}"' for role in roles)
    return (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole",'
        f'"Resource":[{listed}],"Condition":{{"StringEquals":{{"iam:PassedToService":"ecs-tasks.amazonaws.com"}}}}}}]}}'
    )


@pytest.fixture
def gateway(sessions: Sessions, portal: Portal) -> Gateway:
    return sessions.reading(portal, "REQ-000001")


class Names:
    """The resources of one case."""

    def __init__(self, number: str) -> None:
        self.role = f"arn:aws:iam::{number}:role/team/ecsCodeDeployRole"
        self.policy = f"arn:aws:iam::{number}:policy/team/pass"
        self.passed = f"arn:aws:iam::{number}:role/task"

    def create_role(self, **more: object) -> Call:
        arguments = {
            "RoleName": "ecsCodeDeployRole",
            "Path": "/team/",
            "AssumeRolePolicyDocument": TRUST,
            "Description": "for deployments",
            "MaxSessionDuration": 3600,
            "Tags": [{"Key": "team", "Value": "checkout"}],
            **more,
        }
        return Call("CreateRole", self.role, arguments)

    def create_policy(self) -> Call:
        arguments = {
            "PolicyName": "pass",
            "Path": "/team/",
            "PolicyDocument": grant(self.passed),
            "Description": "d",
            "Tags": [{"Key": "portal:nonce", "Value": "abc"}],
        }
        return Call("CreatePolicy", self.policy, arguments)

    def on_role(self, api: str, **arguments: object) -> Call:
        return Call(api, self.role, {"RoleName": "ecsCodeDeployRole", **arguments})

    def on_policy(self, api: str, **arguments: object) -> Call:
        return Call(api, self.policy, {"PolicyArn": self.policy, **arguments})


@pytest.fixture
def names(portal: Portal) -> Names:
    return Names(portal.number)


def refused(gateway: Gateway, call: Call) -> tuple[str, str]:
    with pytest.raises(AwsError) as caught:
        gateway.send(call)
    return caught.value.code, caught.value.kind


def attach_to_a_user(gateway: Gateway, policy: str) -> str:
    """Returns the ARN of a new IAM user that holds the policy: what the engine itself never sends."""
    arn = policy.replace(":policy/team/pass", ":user/eve")
    if isinstance(gateway, BotoGateway):
        gateway._writes.create_user(UserName="eve")
        gateway._writes.attach_user_policy(UserName="eve", PolicyArn=policy)
    else:
        gateway._account.users[policy] = frozenset({arn})
    return arn


class TestReading:
    def test_answers_none_for_what_is_not_there(self, gateway: Gateway, names: Names) -> None:
        assert gateway.role(names.role) is None
        assert gateway.policy(names.policy) is None
        assert gateway.managed_policy("arn:aws:iam::aws:policy/NoSuchThing") is None
        assert gateway.making(names.role) is None
        assert gateway.making(names.policy) is None
        assert gateway.passed_role(names.passed) == PassedRole(arn=names.passed, role_id=None, trust=None)

    def test_reads_a_role_with_all_its_parts(self, gateway: Gateway, names: Names) -> None:
        boundary = f"arn:aws:iam::{names.role.split(':')[4]}:policy/boundary"
        gateway.send(
            Call("CreatePolicy", boundary, {"PolicyName": "boundary", "Path": "/", "PolicyDocument": grant("*")})
        )
        made = gateway.send(names.create_role(PermissionsBoundary=boundary))
        gateway.send(names.on_role("PutRolePolicy", PolicyName="inline", PolicyDocument=grant(names.passed)))
        gateway.send(names.on_role("AttachRolePolicy", PolicyArn=LIMITED))
        assert gateway.role(names.role) == RoleState(
            arn=names.role,
            name="ecsCodeDeployRole",
            path="/team/",
            trust=documents.parse(TRUST, kind="trust"),
            description="for deployments",
            boundary=boundary,
            tags={"team": "checkout"},
            attached=frozenset({LIMITED}),
            inline={"inline": documents.parse(grant(names.passed))},
            role_id=made.entity_id,
        )

    def test_reads_a_policy_with_versions_and_users(self, gateway: Gateway, names: Names) -> None:
        gateway.send(names.create_role())
        made = gateway.send(names.create_policy())
        second = grant(names.passed, f"{names.passed}2")
        gateway.send(names.on_policy("CreatePolicyVersion", PolicyDocument=second, SetAsDefault=True))
        gateway.send(names.on_role("AttachRolePolicy", PolicyArn=names.policy))
        found = gateway.policy(names.policy)
        assert found is not None
        assert replace(found, description="") == PolicyState(
            arn=names.policy,
            name="pass",
            path="/team/",
            document=documents.parse(second),
            default_version="v2",
            versions={
                "v1": documents.digest(documents.parse(grant(names.passed))),
                "v2": documents.digest(documents.parse(second)),
            },
            users=frozenset({names.role}),
            policy_id=made.entity_id,
        )

    def test_counts_a_boundary_as_use(self, gateway: Gateway, names: Names) -> None:
        gateway.send(names.create_policy())
        gateway.send(names.create_role(PermissionsBoundary=names.policy))
        if isinstance(gateway, BotoGateway):
            pytest.skip("moto ignores PolicyUsageFilter=PermissionsBoundary")
        found = gateway.policy(names.policy)
        assert found is not None
        assert found.users == {names.role}

    def test_reads_every_page(self, gateway: Gateway, names: Names) -> None:
        gateway.send(names.create_role())
        wanted = {f"inline-{number:03d}" for number in range(105)}
        for name in sorted(wanted):
            gateway.send(names.on_role("PutRolePolicy", PolicyName=name, PolicyDocument=grant(names.passed)))
        found = gateway.role(names.role)
        assert found is not None
        assert set(found.inline) == wanted

    def test_reads_an_aws_managed_policy(self, gateway: Gateway) -> None:
        from iamroles.iam import catalogue

        found = gateway.managed_policy(LIMITED)
        assert found is not None
        expected = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED, "aws").document
        assert (found.arn, documents.equal(found.document, expected)) == (LIMITED, True)

    def test_a_passed_role_on_another_path_is_not_there(self, gateway: Gateway, names: Names) -> None:
        gateway.send(names.create_role())
        elsewhere = names.role.replace("/team/", "/")
        assert gateway.passed_role(elsewhere) == PassedRole(arn=elsewhere, role_id=None, trust=None)
        assert gateway.passed_role(names.role).trust == documents.parse(TRUST, kind="trust")

    def test_lists_every_role_with_its_trust(self, gateway: Gateway, names: Names) -> None:
        gateway.send(names.create_role())
        assert ListedRole(names.role, documents.parse(TRUST, kind="trust")) in gateway.roles()

    def test_tells_when_something_was_made_and_its_tags(self, gateway: Gateway, names: Names) -> None:
        role = gateway.send(names.create_role())
        policy = gateway.send(names.create_policy())
        for arn, answer, tags in (
            (names.role, role, {"team": "checkout"}),
            (names.policy, policy, {"portal:nonce": "abc"}),
        ):
            found = gateway.making(arn)
            assert found is not None
            assert (found.entity_id, dict(found.tags)) == (answer.entity_id, tags)
            assert abs(datetime.now(UTC) - found.created_at) < timedelta(seconds=10)

    def test_sums_up_what_there_is_and_what_there_may_be(self, gateway: Gateway, names: Names) -> None:
        before = gateway.account_summary()
        gateway.send(names.create_role())
        gateway.send(names.create_policy())
        after = gateway.account_summary()
        for used in ("Roles", "Policies"):
            assert after[used] == before[used] + 1
        quotas = {name: after[name] for name in QUOTAS}
        assert quotas == QUOTAS

    def test_knows_the_servers_clock(self, gateway: Gateway, names: Names) -> None:
        assert gateway.clock() is None
        gateway.account_summary()
        clock = gateway.clock()
        assert clock is not None
        assert abs(clock.skew_to(datetime.now(UTC), datetime.now(UTC))) < timedelta(seconds=3)


class TestHoldings:
    def test_reads_in_bulk_what_it_reads_one_by_one(self, gateway: Gateway, names: Names) -> None:
        gateway.send(names.create_role())
        gateway.send(names.create_policy())
        gateway.send(names.on_policy("CreatePolicyVersion", PolicyDocument=grant(names.role), SetAsDefault=True))
        gateway.send(names.on_role("PutRolePermissionsBoundary", PermissionsBoundary=names.policy))
        gateway.send(names.on_role("UpdateRole", Description="changed", MaxSessionDuration=7200))
        gateway.send(names.on_role("PutRolePolicy", PolicyName="a", PolicyDocument=grant(names.passed)))
        gateway.send(names.on_role("AttachRolePolicy", PolicyArn=LIMITED))
        gateway.send(names.on_role("AttachRolePolicy", PolicyArn=names.policy))
        found = gateway.holdings({names.role, names.policy, names.passed})
        policy = gateway.policy(names.policy)
        assert policy is not None
        assert found.roles == {names.role: gateway.role(names.role)}
        # moto leaves the PolicyId out of the bulk answer; AWS's own model has it.
        known_id = None if isinstance(gateway, BotoGateway) else policy.policy_id
        assert policy.users == {names.role}
        assert found.policies == {names.policy: replace(policy, policy_id=known_id)}
        assert gateway.holdings({names.passed}).roles == {}

    def test_names_in_bulk_every_user_of_a_policy(self, gateway: Gateway, names: Names) -> None:
        gateway.send(names.create_role())
        gateway.send(names.create_policy())
        assert gateway.holdings({names.policy}).policies[names.policy].users == frozenset()
        gateway.send(names.on_role("AttachRolePolicy", PolicyArn=names.policy))
        user = attach_to_a_user(gateway, names.policy)
        assert gateway.holdings({names.policy}).policies[names.policy].users == {names.role, user}

    def test_probes_with_reading_calls_alone(self, gateway: Gateway, names: Names) -> None:
        gateway.probe("ListRoles", {"MaxItems": 1})
        with pytest.raises(ValueError, match="DeleteRole is no reading call"):
            gateway.probe("DeleteRole", {"RoleName": "x"})


class TestSending:
    def test_every_change_shows_in_the_next_look(self, gateway: Gateway, names: Names) -> None:
        gateway.send(names.create_role())
        other = TRUST.replace('"Sid":"",', "").replace("codedeploy", "ecs")
        gateway.send(names.on_role("UpdateAssumeRolePolicy", PolicyDocument=other))
        gateway.send(names.on_role("UpdateRole", Description="changed", MaxSessionDuration=7200))
        gateway.send(names.on_role("TagRole", Tags=[{"Key": "cost", "Value": "7"}]))
        gateway.send(names.on_role("UntagRole", TagKeys=["team"]))
        gateway.send(names.on_role("PutRolePolicy", PolicyName="a", PolicyDocument=grant(names.passed)))
        gateway.send(names.on_role("DeleteRolePolicy", PolicyName="a"))
        gateway.send(names.on_role("AttachRolePolicy", PolicyArn=LIMITED))
        gateway.send(names.on_role("AttachRolePolicy", PolicyArn=LIMITED))
        gateway.send(names.on_role("DetachRolePolicy", PolicyArn=LIMITED))
        found = gateway.role(names.role)
        assert found is not None
        assert replace(found, role_id=None) == RoleState(
            arn=names.role,
            name="ecsCodeDeployRole",
            path="/team/",
            trust=documents.parse(other, kind="trust"),
            description="changed",
            max_session=7200,
            tags={"cost": "7"},
        )
        gateway.send(names.on_role("DeleteRole"))
        assert gateway.role(names.role) is None

    def test_names_the_code_of_a_refusal(self, gateway: Gateway, names: Names) -> None:
        assert refused(gateway, names.on_role("AttachRolePolicy", PolicyArn=LIMITED)) == ("NoSuchEntity", "wait")
        gateway.send(names.create_role())
        assert refused(gateway, names.create_role()) == ("EntityAlreadyExists", "wait")
        assert refused(gateway, names.on_role("DetachRolePolicy", PolicyArn=LIMITED)) == ("NoSuchEntity", "wait")
        gateway.send(names.on_role("AttachRolePolicy", PolicyArn=LIMITED))
        assert refused(gateway, names.on_role("DeleteRole")) == ("DeleteConflict", "wait")

    def test_holds_five_versions_and_keeps_the_default(self, gateway: Gateway, names: Names) -> None:
        gateway.send(names.create_policy())
        for number in range(4):
            document = grant(f"{names.passed}{number}")
            gateway.send(names.on_policy("CreatePolicyVersion", PolicyDocument=document, SetAsDefault=False))
        sixth = names.on_policy("CreatePolicyVersion", PolicyDocument=grant(names.role), SetAsDefault=True)
        assert refused(gateway, sixth) == ("LimitExceeded", "blocked")
        assert refused(gateway, names.on_policy("DeletePolicyVersion", VersionId="v1")) == ("DeleteConflict", "wait")
        gateway.send(names.on_policy("SetDefaultPolicyVersion", VersionId="v3"))
        gateway.send(names.on_policy("DeletePolicyVersion", VersionId="v1"))
        gateway.send(sixth)
        found = gateway.policy(names.policy)
        assert found is not None
        assert (found.default_version, sorted(found.versions)) == ("v6", ["v2", "v3", "v4", "v5", "v6"])

    def test_a_policy_made_anew_shows_its_own_document(self, gateway: Gateway, names: Names) -> None:
        made = names.create_policy()
        gateway.send(made)
        first = gateway.policy(names.policy)
        gateway.send(names.on_policy("DeletePolicy"))
        gateway.send(Call("CreatePolicy", names.policy, {**made.arguments, "PolicyDocument": grant(names.role)}))
        second = gateway.policy(names.policy)
        assert first is not None
        assert second is not None
        assert (first.default_version, second.default_version) == ("v1", "v1")
        assert second.document == documents.parse(grant(names.role))

    def test_sends_nothing_that_the_engine_never_makes(self, gateway: Gateway, names: Names) -> None:
        with pytest.raises(ValueError, match="CreateUser is not among the calls that the engine makes"):
            gateway.send(Call("CreateUser", names.role, {"UserName": "x"}))


class TestSessions:
    def test_a_writing_session_covers_what_fits(self, sessions: Sessions, portal: Portal, names: Names) -> None:
        calls = [names.create_role(), *(names.on_role("AttachRolePolicy", PolicyArn=LIMITED) for _ in range(20))]
        until = datetime.now(UTC) + timedelta(seconds=120)
        session = sessions.writing(portal, "REQ-000001-r1", identity="approver-7", calls=calls, until=until)
        assert session.calls == tuple(calls[: len(session.calls)])
        assert 1 < len(session.calls) <= 8
        assert session.until == until
        session.gateway.send(session.calls[0])
        assert sessions.reading(portal, "REQ-000001").role(names.role) is not None
