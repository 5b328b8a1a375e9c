"""The table of acts on a request, written by hand: what each page offers to whom, and that exactly that works.

`OFFERED` is the promise: a row for each status, a word for each button. What a page offers is really sent and must do
something; every act that it does not offer is sent too and must be refused, leaving the request as it was.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from iamroles.models import AuditEvent, Decision, Notice, ObservationOrder, Proposal, Request, Run
from iamroles.pages.offers import OPERATING, TABLE
from iamroles.pages.requests import request_page
from iamroles.workflow import decide
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World

# Rosa asked. Theo is of her team. Amara approves, and has where it was approved. Mei is of security and decides on High
# alone. Idris audits, Oskar operates. Who is not named is offered nothing.
OFFERED: dict[str, dict[str, str]] = {
    "draft": {"rosa": "continue discard"},
    "submitted": {"rosa": "withdraw"},
    "looks given up": {"rosa": "withdraw", "oskar": "look-again"},
    "in review": {"rosa": "edit withdraw", "amara": "review"},
    "in review, told long ago": {"rosa": "edit remind withdraw", "amara": "review"},
    "in review by an old look": {"rosa": "look-first edit withdraw", "amara": "look-first review"},
    "in review by an old look, looking": {"rosa": "edit withdraw", "amara": "review"},
    "High, one approval": {"rosa": "edit withdraw", "amara": "take-back", "mei": "review"},
    "changes requested": {"rosa": "resend withdraw"},
    "approved": {"rosa": "withdraw", "amara": "take-back"},
    "claimed": {"rosa": "withdraw", "amara": "take-back"},
    "applying": {},
    "waiting": {"oskar": "try-now"},
    "blocked": {"rosa": "ask-retry", "oskar": "retry renew-plan abandon check"},
    "quarantined": {"rosa": "ask-retry", "oskar": "release renew-plan abandon check"},
    "conflict": {"rosa": "see-difference", "oskar": "renew-plan abandon check"},
    "conflict before the first step": {
        "rosa": "see-difference withdraw",
        "amara": "take-back",
        "oskar": "renew-plan abandon check",
    },
    "invalid": {"rosa": "copy", "oskar": "abandon"},
    "applied": {"rosa": "ask-change ask-removal", "oskar": "check"},
    "applied, follow-up stopped": {"rosa": "ask-change ask-removal", "oskar": "retry-follow-up check"},
    "resolved": {"rosa": "ask-change ask-removal", "oskar": "check"},
    "already right": {"rosa": "ask-change ask-removal", "oskar": "check"},
    "handed over": {"rosa": "ask-change", "oskar": "check"},
    "rejected": {"rosa": "copy"},
    "withdrawn": {"rosa": "copy"},
    "expired": {"rosa": "copy"},
    "abandoned": {"rosa": "copy"},
    "superseded": {"rosa": "copy"},
}
PEOPLE = ("rosa", "theo", "amara", "mei", "idris", "oskar")


def made(here: World, state: str) -> Request:
    """A request of Rosa's in the state."""
    rosa, amara = here.people["rosa"], here.people["amara"]
    if state == "High, one approval":
        facts = world.facts_for(here.staging, managed_policy="full", why_full="The hooks are shared")
        return world.approved(world.in_review(rosa, facts), amara)
    facts = world.facts_for(here.staging)
    if state == "draft":
        return world.saved(rosa, facts)
    if state in ("submitted", "looks given up"):
        row = world.sent(rosa, facts)
        if state == "looks given up":
            Request.objects.filter(pk=row.pk).update(next_try_at=None, tries=12, last_code="AccessDenied")
    else:
        row = world.in_review(rosa, facts)
        _in_review(here, row, state) if state in _REVIEWS else _further(here, row, state)
    row.refresh_from_db()
    return row


_REVIEWS = ("in review", "in review, told long ago", "in review by an old look", "in review by an old look, looking")


def _in_review(here: World, row: Request, state: str) -> None:
    if state.endswith("long ago"):
        Notice.objects.filter(request=row).update(at=world.now() - timedelta(hours=5))
    if "old look" in state:
        Proposal.objects.filter(revision__request=row).update(observed_at=world.now() - timedelta(hours=25))
    if state.endswith("looking"):
        Request.objects.filter(pk=row.pk).update(next_try_at=world.now())


def _further(here: World, row: Request, state: str) -> None:
    if state == "changes requested":
        _decide(here, row, "changes")
        return
    if state == "rejected":
        _decide(here, row, "reject")
        return
    world.approved(row, here.people["amara"])
    if state in ("claimed", "applying", "waiting"):
        run = world.run_of(row, 0 if state == "claimed" else 1)
        if state == "waiting":
            later = world.now() + timedelta(minutes=4)
            Run.objects.filter(pk=run.pk).update(state="waiting", next_run_at=later)
    elif state in ("blocked", "quarantined", "conflict", "invalid"):
        world.stopped(world.run_of(row, 2), state, **({"code": "AccessDenied"} if state == "blocked" else {}))
    elif state == "conflict before the first step":
        world.stopped(world.run_of(row, 0), "conflict")
    elif state.startswith("applied"):
        run = world.finished_run(row)
        if state != "applied":
            Run.objects.filter(pk=run.pk).update(detail={"trust_changed_at": world.now().isoformat()})
            world.stopped(world.run_of(row), "invalid", follow_up=True)
    elif state != "approved":
        fields = {"state": "closed", "outcome": state.replace(" ", "_"), "next_try_at": None}
        Request.objects.filter(pk=row.pk).update(**fields)


def _decide(here: World, row: Request, decision: str) -> None:
    proposal = row.current_proposal()
    assert proposal is not None
    amara = here.people["amara"]
    decide.decide(
        request_id=row.pk,
        user=amara,
        decision=decision,
        seen_digest=proposal.digest,
        reason="Name the second role",
        signed_in_at=world.now(),
        actor=world.actor(amara),
        at=world.now(),
    )


def offered_on_the_page(client: Client, row: Request) -> list[str]:
    page = client.get(reverse("request_detail", args=[row.pk])).content.decode()
    return re.findall(r'data-act="([^"]+)"', page)


@pytest.mark.parametrize("state", list(OFFERED))
def test_the_page_offers_exactly_these(here: World, signed_in: NewClient, state: str) -> None:
    row = made(here, state)
    for login in PEOPLE:
        offered = request_page(row, here.people[login]).offered
        assert sorted(offered) == sorted(OFFERED[state].get(login, "").split()), login
        if not (state == "draft" and login != "rosa"):
            assert sorted(offered_on_the_page(signed_in(login), row)) == sorted(offered), login


def _form(row: Request, **more: Any) -> dict[str, Any]:
    return {"idempotency_key": str(uuid.uuid4()), "reason": "It is needed, ORD-7", **more}


def _review(row: Request) -> dict[str, Any]:
    proposal = row.current_proposal()
    if proposal is None:
        return _form(row, decision="changes", proposal_digest="0" * 64)
    return _form(row, decision="changes", proposal_digest=proposal.digest)


# What each button leads to, sent at once. A link to a form of its own (continue, edit, copy, ask-…) shows that form.
_SENT: dict[str, tuple[str, Callable[[Request], dict[str, Any]]]] = {
    "look-first": ("request_look", _form),
    "discard": ("request_discard", _form),
    "remind": ("request_remind", _form),
    "take-back": ("approval_take_back", _form),
    "withdraw": ("request_withdraw", _form),
    "review": ("approval_decide", _review),
    "check": ("request_against_aws", _form),
}


def _post(client: Client, row: Request, act: str) -> Any:
    if act in OPERATING:
        return client.post(reverse("request_act", args=[row.pk, act]), _form(row))
    name, form = _SENT[act]
    return client.post(reverse(name, args=[row.pk]), form(row))


def _stands(row: Request) -> list[Any]:
    """Everything that an act could change."""
    events = AuditEvent.objects.exclude(action="verb.refused").count()
    counts = [kind.objects.count() for kind in (Notice, ObservationOrder, Run)]
    decisions = list(Decision.objects.order_by("pk").values_list("decision", "ended_by"))
    return [events, counts, decisions, *Request.objects.filter(pk=row.pk).values_list()]


def _elsewhere(row: Request, login: str, act: str) -> bool:
    """Forcing a lease stands on the page of stuck work; before that an operator has AWS looked at in any such state."""
    return act == "force-lease" or (act == "check" and login == "oskar" and row.state == "approved")


@pytest.mark.parametrize("state", list(OFFERED))
def test_what_is_offered_works_and_nothing_else_does(here: World, signed_in: NewClient, state: str) -> None:
    row = made(here, state)
    for login in ("rosa", "theo", "amara", "mei", "oskar"):
        client = signed_in(login)
        offered = OFFERED[state].get(login, "").split()
        for act in sorted({*_SENT, *OPERATING}):
            if act not in offered and _elsewhere(row, login, act):
                continue
            before = _stands(row)
            mark = transaction.savepoint()
            answer = _post(client, row, act)
            after = _stands(row)
            transaction.savepoint_rollback(mark)
            if act in offered:
                assert (answer.status_code, after != before) == (303, True), (login, act)
            else:
                assert answer.status_code in (403, 404, 409, 422), (login, act, answer.status_code)
                assert after == before, (login, act)


@pytest.mark.parametrize("state", list(OFFERED))
def test_every_link_leads_to_a_form(here: World, signed_in: NewClient, state: str) -> None:
    row = made(here, state)
    for login in OFFERED[state]:
        for button in request_page(row, here.people[login]).buttons:
            if not button.posts and not button.address.startswith("#"):
                assert signed_in(login).get(button.address).status_code == 200, (login, button.slug)


def test_every_status_and_every_act_of_the_table_is_met_here() -> None:
    met = {act for row in OFFERED.values() for acts in row.values() for act in acts.split()}
    assert met == {act for row in TABLE.values() for acts in row.values() for act in acts.split()}


# Session and person 2, request 1, the reader's groups 1, proposal 1, decisions 1, runs 1, their steps 1, who is barred
# 3 (revisions, changes of rules, who put people into the team), who can decide 1, with the groups of these and of who
# has decided 1, when they were reminded 1, who is involved 1 (operators), timeline 1; the frame 2 to 4 (what waits,
# kill switch, changes, notices). The review page also reads the standard, the last decisions and similar requests.
SPENT = (
    ("draft", "rosa", "request_detail", 10),
    ("submitted", "rosa", "request_detail", 11),
    ("in review, told long ago", "rosa", "request_detail", 15),
    ("in review", "amara", "request_detail", 16),
    ("High, one approval", "mei", "request_detail", 17),
    ("approved", "amara", "request_detail", 15),
    ("blocked", "oskar", "request_detail", 18),
    ("applied", "rosa", "request_detail", 11),
    ("in review", "amara", "approval_review", 17),
    ("High, one approval", "mei", "approval_review", 18),
)


@pytest.mark.parametrize(("state", "login", "name", "queries"), SPENT)
def test_costs_so_many_queries(
    here: World,
    signed_in: NewClient,
    django_assert_num_queries: Any,
    state: str,
    login: str,
    name: str,
    queries: int,
) -> None:
    client, address = signed_in(login), reverse(name, args=[made(here, state).pk])
    client.get(address)
    with django_assert_num_queries(queries):
        client.get(address)
