"""The request page: what happens next, actions by state and person, polls, withdrawing, commenting, the list."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from iamroles.models import AuditEvent, Request
from iamroles.pages import request_list
from iamroles.pages.requests import request_page
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World

Key = Callable[[], str]
SCRIPT = "<script>alert('x')</script>"


def detail(row: Request) -> str:
    return reverse("request_detail", args=[row.pk])


def text_of(response: Any) -> str:
    found: str = response.content.decode()
    return found


def in_state(here: World, state: str) -> Request:
    """A request of Rosa's in a state, by name."""
    rosa, amara = here.people["rosa"], here.people["amara"]
    facts = world.facts_for(here.staging)
    if state == "draft":
        return world.saved(rosa, facts)
    if state == "submitted":
        return world.sent(rosa, facts)
    row = world.in_review(rosa, facts)
    if state == "in_review":
        return row
    row = world.approved(row, amara)
    if state == "going":
        world.run_of(row, 2, under_way=True)
    if state == "blocked":
        world.stopped(world.run_of(row, 2), "blocked", code="AccessDenied", message="not authorized")
    if state == "applied":
        world.finished(world.run_of(row, 4))
    row.refresh_from_db()
    return row


class TestPage:
    @pytest.mark.parametrize(
        ("state", "word", "sentence"),
        [
            ("draft", "Draft", "Nothing has been sent."),
            ("submitted", "Submitted", "A worker is reading orders-staging."),
            ("in_review", "In review", "It waits for approval by approvers."),
            ("approved", "Approved", "Approved. A worker takes it up next"),
            ("going", "Applying", "A worker is applying it in orders-staging."),
            ("blocked", "Blocked, 2 of 4 steps in place", "It stopped and does not go on by itself."),
            ("applied", "Applied", "says exactly what was approved."),
        ],
    )
    def test_says_what_happens_next(
        self, here: World, signed_in: NewClient, state: str, word: str, sentence: str
    ) -> None:
        answer = signed_in("rosa").get(detail(in_state(here, state)))
        page = text_of(answer)
        assert answer.status_code == 200
        first = re.search(r'<span class="status[^>]*>.*?</svg>([^<]*)</span>', page, re.DOTALL)
        assert first
        assert first.group(1) == word
        assert sentence in page

    def test_shows_facts_plan_documents_and_timeline(self, here: World, signed_in: NewClient) -> None:
        page = text_of(signed_in("theo").get(detail(in_state(here, "in_review"))))
        for part in (
            "orders-worker-task",
            "Create the role ecsCodeDeployRole with its trust policy and its tags",
            "Attach Limited (AWSCodeDeployRoleForECSLimited) to ecsCodeDeployRole",
            "iam:PassedToService",
            "Rosa Lindqvist sent REQ-",
        ):
            assert part in page, part

    @pytest.mark.parametrize(("state", "imports"), [("in_review", None), ("approved", 0), ("applied", 4)])
    def test_shows_the_terraform_text_from_the_approval_on(
        self, here: World, signed_in: NewClient, state: str, imports: int | None
    ) -> None:
        page = text_of(signed_in("theo").get(detail(in_state(here, state))))
        found = re.search(r'<pre id="terraform-text"[^>]*><code>(.*?)</code>', page, re.DOTALL)
        text = html.unescape(found.group(1)) if found else None
        assert (text.count("import {") if text else None) == imports
        assert ('data-copy-from="terraform-text"' in page) is (text is not None)
        assert text is None or 'resource "aws_iam_role" "ecsCodeDeployRole" {' in text

    def test_hides_drafts_from_operators_on_every_page_of_theirs(self, here: World, signed_in: NewClient) -> None:
        draft = in_state(here, "draft")
        Request.objects.filter(pk=draft.pk).update(title="Nobody's business yet")
        client = signed_in("oskar")
        for path in ("operate/retry/", "operate/force-lease/", "against-aws/"):
            answer = client.get(detail(draft) + path)
            assert (answer.status_code, "business yet" in answer.content.decode()) == (403, False)
        assert client.post(detail(draft) + "resolve/").status_code == 403

    def test_hides_drafts_and_other_teams_requests(self, here: World, signed_in: NewClient) -> None:
        draft, row = in_state(here, "draft"), in_state(here, "in_review")
        seen = {
            login: [signed_in(login).get(detail(r)).status_code for r in (draft, row)]
            for login in ("rosa", "theo", "amara", "idris", "eve")
        }
        assert seen == {
            "rosa": [200, 200],
            "theo": [403, 200],
            "amara": [403, 200],
            "idris": [403, 200],
            "eve": [403, 403],
        }

    def test_counts_approvals_of_a_closed_request_as_when_they_were_given(self, here: World) -> None:
        going = in_state(here, "approved")
        here.people["amara"].groups.clear()
        rosa = here.people["rosa"]
        today = request_page(going, rosa).progress
        assert today is not None
        assert today.sentence == "0 of 1 approval: approvers missing."
        world.finished(world.run_of(going, 4))
        applied = request_page(Request.objects.get(pk=going.pk), rosa).progress
        assert applied is not None
        assert applied.sentence == "1 of 1 approval: approvers done."

    def test_says_the_code_of_a_failed_look(self, here: World, signed_in: NewClient) -> None:
        row = in_state(here, "submitted")
        Request.objects.filter(pk=row.pk).update(tries=3, last_code="AccessDenied")
        page = text_of(signed_in("rosa").get(detail(row)))
        assert "Reading orders-staging failed: AccessDenied. The next try starts" in page
        Request.objects.filter(pk=row.pk).update(tries=12)
        assert "It was tried 12 times. An operator has to look." in text_of(signed_in("rosa").get(detail(row)))

    def test_says_since_when_no_worker_answers(self, here: World, signed_in: NewClient) -> None:
        row = in_state(here, "submitted")
        rows = Request.objects.filter(pk=row.pk)
        now = datetime.now(UTC)
        early, late = now - timedelta(seconds=20), now - timedelta(seconds=31)
        said = f"No answer from a worker since {late:%H:%M:%S} UTC; another will take over."
        failed = {"last_code": "Throttling", "tries": 2, "updated_at": now - timedelta(hours=1)}
        for values, expected in (
            ({"updated_at": early}, False),
            ({"updated_at": late, "next_try_at": now + timedelta(seconds=29)}, True),
            ({**failed, "next_try_at": early}, False),
            ({**failed, "next_try_at": late}, True),
            ({**failed, "next_try_at": late, "tries": 12}, False),
        ):
            rows.update(**values)
            page = text_of(signed_in("rosa").get(detail(row)))
            assert (said in page, "No answer" in page) == (expected, expected), values

    def test_costs_the_same_whatever_its_history(
        self, here: World, signed_in: NewClient, key: Key, django_assert_max_num_queries: Any
    ) -> None:
        row = in_state(here, "in_review")
        client = signed_in("rosa")
        spent = []
        for comments in (1, 8):
            for number in range(comments):
                client.post(reverse("request_comment", args=[row.pk]), {"text": f"{number}", "idempotency_key": key()})
            with django_assert_max_num_queries(15) as captured:
                client.get(detail(row))
            spent.append(len(captured))
        assert spent[0] == spent[1]


class TestPolling:
    def poll(self, client: Any, row: Request, seen: str, **headers: str) -> Any:
        address = reverse("request_status", args=[row.pk])
        return client.get(address, {"seen": seen}, headers={"HX-Request": "true", **headers})

    def marker(self, client: Any, row: Request) -> str:
        found = re.search(r'hx-get="[^"]*\?seen=([0-9a-f.]+)"', text_of(client.get(detail(row))))
        assert found
        return found.group(1)

    def test_answers_204_until_something_is_new(
        self, here: World, signed_in: NewClient, django_assert_max_num_queries: Any
    ) -> None:
        row = in_state(here, "submitted")
        client = signed_in("rosa")
        seen = self.marker(client, row)
        with django_assert_max_num_queries(4):
            answer = self.poll(client, row, seen)
        assert (answer.status_code, answer.content) == (204, b"")
        world.proposed(row)
        answer = self.poll(client, row, seen)
        page = text_of(answer)
        assert answer.status_code == 200
        assert "<html" not in page
        assert "In review" in page
        assert 'id="request-proposal"' in page
        assert 'hx-trigger="every 30s, poll-now"' in page  # a person has it now, not a worker

    def test_shows_an_open_page_that_it_was_approved(self, here: World, signed_in: NewClient) -> None:
        row = in_state(here, "in_review")
        seen = self.marker(signed_in("rosa"), row)
        assert self.poll(signed_in("rosa"), row, seen).status_code == 204
        world.approved(row, here.people["amara"])
        page = text_of(self.poll(signed_in("rosa"), row, seen))
        assert ("Approved" in page, 'hx-trigger="every 2s, poll-now"' in page) == (True, True)

    def test_tells_an_open_page_that_no_worker_answers(self, here: World, signed_in: NewClient) -> None:
        row = in_state(here, "submitted")
        client = signed_in("rosa")
        seen = self.marker(client, row)
        Request.objects.filter(pk=row.pk).update(updated_at=datetime.now(UTC) - timedelta(seconds=31))
        answer = self.poll(client, row, seen)
        assert (answer.status_code, "No answer from a worker since" in text_of(answer)) == (200, True)
        assert self.poll(client, row, self.marker(client, row)).status_code == 204

    def test_sends_only_the_progress_when_a_step_is_done(self, here: World, signed_in: NewClient) -> None:
        row = in_state(here, "approved")
        run = world.run_of(row, 1, under_way=True)
        client = signed_in("rosa")
        seen = self.marker(client, row)
        run.steps.filter(position=2).update(state="ok")
        page = text_of(self.poll(client, row, seen))
        assert "Applying: step 3 of 4" in page
        assert 'id="request-proposal"' not in page

    def test_a_mark_is_of_no_use_to_somebody_else(self, here: World, signed_in: NewClient) -> None:
        row = in_state(here, "submitted")
        seen = self.marker(signed_in("rosa"), row)
        assert self.poll(signed_in("eve"), row, seen).status_code == 403
        assert self.poll(signed_in("theo"), row, seen).status_code == 200

    def test_stops_at_the_end(self, here: World, signed_in: NewClient) -> None:
        for state in ("blocked", "applied"):
            assert "hx-get" not in text_of(signed_in("rosa").get(detail(in_state(here, state)))), state

    def test_has_a_link_without_script(self, here: World, signed_in: NewClient) -> None:
        row = in_state(here, "submitted")
        page = text_of(signed_in("rosa").get(detail(row)))
        assert f'<noscript><p class="small"><a href="{detail(row)}">Reload' in page


class TestWithdrawing:
    def test_asks_first_then_withdraws(self, here: World, signed_in: NewClient, key: Key) -> None:
        row = in_state(here, "in_review")
        client = signed_in("rosa")
        address = reverse("request_withdraw", args=[row.pk])
        assert f"Withdraw {row.reference}?" in text_of(client.get(address))
        row.refresh_from_db()
        assert row.state == "in_review"
        answer = client.post(address, {"reason": "not needed", "idempotency_key": key()})
        assert (answer.status_code, answer["Location"]) == (303, detail(row))
        row.refresh_from_db()
        assert (row.state, row.outcome) == ("closed", "withdrawn")

    def test_refuses_others_and_records_it(self, here: World, signed_in: NewClient, key: Key) -> None:
        row = in_state(here, "in_review")
        answer = signed_in("theo").post(reverse("request_withdraw", args=[row.pk]), {"idempotency_key": key()})
        assert answer.status_code == 403
        row.refresh_from_db()
        assert row.state == "in_review"
        event = AuditEvent.objects.get(action="verb.refused")
        assert (event.actor_name, event.code, event.request) == ("Theo Marsh", "not_requester", row.reference)

    def test_refuses_once_a_step_was_made(self, here: World, signed_in: NewClient, key: Key) -> None:
        row = in_state(here, "going")
        answer = signed_in("rosa").post(reverse("request_withdraw", args=[row.pk]), {"idempotency_key": key()})
        assert answer.status_code == 409
        assert "cannot be withdrawn any more" in text_of(
            signed_in("rosa").get(reverse("request_withdraw", args=[row.pk]))
        )

    def test_wants_a_token(self, here: World, signed_in: NewClient) -> None:
        row = in_state(here, "in_review")
        answer = signed_in("rosa", strict=True).post(reverse("request_withdraw", args=[row.pk]), {})
        assert answer.status_code == 403
        row.refresh_from_db()
        assert row.state == "in_review"


class TestCommenting:
    def test_adds_to_the_timeline_escaped(self, here: World, signed_in: NewClient, key: Key) -> None:
        row = in_state(here, "in_review")
        client = signed_in("amara")
        values = {"text": f"Which ticket? {SCRIPT}", "idempotency_key": key()}
        answer = client.post(reverse("request_comment", args=[row.pk]), values)
        assert (answer.status_code, answer["Location"]) == (303, f"{detail(row)}#timeline")
        page = text_of(client.get(detail(row)))
        assert "Amara Okafor commented on" in page
        assert SCRIPT not in page

    def test_keeps_a_text_that_is_too_long(self, here: World, signed_in: NewClient, key: Key) -> None:
        row = in_state(here, "in_review")
        values = {"text": "long " * 500, "idempotency_key": key()}
        answer = signed_in("amara").post(reverse("request_comment", args=[row.pk]), values)
        assert answer.status_code == 422
        assert "long long long" in text_of(answer)
        assert not AuditEvent.objects.filter(action="request.commented").exists()

    def test_refuses_an_outsider_and_get(self, here: World, signed_in: NewClient, key: Key) -> None:
        row = in_state(here, "in_review")
        address = reverse("request_comment", args=[row.pk])
        assert signed_in("eve").post(address, {"text": "hello", "idempotency_key": key()}).status_code == 403
        assert signed_in("amara").get(address).status_code == 405
        assert not AuditEvent.objects.filter(action="request.commented").exists()


class TestList:
    def references(self, response: Any) -> list[str]:
        return re.findall(r'<div class="row-main">\s*<a href="/requests/(REQ-\d{6})/">', text_of(response))

    def test_shows_what_the_person_may_see_newest_first(self, here: World, signed_in: NewClient) -> None:
        draft, row, applied = in_state(here, "draft"), in_state(here, "in_review"), in_state(here, "applied")
        every = [applied.reference, row.reference, draft.reference]
        assert self.references(signed_in("rosa").get("/requests/")) == every
        assert self.references(signed_in("theo").get("/requests/")) == every[:2]
        assert self.references(signed_in("eve").get("/requests/")) == []

    def test_sorts_into_tabs(self, here: World, signed_in: NewClient) -> None:
        rows = {
            state: in_state(here, state) for state in ("draft", "submitted", "in_review", "going", "blocked", "applied")
        }
        client = signed_in("rosa")
        found = {tab: self.references(client.get(f"/requests/?tab={tab}")) for tab in request_list.TABS if tab}
        assert found == {
            "drafts": [rows["draft"].reference],
            "in_review": [rows["in_review"].reference, rows["submitted"].reference],
            "in_progress": [rows["going"].reference],
            "needs_attention": [rows["blocked"].reference],
            "done": [rows["applied"].reference],
            "closed": [],
        }

    def test_pages_keep_the_filter_and_cost_the_same(
        self,
        here: World,
        signed_in: NewClient,
        monkeypatch: pytest.MonkeyPatch,
        django_assert_max_num_queries: Any,
    ) -> None:
        monkeypatch.setattr(request_list, "PAGE_SIZE", 4)
        for number in range(7):
            world.sent(here.people["rosa"], world.facts_for(here.prod, role_name=f"orders-{number}"))
        client = signed_in("theo")
        with django_assert_max_num_queries(8) as first:
            answer = client.get("/requests/?q=orders-&tab=in_review")
        following = re.search(r'href="(\?[^"]*before=\d+)" rel="next"', text_of(answer))
        assert following
        query = following.group(1).replace("&amp;", "&")
        assert query.startswith("?q=orders-&tab=in_review&")
        with django_assert_max_num_queries(8) as second:
            rest = client.get(f"/requests/{query}")
        assert len(self.references(answer)) == 4
        assert len(self.references(rest)) == 3
        assert len(first) == len(second)
