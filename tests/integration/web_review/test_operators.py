"""Operators' pages: which acts whom, confirm pages with a reason, pauses, stuck work, and what every page says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.urls import reverse

from iamroles.models import AuditEvent, AwsAccount, KillSwitch, Lease, ObservationOrder, Proposal, Request, Run, User
from iamroles.pages.requests import request_page
from iamroles.proposal import Envelope
from iamroles.rules import states
from iamroles.rules.tool_tags import USUAL, read_tool_tags
from iamroles.workflow import repair
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World

Key = Callable[[], str]


def text_of(response: Any) -> str:
    found: str = response.content.decode()
    return found


def act_address(row: Request, act: str) -> str:
    return reverse("request_act", args=[row.pk, act])


@pytest.fixture
def row(here: World) -> Request:
    return world.approved(world.in_review(here.people["rosa"], world.facts_for(here.staging)), here.people["amara"])


def put_into(row: Request, state: str) -> Request:
    """The approved request, in another state."""
    if state in ("blocked", "quarantined", "conflict", "invalid"):
        world.stopped(world.run_of(row, 2), state, **({"code": "AccessDenied"} if state == "blocked" else {}))
    elif state in ("going", "waiting"):
        run = world.run_of(row, 1)
        Run.objects.filter(pk=run.pk).update(state=state, next_run_at=world.now() + timedelta(minutes=4))
    elif state == "applied":
        world.finished(world.run_of(row, 4))
    elif state in ("submitted", "given_up"):
        left = None if state == "given_up" else world.now()
        Request.objects.filter(pk=row.pk).update(state="submitted", next_try_at=left, tries=12)
    elif state != "approved":
        Request.objects.filter(pk=row.pk).update(state="closed", outcome=state)
    row.refresh_from_db()
    return row


class TestTable:
    def test_an_operator_who_approved_gets_neither_release_nor_resolve(self, here: World, row: Request) -> None:
        amara = here.people["amara"]
        amara.groups.add(here.people["oskar"].groups.get())
        put_into(row, "quarantined")
        again = User.objects.get(pk=amara.pk)  # groups are kept on the row that was loaded
        assert request_page(row, again).offered == {"renew-plan", "abandon"}


class TestActPages:
    @pytest.mark.parametrize(
        "act", ["retry", "release", "renew-plan", "abandon", "try-now", "look-again", "force-lease"]
    )
    def test_are_for_operators(self, row: Request, signed_in: NewClient, act: str) -> None:
        for login in ("rosa", "amara", "idris", "eve"):
            assert signed_in(login).get(act_address(row, act)).status_code == 403
            assert signed_in(login).post(act_address(row, act), {"reason": "x"}).status_code == 403
        verb = act.replace("-", "_")
        rows = AuditEvent.objects.filter(action="verb.refused").values_list("canon", flat=True)
        assert len([canon for canon in rows if f'"verb":"{verb}"' in canon]) == 8

    def test_an_unknown_act_is_not_found(self, row: Request, signed_in: NewClient) -> None:
        assert signed_in("oskar").get(act_address(row, "explode")).status_code == 404

    def test_retry_asks_once_then_orders_a_run(self, row: Request, signed_in: NewClient, key: Key) -> None:
        put_into(row, "blocked")
        client = signed_in("oskar")
        page = text_of(client.get(act_address(row, "retry")))
        assert "Retry from step 3" in page
        posted = {"reason": "Permission added, OPS-1", "idempotency_key": key()}
        for _ in range(2):
            answer = client.post(act_address(row, "retry"), posted)
            assert (answer.status_code, answer["Location"]) == (303, reverse("request_detail", args=[row.pk]))
        assert row.runs.count() == 2
        page = text_of(client.get(answer["Location"]))
        assert "A new run of" in page
        assert "Waiting to retry" in page

    def test_a_missing_reason_comes_back_named(self, row: Request, signed_in: NewClient, key: Key) -> None:
        put_into(row, "blocked")
        answer = signed_in("oskar").post(act_address(row, "abandon"), {"reason": "", "newer": "REQ-000900"})
        page = text_of(answer)
        assert answer.status_code == 422
        assert "<title>Error: Abandon" in page
        assert 'href="#act-reason"' in page
        assert 'value="REQ-000900"' in page

    def test_an_old_sign_in_is_renewed_and_the_reason_kept(self, row: Request, signed_in: NewClient) -> None:
        put_into(row, "blocked")
        client = signed_in("oskar", minutes=6)
        answer = client.post(act_address(row, "retry"), {"reason": "Permission added, OPS-1"})
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/reauthenticate/?next=")
        assert row.runs.count() == 1
        assert "Permission added, OPS-1</textarea>" in text_of(client.get(act_address(row, "retry")))
        assert "Permission added" not in text_of(client.get(act_address(row, "abandon")))

    def test_a_lost_race_is_a_conflict(self, row: Request, signed_in: NewClient) -> None:
        put_into(row, "blocked")
        client = signed_in("oskar")
        client.post(act_address(row, "abandon"), {"reason": "Not wanted any more"})
        answer = client.post(act_address(row, "retry"), {"reason": "Permission added"})
        assert answer.status_code == 409
        assert "this act is not possible now" in text_of(client.get(act_address(row, "retry")))

    def test_abandon_lists_the_steps(self, row: Request, signed_in: NewClient) -> None:
        put_into(row, "blocked")
        page = text_of(signed_in("oskar").get(act_address(row, "abandon")))
        lists = re.findall(r"<dt>([^<]+)</dt><dd>(.*?)</dd>", page, re.DOTALL)
        assert [(name, len(re.findall("<div>", value))) for name, value in lists] == [
            ("Done", 2),
            ("Not done", 2),
            ("Unknown", 0),
        ]

    def test_a_request_whose_proposal_was_changed_can_still_be_abandoned(
        self, row: Request, signed_in: NewClient
    ) -> None:
        put_into(row, "invalid")
        Proposal.objects.update(canonical="{}")
        client = signed_in("oskar")
        assert "Abandon REQ-" in text_of(client.get(act_address(row, "abandon")))
        assert client.post(act_address(row, "abandon"), {"reason": "Tampered with"}).status_code == 303
        row.refresh_from_db()
        assert row.outcome == "abandoned"


class TestAfterRenewing:
    def test_an_earlier_revisions_run_decides_nothing(self, here: World, row: Request, signed_in: NewClient) -> None:
        put_into(row, "blocked")
        oskar = here.people["oskar"]
        given = {"reason": "AWS changed", "signed_in_at": world.now(), "actor": world.actor(oskar), "at": world.now()}
        repair.renew_plan(request_id=row.pk, user=oskar, **given)
        world.proposed(row)
        row.refresh_from_db()
        world.approved(row, here.people["amara"])
        for path in ("/requests/?tab=in_progress", f"/requests/{row.reference}/", "/"):
            page = text_of(signed_in("rosa").get(path))
            assert 'data-status="approved"' in page, path
        assert row.reference not in text_of(signed_in("rosa").get("/requests/?tab=needs_attention"))
        page = request_page(row, here.people["rosa"])
        assert (page.status.word, page.offered) == ("Approved", {"withdraw"})
        assert page.next_step == "Approved. A worker takes it up next."

    def test_closing_it_then_does_not_claim_that_nothing_was_changed(
        self, here: World, row: Request, signed_in: NewClient
    ) -> None:
        put_into(row, "blocked")
        Request.objects.filter(pk=row.pk).update(state="closed", outcome="withdrawn")
        row.refresh_from_db()
        said = request_page(row, here.people["rosa"]).next_step
        assert said == "It was withdrawn by its requester. What a run put in place before stays; it is listed below."


def answered(row: Request, state: str, minutes: float = 0, **result: Any) -> ObservationOrder:
    """A worker's look for the request, as it answers one."""
    proposal = row.current_proposal()
    assert proposal is not None
    at = world.now() - timedelta(minutes=minutes)
    found = {"state": state, "proposal_digest": proposal.digest, "live_digest": "3" * 64, "role": None, "parts": []}
    assert row.account is not None
    return ObservationOrder.objects.create(
        account=row.account,
        ordered_by=row.requester,
        request=row,
        role_name=row.role_name,
        at=at,
        answered_at=at,
        result={**found, **result},
    )


class TestFollowUp:
    """The deny for older sessions that a follow-up did not take away, since it could not be proved any more."""

    @pytest.fixture
    def stopped(self, row: Request) -> Run:
        put_into(row, "applied")
        return world.stopped(world.run_of(row), "invalid", follow_up=True)

    def test_is_listed_as_stuck_work_with_what_can_be_done(
        self, row: Request, stopped: Run, signed_in: NewClient
    ) -> None:
        client = signed_in("oskar")
        assert "1 follow-up is not what was approved" in text_of(client.get(reverse("operations_health")))
        for page in (reverse("operations_jobs"), reverse("request_detail", args=[row.pk])):
            shown = text_of(client.get(page))
            assert act_address(row, "retry-follow-up") in shown
            assert reverse("request_against_aws", args=[row.pk]) in shown
        assert "follow-up not done" in text_of(client.get(reverse("operations_jobs")))
        run = text_of(client.get(reverse("run_detail", args=[row.pk, stopped.number])))
        assert "an operator ends the follow-up once a look shows it gone" in run
        assert "The deny for older sessions was not deleted." in run
        assert "An operator abandons it" not in run
        assert "the reading back was not equal" not in run

    def test_is_tried_again_with_a_reason(
        self, row: Request, stopped: Run, signed_in: NewClient, key: Key, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Run.objects.filter(request=row, number=1).update(detail={"trust_changed_at": world.now().isoformat()})
        path = act_address(row, "retry-follow-up")
        assert "then deletes the deny" in text_of(signed_in("oskar").get(path))
        typed = {"idempotency_key": key(), "reason": "The approval is back, OPS-9"}
        assert signed_in("oskar").post(path, typed).status_code == 303
        assert Run.objects.get(request=row, number=1).follow_up_at is not None
        page = text_of(signed_in("oskar").get(reverse("operations_jobs")))
        assert row.reference not in page

    def test_is_ended_over_a_look_that_found_it_gone(
        self, row: Request, stopped: Run, signed_in: NewClient, key: Key
    ) -> None:
        path, resolve = reverse("request_against_aws", args=[row.pk]), reverse("request_resolve", args=[row.pk])
        client = signed_in("oskar")
        left = {"parts": [{"part": "inline portal-deny-older-sessions", "base": "{}", "target": None, "live": "{}"}]}
        answered(row, "left", run=stopped.number, live_digest="0" * 64, **left)
        page = text_of(client.get(path))
        assert "The deny for older sessions is still on the role" in page
        assert 'value="settle"' not in page
        said = {"act": "settle", "reason": "Deleted by hand, OPS-9"}
        assert client.post(resolve, {**said, "idempotency_key": key()}).status_code == 422
        answered(row, "gone", run=stopped.number, live_digest="0" * 64)
        assert f"End the follow-up of {row.reference}" in text_of(client.get(path))
        assert client.post(resolve, {**said, "idempotency_key": key()}).status_code == 303
        assert "Stopped work" in text_of(client.get(reverse("operations_health")))
        assert "not what was approved" not in text_of(client.get(reverse("operations_health")))
        assert 'value="settle"' not in text_of(client.get(path))


class TestAgainstAws:
    def path(self, row: Request) -> str:
        return reverse("request_against_aws", args=[row.pk])

    def test_orders_a_look_and_waits_for_it(self, row: Request, signed_in: NewClient, key: Key) -> None:
        put_into(row, "applied")
        client = signed_in("oskar")
        assert "Look at AWS" in text_of(client.get(self.path(row)))
        assert client.post(self.path(row), {"idempotency_key": key()}).status_code == 303
        assert client.post(self.path(row), {"idempotency_key": key()}).status_code == 303
        order = ObservationOrder.objects.get()
        page = text_of(client.get(self.path(row)))
        assert "A worker reads orders-staging." in page
        assert 'hx-trigger="every 1s, poll-now"' in page
        assert client.get(self.path(row), headers={"HX-Request": "true"}).status_code == 204
        answer = {"state": "different", "parts": [{"part": "trust", "base": None, "target": "{}", "live": None}]}
        ObservationOrder.objects.filter(pk=order.pk).update(answered_at=world.now(), result=answer)
        page = text_of(client.get(self.path(row), headers={"HX-Request": "true"}))
        assert "AWS does not read as asked" in page
        assert "Trust policy" in page
        assert "hx-get" not in page

    def test_is_not_shown_as_a_role_check(self, row: Request, signed_in: NewClient) -> None:
        order = answered(row, "equal")
        assert signed_in("rosa").get(reverse("role_check_result", args=[order.pk])).status_code == 404

    def test_two_operators_mark_it_resolved(self, row: Request, signed_in: NewClient) -> None:
        put_into(row, "blocked")
        live = world.grown_base(
            world.facts_for(AwsAccount.objects.get(name="orders-staging")),
            world.facts_for(AwsAccount.objects.get(name="orders-staging")),
        ).role
        assert live is not None
        answered(row, "equal", role=live.as_mapping())
        resolve = reverse("request_resolve", args=[row.pk])
        first, second = signed_in("oskar"), signed_in("ines")
        assert "Propose REQ-" in text_of(first.get(self.path(row)))
        assert first.post(resolve, {"act": "propose", "reason": "Attached by hand"})["Location"] == self.path(row)
        page = text_of(first.get(self.path(row)))
        assert "You proposed this, so another operator must confirm it." in page
        assert first.post(resolve, {"act": "confirm", "reason": "Yes"}).status_code == 403
        assert "Confirm that REQ-" in text_of(second.get(self.path(row)))
        assert second.post(resolve, {"act": "confirm", "reason": "Seen in the console"}).status_code == 303
        row.refresh_from_db()
        assert row.outcome == "resolved"
        assert "Resolved" in text_of(first.get(reverse("request_detail", args=[row.pk])))

    @pytest.mark.parametrize(
        ("state", "minutes", "note"),
        [
            ("different", 0, "once a look finds that AWS reads as approved"),
            ("equal", 11, "The look is older than ten minutes"),
        ],
    )
    def test_offers_no_form_without_a_fresh_equal_look(
        self, row: Request, signed_in: NewClient, state: str, minutes: float, note: str
    ) -> None:
        put_into(row, "blocked")
        answered(row, state, minutes)
        page = text_of(signed_in("oskar").get(self.path(row)))
        assert note in page
        assert 'name="reason"' not in page
        answer = signed_in("oskar").post(reverse("request_resolve", args=[row.pk]), {"act": "propose", "reason": "Yes"})
        assert answer.status_code == 422


class TestPauses:
    def test_the_kill_switch_shows_on_every_page_until_it_is_off(
        self, row: Request, signed_in: NewClient, key: Key
    ) -> None:
        oskar, rosa = signed_in("oskar"), signed_in("rosa")
        pages = ("/", "/requests/", f"/requests/{row.reference}/", "/help/", "/settings/", "/audit/")
        assert not any("Everything is paused" in text_of(rosa.get(path)) for path in pages)
        posted = {"act": "pause", "reason": "Odd calls in CloudTrail", "idempotency_key": key()}
        assert oskar.post("/ops/pause/", posted).status_code == 303
        for path in pages:
            page = text_of(rosa.get(path))
            assert "Everything is paused" in page, path
            assert "Odd calls in CloudTrail" in page, path
        assert 'href="/ops/pause/"' not in text_of(rosa.get("/"))
        assert 'href="/ops/pause/"' in text_of(oskar.get("/"))
        health = text_of(oskar.get("/ops/"))
        assert "The kill switch is on: nothing is changed in any AWS account." in health
        assert oskar.post("/ops/pause/", {"act": "resume", "reason": "All is well"}).status_code == 303
        assert not KillSwitch.objects.exists()
        assert "Everything is paused" not in text_of(rosa.get("/"))

    def test_a_second_pause_does_not_turn_it_off(self, here: World, signed_in: NewClient) -> None:
        """The posted form says which of the two it is, not the state when it arrives."""
        client = signed_in("oskar")
        client.post("/ops/pause/", {"act": "pause", "reason": "Odd calls"})
        assert client.post("/ops/pause/", {"act": "pause", "reason": "Odd calls"}).status_code == 409
        assert KillSwitch.objects.exists()

    def test_one_account(self, here: World, signed_in: NewClient) -> None:
        client = signed_in("oskar")
        path = reverse("pause_account", args=[here.prod.number])
        assert "Pause additions to orders-prod" in text_of(client.get(path))
        assert client.post(path, {"act": "pause", "reason": ""}).status_code == 422
        assert client.post(path, {"act": "pause", "reason": "Audit of orders-prod"}).status_code == 303
        health = text_of(client.get("/ops/"))
        assert "Nothing is added in orders-prod: operators paused it." in health
        assert "Audit of orders-prod" in health
        assert client.post(path, {"act": "resume", "reason": "Done"}).status_code == 303
        here.prod.refresh_from_db()
        assert here.prod.paused_at is None
        assert client.get(reverse("pause_account", args=["000000000000"])).status_code == 404


class TestJobs:
    def test_lists_what_does_not_go_on_with_its_acts(self, here: World, row: Request, signed_in: NewClient) -> None:
        put_into(row, "blocked")
        given_up = world.sent(here.people["rosa"], world.facts_for(here.prod, role_name="r2"))
        Request.objects.filter(pk=given_up.pk).update(tries=12, next_try_at=None, last_code="AccessDenied")
        page = text_of(signed_in("oskar").get("/ops/jobs/"))
        assert "Blocked, 2 of 4 steps in place" in page
        for path in (act_address(row, "retry"), act_address(row, "abandon"), act_address(given_up, "look-again")):
            assert f'href="{path}"' in page
        assert signed_in("rosa").get("/ops/jobs/").status_code == 403

    def test_costs_the_same_whatever_the_rows(
        self, here: World, signed_in: NewClient, django_assert_max_num_queries: Any
    ) -> None:
        amara = here.people["amara"]
        for name in ("r1", "r2", "r3"):
            facts = world.facts_for(here.staging, role_name=name)
            put_into(world.approved(world.in_review(here.people["rosa"], facts), amara), "quarantined")
        client = signed_in("oskar")
        with django_assert_max_num_queries(15):
            page = text_of(client.get("/ops/jobs/"))
        assert page.count("Release from quarantine") == 3

    def test_shows_leases_past_their_deadline(self, here: World, row: Request, signed_in: NewClient) -> None:
        run = world.run_of(row, 1, under_way=True)
        lease = Lease.objects.create(
            account=here.staging,
            resource=f"arn:aws:iam::{here.staging.number}:role/ecscodedeployrole",
            owner="worker-1:abc",
            fence=run.fence,
            hard_until=world.now() - timedelta(seconds=20),
        )
        client = signed_in("oskar")
        assert "Held past the deadline" not in text_of(client.get("/ops/jobs/"))
        Lease.objects.filter(pk=lease.pk).update(hard_until=world.now() - timedelta(seconds=40))
        page = text_of(client.get("/ops/jobs/"))
        assert f'href="{act_address(row, "force-lease")}"' in page
        assert "Force the lease of REQ-" in text_of(client.get(act_address(row, "force-lease")))


class TestOwnedElsewhere:
    @pytest.fixture
    def owned(self, here: World, monkeypatch: pytest.MonkeyPatch) -> Request:
        """In review, for a role that Terraform manages."""
        monkeypatch.setattr(world, "Envelope", partial(Envelope, tool_tags=read_tool_tags(USUAL)))
        facts = world.facts_for(here.staging)
        base = world.existing_base(facts)
        assert base.role is not None
        role = replace(base.role, tags={"managed-by": "terraform"})
        return world.in_review(here.people["rosa"], facts, replace(base, role=role))

    def test_the_review_says_what_approving_means(self, owned: Request, signed_in: NewClient) -> None:
        page = text_of(signed_in("amara").get(reverse("approval_review", args=[owned.pk])))
        assert "Handed over, not applied" in page
        assert "Terraform manages this role (tag managed-by = terraform)" in page
        page = text_of(signed_in("rosa").get(reverse("request_detail", args=[owned.pk])))
        assert "What Terraform will have to change; Roledesk calls nothing" in page

    def test_the_closed_request_shows_the_text_to_copy(self, owned: Request, signed_in: NewClient) -> None:
        put_into(owned, "handed_over")
        page = text_of(signed_in("rosa").get(reverse("request_detail", args=[owned.pk])))
        assert "Another tool manages this role: give its repository the text below." in page
        assert 'data-copy-from="terraform-text"' in page
        assert "Put this into its repository" in page


def test_home_leads_operators_to_set_up_until_a_request_is_applied(here: World, signed_in: NewClient) -> None:
    link = 'href="/setup/">Open set-up</a>'
    waiting = world.in_review(here.people["rosa"], world.facts_for(here.staging))
    shown = {login: link in text_of(signed_in(login).get("/")) for login in ("oskar", "amara", "rosa", "idris")}
    assert shown == {"oskar": True, "amara": False, "rosa": False, "idris": False}
    Request.objects.filter(pk=waiting.pk).update(state=states.CLOSED, closed_at=world.now(), outcome="applied")
    assert link not in text_of(signed_in("oskar").get("/"))
