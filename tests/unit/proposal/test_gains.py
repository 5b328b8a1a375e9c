"""Whether the context only lost rights: what is not proved sends a request back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iamroles.blueprints.state import RoleState, State
from iamroles.iam import documents, trust
from iamroles.iam.documents import Document
from iamroles.proposal import Context, ManagedPolicyVersion, PassedRole
from iamroles.proposal.context import read
from iamroles.proposal.gains import only_removed

NUMBER = "111122223333"
TASK = f"arn:aws:iam::{NUMBER}:role/orders-api-task"
ROLE = f"arn:aws:iam::{NUMBER}:role/ecsCodeDeployRole"
APP = f"arn:aws:iam::{NUMBER}:policy/app"
BOUND = f"arn:aws:iam::{NUMBER}:policy/bound"
LIMITED = "arn:aws:iam::aws:policy/Limited"
NOTHING = State(ROLE, None)


def policy(action: str, resource: str = "*", effect: str = "Allow") -> Document:
    return documents.parse(
        {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]}
    )


def context(document: Document | None = None, **role: Any) -> Context:
    """A task role with one managed policy and a boundary."""
    seen = {"trust": trust.ecs_tasks_trust(), "attached": frozenset({APP}), **role}
    versions = {APP: document or policy("s3:Get*"), BOUND: policy("s3:*")}
    return Context(
        passed={TASK: PassedRole(TASK, "AROA1", **seen)},
        policies={arn: ManagedPolicyVersion(arn, "v1", one) for arn, one in versions.items()},
    )


@pytest.mark.parametrize(
    ("before", "after", "only_less"),
    [
        (context(), context(), True),
        (context(), context(policy("s3:GetObject")), True),
        (context(), context(attached=frozenset()), True),
        (context(), context(policy("s3:*")), False),
        (context(), context(inline={"more": policy("sqs:*")}), False),
        (context(), context(attached=frozenset({APP, "arn:unseen"})), False),
        (context(inline={"no": policy("s3:*", effect="Deny")}), context(), False),
        (context(), context(inline={"no": policy("s3:*", effect="Deny")}), True),
        (context(policy("*"), boundary=BOUND), context(policy("*")), False),
        (context(policy("*")), context(policy("*"), boundary=BOUND), True),
        (context(), context(trust=trust.ecs_tasks_trust(NUMBER)), True),
        (context(trust=trust.ecs_tasks_trust(NUMBER)), context(), False),
        (context(), context(trust=trust.codedeploy_trust(NUMBER)), False),
        (context(), replace(context(), passed={TASK: PassedRole(TASK, None, None)}), False),
        # What AWS did not show before may have been the boundary, or a Deny: its going is no proof.
        (context(boundary="arn:unseen"), context(), False),
        (context(attached=frozenset({APP, "arn:unseen"})), context(), False),
    ],
)
def test_a_passed_role(before: Context, after: Context, only_less: bool) -> None:
    assert only_removed(TASK, NOTHING, before, after) is only_less


def test_a_role_that_no_longer_works_is_worth_a_look() -> None:
    denied = trust.ecs_tasks_trust().as_mapping()
    denied["Statement"].append({**denied["Statement"][0], "Sid": "No", "Effect": "Deny"})
    after = context(trust=documents.parse(denied, "trust"))
    assert not only_removed(TASK, NOTHING, context(), after)


def test_another_role_of_the_same_name() -> None:
    other = replace(context().passed[TASK], role_id="AROA2")
    assert not only_removed(TASK, NOTHING, context(), replace(context(), passed={TASK: other}))


class TestTheRolesOwnPolicies:
    TARGET = State(
        ROLE,
        RoleState(
            ROLE,
            "ecsCodeDeployRole",
            "/",
            trust.codedeploy_trust(NUMBER),
            boundary=BOUND,
            attached=frozenset({LIMITED}),
            inline={"theirs": policy("s3:GetObject")},
        ),
    )

    def seen(self, document: Document, boundary: Document | None) -> Context:
        versions = {LIMITED: document, **({BOUND: boundary} if boundary else {})}
        return Context(managed={arn: ManagedPolicyVersion(arn, "v1", one) for arn, one in versions.items()})

    @pytest.mark.parametrize(
        ("document", "boundary", "only_less"),
        [
            (policy("ecs:DescribeServices"), policy("*"), True),
            (policy("ecs:*"), policy("*"), False),
            (policy("s3:GetObject"), policy("*"), True),  # the inline policy gave it already
            (policy("ecs:Describe*"), policy("ecs:*"), True),
            (policy("ecs:Describe*"), None, False),
        ],
    )
    def test_as_a_whole(self, document: Document, boundary: Document | None, only_less: bool) -> None:
        before = self.seen(policy("ecs:Describe*"), policy("*"))
        assert only_removed(LIMITED, self.TARGET, before, self.seen(document, boundary)) is only_less

    def test_a_wider_boundary_opens_what_it_held_back(self) -> None:
        before = self.seen(policy("*"), policy("ecs:*"))
        assert not only_removed(BOUND, self.TARGET, before, self.seen(policy("*"), policy("*")))


def test_what_is_stored_reads_back_as_the_context() -> None:
    seen = context(boundary=BOUND, inline={"own": policy("sqs:SendMessage")})
    seen = replace(seen, managed={LIMITED: ManagedPolicyVersion(LIMITED, "v3", policy("ecs:*"))})
    again = read(seen.dependencies(), seen.texts())
    assert (again.passed, again.managed) == (seen.passed, seen.managed)
    assert again.rights_of(TASK) == seen.rights_of(TASK)
