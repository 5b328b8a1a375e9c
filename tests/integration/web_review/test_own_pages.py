"""Settings, help and the health page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse

from iamroles.models import AuditEvent, ExportJob, Notice, Request
from iamroles.pages import status
from iamroles.pages.operations import health, late_follow_ups, stopped_follow_ups
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World

Key = Callable[[], str]


class TestPreferences:
    def test_stores_zone_and_keys_with_an_event(self, here: World, signed_in: NewClient, key: Key) -> None:
        values = {"time_zone": "Europe/Berlin", "mail": "on", "idempotency_key": key()}
        answer = signed_in("rosa").post(reverse("preferences"), values)
        assert (answer.status_code, answer["Location"]) == (303, "/settings/")
        rosa = here.people["rosa"]
        rosa.refresh_from_db()
        assert (rosa.time_zone, rosa.single_keys) == ("Europe/Berlin", False)
        event = AuditEvent.objects.get(action="user.changed")
        assert json.loads(event.canon)["data"] == {"changes": ["single_keys", "time_zone"], "user": str(rosa.pk)}
        assert 'data-keys="off"' in signed_in("rosa").get("/help/").content.decode()

    def test_refuses_a_zone_that_does_not_exist(self, here: World, signed_in: NewClient, key: Key) -> None:
        values = {"time_zone": "Mars/Olympus", "single_keys": "on", "idempotency_key": key()}
        answer = signed_in("rosa").post(reverse("preferences"), values)
        page = answer.content.decode()
        assert answer.status_code == 422
        assert "There is no time zone" in page
        assert 'value="Mars/Olympus"' in page
        here.people["rosa"].refresh_from_db()
        assert here.people["rosa"].time_zone == "UTC"

    def test_the_next_page_has_the_theme(self, here: World, signed_in: NewClient) -> None:
        client = signed_in("rosa")
        answer = client.post(reverse("theme"), {"theme": "dark", "next": "/help/"})
        assert (answer.status_code, answer["Location"]) == (303, "/help/")
        assert '<html lang="en-GB" data-theme="dark">' in client.get("/help/").content.decode()
        client.post(reverse("theme"), {"theme": ""})
        assert "data-theme" not in client.get("/help/").content.decode()

    @pytest.mark.parametrize("following", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
    def test_the_theme_leads_to_no_other_site(self, here: World, signed_in: NewClient, following: str) -> None:
        answer = signed_in("rosa").post(reverse("theme"), {"theme": "light", "next": following})
        assert answer["Location"] == "/settings/"

    def test_get_changes_no_theme_and_a_token_is_wanted(self, here: World, signed_in: NewClient) -> None:
        assert signed_in("rosa").get(reverse("theme")).status_code == 405
        for name in ("theme", "preferences"):
            assert signed_in("rosa", strict=True).post(reverse(name), {"theme": "dark"}).status_code == 403


class TestHelp:
    def test_explains_limited_and_the_keys(self, here: World, signed_in: NewClient) -> None:
        page = signed_in("rosa").get("/help/").content.decode()
        for part in ("AWSCodeDeployRoleForECSLimited", "CodeDeployHook_", 'id="keys"', "Proposal, proposal digest"):
            assert part in page, part


class TestHealth:
    def words(self, at: Any = None) -> dict[str, tuple[str, str]]:
        found = health(at or world.now())
        return {row.name: (row.tone, row.sentence) for row in found.rows}

    def test_is_for_operators(self, here: World, signed_in: NewClient) -> None:
        assert signed_in("oskar").get("/ops/").status_code == 200
        assert signed_in("amara").get("/ops/").status_code == 403
        assert AuditEvent.objects.get(action="verb.refused").code == "not_operator"

    def test_does_not_claim_a_worker_that_nobody_saw(self, here: World) -> None:
        assert self.words()["Workers"] == ("ok", "No worker has done anything yet, and nothing is due.")

    def test_due_work_that_nobody_takes_means_no_worker(self, here: World) -> None:
        world.sent(here.people["rosa"], world.facts_for(here.prod))
        assert self.words()["Workers"][0] == "ok"
        later = self.words(world.now() + timedelta(seconds=61))
        assert later["Workers"][0] == "bad"
        assert later["Waiting work"] == ("ok", "1 piece of work is due.")
        assert health(world.now() + timedelta(seconds=61)).tone == "bad"

    def test_counts_what_a_person_has_to_look_at(self, here: World) -> None:
        row = world.approved(world.in_review(here.people["rosa"], world.facts_for(here.staging)), here.people["amara"])
        world.stopped(world.run_of(row, 1), "blocked", code="AccessDenied")
        given_up = world.sent(here.people["rosa"], world.facts_for(here.prod, role_name="r2"))
        Request.objects.filter(pk=given_up.pk).update(tries=12, next_try_at=None)
        assert self.words()["Stopped work"] == (
            "warn",
            "1 run has stopped and 1 look at AWS was given up. Nothing goes on there until a person looks.",
        )

    def test_counts_a_run_that_was_tried_again_no_more(self, here: World) -> None:
        row = world.approved(world.in_review(here.people["rosa"], world.facts_for(here.staging)), here.people["amara"])
        world.stopped(world.run_of(row, 1), "blocked", code="AccessDenied")
        going = world.run_of(row, 1)
        assert self.words()["Stopped work"] == ("ok", "None.")
        world.stopped(going, "blocked", code="AccessDenied")
        assert self.words()["Stopped work"][1].startswith("1 run has stopped.")

    @pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL scans so few rows whole")
    def test_reads_no_run_of_what_is_settled(self, here: World) -> None:
        assert "run_invalid" in stopped_follow_ups().explain()
        assert "run_due" in late_follow_ups(world.now()).explain()
        assert re.search(r"SEARCH iamroles_request .*\(state=\?\)", status.approved_with("stopped").explain())

    def test_a_quick_answer_of_the_database_is_no_zero(self, here: World) -> None:
        assert re.fullmatch(r"(SQLite|PostgreSQL) answers in (under 1|[1-9]\d*) ms\.", self.words()["Database"][1])

    def test_what_is_not_in_order_says_what_follows_and_what_to_do(self, here: World) -> None:
        world.sent(here.people["rosa"], world.facts_for(here.prod))
        rows = [row for row in health(world.now() + timedelta(minutes=20)).rows if row.tone != "ok"]
        assert {row.name for row in rows} == {"Workers", "Tend", "AWS accounts", "Sealing"}
        assert [row.name for row in rows if not row.repair] == []

    def test_says_when_sealing_is_late(self, here: World) -> None:
        waiting = AuditEvent.objects.count()
        assert self.words(world.now() + timedelta(seconds=31))["Sealing"] == (
            "bad",
            f"{waiting} events are not sealed. A database administrator could still erase them unseen.",
        )

    def test_tend_is_judged_by_what_is_late(self, here: World) -> None:
        assert self.words()["Tend"] == ("ok", "Nothing that it does is late. It is only seen when it works.")
        Notice.objects.create(
            request=world.in_review(here.people["rosa"], world.facts_for(here.prod)),
            kind="waiting",
            event="request.reminded",
            at=world.now(),
            next_try_at=world.now() - timedelta(minutes=11),
        )
        assert self.words()["Tend"][0] == "bad"

    def test_exports_that_nobody_makes_or_that_failed_are_told(self, here: World) -> None:
        assert self.words()["Exports"] == ("ok", "None.")
        job = ExportJob.objects.create(
            spelled="csv", ordered_by=here.people["idris"], at=world.now(), size=9, total=9, next_try_at=world.now()
        )
        assert self.words()["Exports"] == ("ok", "1 export being made.")
        assert self.words(world.now() + timedelta(seconds=61))["Exports"][0] == "bad"
        ExportJob.objects.filter(pk=job.pk).update(state="failed", next_try_at=None, ended_at=world.now())
        assert self.words()["Exports"][0] == "warn"
        assert self.words(world.now() + timedelta(days=2))["Exports"] == ("ok", "None.")

    def test_costs_the_same_queries_whatever_the_rows(self, here: World, django_assert_max_num_queries: Any) -> None:
        with django_assert_max_num_queries(25):
            health(world.now())
