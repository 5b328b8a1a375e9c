"""The export form, exports by a worker with their page, bundles and proofs from the pages, and Verify now."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from iamroles.audit import keys
from iamroles.audit.checkpoint import SigningKey
from iamroles.audit.evidence import verify as standalone
from iamroles.audit.publish import FilePublisher
from iamroles.audit.seal import Sealer
from iamroles.engine import export_job
from iamroles.engine.tools import from_settings
from iamroles.models import AuditEvent, ExportJob, Request, VerificationOrder
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World

ORIGIN = "test.example/audit/1"


def text_of(response: Any) -> str:
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return str(body.decode())


@pytest.fixture
def row(here: World) -> Request:
    return world.approved(world.in_review(here.people["rosa"], world.facts_for(here.staging)), here.people["amara"])


@pytest.fixture
def key(tmp_path: Path, settings: Any) -> SigningKey:
    """The key of this test's trail, in the settings too, as the sealing process has them."""
    settings.ROLEDESK_AUDIT_ORIGIN = ORIGIN
    settings.ROLEDESK_AUDIT_KEY_FILE = str(tmp_path / "audit.key")
    settings.ROLEDESK_AUDIT_VKEYS_FILE = str(tmp_path / "audit.vkeys")
    settings.ROLEDESK_CHECKPOINT_DIR = str(tmp_path / "kept")
    return keys.ensure(tmp_path / "audit.key", ORIGIN)


@pytest.fixture
def seal(key: SigningKey, tmp_path: Path) -> Callable[[], object]:
    """Seals everything that waits."""
    sealer = Sealer(origin=ORIGIN, keys=[key], vkeys=[key.verifier], publishers=[FilePublisher(tmp_path / "kept")])
    return lambda: sealer.seal_all(at=world.now())


@pytest.fixture(autouse=True)
def _nobody_seals_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    from iamroles.audit.export import rows

    monkeypatch.setattr(rows, "_LOOK_AGAIN", 0.0)
    real = rows.find_cut
    monkeypatch.setattr("iamroles.audit.export.find_cut", lambda wait=0.0: real(wait=0))


class TestForm:
    def test_counts_what_the_filter_holds_and_leads_to_the_files(
        self, row: Request, signed_in: NewClient, seal: Callable[[], object]
    ) -> None:
        seal()
        client = signed_in("idris")
        page = text_of(client.get(f"/exports/new/?request={row.reference}"))
        lines = text_of(client.get(f"/audit/?request={row.reference}&format=jsonl")).splitlines()
        assert f"<h1>Export {len(lines)} events</h1>" in page
        assert f"/audit/?request={row.reference}&amp;format=csv" in page

    def test_sends_many_to_a_worker(
        self, row: Request, signed_in: NewClient, seal: Callable[[], object], settings: Any
    ) -> None:
        seal()
        settings.ROLEDESK_EXPORT_AT_ONCE = 5
        client = signed_in("idris")
        answer = client.get("/audit/?outcome=success&format=jsonl")
        assert (answer.status_code, answer["Location"]) == (302, "/exports/new/?outcome=success")
        assert "a worker makes the file" in text_of(client.get(answer["Location"]))
        form = {"format": "jsonl", "outcome": "success", "idempotency_key": "7d2c1f0a-93f1-4e6e-8a8a-1c1f8e1b5f10"}
        first, second = client.post("/exports/new/", form), client.post("/exports/new/", form)
        job = ExportJob.objects.get()
        assert first["Location"] == second["Location"] == f"/exports/{job.reference}/"
        assert "Waiting for a worker" in text_of(client.get(first["Location"]))
        assert client.get(f"{first['Location']}?seen=0", headers={"HX-Request": "true"}).status_code == 204
        assert client.get(f"{first['Location']}download/").status_code == 404
        assert export_job.go_on(job_id=job.pk, tools=from_settings()) == "ready"
        assert job.reference in text_of(client.get("/"))
        job.refresh_from_db()
        page = text_of(client.get(first["Location"]))
        assert (job.sha256 in page, f"Ready: {job.rows:,} events" in page) == (True, True)
        assert job.reference not in text_of(client.get("/"))
        body = text_of(client.get(f"{first['Location']}download/"))
        assert len(body.splitlines()) == job.rows == job.total
        downloaded = AuditEvent.objects.filter(action="export.downloaded").order_by("pk").last()
        assert downloaded is not None
        assert (downloaded.object_id, downloaded.actor_name) == (job.reference, "Idris Haddad")

    def test_what_lies_beside_verifies_without_the_portal(
        self,
        row: Request,
        signed_in: NewClient,
        seal: Callable[[], object],
        settings: Any,
        key: SigningKey,
        tmp_path: Path,
    ) -> None:
        seal()
        settings.ROLEDESK_EXPORT_AT_ONCE = 5
        client = signed_in("idris")
        for query, beside, option in (("", "leaves", ""), (row.reference, "proofs", "--selection")):
            address = client.post("/exports/new/", {"format": "jsonl", "request": query})["Location"]
            export_job.go_on(job_id=ExportJob.objects.latest("pk").pk, tools=from_settings())
            path = tmp_path / f"events-{beside}.jsonl"
            for suffix, name in (
                ("", path.name),
                ("checkpoint", f"{path.name}.checkpoint"),
                (beside, f"{path.name}.{beside}"),
            ):
                body = text_of(client.get(f"{address}download/?file={suffix}"))
                (tmp_path / name).write_text(body, encoding="utf-8")
            arguments = ["--export", str(path), "--key", str(key.verifier), *filter(None, [option])]
            assert standalone.main(arguments) == 0

    def test_is_nobody_elses_business(self, here: World, signed_in: NewClient, row: Request) -> None:
        job = ExportJob.objects.create(spelled="csv", ordered_by=here.people["amara"], at=world.now(), size=1, total=1)
        assert signed_in("idris").get(f"/exports/{job.reference}/").status_code == 404
        assert signed_in("idris").get(f"/exports/{job.reference}/download/").status_code == 404

    def test_who_left_the_auditors_downloads_what_was_made_for_one_no_more(
        self, here: World, row: Request, signed_in: NewClient, seal: Callable[[], object]
    ) -> None:
        seal()
        client = signed_in("idris")
        client.post("/exports/new/", {"format": "jsonl", "idempotency_key": "7d2c1f0a-93f1-4e6e-8a8a-1c1f8e1b5f11"})
        job = ExportJob.objects.get()
        assert export_job.go_on(job_id=job.pk, tools=from_settings()) == "ready"
        address = f"/exports/{job.reference}/download/"
        assert client.get(address).status_code == 200
        here.people["idris"].groups.clear()
        for file in ("", "?file=checkpoint", "?file=leaves"):
            answer = client.get(address + file)
            assert (answer.status_code, "you may no longer read" in text_of(answer)) == (403, True)
        refused = AuditEvent.objects.filter(action="verb.refused").order_by("pk").last()
        assert refused is not None
        assert (refused.code, refused.actor_name) == ("lost_rights", "Idris Haddad")

    def test_who_reads_some_events_downloads_those(
        self, here: World, row: Request, signed_in: NewClient, seal: Callable[[], object]
    ) -> None:
        seal()
        client = signed_in("rosa")
        client.post("/exports/new/", {"format": "jsonl", "idempotency_key": "7d2c1f0a-93f1-4e6e-8a8a-1c1f8e1b5f12"})
        job = ExportJob.objects.get()
        assert export_job.go_on(job_id=job.pk, tools=from_settings()) == "ready"
        assert job.total
        assert client.get(f"/exports/{job.reference}/download/").status_code == 200


class TestBundle:
    def test_from_the_page_verifies_without_the_portal(
        self, row: Request, signed_in: NewClient, seal: Callable[[], object], key: SigningKey, tmp_path: Path
    ) -> None:
        seal()
        answer = signed_in("idris").get(f"/audit/?request={row.reference}&format=bundle")
        path = tmp_path / "evidence.zip"
        path.write_bytes(answer.content)
        assert standalone.main([str(path), "--key", str(key.verifier)]) == 0
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert row.current_proposal().digest in " ".join(archive.namelist())  # type: ignore[union-attr]
        assert AuditEvent.objects.filter(action="bundle.created").count() == 1


class TestProof:
    def test_of_one_event_verifies_without_the_database(
        self,
        row: Request,
        signed_in: NewClient,
        seal: Callable[[], object],
        key: SigningKey,
        tmp_path: Path,
        capsys: Any,
    ) -> None:
        seal()
        event = AuditEvent.objects.get(action="approval.given")
        client = signed_in("idris")
        assert f"/audit/{event.reference}/proof/" in text_of(client.get(f"/audit/{event.reference}/"))
        for name, query in (("line", "?file=line"), ("proof", "")):
            (tmp_path / name).write_bytes(client.get(f"/audit/{event.reference}/proof/{query}").content)
        command = ["audit", "verify", "--export", str(tmp_path / "line"), "--proof", str(tmp_path / "proof")]
        call_command(*command, "--key", str(key.verifier))
        (tmp_path / "line").write_bytes(event.canon.replace("approve", "refuse").encode() + b"\n")
        with pytest.raises(SystemExit) as ended:
            call_command(*command, "--key", str(key.verifier))
        assert ended.value.code == 1

    def test_waits_for_sealing(self, row: Request, signed_in: NewClient) -> None:
        event = AuditEvent.objects.get(action="approval.given")
        assert signed_in("idris").get(f"/audit/{event.reference}/proof/").status_code == 503


class TestVerifyNow:
    def test_is_an_order_that_the_sealing_process_answers(
        self, row: Request, signed_in: NewClient, seal: Callable[[], object], key: SigningKey
    ) -> None:
        seal()
        client = signed_in("idris")
        address = client.post("/audit/verify/")["Location"]
        assert client.post("/audit/verify/")["Location"] == address
        order = VerificationOrder.objects.get()
        assert "The trail is being verified" not in text_of(client.get("/audit/"))
        assert client.get(address, headers={"HX-Request": "true"}).status_code == 204
        call_command("audit", "verify", f"--order={order.pk}")
        assert "Fine: every event is exactly what was sealed" in text_of(client.get(address))
        assert "events are exactly what was sealed, <a" in text_of(client.get("/audit/"))
        event = AuditEvent.objects.get(action="verification.completed")
        assert json.loads(event.canon)["on_behalf_of"]["name"] == "Idris Haddad"

    def test_names_the_event_that_is_broken(self, row: Request, signed_in: NewClient, here: World) -> None:
        event = AuditEvent.objects.get(action="approval.given")
        report = {
            "exit": 1,
            "size": 9,
            "covered": 3,
            "first_bad": {"event": event.reference, "seq": 3, "reason": "x"},
            "problems": [f"{event.reference} (seq 3): the text does not have the stored hash"],
        }
        order = VerificationOrder.objects.create(
            ordered_by=here.people["idris"], at=world.now(), answered_at=datetime.now(UTC), report=report
        )
        page = text_of(signed_in("idris").get(f"/audit/verifications/{order.pk}/"))
        assert (f"Broken at {event.reference}" in page, f'href="/audit/{event.reference}/"' in page) == (True, True)

    def test_is_for_those_who_read_everything(self, row: Request, signed_in: NewClient) -> None:
        assert signed_in("theo").post("/audit/verify/").status_code == 403
        assert AuditEvent.objects.filter(action="verb.refused", code="not_auditor").count() == 1


class TestTabs:
    @pytest.mark.parametrize(
        ("tab", "there", "not_there"),
        [
            ("decisions", "approval.given", "request.submitted"),
            ("access", "membership.granted", "approval.given"),
            ("exports", "audit.viewed", "approval.given"),
        ],
    )
    def test_hold_their_events_and_stay_in_exports(
        self, tab: str, there: str, not_there: str, row: Request, signed_in: NewClient, seal: Callable[[], object]
    ) -> None:
        client = signed_in("idris")
        client.get("/audit/")
        seal()
        page = text_of(client.get(f"/audit/?tab={tab}"))
        assert 'aria-current="page">' in page
        actions = {
            json.loads(line)["action"] for line in text_of(client.get(f"/audit/?tab={tab}&format=jsonl")).splitlines()
        }
        assert (there in actions, not_there in actions) == (True, False)
        assert f"/exports/new/?tab={tab}" in page
