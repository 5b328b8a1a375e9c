"""The run page: steps as they happen, polls that end, and the four answers of a stopped run."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from iamroles.models import Proposal, Request, Run
from iamroles.proposal import read
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World


def text_of(response: Any) -> str:
    found: str = response.content.decode()
    return found


def address(run: Run, name: str = "run_detail") -> str:
    return reverse(name, args=[run.request_id, run.number])


def states(page: str) -> list[str]:
    return re.findall(r'<li class="step" data-state="(\w+)"', page)


@pytest.fixture
def row(here: World) -> Request:
    return world.approved(world.in_review(here.people["rosa"], world.facts_for(here.staging)), here.people["amara"])


class TestGoing:
    def test_shows_each_step_with_its_state(self, row: Request, signed_in: NewClient) -> None:
        page = text_of(signed_in("rosa").get(address(world.run_of(row, 2, under_way=True))))
        assert "Applying: step 3 of 4" in page
        assert '<progress max="4" value="2"' in page
        assert states(page) == ["ok", "ok", "intent", "planned"]
        for part in ("CreateRole", "6f1c5f0e-0000-4000-8000-000000000001", "0.6 s", "Under way", "Not started"):
            assert part in page, part

    def test_polls_answer_204_until_something_is_new(
        self, row: Request, signed_in: NewClient, django_assert_max_num_queries: Any
    ) -> None:
        run = world.run_of(row, 1, under_way=True)
        client = signed_in("rosa")
        found = re.search(r'hx-get="([^"]+)" hx-trigger="every 2s, poll-now"', text_of(client.get(address(run))))
        assert found
        with django_assert_max_num_queries(3):
            answer = client.get(found.group(1), headers={"HX-Request": "true"})
        assert (answer.status_code, answer.content) == (204, b"")
        assert signed_in("eve").get(found.group(1)).status_code == 403
        run.steps.filter(position=2).update(state="ok")
        answer = client.get(found.group(1), headers={"HX-Request": "true"})
        page = text_of(answer)
        assert states(page) == ["ok", "ok", "planned", "planned"]
        assert "<html" not in page

    def test_says_when_the_worker_gives_no_sign(self, row: Request, signed_in: NewClient) -> None:
        run = world.run_of(row, 1)
        Run.objects.filter(pk=run.pk).update(seen_at=world.now() - timedelta(seconds=45))
        assert "No sign from the worker since" in text_of(signed_in("rosa").get(address(run)))

    def test_says_why_it_waits(self, row: Request, signed_in: NewClient) -> None:
        run = world.run_of(row, 1)
        at = world.now().replace(hour=14, minute=2, second=40)
        Run.objects.filter(pk=run.pk).update(state="waiting", next_run_at=at, detail={"code": "Throttling"})
        page = text_of(signed_in("rosa").get(address(run)))
        assert "Waiting to retry: 1 of 4 steps in place" in page
        assert "Throttling. The next try starts at 14:02:40 UTC." in page

    def test_asks_less_often_after_a_minute(self, row: Request, signed_in: NewClient) -> None:
        run = world.run_of(row, 1)
        Run.objects.filter(pk=run.pk).update(started_at=world.now() - timedelta(minutes=2))
        assert 'hx-trigger="every 5s, poll-now"' in text_of(signed_in("rosa").get(address(run)))


class TestEnded:
    def test_a_done_run_polls_no_more(self, row: Request, signed_in: NewClient) -> None:
        page = text_of(signed_in("rosa").get(address(world.finished(world.run_of(row, 4)))))
        assert "Done: all 4 steps are in place" in page
        assert "hx-get" not in page

    def test_a_blocked_run_gives_four_answers_in_order(self, row: Request, signed_in: NewClient) -> None:
        run = world.stopped(world.run_of(row, 2), "blocked", code="AccessDenied", message="not authorized to perform")
        page = text_of(signed_in("oskar").get(address(run)))
        heads = re.findall(r'<h2 id="[^"]+">([^<]+)</h2>', page)
        assert heads[0] == "Blocked: 2 of 4 steps in place"
        assert heads[1:] == ["In place", "Not done", "What this means", "What you can do"]
        assert "AWS refused at AttachRolePolicy: AccessDenied." in page
        assert page.count("not authorized to perform") == 1
        assert states(page) == ["ok", "ok", "failed", "planned"]
        assert "Not tried" in page
        assert "hx-get" not in page

    def test_a_conflict_shows_base_target_and_live(self, row: Request, signed_in: NewClient) -> None:
        run = world.run_of(row, 1)
        live = read(run.proposal.canonical).target.as_mapping()
        live["role"]["description"] = "changed by hand"
        parts = [{"part": "max_session", "base": None, "target": "3600", "live": "3600"}]
        parts += [{"part": "description", "base": None, "target": "CodeDeploy for Orders", "live": "changed by hand"}]
        world.stopped(run, "conflict", live=live, differences=["The description was changed."], parts=parts)
        page = text_of(signed_in("rosa").get(address(run)))
        assert re.search(r"<del>[^<]*CodeDeploy for the Orders services", page)
        assert re.search(r"<ins>[^<]*changed by hand", page)
        assert "All of it: as it was observed before the approval" in page
        assert "The description was changed." not in page  # the columns say it
        assert "Longest session" not in page
        columns = re.findall(r"<span>([^<]+)</span></div><pre[^>]*><code>([^<]*)</code>", page)
        assert columns[:3] == [
            ("Observed before the approval", "not there"),
            ("As approved", "CodeDeploy for Orders"),
            ("Live in AWS", "changed by hand"),
        ]

    @pytest.mark.parametrize(
        ("reason", "words"),
        [("quarantined", "Quarantined: 1 of 4"), ("invalid", "The stored plan is not the approved one")],
    )
    def test_says_what_other_ends_mean(self, row: Request, signed_in: NewClient, reason: str, words: str) -> None:
        run = world.stopped(world.run_of(row, 1), reason)
        assert words in text_of(signed_in("rosa").get(address(run)))

    def test_what_an_earlier_run_put_in_place_is_not_forgotten(self, row: Request, signed_in: NewClient) -> None:
        world.stopped(world.run_of(row, 2), "blocked", code="AccessDenied")
        second = world.run_of(row, 0)
        world.stopped(second, "quarantined")
        page = text_of(signed_in("oskar").get(address(second)))
        assert "Quarantined: 2 of 4 steps in place" in page
        assert "Quarantined, 2 of 4 steps in place" in page
        assert states(page) == ["ok", "ok", "failed", "planned"]
        assert page.count("Done, in an earlier run") == 2

    def test_what_was_gone_already_is_not_called_our_doing(self, row: Request, signed_in: NewClient) -> None:
        """AWS refused the call with NoSuchEntity, and a look found nothing left."""
        run = world.finished(world.run_of(row, 4))
        run.steps.filter(position=2).update(attempt=1, code="NoSuchEntity")
        page = text_of(signed_in("oskar").get(address(run)))
        assert page.count("Was gone already") == 1

    def test_an_unknown_outcome_is_neither_in_place_nor_not_done(self, row: Request, signed_in: NewClient) -> None:
        run = world.run_of(row, 1)
        run.steps.filter(position=2).update(state="unknown", attempt=1, code="ReadTimeout")
        page = text_of(signed_in("oskar").get(address(world.stopped(run, "conflict"))))
        assert "Nobody knows whether this took effect" in page
        assert states(page) == ["ok", "planned", "planned", "unknown"]

    def test_an_invalid_run_does_not_read_the_text_that_is_not_to_be_trusted(
        self, row: Request, signed_in: NewClient
    ) -> None:
        run = world.stopped(world.run_of(row, 0), "invalid")
        Proposal.objects.update(canonical="{")
        page = text_of(signed_in("oskar").get(address(run)))
        assert "Nothing. No AWS call of this plan is known to have taken effect." in page
        assert f'href="/requests/{row.reference}/operate/abandon/"' in page

    def test_an_earlier_run_keeps_its_own_word(self, row: Request, signed_in: NewClient) -> None:
        first = world.stopped(world.run_of(row, 1), "blocked", code="AccessDenied")
        world.run_of(row, 2)
        page = text_of(signed_in("rosa").get(address(first)))
        assert 'data-status="blocked"' in page
        assert 'data-status="applying"' not in page


def test_outsiders_and_unknown_runs(row: Request, signed_in: NewClient) -> None:
    run = world.run_of(row, 1)
    assert signed_in("eve").get(address(run)).status_code == 403
    for name in ("run_detail", "run_progress"):
        assert signed_in("rosa").get(reverse(name, args=[row.pk, 7])).status_code == 404
