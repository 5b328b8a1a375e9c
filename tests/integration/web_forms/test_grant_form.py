"""The grant form: it says when a grant is not needed, and takes it anyway only on purpose."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from iamroles import canonical
from iamroles.blueprints import RoleState, State
from iamroles.iam import trust
from iamroles.models import ManagedRole, Request
from tests.integration.web_forms.conftest import GRANT_ANSWERS
from tests.integration.web_forms.reading import field_errors, summary_of, text_of

URL = "/requests/new/passrole/"
LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
COVERED = GRANT_ANSWERS | {"task_roles": "", "execution_roles": "ecsTaskExecutionRole"}


def desired() -> str:
    arn = "arn:aws:iam::111122223333:role/ecsCodeDeployRole"
    role = RoleState(
        arn=arn,
        name="ecsCodeDeployRole",
        path="/",
        trust=trust.codedeploy_trust("111122223333", source_account=True),
        attached=frozenset({LIMITED}),
    )
    return canonical.dumps(State(role_arn=arn, role=role).as_mapping()).decode()


def test_explains_first_when_the_role_covers_everything(client: Client, managed: Callable[..., ManagedRole]) -> None:
    managed("orders-prod", "orders", desired=desired())
    response = client.post(URL, COVERED)
    message = (
        "You do not need this grant: ecsCodeDeployRole may already pass ecsTaskExecutionRole. "
        "Leave, or tick “Add it anyway” and say why."
    )
    assert response.status_code == 422
    assert ("id_execution_roles", message) in summary_of(response)
    assert 'name="anyway"' in text_of(response)
    assert Request.objects.count() == 0


def test_takes_it_anyway_on_purpose(client: Client, managed: Callable[..., ManagedRole]) -> None:
    managed("orders-prod", "orders", desired=desired())
    assert client.post(URL, COVERED | {"anyway": "on"}).status_code == 303


def test_does_not_judge_a_role_that_it_does_not_know(client: Client) -> None:
    assert client.post(URL, COVERED).status_code == 303


def test_a_wildcard_is_refused_with_its_reason(client: Client) -> None:
    response = client.post(URL, GRANT_ANSWERS | {"task_roles": "*"})
    assert response.status_code == 422
    assert field_errors(response)["id_task_roles"] == [
        "*: name each role. A grant for every role lets a deployment run with any role in the AWS account."
    ]


def test_a_grant_for_nothing_is_refused(client: Client) -> None:
    response = client.post(URL, GRANT_ANSWERS | {"task_roles": ""})
    assert field_errors(response)["id_execution_roles"] == [
        "Name at least one role that CodeDeploy must be able to pass."
    ]


def test_the_condition_is_said_in_words(client: Client) -> None:
    page = text_of(client.post("/requests/preview/", GRANT_ANSWERS | {"kind": "grant"}, headers={"HX-Request": "true"}))
    assert "iam:PassedToService = ecs-tasks.amazonaws.com" in page.replace("<wbr>", "")
