"""The history: who reads which events, filters, pages, one event, exports; and that reading is an event."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from iamroles import audit, permissions
from iamroles.audit import export
from iamroles.audit.checkpoint import SigningKey
from iamroles.audit.export.rows import find_cut
from iamroles.audit.publish import FilePublisher
from iamroles.audit.seal import Sealer
from iamroles.models import AuditEvent, Request
from iamroles.pages import audit as audit_pages
from iamroles.workflow import decide
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World

ORIGIN = "test.example/audit/1"


def text_of(response: Any) -> str:
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return str(body.decode())


def shown(response: Any) -> list[str]:
    return re.findall(r'<a class="nowrap" href="/audit/(EVT-\d{7})/">', text_of(response))


@pytest.fixture
def row(here: World) -> Request:
    return world.approved(world.in_review(here.people["rosa"], world.facts_for(here.staging)), here.people["amara"])


@pytest.fixture
def seal(tmp_path: Path) -> Any:
    """Seals everything that waits."""
    key = SigningKey(ORIGIN, Ed25519PrivateKey.generate())
    sealer = Sealer(origin=ORIGIN, keys=[key], vkeys=[key.verifier], publishers=[FilePublisher(tmp_path / "kept")])
    return lambda: sealer.seal_all(at=world.now())


class TestReading:
    def test_an_auditor_reads_everything_newest_first(self, row: Request, signed_in: NewClient) -> None:
        answer = signed_in("idris").get("/audit/")
        page = text_of(answer)
        assert "Everything that anybody did" in page
        assert "Amara Okafor approved" in page
        assert "Test added the person Eve Stone." in page
        events = shown(answer)
        assert events == sorted(events, reverse=True)

    def test_others_read_their_requests_and_their_own_acts(
        self, here: World, row: Request, signed_in: NewClient
    ) -> None:
        page = text_of(signed_in("theo").get("/audit/"))
        assert "Amara Okafor approved" in page
        assert "Test added the person" not in page
        eve = text_of(signed_in("eve").get("/audit/"))
        assert row.reference not in eve
        assert "Eve Stone looked at the audit history." in eve

    def test_a_seventh_digit_is_no_hole(self, here: World, row: Request, signed_in: NewClient) -> None:
        """References grow beyond six digits; events of REQ-1000001 are not those of REQ-100000."""
        Request.objects.create(
            pk=1_000_001, kind="role", requester=here.people["theo"], created_at=world.now(), updated_at=world.now()
        )
        found = Request.objects.annotate(text=permissions._reference()).order_by("pk").values_list("text", flat=True)
        assert list(found) == [row.reference, "REQ-1000001"]

    def test_filters_by_actor_request_action_outcome_and_dates(
        self, here: World, row: Request, signed_in: NewClient
    ) -> None:
        client = signed_in("idris")

        def actions(query: str) -> set[str]:
            found = [int(reference[4:]) for reference in shown(client.get(f"/audit/?{query}"))]
            return set(AuditEvent.objects.filter(pk__in=found).values_list("action", flat=True))

        assert actions("actor=Amara") == {"approval.given", "request.approved"}
        assert actions(f"request={row.reference}&action=approval.*") == {"approval.given"}
        assert actions("outcome=refused") == set()
        assert actions("to=2020-01-01") == set()
        assert "request.submitted" in actions("from=2020-01-01")

    def test_says_what_is_wrong_with_a_filter(self, here: World, signed_in: NewClient) -> None:
        answer = signed_in("idris").get("/audit/?request=42")
        assert answer.status_code == 422
        assert "A request reads like REQ-000142" in text_of(answer)

    def test_pages_hold_every_event_once(
        self, row: Request, signed_in: NewClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_pages, "PAGE_SIZE", 3)
        client = signed_in("idris")
        seen: list[str] = []
        address = f"/audit/?request={row.reference}"
        while address:
            answer = client.get(address)
            seen += shown(answer)
            following = re.search(r'href="(\?[^"]*before=\d+)" rel="next"', text_of(answer))
            address = "/audit/" + following.group(1).replace("&amp;", "&") if following else ""
        expected = AuditEvent.objects.filter(request=row.reference).order_by("-pk")
        assert seen == [event.reference for event in expected]

    def test_reading_is_an_event_once_an_hour_and_filter(self, here: World, signed_in: NewClient) -> None:
        client = signed_in("idris")
        for query in ("", "", "?actor=rosa", "?actor=rosa"):
            client.get(f"/audit/{query}")
        filters = [json.loads(e.canon)["data"] for e in AuditEvent.objects.filter(action="audit.viewed").order_by("pk")]
        assert filters == [{"filter": {}}, {"filter": {"actor": "rosa"}}]

    def test_costs_the_same_for_few_and_many(
        self, row: Request, signed_in: NewClient, django_assert_max_num_queries: Any
    ) -> None:
        client = signed_in("theo")
        client.get("/audit/")
        spent = []
        for query in ("?outcome=unknown", ""):
            client.get(f"/audit/{query}")
            with django_assert_max_num_queries(12) as captured:
                client.get(f"/audit/{query}")
            spent.append(len(captured))
        assert spent[0] == spent[1]


class TestOneEvent:
    def test_shows_fields_canonical_text_and_neighbours(self, row: Request, signed_in: NewClient) -> None:
        event = AuditEvent.objects.get(action="approval.given")
        page = text_of(signed_in("idris").get(f"/audit/{event.reference}/"))
        for part in ("approval.given", row.reference, "Not sealed yet", bytes(event.leaf).hex(), "Neighbours"):
            assert part in page, part
        before = AuditEvent.objects.filter(request=row.reference, pk__lt=event.pk).latest("pk")
        assert f'href="/audit/{before.reference}/" rel="prev"' in page

    def test_says_its_place_once_sealed(self, row: Request, signed_in: NewClient, seal: Any) -> None:
        seal()
        event = AuditEvent.objects.get(action="approval.given")
        page = text_of(signed_in("idris").get(f"/audit/{event.reference}/"))
        assert f"Sealed as number {audit.seq_of(event):,} of the trail" in page

    def test_refuses_what_is_none_of_ones_business(self, row: Request, signed_in: NewClient) -> None:
        event = AuditEvent.objects.get(action="approval.given")
        assert signed_in("theo").get(f"/audit/{event.reference}/").status_code == 200
        assert signed_in("eve").get(f"/audit/{event.reference}/").status_code == 403
        assert AuditEvent.objects.get(action="verb.refused").code == "not_auditor"
        assert signed_in("idris").get("/audit/EVT-9999999/").status_code == 404

    def test_escapes_what_people_typed(self, here: World, row: Request, signed_in: NewClient) -> None:
        with transaction.atomic():
            decide.comment(
                request_id=row.pk,
                user=here.people["rosa"],
                text="<script>alert(1)</script>",
                actor=world.actor(here.people["rosa"]),
                at=world.now(),
            )
        event = AuditEvent.objects.get(action="request.commented")
        for address in ("/audit/", f"/audit/{event.reference}/"):
            page = text_of(signed_in("idris").get(address))
            assert "<script>alert" not in page
            assert "&lt;script&gt;alert(1)" in page


class TestExport:
    @pytest.fixture(autouse=True)
    def _nobody_seals_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No sealer runs beside these tests, so waiting for one is lost time."""
        monkeypatch.setattr(export, "find_cut", lambda wait=0.0: find_cut(wait=0))

    def export(self, client: Any, kind: str, query: str = "") -> Any:
        return client.get(f"/audit/?format={kind}{query}")

    def test_holds_what_the_filter_shows_oldest_first(self, row: Request, signed_in: NewClient, seal: Any) -> None:
        seal()
        client = signed_in("idris")
        query = f"&request={row.reference}"
        expected = list(AuditEvent.objects.filter(request=row.reference).order_by("pk").values_list("canon", flat=True))
        answer = self.export(client, "jsonl", query)
        assert answer["Content-Disposition"].endswith('.jsonl"')
        assert text_of(answer).splitlines() == expected
        rows = list(csv.DictReader(io.StringIO(text_of(self.export(client, "csv", query)))))
        assert [r["action"] for r in rows] == [json.loads(line)["action"] for line in expected]

    def test_holds_no_foreign_events(self, row: Request, signed_in: NewClient, seal: Any) -> None:
        seal()
        lines = [json.loads(line) for line in text_of(self.export(signed_in("theo"), "jsonl")).splitlines()]
        assert {line["request"] for line in lines} == {row.reference}
        assert text_of(self.export(signed_in("eve"), "jsonl")) == ""

    def test_is_an_event_with_rows_and_digest(self, row: Request, signed_in: NewClient, seal: Any) -> None:
        seal()
        body = text_of(self.export(signed_in("idris"), "jsonl"))
        made = [json.loads(e.canon) for e in AuditEvent.objects.filter(action__startswith="export.").order_by("pk")]
        assert [event["action"] for event in made] == ["export.started", "export.completed"]
        assert made[1]["data"]["rows"] == len(body.splitlines())
        assert made[1]["actor"]["name"] == "Idris Haddad"

    def test_says_when_nothing_is_sealed_yet(self, row: Request, signed_in: NewClient) -> None:
        answer = self.export(signed_in("idris"), "csv")
        assert answer.status_code == 503
        assert "No event is sealed yet." in text_of(answer)

    def test_knows_no_other_format(self, here: World, signed_in: NewClient) -> None:
        assert self.export(signed_in("idris"), "xlsx").status_code == 404
