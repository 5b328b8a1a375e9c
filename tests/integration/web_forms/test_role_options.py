"""The role form beyond the guide: ticks that open boxes, Scoped, Full's reason, the trust's sources, the session."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from iamroles.blueprints import RoleFacts, facts
from iamroles.models import Revision
from tests.integration.web_forms.conftest import ROLE_ANSWERS
from tests.integration.web_forms.reading import field_errors, text_of, value_of

HERE = "eu-central-1:111122223333"
LISTENER = f"arn:aws:elasticloadbalancing:{HERE}:listener/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2"
GROUP = f"arn:aws:elasticloadbalancing:{HERE}:targetgroup/blue/73e2d6bc24d8a067"
SCOPED = {
    "managed_policy": "scoped",
    "services": "shop/orders-api",
    "listeners": f"{LISTENER}\n{GROUP}",
    "region": "eu-central-1",
}


def post(client: Client, **more: str) -> Any:
    return client.post("/requests/new/role/", {**ROLE_ANSWERS, **more})


def sent(client: Client, **more: str) -> RoleFacts:
    """Sends the form and the check page; returns the facts of the revision."""
    response = post(client, **more)
    assert response.status_code == 303, field_errors(response)
    client.post(response["Location"])
    read = facts.read(Revision.objects.get().facts)
    assert isinstance(read, RoleFacts)
    return read


def test_the_boxes_open_with_the_prefix_that_limited_demands(client: Client) -> None:
    page = client.get("/requests/new/role/")
    assert value_of(page, "hooks") == "CodeDeployHook_"
    assert value_of(page, "topics") == "CodeDeployTopic_"
    assert "not yet proved on AWS" in text_of(page)


def test_a_box_without_its_tick_does_not_count(client: Client) -> None:
    made = sent(client, hooks="CodeDeployHook_x", topics="t", bundles="b", services="nonsense")
    assert (made.hooks, made.topics, made.bundles, made.services) == ((), (), (), ())


def test_ticked_boxes_become_facts(client: Client) -> None:
    made = sent(
        client,
        uses_hooks="on",
        hooks="CodeDeployHook_\nCodeDeployHook_smoke",
        uses_topics="on",
        topics=f"arn:aws:sns:{HERE}:alerts",
        uses_bundles="on",
        bundles="s3://releases/orders/",
        bundles_tagged="on",
        uses_services="on",
        services="shop/orders-api",
        region="eu-central-1",
    )
    assert made.hooks == (f"arn:aws:lambda:{HERE}:function:CodeDeployHook_smoke",)
    assert made.topics == (f"arn:aws:sns:{HERE}:alerts",)
    assert (made.bundles, made.bundles_tagged) == (("arn:aws:s3:::releases/orders/*",), True)
    assert made.services == (f"arn:aws:ecs:{HERE}:service/shop/orders-api",)


@pytest.mark.parametrize(
    ("more", "field", "message"),
    [
        (
            {"uses_hooks": "on", "hooks": "CodeDeployHook_"},
            "hooks",
            "Name each Lambda function, or take the tick away.",
        ),
        ({"uses_topics": "on", "topics": ""}, "topics", "Name each SNS topic, or take the tick away."),
        ({"uses_bundles": "on"}, "bundles", "Name where the files lie, or take the tick away."),
        (
            {"uses_hooks": "on", "hooks": "CodeDeployHook_x"},
            "region",
            "Enter the AWS Region of CodeDeployHook_x, for example eu-central-1, or enter its ARN.",
        ),
        (
            {"uses_hooks": "on", "hooks": "CodeDeployHook_x", "region": "Frankfurt"},
            "region",
            "Frankfurt is no AWS Region. One looks like eu-central-1.",
        ),
        ({"managed_policy": "scoped"}, "services", "Scoped is for named services. Enter each as cluster/service."),
        (
            {**SCOPED, "listeners": GROUP},
            "listeners",
            "Scoped is for named listeners. Enter the ARN of the production listener, and of the test listener.",
        ),
        (
            {"managed_policy": "full", "why_full": ""},
            "why_full",
            "Say in at least 10 characters why Limited is not enough: what it does not cover.",
        ),
        ({"max_session": "an hour"}, "max_session", "an hour is no number of seconds, such as 3600."),
        ({"max_session": "3599"}, "max_session", "The longest session is 3,600 to 43,200 seconds (1 to 12 hours)."),
        ({"max_session": "43201"}, "max_session", "The longest session is 3,600 to 43,200 seconds (1 to 12 hours)."),
        (
            {"sources": "orders/blue", "region": "eu-central-1", "plain_trust": "on"},
            "plain_trust",
            "The plain form asks for no source. Leave it unticked, or name no deployment group or stack.",
        ),
        (
            {"sources": f"arn:aws:codedeploy:{HERE}:deploymentgroup:a/b", "cloudformation": "on"},
            "sources",
            (
                f"arn:aws:codedeploy:{HERE}:deploymentgroup:a/b is not the ARN of a stack. "
                "One looks like arn:aws:cloudformation:REGION:111122223333:stack/name."
            ),
        ),
        (
            {**SCOPED, "uses_policy_name": "ecscodedeployrole-passrole"},
            "uses_policy_name",
            "ecsCodeDeployRole-PassRole is the PassRole policy's name already. IAM takes each name once.",
        ),
    ],
)
def test_says_what_is_wrong_at_the_field(client: Client, more: dict[str, str], field: str, message: str) -> None:
    response = post(client, **more)
    assert response.status_code == 422
    assert message in field_errors(response)[f"id_{field}"]


def test_too_much_for_one_policy_is_told(client: Client) -> None:
    hooks = "\n".join(f"arn:aws:lambda:{HERE}:function:{'f' * 60}{number:02d}" for number in range(60))
    services = "\n".join(f"arn:aws:ecs:{HERE}:service/{'c' * 60}/{number}" for number in range(40))
    response = post(client, **{**SCOPED, "services": services}, uses_hooks="on", hooks=hooks)
    assert "A managed policy can have 6,144 characters." in field_errors(response)["id_hooks"][0]


def test_scoped_is_a_policy_of_our_own_and_says_that_it_is_not_proved(client: Client) -> None:
    response = client.post(
        "/requests/preview/", {**ROLE_ANSWERS, "kind": "role", **SCOPED}, headers={"HX-Request": "1"}
    )
    page = text_of(response)
    assert "Not yet proved on AWS" in page
    assert 'data-finding="SC01"' in page
    assert "# Not yet proved on AWS" in page
    assert "AWSCodeDeployRoleForECS" not in page.replace("<wbr>", "")
    made = sent(client, **SCOPED)
    assert (made.managed_policy, made.listeners, made.target_groups) == ("scoped", (LISTENER,), (GROUP,))


@pytest.mark.parametrize(
    ("more", "why"), [({}, ROLE_ANSWERS["reason"]), ({"why_full": "The hooks are shared"}, "The hooks are shared")]
)
def test_full_takes_its_reason_from_the_form_or_from_the_published_one(
    client: Client, more: dict[str, str], why: str
) -> None:
    assert sent(client, managed_policy="full", **more).why_full == why


@pytest.mark.parametrize(
    ("more", "sources"),
    [
        ({"sources": "orders/blue-green"}, f"arn:aws:codedeploy:{HERE}:deploymentgroup:orders/blue-green"),
        ({"sources": "orders", "cloudformation": "on"}, f"arn:aws:cloudformation:{HERE}:stack/orders/*"),
    ],
)
def test_the_trust_names_its_sources_once_cloudformation_is_answered(
    client: Client, more: dict[str, str], sources: str
) -> None:
    made = sent(client, region="eu-central-1", max_session="7200", **more)
    assert (made.sources, made.max_session) == ((sources,), 7200)
    assert made.cloudformation is ("cloudformation" in more)


def test_the_answers_are_all_shown_before_sending(client: Client) -> None:
    response = post(client, **SCOPED, uses_hooks="on", hooks="smoke", sources="orders/*", max_session="7200")
    page = text_of(client.get(response["Location"])).replace("<wbr>", "")
    for shown in ("Scoped", "function:smoke", LISTENER, GROUP, "deploymentgroup:orders/*", "7,200 seconds"):
        assert shown in page
    for anchor in ("id_services", "id_listeners", "id_hooks", "id_uses_policy_name", "id_sources", "id_max_session"):
        assert f"#{anchor}" in page
