"""The deployer form: reached from the start page, every passed role told by ARN, a change gets the next free name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from iamroles import canonical
from iamroles.blueprints import DeployerFacts, RemovalFacts, State, build_desired
from iamroles.blueprints import facts as facts_module
from iamroles.models import ManagedPolicy, Request, Revision
from tests.integration.web_forms.conftest import AT, World
from tests.integration.web_forms.reading import field_errors, summary_of, text_of, title_of, value_of

URL = "/requests/new/deployer/"
REMOVAL = "/requests/new/removal/"
N = "111122223333"
# A POST of these alone is complete: every other input has a default.
ANSWERS = {
    "team": "orders",
    "account": N,
    "role_name": "orders-pipeline",
    "application": "checkout",
    "cluster": "orders",
    "service": "checkout",
    "reason": "The pipeline deploys the checkout, ORD-40",
}


def sent(client: Client, key: Callable[[], str], **answers: str) -> DeployerFacts:
    saved = client.post(URL, ANSWERS | answers | {"idempotency_key": key()})
    assert saved.status_code == 303, field_errors(saved)
    assert client.post(saved["Location"], {"idempotency_key": key()}).status_code == 303
    found = facts_module.read(Revision.objects.latest("pk").facts)
    assert isinstance(found, DeployerFacts)
    return found


@pytest.fixture
def managed_policy(world: World, client: Client, key: Callable[[], str]) -> ManagedPolicy:
    """The team's first policy, as after an apply."""
    facts = sent(client, key)
    ((arn, policy),) = build_desired(facts).policies.items()
    request = Request.objects.get()
    Request.objects.update(state="closed", outcome="applied")
    return ManagedPolicy.objects.create(
        account=world.accounts["orders-prod"],
        team=world.teams["orders"],
        arn=arn,
        policy_id="ANPAEXAMPLE",
        name_folded=policy.name.lower(),
        holder=facts.role_name,
        desired=canonical.dumps(State(None, None, {arn: policy}).as_mapping()).decode(),
        request=request,
        since=AT,
        verified_at=AT,
    )


def test_the_start_page_leads_here(client: Client) -> None:
    assert f'href="{URL}"' in text_of(client.get("/requests/new/"))


def test_opens_empty_with_its_defaults(client: Client) -> None:
    page = client.get(URL)
    assert (value_of(page, "role_name"), value_of(page, "codedeploy_role")) == ("", "ecsCodeDeployRole")
    assert 'value="scoped" id="id_scope_0" checked' in text_of(page)


def test_the_published_fields_alone_are_complete(client: Client, key: Callable[[], str]) -> None:
    facts = sent(client, key)
    request = Request.objects.get()
    assert (request.kind, request.state, request.role_name) == ("deployer", "submitted", "orders-pipeline")
    assert request.title == "Scoped deployer policy checkout-Deployer for orders-pipeline in orders-prod"
    assert (facts.holder, facts.codedeploy_role) == (
        f"arn:aws:iam::{N}:role/orders-pipeline",
        f"arn:aws:iam::{N}:role/ecsCodeDeployRole",
    )
    assert (facts.scope, facts.policy_name, facts.deployment_group, facts.region) == (
        "scoped",
        "checkout-Deployer",
        "",
        "",
    )
    assert (
        facts.policy_description == "For orders-pipeline of orders: deploys checkout. Made by Roledesk, never changed."
    )
    page = text_of(client.get(f"/requests/{request.reference}/"))
    assert "Deployer policy" in page


def test_every_answer_arrives(client: Client, key: Callable[[], str]) -> None:
    facts = sent(
        client,
        key,
        role_name=f"arn:aws:iam::{N}:role/ci/orders-pipeline",
        deployment_group="blue",
        codedeploy_role="deploy/ecs",
        execution_roles="ecsTaskExecutionRole",
        task_roles="orders-api-task\norders-worker-task",
        scope="scoped",
        region="eu-central-1",
        policy_name="mine",
        policy_description="Mine.",
    )
    assert facts == DeployerFacts(
        account=facts.account,
        team="orders",
        holder=f"arn:aws:iam::{N}:role/ci/orders-pipeline",
        application="checkout",
        deployment_group="blue",
        cluster="orders",
        service="checkout",
        codedeploy_role=f"arn:aws:iam::{N}:role/deploy/ecs",
        execution_roles=(f"arn:aws:iam::{N}:role/ecsTaskExecutionRole",),
        task_roles=(f"arn:aws:iam::{N}:role/orders-api-task", f"arn:aws:iam::{N}:role/orders-worker-task"),
        scope="scoped",
        region="eu-central-1",
        policy_name="mine",
        policy_description="Mine.",
    )


class TestPreview:
    def preview(self, client: Client, **answers: str) -> str:
        posted = ANSWERS | answers | {"kind": "deployer", "tab": "t"}
        return text_of(client.post("/requests/preview/", posted, headers={"HX-Request": "true"}))

    def test_lists_every_passed_role_by_arn(self, client: Client) -> None:
        page = self.preview(client, execution_roles="ecsTaskExecutionRole", task_roles="apps/orders-api-task")
        for name in ("ecsCodeDeployRole", "ecsTaskExecutionRole", "apps/orders-api-task"):
            assert f'data-arn="arn:aws:iam::{N}:role/{name}"' in page
        assert page.count("by exactly this ARN") == 3

    def test_says_what_star_means(self, client: Client) -> None:
        assert "stop or continue any deployment of the AWS account" in self.preview(client)
        assert "What approvers will weigh" not in self.preview(client)

    def test_unscoped_is_weighed(self, client: Client) -> None:
        page = self.preview(client, scope="unscoped")
        assert "Deployments of any CodeDeploy application of the AWS account can be made or changed." in page

    def test_shows_the_terraform_text(self, client: Client) -> None:
        assert 'resource "aws_iam_policy" "checkout-Deployer"' in self.preview(client)

    def test_works_without_script(self, client: Client) -> None:
        saved = client.post("/requests/preview/", ANSWERS | {"kind": "deployer", "tab": "t"})
        assert saved["Location"] == f"{URL}?draft=REQ-{Request.objects.get().pk:06d}"
        page = text_of(client.get(saved["Location"]))
        assert 'value="orders-pipeline"' in page
        assert "checkout-Deployer" in page


class TestWrongAnswers:
    def test_are_told_at_their_fields_and_kept(self, client: Client) -> None:
        wrong = ANSWERS | {
            "role_name": f"arn:aws:iam::{N}:user/bob",
            "application": "",
            "cluster": "a/b",
            "reason": "x",
        }
        response = client.post(URL, wrong)
        assert response.status_code == 422
        assert title_of(response).startswith("Error: ")
        assert set(field_errors(response)) == {"id_role_name", "id_application", "id_cluster", "id_reason"}
        assert {anchor for anchor, _ in summary_of(response)} == set(field_errors(response))
        assert field_errors(response)["id_role_name"] == [
            "A deployer policy is for a role or a permission set, never for a user or a group. Name the role."
        ]
        assert value_of(response, "role_name") == f"arn:aws:iam::{N}:user/bob"

    def test_an_empty_form_says_what_is_missing(self, client: Client) -> None:
        missing = set(field_errors(client.post(URL, {"team": "orders", "account": N})))
        assert missing == {"id_role_name", "id_application", "id_cluster", "id_service", "id_reason"}

    @pytest.mark.parametrize("roles", ["*", "orders-*", "arn:aws:iam::999999999999:role/x", "<role>"])
    def test_roles_are_named_one_by_one(self, client: Client, roles: str) -> None:
        assert set(field_errors(client.post(URL, ANSWERS | {"task_roles": roles}))) == {"id_task_roles"}

    def test_the_codedeploy_role_is_one(self, client: Client) -> None:
        found = field_errors(client.post(URL, ANSWERS | {"codedeploy_role": "ecsCodeDeploy*"}))
        assert set(found) == {"id_codedeploy_role"}

    def test_another_scope_is_refused(self, client: Client) -> None:
        assert client.post(URL, ANSWERS | {"scope": "everything"}).status_code == 422

    def test_another_teams_account_is_refused(self, client: Client) -> None:
        assert "id_account" in field_errors(client.post(URL, ANSWERS | {"account": "777788889999"}))


class TestChange:
    def test_takes_the_next_free_name_and_says_why(
        self, client: Client, key: Callable[[], str], managed_policy: ManagedPolicy
    ) -> None:
        source = managed_policy.request.reference
        page = text_of(client.get(f"{URL}?from={source}"))
        assert 'value="orders-pipeline"' in page
        assert "checkout-Deployer exists for orders-pipeline and is never changed" in page
        assert sent(client, key, service="checkout2").policy_name == "checkout-Deployer-r2"

    def test_a_taken_name_is_refused_with_the_free_one(self, client: Client, managed_policy: ManagedPolicy) -> None:
        found = field_errors(client.post(URL, ANSWERS | {"policy_name": "Checkout-Deployer"}))
        assert found == {
            "id_policy_name": [
                (
                    "Checkout-Deployer exists and a deployer policy is never changed. "
                    "Enter checkout-Deployer-r2, or leave it empty."
                )
            ]
        }

    def test_the_page_of_the_applied_one_leads_on(self, client: Client, managed_policy: ManagedPolicy) -> None:
        page = text_of(client.get(f"/requests/{managed_policy.request.reference}/"))
        assert f"aws iam attach-role-policy --role-name orders-pipeline --policy-arn {managed_policy.arn}" in page
        assert f'href="{URL}?from={managed_policy.request.reference}"' in page
        assert "role_name=deployer/checkout-Deployer" in page.replace("%2F", "/")


class TestRemoval:
    def test_is_offered_and_sent(self, client: Client, key: Callable[[], str], managed_policy: ManagedPolicy) -> None:
        address = f"{REMOVAL}?team=orders&account={N}&role_name=deployer/checkout-Deployer"
        page = text_of(client.get(address))
        assert '<option value="deployer/checkout-Deployer" selected>checkout-Deployer</option>' in page
        assert "Deletes the policy checkout-Deployer." in page
        answers = {
            "team": "orders",
            "account": N,
            "role_name": "deployer/checkout-Deployer",
            "confirm": "orders-pipeline",
            "reason": "The new one is attached, ORD-41",
        }
        wrong = client.post(REMOVAL, answers)
        assert field_errors(wrong) == {"id_confirm": ["Type the policy's name exactly: checkout-Deployer."]}
        saved = client.post(REMOVAL, answers | {"confirm": "checkout-Deployer", "idempotency_key": key()})
        assert client.post(saved["Location"], {"idempotency_key": key()}).status_code == 303
        facts = facts_module.read(Revision.objects.latest("pk").facts)
        assert isinstance(facts, RemovalFacts)
        assert (facts.role_arn, facts.policies, facts.whole) == (None, (managed_policy.arn,), False)

    def test_is_not_offered_to_others(self, signed_in: Callable[[str], Client], managed_policy: ManagedPolicy) -> None:
        assert "checkout-Deployer" not in text_of(signed_in("outsider").get(REMOVAL))
