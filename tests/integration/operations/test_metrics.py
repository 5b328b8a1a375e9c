"""/metrics: who may read it, what it says, and that the dashboard and the alerts name what is exported, all of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from django.test import Client

from iamroles.models import KillSwitch, Request, Run
from iamroles.pages import metrics
from portal.demo.places import ROOT
from tests.integration.engine.keys import write_keys
from tests.integration.engine.world import World, people

pytestmark = pytest.mark.django_db
TOKEN = "a-token-for-prometheus"
MONITORING = ROOT / "docs/monitoring"
SAMPLE = re.compile(r'(roledesk_[a-z_]+)(\{[a-z]+="[a-z_]+"\})? (\d+(?:\.\d+)?(?:e-?\d+)?)')
NAME = re.compile(r"\broledesk_[a-z_]+")


@pytest.fixture(autouse=True)
def token(settings: Any) -> None:
    settings.ROLEDESK_METRICS_TOKEN = TOKEN


@pytest.fixture
def world(tmp_path: Any, settings: Any) -> World:
    settings.ROLEDESK_SIGNING_KEY_FILE, settings.ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE = write_keys(tmp_path)
    return people()


def read(client: Client) -> dict[str, float]:
    """What Prometheus reads: every line is a comment or a sample."""
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = [line for line in answer.content.decode().splitlines() if not line.startswith("# ")]
    found = [SAMPLE.fullmatch(line) for line in lines]
    assert [line for line, match in zip(lines, found, strict=True) if match is None] == []
    return {match[1] + (match[2] or ""): float(match[3]) for match in found if match}


class TestWhoMayRead:
    @pytest.mark.parametrize(
        "given", [None, "", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ü"]
    )
    def test_nobody_without_the_token(self, client: Client, given: str | None) -> None:
        answer = client.get("/metrics", headers={} if given is None else {"Authorization": given})
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
        assert b"roledesk_" not in answer.content

    def test_nobody_where_no_token_is_set(self, client: Client, settings: Any) -> None:
        settings.ROLEDESK_METRICS_TOKEN = ""
        assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404

    def test_reading_is_all_that_it_does(self, client: Client) -> None:
        assert client.post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 405


class TestWhatItSays:
    def test_an_empty_portal_reads_zero_and_nothing_is_missing(self, client: Client) -> None:
        found = read(client)
        odd = {"roledesk_database_answer_seconds", "roledesk_role_may_rewrite"}
        assert {name for name, value in found.items() if value} <= odd
        assert found['roledesk_requests{state="approved"}'] == 0
        assert found['roledesk_runs_stopped{reason="invalid"}'] == 0

    def test_work_that_waits_and_work_that_is_done(self, client: Client, world: World) -> None:
        request = world.submitted()
        Request.objects.filter(pk=request.pk).update(next_try_at=datetime.now(UTC) - timedelta(seconds=300))
        found = read(client)
        assert (found["roledesk_work_due"], found['roledesk_requests{state="submitted"}']) == (1, 1)
        assert 300 <= found["roledesk_work_due_oldest_seconds"] < 900
        Request.objects.filter(pk=request.pk).update(next_try_at=datetime.now(UTC))
        done = world.approved(tags={"team": "orders", "cost": "7"})
        assert world.apply(done) == "applied"
        found = read(client)
        assert (found["roledesk_runs_applied_last_day"], found["roledesk_roles"]) == (1, 1)
        assert found['roledesk_aws_calls_last_day{outcome="ok"}'] == len(world.sent())
        assert found["roledesk_events_waiting"] > 0

    def test_a_stopped_run_and_the_kill_switch(self, client: Client, world: World) -> None:
        request = world.approved()
        world.apply(request)
        Run.objects.update(state="stopped", stop_reason="conflict")
        Request.objects.update(state="approved", outcome="")
        KillSwitch.objects.create(reason="Trying it out", since=datetime.now(UTC), turned_on_by=world.owner)
        found = read(client)
        assert (found['roledesk_runs_stopped{reason="conflict"}'], found["roledesk_kill_switch"]) == (1, 1)
        stopped = Run.objects.get()
        stopped.pk, stopped.number, stopped.state, stopped.stop_reason = None, stopped.number + 1, "going", ""
        stopped.save()  # an operator's retry
        assert read(client)['roledesk_runs_stopped{reason="conflict"}'] == 0

    def test_costs_the_same_whatever_the_rows(self, world: World, django_assert_max_num_queries: Any) -> None:
        world.approved()
        world.submitted(tags={"team": "orders", "cost": "7"})
        with django_assert_max_num_queries(34):
            metrics.metrics(datetime.now(UTC))

    def test_no_name_or_reason_of_anybody_is_told(self, client: Client, world: World) -> None:
        request = world.approved()
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()
        for word in (request.reference, "ORD-1", "orders", "rosa", "amara", world.account.number, "ecsCodeDeployRole"):
            assert word not in answer


class TestMonitoring:
    def exported(self) -> set[str]:
        return {metric.name for metric in metrics.metrics(datetime.now(UTC))}

    def test_dashboard_and_alerts_name_only_what_is_exported(self) -> None:
        for file in ("dashboard.json", "alerts.yml"):
            assert set(NAME.findall((MONITORING / file).read_text())) <= self.exported(), file

    def test_every_figure_is_drawn(self) -> None:
        panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
        drawn = {name for panel in panels for target in panel["targets"] for name in NAME.findall(target["expr"])}
        assert drawn == self.exported()

    def test_labels_in_alerts_are_labels_that_exist(self) -> None:
        samples = {
            (metric.name, label, word)
            for metric in metrics.metrics(datetime.now(UTC))
            for labels, _ in metric.samples
            for label, word in labels.items()
        }
        text = (MONITORING / "alerts.yml").read_text()
        asked = re.findall(r'(roledesk_[a-z_]+)\{([a-z]+)=~?"([a-z_|]+)"\}', text)
        assert asked
        assert {(name, label, word) for name, label, words in asked for word in words.split("|")} <= samples

    def test_every_alert_has_its_repair_in_the_handbook(self) -> None:
        (group,) = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
        handbook = (ROOT / "docs/operations.md").read_text()
        anchors = {f"docs/operations.md#{made}" for made in re.findall(r'<a id="([a-z-]+)"></a>', handbook)}
        for rule in group["rules"]:
            assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
            assert rule["labels"]["severity"] in {"critical", "warning"}
            assert set(rule["annotations"]) == {"summary", "effect", "repair"}
            assert rule["annotations"]["repair"] in anchors, rule["alert"]
