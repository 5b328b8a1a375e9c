"""The state check: a request, run or approval that was changed around the transitions does not fit its events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.db import transaction

from iamroles import audit
from iamroles.audit import Actor, Subject
from iamroles.audit.reading import wrong_states
from iamroles.models import Decision, Proposal, Request, Revision, Run, User
from iamroles.transitions import move_request, move_run

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
WORKER = Actor(type="worker", id="w1", name="Worker w1", channel="worker")
DIGEST = "ab" * 32
MADE = sha256(b"{}").hexdigest()


@pytest.fixture
def request_row() -> Request:
    """An approved request of revision 1 with one approval, and a run that is going; all with their events."""
    requester, approver = (User.objects.create(username=name) for name in ("requester", "approver"))
    row = Request.objects.create(
        kind="role", requester=requester, created_at=AT, updated_at=AT, revision_number=1, title="Role for orders"
    )
    say(row, "request.created", {"account": None, "team": None, "kind": "role", "facts_digest": DIGEST})
    revision = Revision.objects.create(
        request=row, number=1, facts="{}", desired_digest=DIGEST, reason="", created_by=requester, created_at=AT
    )
    move(row, "submit", "request.submitted", {"revision": 1, "facts_digest": MADE})
    proposal = Proposal.objects.create(
        revision=revision, canonical="{}", digest=MADE, risk="low", observed_at=AT, expires_at=AT
    )
    keys = audit_keys("revision.proposed")
    move(row, "propose", "revision.proposed", {**dict.fromkeys(keys, "x"), "proposal_digest": MADE})
    Decision.objects.create(
        request=row, revision=revision, proposal_digest=DIGEST, approver=approver, decision="approve", at=AT,
        signed_in_at=AT,
    )  # fmt: skip
    given = {**dict.fromkeys(audit_keys("approval.given"), "x"), "proposal_digest": DIGEST}
    say(row, "approval.given", given, actor=Actor(type="user", id=str(approver.pk), name="Approver"))
    move(row, "approve", "request.approved", {"revision": 1, "proposal_digest": DIGEST, "approvals": ["1"]})
    run = Run.objects.create(request=row, number=1, proposal=proposal, started_at=AT, seen_at=AT)
    with transaction.atomic():
        audit.record(
            "run.started",
            actor=WORKER,
            subject=Subject("run", f"{row.reference} run 1", row.title),
            at=AT,
            request=row.reference,
            data={"run": "r", "fence": 1, "hard_until": "x"},
        )
    move_run(run, "wait", event="run.waiting", actor=WORKER, at=AT, data={"run": "r", "code": "x", "retry_at": "x"})
    return row


def audit_keys(action: str) -> frozenset[str]:
    from iamroles.audit.events import EVENTS

    return EVENTS[action].required


def say(row: Request, action: str, data: dict[str, Any], actor: Actor = WORKER) -> None:
    with transaction.atomic():
        audit.record(
            action,
            actor=actor,
            subject=Subject("request", row.reference, row.title),
            at=AT,
            request=row.reference,
            revision=1,
            data=data,
        )


def move(row: Request, verb: str, event: str, data: dict[str, Any]) -> None:
    move_request(row, verb, event=event, actor=WORKER, at=AT + timedelta(seconds=1), data=data)


class TestWrongStates:
    def test_finds_nothing_where_nothing_was_changed(self, request_row: Request) -> None:
        assert wrong_states() == []

    def test_finds_a_request_whose_state_was_changed_by_sql(self, request_row: Request) -> None:
        Request.objects.filter(pk=request_row.pk).update(state="closed", outcome="applied")
        (found,) = wrong_states()
        assert found.startswith(f"{request_row.reference} is closed applied, but EVT-")
        assert found.endswith("(request.approved) left it approved")

    def test_finds_a_run_whose_state_was_changed_by_sql(self, request_row: Request) -> None:
        Run.objects.update(state="done")
        (found,) = wrong_states()
        assert found.startswith(f"{request_row.reference} run 1 is done, but EVT-")
        assert found.endswith("(run.waiting) left it waiting")

    @pytest.mark.parametrize("change", [{"canonical": "[]"}, {"canonical": "[]", "digest": sha256(b"[]").hexdigest()}])
    def test_finds_a_proposal_that_was_changed(self, request_row: Request, change: dict[str, str]) -> None:
        Proposal.objects.update(**change)
        assert wrong_states() == [f"the proposal of {request_row.reference} (revision 1) is not the one that was made"]

    def test_finds_an_approval_that_nobody_gave(self, request_row: Request) -> None:
        decision = Decision.objects.get()
        decision.pk, decision.approver = None, request_row.requester
        decision.save()
        assert wrong_states() == [
            f"the approval {decision.pk} of {request_row.reference} (revision 1) exists, but no event tells of it"
        ]

    def test_finds_a_request_without_any_event(self, request_row: Request) -> None:
        request_row.pk = None
        request_row.save()
        assert wrong_states() == [f"{request_row.reference} exists, but no event tells of it"]
