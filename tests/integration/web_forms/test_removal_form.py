"""The removal form: only what the team has, the role's name typed once more, and what goes told before sending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from iamroles import canonical
from iamroles.audit import Actor
from iamroles.blueprints import PolicyState, RemovalFacts, RoleState, State
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.grants import grant_document
from iamroles.iam import trust
from iamroles.models import ManagedRole, Request, Revision
from iamroles.workflow import submit
from iamroles.workflow.verbs import Invalid
from tests.integration.web_forms.conftest import AT, World
from tests.integration.web_forms.reading import field_errors, text_of

URL = "/requests/new/removal/"
ARN = "arn:aws:iam::111122223333:role/ecsCodeDeployRole"
POLICY = "arn:aws:iam::111122223333:policy/orders-pass"
ANSWERS = {
    "team": "orders",
    "account": "111122223333",
    "role_name": "ecsCodeDeployRole",
    "policy_name": "",
    "confirm": "ecsCodeDeployRole",
    "reason": "The service is switched off, ORD-30",
}


@pytest.fixture
def ours(managed: Callable[..., ManagedRole]) -> ManagedRole:
    """The team's role with one grant, as after an apply."""
    policy = PolicyState(POLICY, "orders-pass", "/", grant_document(["arn:aws:iam::111122223333:role/orders-api-task"]))
    role = RoleState(
        arn=ARN,
        name="ecsCodeDeployRole",
        path="/",
        trust=trust.codedeploy_trust("111122223333"),
        attached=frozenset({POLICY, "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"}),
        role_id="AROAEXAMPLE",
    )
    desired = canonical.dumps(State(ARN, role, {POLICY: policy}).as_mapping()).decode()
    return managed("orders-prod", "orders", desired=desired)


def sent(client: Client, key: Callable[[], str], **answers: str) -> RemovalFacts:
    saved = client.post(URL, ANSWERS | answers | {"idempotency_key": key()})
    assert saved.status_code == 303
    assert client.post(saved["Location"], {"idempotency_key": key()}).status_code == 303
    assert Request.objects.get().state == "submitted"
    found = facts_module.read(Revision.objects.get().facts)
    assert isinstance(found, RemovalFacts)
    return found


def test_offers_what_the_team_has_and_nothing_of_others(
    client: Client, signed_in: Callable[[str], Client], ours: ManagedRole
) -> None:
    page = text_of(client.get(URL))
    assert '<option value="ecsCodeDeployRole"' in page
    assert '<option value="orders-pass"' in page
    other = text_of(signed_in("outsider").get(URL))
    assert "orders-pass" not in other
    assert "Nothing is managed for your team yet" in other


def test_the_whole_role_takes_its_policies_along(client: Client, key: Callable[[], str], ours: ManagedRole) -> None:
    facts = sent(client, key)
    assert (facts.role_arn, facts.policies, facts.whole) == (ARN, (POLICY,), True)


def test_one_policy_goes_alone(client: Client, key: Callable[[], str], ours: ManagedRole) -> None:
    facts = sent(client, key, policy_name="orders-pass")
    assert (facts.role_arn, facts.policies, facts.whole) == (ARN, (POLICY,), False)


@pytest.mark.parametrize("typed", ["", "ecscodedeployrole", "another"])
def test_a_wrong_typed_name_sends_nothing(client: Client, ours: ManagedRole, typed: str) -> None:
    response = client.post(URL, ANSWERS | {"confirm": typed})
    assert response.status_code == 422
    assert field_errors(response) == {"id_confirm": ["Type the role's name exactly: ecsCodeDeployRole."]}
    assert Request.objects.count() == 0


def test_another_teams_role_is_refused(client: Client, managed: Callable[..., ManagedRole]) -> None:
    managed("orders-staging", "payments", desired=canonical.dumps(State(ARN, None).as_mapping()).decode())
    response = client.post(URL, ANSWERS | {"account": "444455556666"})
    assert field_errors(response) == {
        "id_role_name": [
            "ecsCodeDeployRole is not managed for your team in orders-staging. Choose one of those listed."
        ]
    }


@pytest.mark.parametrize(
    ("forged", "message"),
    [
        ({"role_arn": f"{ARN}-other"}, "is not managed for your team"),
        ({"policies": (POLICY, f"{POLICY}-theirs")}, "Not every named policy is one that was made for"),
    ],
)
def test_the_verb_refuses_what_is_not_the_teams(
    world: World, client: Client, key: Callable[[], str], ours: ManagedRole, forged: dict[str, Any], message: str
) -> None:
    facts = replace(sent(client, key), **forged)
    request = Request.objects.get()
    Request.objects.update(state="draft")
    user = world.people["requester"]
    with pytest.raises(Invalid, match=message):
        submit.submit(
            request_id=request.pk,
            user=user,
            facts=facts,
            reason="The service is switched off, ORD-30",
            actor=Actor(type="user", id=str(user.pk), name="Requester"),
            at=AT,
        )


def test_the_preview_says_what_goes(client: Client, ours: ManagedRole) -> None:
    page = text_of(client.post("/requests/preview/", ANSWERS | {"kind": "removal"}, headers={"HX-Request": "true"}))
    page = page.replace("<wbr>", "")
    for part in (
        "Deletes the role ecsCodeDeployRole in orders-prod",
        "Deletes the policy orders-pass: by it, CodeDeploy could hand orders-api-task to ECS tasks.",
        "What goes, by the inventory",
        "Every deployment that still uses ecsCodeDeployRole will fail",
    ):
        assert part in page, part
    assert "Type the role" not in page
