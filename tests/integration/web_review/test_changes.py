"""The pages of approval rules: readable, proposed as text, confirmed by another; every refusal keeps what was typed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils.html import escape

from iamroles.models import ProposedChange, current_rules
from iamroles.pages.changes import lines_of
from iamroles.rules import rule_text
from iamroles.rules.approval_rules import STARTING_RULES
from iamroles.workflow.change_kinds import KINDS
from tests.integration.web_review import world
from tests.integration.web_review.test_review import text_of
from tests.integration.web_review.world import PROD, World

pytestmark = pytest.mark.django_db
NewClient = Callable[..., Client]
TWO = "\n".join(rule_text.write(STARTING_RULES)).replace("1 of security", "2 of security or operators")


def propose(client: Client, text: str = TWO, reason: str = "Two people for high risk") -> Any:
    return client.post("/ops/rules/propose/", {"rules": text, "reason": reason})


def decide(client: Client, decision: str, **more: str) -> Any:
    change = ProposedChange.objects.get()
    given = {"decision": decision, "digest": change.digest, **more}
    return client.post(f"/ops/changes/{change.pk}/decide/", given)


def test_rules_are_read_by_those_with_a_portal_group(here: World, signed_in: NewClient) -> None:
    for login in ("oskar", "mei", "amara", "idris"):
        answer = signed_in(login).get("/ops/rules/")
        assert (answer.status_code, "Every request needs an approver." in answer.content.decode()) == (200, True)
    assert signed_in("rosa").get("/ops/rules/").status_code == 403


def test_the_form_opens_with_todays_rules_and_leads_to_the_change(here: World, signed_in: NewClient) -> None:
    page = signed_in("oskar").get("/ops/rules/propose/").content.decode()
    assert "When risk high: 1 of security. High risk needs somebody of security." in page
    answer = propose(signed_in("oskar"))
    change = ProposedChange.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/ops/changes/{change.pk}/")
    shown = signed_in("mei").get(answer["Location"]).content.decode()
    assert "<del>When risk high: 1 of security." in shown
    assert "<ins>When risk high: 2 of security or operators." in shown
    assert 'value="confirm"' in shown
    own = signed_in("oskar").get(answer["Location"]).content.decode()
    assert ('value="confirm"' in own, 'value="withdraw"' in own) == (False, True)


def test_a_second_person_puts_them_in_force(here: World, signed_in: NewClient) -> None:
    propose(signed_in("oskar"))
    assert decide(signed_in("oskar"), "confirm").status_code == 403
    assert current_rules() == STARTING_RULES
    assert decide(signed_in("mei"), "confirm").status_code == 303
    assert rule_text.write(current_rules())[2].startswith("When risk high: 2 of security or operators.")
    old, new = (signed_in("idris").get(f"/ops/rules/{n}/").content.decode() for n in (1, 2))
    assert ("No longer in force" in old, "In force" in new, "<ins>" in new) == (True, True, True)
    assert signed_in("idris").get("/ops/rules/3/").status_code == 404
    for page in (old, new):
        assert "<span>Roledesk</span>" in re.sub(r"<span>Roledesk [0-9.]+", "<span>Roledesk", page)
    assert decide(signed_in("mei"), "confirm").status_code == 409


def test_an_old_sign_in_is_confirmed_first(here: World, signed_in: NewClient) -> None:
    propose(signed_in("oskar"))
    answer = decide(signed_in("mei", minutes=6), "confirm")
    change = ProposedChange.objects.get()
    assert (answer.status_code, change.state) == (302, "waiting")
    assert answer["Location"].endswith(f"?next=%2Fops%2Fchanges%2F{change.pk}%2F")


GUARDRAIL = f"/ops/accounts/{PROD}/rules/guardrail/"
ECS = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"*"}]}'


def test_two_people_change_what_an_aws_account_allows(here: World, signed_in: NewClient) -> None:
    waits = world.in_review(here.people["rosa"], world.facts_for(here.prod))
    mei = signed_in("mei")
    assert "None is set. Nothing limits rights further." in text_of(mei.get(GUARDRAIL))
    answer = mei.post(GUARDRAIL, {"text": ECS, "reason": "Nothing beyond ECS here"})
    change = ProposedChange.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/ops/changes/{change.pk}/")
    oskar = signed_in("oskar")
    shown = oskar.get(answer["Location"]).content.decode()
    assert f"Guardrail for rights of AWS account {PROD}" in shown
    assert "<ins>      &quot;Action&quot;: &quot;ecs:*&quot;" in shown
    assert f">{waits.reference}</a>" in shown
    assert "Mei" in text_of(oskar.get(GUARDRAIL))
    assert decide(mei, "confirm").status_code == 403
    assert here.prod.rules().guardrail == ()
    assert decide(oskar, "confirm").status_code == 303
    assert [one.statements[0].actions for one in here.prod.rules().guardrail] == [("ecs:*",)]
    page = oskar.get(GUARDRAIL).content.decode()
    assert ("Version 1 is in force." in page, "&quot;ecs:*&quot;" in page) == (True, True)
    assert f'href="{GUARDRAIL}"' in oskar.get("/ops/rules/").content.decode()
    assert "Version 1, " in text_of(oskar.get(f"/ops/accounts/{PROD}/"))
    oskar.post(GUARDRAIL, {"text": "", "reason": "It was too narrow"})
    taking_back = ProposedChange.objects.latest("pk")
    assert "<del>" in mei.get(f"/ops/changes/{taking_back.pk}/").content.decode()


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        ("{", "Nothing beyond ECS here", "JSON"),
        ('{"Version":"2012-10-17","Statement":[]} x', "Nothing beyond ECS here", "JSON"),
        ("[]", "Nothing beyond ECS here", "reads like that already"),
        (ECS.replace("Resource", "Principal"), "Nothing beyond ECS here", "policies without a Principal"),
        (ECS.replace("ecs", "e\u0441s"), "Nothing beyond ECS here", "Type character 2 of Statement[0].Action again."),
        (ECS, "Because", "at least 10 characters"),
    ],
)
def test_wrong_documents_come_back_as_typed(
    here: World, signed_in: NewClient, text: str, reason: str, said: str
) -> None:
    answer = signed_in("oskar").post(GUARDRAIL, {"text": text, "reason": reason})
    assert (answer.status_code, ProposedChange.objects.count()) == (422, 0)
    page = answer.content.decode()
    assert said in page
    assert reason in page
    assert escape(text) in page


def test_there_is_no_other_kind_of_rule(here: World, signed_in: NewClient) -> None:
    for address in (f"/ops/accounts/{PROD}/rules/fence/", "/ops/accounts/999999999999/rules/guardrail/"):
        assert signed_in("oskar").get(address).status_code == 404


_KEEPS = {
    GUARDRAIL: ({"text": ECS, "reason": "Nothing beyond ECS here"}, "Nothing beyond ECS here"),
    "/ops/rules/propose/": ({"rules": TWO, "reason": "Two people for high risk"}, "2 of security or operators"),
    "/ops/groups/approvers/": ({"chosen": ["amara", "mei"], "reason": "Mei joins the approvers"}, "Mei joins"),
    f"/ops/accounts/{PROD}/change/": (
        {
            "name": "orders-prod",
            "environment": "production",
            "owner": "orders-platform",
            "role_path": "/made/",
            "policy_path": "/",
            "reason": "Roles move to a path",
        },
        "/made/",
    ),
    "/ops/teams/orders/": (
        {"part": "accounts", "accounts-chosen": [PROD], "accounts-reason": "Staging goes away"},
        "Staging goes away",
    ),
}


@pytest.mark.parametrize("path", _KEEPS)
def test_an_old_sign_in_proposes_nothing_and_keeps_what_was_typed(here: World, signed_in: NewClient, path: str) -> None:
    form, typed = _KEEPS[path]
    client = signed_in("oskar", minutes=6)
    answer = client.post(path, form)
    assert (answer.status_code, ProposedChange.objects.count()) == (302, 0)
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert answer["Location"].endswith(f"?next={quote(path, safe='')}")
    page = client.get(path)
    assert (page.status_code, typed in page.content.decode()) == (200, True)
    assert typed not in client.get(path).content.decode()
    assert signed_in("oskar").post(path, form).status_code == 303


def test_another_digest_changes_nothing(here: World, signed_in: NewClient) -> None:
    propose(signed_in("oskar"))
    assert decide(signed_in("mei"), "confirm", digest="0" * 64).status_code == 409
    assert current_rules() == STARTING_RULES


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        ("Everybody may.", "Two people for high risk", "Line 1: it begins with"),
        ("When risk high: 1 of security. Why.\nAn approval holds for 7 days.", "A good reason", "No rule says who"),
        (TWO, "short", "at least 10 characters"),
        (TWO.replace("security", "secuirty"), "A good reason", "There is no group secuirty"),
        ("\n".join(rule_text.write(STARTING_RULES)), "A good reason", "Nothing would change"),
    ],
)
def test_wrong_rules_come_back_as_typed(here: World, signed_in: NewClient, text: str, reason: str, said: str) -> None:
    answer = propose(signed_in("oskar"), text, reason)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert text.splitlines()[0] in page
    assert not ProposedChange.objects.exists()


def test_refusing_needs_a_reason(here: World, signed_in: NewClient) -> None:
    propose(signed_in("oskar"))
    assert decide(signed_in("mei"), "refuse").status_code == 422
    assert decide(signed_in("amara"), "refuse", reason="No").status_code == 403
    assert decide(signed_in("mei"), "refuse", reason="One is enough").status_code == 303
    page = signed_in("idris").get("/ops/changes/").content.decode()
    assert ("Refused" in page, "No change waits." in page) == (True, True)


def test_what_would_be_stuck_is_named_before_confirming(here: World, signed_in: NewClient) -> None:
    full = world.facts_for(here.prod, role_name="full", managed_policy="full", why_full="Hooks without the prefix")
    high = world.in_review(here.people["rosa"], full)
    propose(signed_in("oskar"))
    page = signed_in("mei").get(f"/ops/changes/{ProposedChange.objects.get().pk}/").content.decode()
    assert f"{high.reference} would lack" in page


def test_home_says_that_changes_wait_for_a_second_person(here: World, signed_in: NewClient) -> None:
    said = "1 change waits for a second person"
    propose(signed_in("oskar"))
    shown = {login: said in text_of(signed_in(login).get("/")) for login in ("oskar", "mei", "rosa", "amara")}
    assert shown == {"oskar": False, "mei": True, "rosa": False, "amara": False}


def test_a_change_names_the_aws_accounts_and_people_that_it_is_about(here: World) -> None:
    mei = here.people["mei"]
    assert lines_of("team", {"accounts": [PROD, "999999999999"]}) == (f"orders-prod, {PROD}", "999999999999")
    assert lines_of("group", {"members": [mei.get_username(), "gone"]}) == (f"{mei.display_name}, mei", "gone")


@pytest.mark.parametrize("subject", sorted(KINDS))
def test_every_kind_of_change_has_a_title(subject: str) -> None:
    target = f"{PROD}:guardrail" if subject == "account_rules" else "approvers"
    assert re.fullmatch(r"[A-Z][\w' ]+", ProposedChange(subject=subject, target=target).title)
