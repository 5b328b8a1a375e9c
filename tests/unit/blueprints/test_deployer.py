"""The deployer policy: what it allows and refuses by our evaluator, its names, and the answers that are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iamroles.blueprints import AccountFacts, DeployerFacts, answers, build_desired
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.deployer import deployer_document
from iamroles.blueprints.facts import deployer_policy_description, deployer_policy_name, passed_services
from iamroles.iam import documents
from iamroles.iam.evaluate import Request, evaluate

N = "111122223333"
ACCOUNT = AccountFacts(N, "orders-staging", policy_path="/codedeploy/")
CODEDEPLOY, TASK, HOLDER = (
    f"arn:aws:iam::{N}:role/{name}" for name in ("ecsCodeDeployRole", "orders-task", "pipeline")
)
FACTS = DeployerFacts(
    account=ACCOUNT,
    team="orders",
    holder=HOLDER,
    application="checkout",
    deployment_group="blue",
    cluster="orders",
    service="checkout",
    codedeploy_role=CODEDEPLOY,
    task_roles=(TASK,),
    policy_name="checkout-Deployer",
    policy_description="For pipeline of orders: deploys checkout.",
)
APPLICATION = f"arn:aws:codedeploy:eu-central-1:{N}:application:checkout"
GROUP = f"arn:aws:codedeploy:eu-central-1:{N}:deploymentgroup:checkout/blue"
SERVICE = f"arn:aws:ecs:eu-central-1:{N}:service/orders/checkout"
TO_CODEDEPLOY = {"iam:PassedToService": "codedeploy.amazonaws.com"}
TO_TASKS = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}

# One deployment from nothing to its end, and what the console reads beside it.
NEEDED: list[tuple[str, str, dict[str, str]]] = [
    ("codedeploy:CreateApplication", APPLICATION, {}),
    ("codedeploy:RegisterApplicationRevision", APPLICATION, {}),
    ("codedeploy:GetApplicationRevision", APPLICATION, {}),
    ("codedeploy:CreateDeploymentGroup", GROUP, {}),
    ("codedeploy:UpdateDeploymentGroup", GROUP, {}),
    ("codedeploy:CreateDeployment", GROUP, {}),
    ("codedeploy:GetDeployment", GROUP, {}),
    ("codedeploy:GetDeploymentConfig", f"arn:aws:codedeploy:eu-central-1:{N}:deploymentconfig:Canary", {}),
    ("codedeploy:StopDeployment", "*", {}),
    ("codedeploy:ContinueDeployment", "*", {}),
    ("cloudwatch:DescribeAlarms", "*", {}),
    ("ecs:CreateService", SERVICE, {}),
    ("ecs:UpdateService", SERVICE, {}),
    ("ecs:RegisterTaskDefinition", "*", {}),
    ("iam:PassRole", CODEDEPLOY, TO_CODEDEPLOY),
    ("iam:PassRole", TASK, TO_TASKS),
]
REFUSED: list[tuple[str, str, dict[str, str]]] = [
    ("codedeploy:CreateApplication", APPLICATION.replace("checkout", "payments"), {}),
    ("codedeploy:CreateDeployment", GROUP.replace("checkout", "payments"), {}),
    ("codedeploy:CreateDeployment", GROUP.replace("/blue", "/other"), {}),
    ("codedeploy:CreateDeployment", GROUP.replace(N, "999999999999"), {}),
    ("codedeploy:DeleteDeploymentGroup", GROUP, {}),
    ("ecs:UpdateService", SERVICE.replace("/checkout", "/payments"), {}),
    ("ecs:RunTask", f"arn:aws:ecs:eu-central-1:{N}:task-definition/checkout:1", {}),
    ("iam:PassRole", CODEDEPLOY, TO_TASKS),
    ("iam:PassRole", CODEDEPLOY, {}),
    ("iam:PassRole", TASK, TO_CODEDEPLOY),
    ("iam:PassRole", HOLDER, TO_TASKS),
]


def allowed(facts: DeployerFacts, call: tuple[str, str, dict[str, str]]) -> bool:
    return evaluate([deployer_document(facts)], None, Request(*call)).allowed


class TestScoped:
    @pytest.mark.parametrize("call", NEEDED, ids=lambda call: f"{call[0]} {call[1][-24:]}")
    def test_allows_a_whole_deployment(self, call: tuple[str, str, dict[str, str]]) -> None:
        assert allowed(FACTS, call)

    @pytest.mark.parametrize("call", REFUSED, ids=lambda call: f"{call[0]} {call[1][-24:]} {len(call[2])}")
    def test_refuses_what_is_not_named(self, call: tuple[str, str, dict[str, str]]) -> None:
        assert not allowed(FACTS, call)

    def test_a_region_keeps_it_there(self) -> None:
        here = replace(FACTS, region="us-east-1")
        assert not allowed(here, ("codedeploy:CreateDeployment", GROUP, {}))
        assert allowed(here, ("codedeploy:CreateDeployment", GROUP.replace("eu-central-1", "us-east-1"), {}))

    def test_without_a_group_every_group_of_the_application(self) -> None:
        open_ = replace(FACTS, deployment_group="")
        assert allowed(open_, ("codedeploy:CreateDeployment", GROUP.replace("/blue", "/other"), {}))
        assert not allowed(open_, ("codedeploy:CreateDeployment", GROUP.replace("checkout", "payments"), {}))

    def test_without_task_roles_nothing_can_be_registered(self) -> None:
        bare = replace(FACTS, task_roles=())
        assert not allowed(bare, ("ecs:RegisterTaskDefinition", "*", {}))
        assert passed_services(bare) == {CODEDEPLOY: "codedeploy.amazonaws.com"}


def test_unscoped_is_wide_for_codedeploy_alone() -> None:
    wide = replace(FACTS, scope="unscoped")
    assert allowed(wide, ("codedeploy:CreateDeployment", GROUP.replace("checkout", "payments"), {}))
    assert not allowed(wide, ("codedeploy:UpdateDeploymentGroup", GROUP, {}))
    assert not allowed(wide, ("ecs:UpdateService", SERVICE.replace("/checkout", "/payments"), {}))
    assert not allowed(wide, ("iam:PassRole", TASK, TO_CODEDEPLOY))


def test_lies_apart_and_belongs_to_no_role() -> None:
    desired = build_desired(FACTS)
    assert (desired.role_arn, desired.role, desired.attach) == (None, None, frozenset())
    assert list(desired.policies) == [f"arn:aws:iam::{N}:policy/codedeploy/deployer/checkout-Deployer"]


def test_is_stored_and_read_again() -> None:
    assert facts_module.read(facts_module.write(FACTS)) == FACTS


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (set(), "checkout-Deployer"),
        ({"checkout-deployer"}, "checkout-Deployer-r2"),
        ({"checkout-deployer", "checkout-deployer-r2"}, "checkout-Deployer-r3"),
        ({"checkout-deployer-r2"}, "checkout-Deployer"),
    ],
)
def test_a_change_is_the_next_free_name(taken: set[str], name: str) -> None:
    assert deployer_policy_name("checkout", taken) == name


def test_long_names_stay_inside_what_iam_takes() -> None:
    long = "a" * 100
    taken = {deployer_policy_name(long).lower()}
    assert len(deployer_policy_name(long, taken)) <= 128
    assert (
        deployer_policy_description(FACTS)
        == "For pipeline of orders: deploys checkout. Made by Roledesk, never changed."
    )


class TestAnswers:
    def test_right_ones_have_no_problem(self) -> None:
        assert answers.check(FACTS) == ()

    @pytest.mark.parametrize(
        ("changes", "field", "message"),
        [
            ({"application": ""}, "application", "Application is missing. Enter one."),
            ({"application": "a*"}, "application", None),
            (
                {"application": "<application>"},
                "application",
                "<application> is a placeholder. Put the real value in its place.",
            ),
            ({"deployment_group": "a/b"}, "deployment_group", None),
            ({"cluster": "a.b"}, "cluster", "Cluster can have letters, digits, underscores and hyphens. This is a.b."),
            ({"service": "s" * 256}, "service", "Service can have 255 characters. This one has 256."),
            ({"region": "Frankfurt"}, "region", "Frankfurt is no AWS Region. One looks like eu-central-1."),
            ({"policy_name": "a b"}, "policy_name", None),
            ({"codedeploy_role": CODEDEPLOY.replace(N, "999999999999")}, "codedeploy_role", None),
            ({"holder": CODEDEPLOY}, "role_name", None),
            ({"holder": f"arn:aws:iam::{N}:role/portal/RoledeskWorker"}, "role_name", None),
            (
                {"holder": f"arn:aws:iam::{N}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"},
                "role_name",
                None,
            ),
            ({"task_roles": (CODEDEPLOY,)}, "task_roles", None),
            ({"task_roles": tuple(f"{TASK}-{'x' * 50}{n}" for n in range(50))}, "task_roles", None),
        ],
    )
    def test_wrong_ones_are_told_at_their_field(self, changes: dict[str, Any], field: str, message: str | None) -> None:
        found = answers.check(replace(FACTS, **changes))
        assert {problem.field for problem in found} == {field}
        assert message is None or [problem.message for problem in found] == [message]

    @pytest.mark.parametrize(
        ("typed", "arn"),
        [
            ("pipeline", HOLDER),
            (f" '{HOLDER}' ", HOLDER),
            (f"arn:aws:iam::{N}:role/ci/pipeline", f"arn:aws:iam::{N}:role/ci/pipeline"),
            ("AWSReservedSSO_Deploy_0123456789abcdef", f"arn:aws:iam::{N}:role/AWSReservedSSO_Deploy_0123456789abcdef"),
        ],
    )
    def test_the_holder_is_a_role_or_a_permission_set(self, typed: str, arn: str) -> None:
        assert answers.read_holder(typed, ACCOUNT) == (arn, ())

    @pytest.mark.parametrize(
        "typed",
        [
            "",
            f"arn:aws:iam::{N}:user/bob",
            f"arn:aws:iam::{N}:user/people/bob",
            "user/bob",
            f"arn:aws:iam::{N}:group/deployers",
            f"arn:aws:iam::{N}:root",
            f"arn:aws:sts::{N}:assumed-role/pipeline/session",
            "arn:aws:iam::999999999999:role/pipeline",
            "pipe*",
        ],
    )
    def test_and_never_anything_else(self, typed: str) -> None:
        _, problems = answers.read_holder(typed, ACCOUNT)
        assert {problem.field for problem in problems} == {"role_name"}


def test_fits_what_iam_takes_with_many_roles() -> None:
    many = replace(FACTS, task_roles=tuple(f"{TASK}-{number}" for number in range(60)))
    assert documents.size(deployer_document(many)) < 6144
    assert answers.check(many) == ()
