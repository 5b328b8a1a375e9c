"""An ARN of another AWS account, or of another partition, is refused by every form and by the verb behind them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from iamroles.blueprints import DeployerFacts, Facts, GrantFacts, RoleFacts
from iamroles.models import ObservationOrder, Request, Revision
from iamroles.workflow import draft, submit
from iamroles.workflow.verbs import Invalid
from tests.integration.web_forms.conftest import AT, GRANT_ANSWERS, ROLE_ANSWERS, World
from tests.integration.web_forms.reading import field_errors
from tests.integration.web_forms.test_deployer_form import ANSWERS as DEPLOYER_ANSWERS
from tests.integration.workflow.conftest import actor

OURS, FOREIGN = "111122223333", "999988887777"
ROLE = f"arn:aws:iam::{FOREIGN}:role/ecsTaskExecutionRole"
INFRASTRUCTURE = {"team": "orders", "account": OURS, "role_name": "", "reason": "Blue/green by ECS itself, ORD-41"}
SAID = f"This role is in AWS account {FOREIGN}. Enter a role of {OURS}."
FIELDS = [
    ("/requests/new/role/", ROLE_ANSWERS, "role_name"),
    ("/requests/new/role/", ROLE_ANSWERS, "execution_roles"),
    ("/requests/new/role/", ROLE_ANSWERS, "task_roles"),
    ("/requests/new/passrole/", GRANT_ANSWERS, "role_name"),
    ("/requests/new/passrole/", GRANT_ANSWERS, "execution_roles"),
    ("/requests/new/passrole/", GRANT_ANSWERS, "task_roles"),
    ("/requests/new/infrastructure/", INFRASTRUCTURE, "role_name"),
    ("/requests/new/deployer/", DEPLOYER_ANSWERS, "role_name"),
    ("/requests/new/deployer/", DEPLOYER_ANSWERS, "execution_roles"),
    ("/requests/new/deployer/", DEPLOYER_ANSWERS, "task_roles"),
    ("/inventory/check/", {"account": OURS}, "role_name"),
]


@pytest.mark.parametrize(("address", "answers", "field"), FIELDS)
def test_a_form_names_the_aws_account_and_stores_nothing(
    client: Client, address: str, answers: dict[str, str], field: str
) -> None:
    response = client.post(address, answers | {field: ROLE})
    assert response.status_code == 422
    assert SAID in field_errors(response)[f"id_{field}"]
    assert (Request.objects.count(), ObservationOrder.objects.count()) == (0, 0)


@pytest.mark.parametrize(("address", "answers", "field"), FIELDS)
def test_a_form_names_the_partition(client: Client, address: str, answers: dict[str, str], field: str) -> None:
    response = client.post(address, answers | {field: f"arn:aws-cn:iam::{OURS}:role/ecsTaskExecutionRole"})
    assert response.status_code == 422
    assert "This role is in the partition aws-cn. Enter a role of aws." in field_errors(response)[f"id_{field}"]
    assert (Request.objects.count(), ObservationOrder.objects.count()) == (0, 0)


def test_a_removal_offers_no_role_of_another_aws_account(client: Client) -> None:
    answers = {"team": "orders", "account": OURS, "role_name": ROLE, "confirm": ROLE, "reason": "Not used, ORD-42"}
    assert client.post("/requests/new/removal/", answers).status_code == 422
    assert Request.objects.count() == 0


def _facts(world: World) -> dict[str, Facts]:
    account = world.accounts["orders-prod"].facts()
    given: dict[str, Any] = {"account": account, "team": "orders", "policy_name": "p", "policy_description": "d"}
    holder = f"arn:aws:iam::{OURS}:role/pipeline"
    deployer = {"application": "a", "cluster": "c", "service": "s", "codedeploy_role": f"arn:aws:iam::{OURS}:role/x"}
    return {
        "role": RoleFacts(**given, task_roles=(ROLE,)),
        "grant": GrantFacts(**given, role_name="ecsCodeDeployRole", task_roles=(ROLE,)),
        "deployer": DeployerFacts(**given, **deployer, holder=holder, task_roles=(ROLE,)),
    }


@pytest.mark.parametrize("kind", ["role", "grant", "deployer"])
def test_the_verb_refuses_it_whatever_form_it_came_from(world: World, kind: str) -> None:
    facts, user = _facts(world)[kind], world.people["requester"]
    row = draft.save(user=user, kind=kind, answers={}, title="x", actor=actor(user), at=AT)
    with pytest.raises(Invalid, match=SAID):
        submit.submit(
            request_id=row.pk, user=user, facts=facts, reason="Not ours at all, ORD-43", actor=actor(user), at=AT
        )
    assert Revision.objects.count() == 0
