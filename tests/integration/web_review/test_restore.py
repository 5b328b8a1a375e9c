"""A restore from a backup on the operators' pages: what was lost, proposing to declare it, and a second person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from iamroles import audit
from iamroles.audit import guard
from iamroles.audit.checkpoint import SigningKey, read
from iamroles.audit.continuity import Restored
from iamroles.audit.publish import FilePublisher
from iamroles.audit.seal import Sealer
from iamroles.models import AuditCheckpoint, AuditEvent, AuditLeaf, ProposedChange, User
from iamroles.workflow import changes
from iamroles.workflow.verbs import Invalid
from tests.integration.at_once import only_on_postgresql, uncommitted
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.test_history import ORIGIN, text_of
from tests.integration.web_review.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def sealer(here: World, tmp_path: Path, settings: Any) -> Sealer:
    """A sealer whose trail was sealed twice; then the database lost what came second."""
    settings.ROLEDESK_AUDIT_ORIGIN = ORIGIN
    key = SigningKey(ORIGIN, Ed25519PrivateKey.generate())
    made = Sealer(origin=ORIGIN, keys=[key], vkeys=[key.verifier], publishers=[FilePublisher(tmp_path / "kept")])
    first = made.seal_all(at=world.now()).size
    world.in_review(here.people["rosa"], world.facts_for(here.staging))
    made.seal_all(at=world.now())
    guard.remove(connection)
    AuditLeaf.objects.filter(seq__gte=first).delete()
    AuditCheckpoint.objects.filter(size__gt=first).delete()
    guard.install(connection)
    with pytest.raises(Restored):
        made.seal(at=world.now())
    return made


def test_two_people_declare_it_and_sealing_goes_on(sealer: Sealer, signed_in: NewClient) -> None:
    oskar, ines = signed_in("oskar"), signed_in("ines")
    loss = audit.undeclared()
    assert loss is not None
    health = text_of(oskar.get("/ops/"))
    assert "Halted: the checkpoint of size" in health
    assert 'href="/ops/restore/"' in health
    page = text_of(oskar.get("/ops/restore/"))
    assert f"It holds {loss.lost_from} sealed events. The last published checkpoint covers {loss.lost_to}." in page
    refused = oskar.post("/ops/restore/", {"reason": "Oops"})
    assert (refused.status_code, "Say in at least 10 characters" in text_of(refused)) == (422, True)
    posted = oskar.post("/ops/restore/", {"reason": "The disk of the database broke"})
    change = ProposedChange.objects.get()
    assert (posted.status_code, posted["Location"]) == (303, f"/ops/changes/{change.pk}/")
    assert f"{change.reference}</a> waits for a second person." in text_of(ines.get("/ops/restore/"))
    shown = text_of(ines.get(posted["Location"]))
    assert "<ins>generation 2 of the trail" in shown
    assert f"it begins after {loss.lost_from} events" in shown
    given = {"decision": "confirm", "digest": change.digest}
    assert oskar.post(f"{posted['Location']}decide/", given).status_code == 403
    assert ines.post(f"{posted['Location']}decide/", given).status_code == 303
    assert oskar.get("/ops/restore/").status_code == 404
    assert read(sealer.seal_all(at=world.now()).note or "").origin == "test.example/audit/2"
    assert "Halted" not in text_of(oskar.get("/ops/"))


def test_an_old_sign_in_declares_nothing_and_keeps_what_was_typed(sealer: Sealer, signed_in: NewClient) -> None:
    oskar = signed_in("oskar", minutes=6)
    answer = oskar.post("/ops/restore/", {"reason": "The disk of the database broke"})
    assert (answer.status_code, ProposedChange.objects.count()) == (302, 0)
    assert answer["Location"] == "/accounts/reauthenticate/?next=%2Fops%2Frestore%2F"
    assert "The disk of the database broke" in oskar.get("/ops/restore/").content.decode()


def test_nothing_can_be_declared_while_sealing_goes_on(here: World, signed_in: NewClient) -> None:
    oskar = signed_in("oskar")
    assert oskar.post("/ops/restore/", {"reason": "The disk of the database broke"}).status_code == 404
    assert "/ops/restore/" not in text_of(oskar.get("/ops/"))
    assert not ProposedChange.objects.exists()


@pytest.mark.django_db(transaction=True)
@only_on_postgresql
def test_is_declared_once_at_the_same_moment(sealer: Sealer, here: World) -> None:
    oskar, ines, mei = (here.people[login] for login in ("oskar", "ines", "mei"))
    loss = audit.undeclared()
    assert loss is not None
    fresh: dict[str, Any] = {"signed_in_at": world.now(), "at": world.now()}

    def propose(user: User) -> ProposedChange:
        return changes.propose(
            subject="restore",
            target="",
            content=loss.facts(),
            reason="The disk of the database broke",
            user=user,
            actor=world.actor(user),
            **fresh,
        )

    def confirm(user: User) -> ProposedChange:
        change = ProposedChange.objects.get()
        return changes.confirm(
            change_id=change.pk, seen_digest=change.digest, user=user, actor=world.actor(user), **fresh
        )

    assert uncommitted(lambda: propose(oskar), lambda: propose(ines)) == "Invalid"
    assert uncommitted(lambda: confirm(ines), lambda: confirm(mei)) == "WrongState"
    with pytest.raises(Invalid, match="nothing to declare"):
        propose(mei)
    assert AuditEvent.objects.filter(action="audit.forked").count() == 1
    assert read(sealer.seal_all(at=world.now()).note or "").origin == "test.example/audit/2"
