"""Fields that no form has: a POST that names states, people, digests or approvals sets none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from django.test import Client

from iamroles.models import AuditEvent, Decision, Request, Revision, User
from tests.integration.web_forms.conftest import GRANT_ANSWERS, ROLE_ANSWERS, World

# Each a column of a request, revision, proposal, decision or person that somebody might hope to set.
EXTRA: Final = {
    "id": "4711",
    "pk": "4711",
    "state": "approved",
    "outcome": "applied",
    "requester": "1",
    "requester_id": "1",
    "created_by": "1",
    "approver": "1",
    "approved_at": "2026-11-24T12:00:00Z",
    "risk": "low",
    "risk_rank": "0",
    "revision_number": "7",
    "version": "7",
    "proposal_digest": "0" * 64,
    "desired_digest": "0" * 64,
    "signature": "0" * 128,
    "groups": "approvers",
    "is_superuser": "on",
    "is_active": "",
    "number": "777788889999",
    "role_arn": "arn:aws:iam::777788889999:role/admin",
    "boundary": "",
    "permissions_boundary": "",
    "path": "/admin/",
    "kind": "removal",
}


@pytest.mark.parametrize(
    ("url", "answers", "kind"),
    [("/requests/new/role/", ROLE_ANSWERS, "role"), ("/requests/new/passrole/", GRANT_ANSWERS, "grant")],
)
def test_of_a_request_are_ignored_and_the_events_say_what_was_stored(
    client: Client, world: World, key: Callable[[], str], url: str, answers: dict[str, str], kind: str
) -> None:
    me = world.people["requester"]
    saved = client.post(url, {**answers, **EXTRA, "idempotency_key": key()})
    row = Request.objects.get()
    assert (saved.status_code, row.pk == 4711) == (303, False)
    assert (row.state, row.outcome, row.kind, row.requester, row.risk) == ("draft", "", kind, me, "")
    assert not set(row.answers) & (EXTRA.keys() - {"groups", "number"})
    sent = client.post(f"/requests/{row.reference}/check/", {**EXTRA, "idempotency_key": key()})
    assert sent.status_code == 303
    row.refresh_from_db()
    revision = Revision.objects.get()
    assert (row.state, row.revision_number, row.requester, row.approved_at) == ("submitted", 1, me, None)
    assert (revision.number, revision.created_by, revision.desired_digest == "0" * 64) == (1, me, False)
    assert '"number":"111122223333"' in revision.facts
    assert "777788889999" not in revision.facts
    assert not Decision.objects.exists()
    told = AuditEvent.objects.filter(request=row.reference).order_by("pk").values_list("action", "actor_id")
    assert list(told) == [("request.created", str(me.pk)), ("request.submitted", str(me.pk))]


def test_of_ones_own_settings_give_nobody_a_right(client: Client, world: World, key: Callable[[], str]) -> None:
    fields = {"time_zone": "Europe/Berlin", "single_keys": "on", "mail": "on"}
    given = {
        **fields,
        **EXTRA,
        "is_staff": "on",
        "username": "root",
        "email": "approver@example.org",
        "teams": "payments",
    }
    assert client.post("/settings/", {**given, "idempotency_key": key()}).status_code == 303
    before = world.people["requester"]
    after = User.objects.get(pk=before.pk)
    assert after.time_zone == "Europe/Berlin"
    kept = ("username", "email", "is_active", "is_staff", "is_superuser")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert (after.groups.count(), [team.slug for team in after.teams.all()]) == (0, ["orders"])
    assert AuditEvent.objects.get(action="user.changed").canon.count('"time_zone"') == 1
