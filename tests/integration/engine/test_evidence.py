"""The evidence of one request that was really applied: page, JSON and their digests; opening it is an event."""

from __future__ import annotations

import hashlib
import html
import json
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client

from iamroles import canonical
from iamroles.audit.checkpoint import SigningKey
from iamroles.audit.publish import FilePublisher
from iamroles.audit.seal import Sealer
from iamroles.models import AuditEvent, Proposal, Request, Step, User
from iamroles.workflow import organisation

from .world import SYSTEM, World

pytestmark = pytest.mark.django_db
ORIGIN = "test.example/audit/1"


@pytest.fixture
def applied(world: World, tmp_path: Path) -> Request:
    request = world.approved()
    assert world.apply(request) == "applied"
    key = SigningKey(ORIGIN, Ed25519PrivateKey.generate())
    kept = FilePublisher(tmp_path / "kept")
    Sealer(origin=ORIGIN, keys=[key], vkeys=[key.verifier], publishers=[kept]).seal_all(at=world.clock())
    return request


@pytest.fixture
def client(world: World) -> Client:
    auditor: User = organisation.add_person(
        login="idris", first_name="Idris", last_name="", password=None, groups=("auditors",), teams=(), actor=SYSTEM,
        at=world.clock(),
    )  # fmt: skip
    client = Client()
    client.force_login(auditor, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page_of(client: Client, request: Request, query: str = "") -> str:
    body = client.get(f"/requests/{request.reference}/evidence/{query}").content.decode()
    return html.unescape(re.sub(r"<wbr>", "", body))


def test_shows_every_digest_call_and_event(world: World, applied: Request, client: Client) -> None:
    page = page_of(client, applied)
    proposal = Proposal.objects.get()
    digests = {proposal.digest, proposal.revision.desired_digest}
    assert {digest for digest in digests if digest in page} == digests
    ids = set(Step.objects.exclude(aws_request_id="").values_list("aws_request_id", flat=True))
    assert ids
    assert {request_id for request_id in ids if request_id in page} == ids
    events = {event.reference for event in AuditEvent.objects.filter(request=applied.reference)}
    assert {reference for reference in events if reference in page} == events
    for part in ("Digest on the screen", "(the same)", "AWS read back", "Equal, ", ORIGIN, "How to verify"):
        assert part in page, part
    assert "not sealed yet" not in page


def test_opens_what_is_folded_for_printing(world: World, applied: Request, client: Client) -> None:
    assert '<details class="more">' in page_of(client, applied)
    assert '<details class="more">' not in page_of(client, applied, "?print=1")


def test_answers_json_that_hashes_to_the_shown_digest(world: World, applied: Request, client: Client) -> None:
    found = json.loads(client.get(f"/requests/{applied.reference}/evidence.json").content)
    assert hashlib.sha256(found["proposal_canonical"].encode()).hexdigest() == found["proposal_digest"]
    assert canonical.digest(found["proposal"]) == found["proposal_digest"] == Proposal.objects.get().digest
    assert canonical.digest(found["proposal"]["desired"]) == found["desired_digest"]
    assert [line["seen"] for line in found["decisions"]] == [found["proposal_digest"]]
    assert [run["read_back"]["equal"] for run in found["runs"]] == [True]
    assert {step["state"] for step in found["runs"][0]["steps"]} == {"ok"}
    assert [event["seq"] for event in found["events"]] == sorted(event["seq"] for event in found["events"])


def test_opening_it_is_an_event_once_an_hour(world: World, applied: Request, client: Client) -> None:
    for _ in range(2):
        page_of(client, applied)
    (event,) = AuditEvent.objects.filter(action="audit.viewed")
    assert (event.actor_name, event.object_id) == ("Idris", applied.reference)
    assert f'"filter":{{"evidence":"page","request":"{applied.reference}"}}' in event.canon
    client.get(f"/requests/{applied.reference}/evidence.json")
    assert AuditEvent.objects.filter(action="audit.viewed").count() == 2


def test_of_a_draft_says_that_nothing_was_sent(world: World, client: Client) -> None:
    request = world.submitted()
    assert "Nobody has decided" not in page_of(client, request)
    assert "Asked for" in page_of(client, request)


def test_needs_the_same_number_of_queries_for_every_request(
    world: World, applied: Request, client: Client, django_assert_max_num_queries: object
) -> None:
    page_of(client, applied)
    with django_assert_max_num_queries(24):  # type: ignore[operator]
        page_of(client, applied)
