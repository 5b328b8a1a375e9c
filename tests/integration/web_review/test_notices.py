"""Notices: written with the change, sent by mail and webhook, retried, read on Home, and shown when they fail."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.urls import reverse

from iamroles.engine import deliver, webhook
from iamroles.engine.webhook import NotSent, Target
from iamroles.models import AuditEvent, Notice, Proposal, ProposedChange, Request
from iamroles.workflow import changes
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.test_review import text_of
from tests.integration.web_review.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def low(here: World) -> Request:
    """A Low request in review."""
    return world.in_review(here.people["rosa"], world.facts_for(here.prod))


@pytest.fixture
def change(here: World) -> ProposedChange:
    """A change of who approves, proposed by Oskar."""
    oskar = here.people["oskar"]
    return changes.propose(
        subject="group",
        target="approvers",
        content={"members": ["amara", "rosa"]},
        reason="Rosa helps out in summer",
        user=oskar,
        signed_in_at=world.now(),
        actor=world.actor(oskar),
        at=world.now(),
    )


def told(event: str) -> list[str]:
    """Who is told of an event, by login; "" is the webhook."""
    rows = Notice.objects.filter(event=event).select_related("person").order_by("pk")
    return [row.person.username if row.person else "" for row in rows]


def send(minutes: float = 0) -> int:
    return deliver.deliver_due(world.now() + timedelta(minutes=minutes))


class TestWriting:
    def test_who_may_decide_is_told_and_nobody_else(self, low: Request) -> None:
        assert told("revision.proposed") == ["amara", ""]

    def test_each_change_tells_whom_it_concerns_but_not_who_did_it(self, here: World, low: Request) -> None:
        run = world.run_of(world.approved(low, here.people["amara"]))
        assert told("request.approved") == ["rosa", ""]
        world.stopped(run, "blocked", code="AccessDenied")
        assert told("run.stopped") == ["rosa", "oskar", "ines", ""]

    def test_applied_tells_the_requester(self, here: World, low: Request) -> None:
        world.finished(world.run_of(world.approved(low, here.people["amara"]), done=4))
        assert told("request.applied") == ["rosa", ""]

    def test_is_undone_with_the_change(self, here: World, low: Request) -> None:
        before = Notice.objects.count()
        with transaction.atomic():
            world.approved(low, here.people["amara"])
            assert Notice.objects.count() > before
            transaction.set_rollback(True)
        assert Notice.objects.count() == before

    def test_deactivated_people_are_not_told(self, here: World) -> None:
        row = world.sent(here.people["rosa"], world.facts_for(here.prod))
        here.people["amara"].is_active = False
        here.people["amara"].save()
        world.proposed(row)
        assert told("revision.proposed") == [""]


class TestChanges:
    """Those that one person proposes and another confirms."""

    def decided(self, here: World, change: ProposedChange, decision: str) -> None:
        mei = here.people["mei"]
        given: dict[str, Any] = {"change_id": change.pk, "user": mei, "actor": world.actor(mei), "at": world.now()}
        if decision == "confirm":
            changes.confirm(seen_digest=change.digest, signed_in_at=world.now(), **given)
        else:
            changes.refuse(reason="She requests too much", **given)

    def test_those_who_may_confirm_are_told_and_read_it_at_one_link(self, change: ProposedChange) -> None:
        assert sorted(told("change.proposed")) == ["", "ines", "mei"]
        assert send() == 2
        sent = next(one for one in mail.outbox if one.to == ["mei@example.org"])
        assert sent.subject == f"[IAM] {change.reference} waits for a second person: Members of the group approvers"
        assert "“Rosa helps out in summer”" in str(sent.body)
        assert str(sent.body).count("http") == 1
        assert str(sent.body).rstrip().endswith(f"/ops/changes/{change.pk}/")

    @pytest.mark.parametrize(("decision", "word"), [("confirm", "is confirmed"), ("refuse", "is refused")])
    def test_who_proposed_is_told_of_the_answer(
        self, here: World, signed_in: NewClient, change: ProposedChange, decision: str, word: str
    ) -> None:
        self.decided(here, change, decision)
        assert send() == 1  # nobody is called to what is decided
        (sent,) = mail.outbox
        assert (sent.to, f"{change.reference} {word}" in sent.subject) == (["oskar@example.org"], True)
        assert f'href="/ops/changes/{change.pk}/">{change.reference} {word}</a>' in text_of(signed_in("oskar").get("/"))

    def test_one_that_failed_is_named_on_the_health_page(self, signed_in: NewClient, change: ProposedChange) -> None:
        Notice.objects.filter(change=change).update(code="TimeoutError", next_try_at=None)
        page = text_of(signed_in("oskar").get(reverse("operations_health")))
        assert f"{change.reference} waits for a second person</a>" in page


class TestMail:
    def test_says_who_what_risk_account_and_one_link(self, low: Request) -> None:
        assert send() == 1
        (sent,) = mail.outbox
        assert isinstance(sent, EmailMultiAlternatives)
        text = str(sent.body)
        assert sent.to == ["amara@example.org"]
        assert sent.subject.startswith(f"[IAM] {low.reference} needs approval: ")
        assert sent.subject.endswith("(Low)")
        assert "Rosa Lindqvist (Orders)" in text
        assert f"orders-prod, {world.PROD}" in text
        assert "Risk: Low." in text
        assert len(text.splitlines()) <= 15
        assert text.count("http") == 1
        assert f"/approvals/{low.reference}/" in text
        assert "decide" not in text
        assert "Statement" not in text
        (html, kind) = sent.alternatives[0]
        assert kind == "text/html"
        for line in filter(None, text.splitlines()):
            assert line.replace("“", "“").replace("'", "&#x27;") in str(html)
        assert send(60) == 0

    def test_a_name_makes_no_header_and_no_markup(self, here: World, low: Request) -> None:
        Request.objects.filter(pk=low.pk).update(title="<b>x</b>\r\nBcc: eve@example.org")
        assert send() == 1
        (sent,) = mail.outbox
        assert isinstance(sent, EmailMultiAlternatives)
        assert "\n" not in sent.subject
        assert "Bcc" not in sent.message()
        assert "<b>" not in str(sent.alternatives[0][0])

    def test_applied_gives_the_arn_and_the_next_command(self, here: World, low: Request) -> None:
        world.finished(world.run_of(world.approved(low, here.people["amara"]), done=4))
        send()
        (text,) = [str(one.body) for one in mail.outbox if "is applied" in one.subject]
        arn = f"arn:aws:iam::{world.PROD}:role/ecsCodeDeployRole"
        assert f"approved: {arn}" in text
        assert f"--service-role-arn {arn}" in text

    def test_stopped_says_what_is_in_place(self, here: World, low: Request) -> None:
        run = world.run_of(world.approved(low, here.people["amara"]), done=2)
        world.stopped(run, "blocked", code="AccessDenied", message="secret of AWS")
        send()
        texts = [str(one.body) for one in mail.outbox if "has stopped" in one.subject]
        assert len(texts) == 3
        assert "Blocked: AccessDenied. 2 of 4 steps are in place." in texts[0]
        assert "secret of AWS" not in texts[0]

    def test_nobody_is_called_to_what_is_decided(self, here: World, low: Request) -> None:
        world.approved(low, here.people["amara"])
        send()
        assert not [one for one in mail.outbox if "needs approval" in one.subject]
        assert not Notice.objects.exclude(next_try_at=None).exists()

    def test_who_wants_none_gets_none(self, here: World, signed_in: NewClient) -> None:
        client = signed_in("amara")
        assert client.post(reverse("preferences"), {"time_zone": "UTC"}).status_code == 303
        here.people["amara"].refresh_from_db()
        assert here.people["amara"].mail is False
        world.in_review(here.people["rosa"], world.facts_for(here.prod))
        assert (send(), mail.outbox) == (0, [])

    def test_a_failing_server_is_tried_later_then_given_up(
        self, low: Request, signed_in: NewClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise ConnectionRefusedError("10.0.0.1 said no")

        monkeypatch.setattr(EmailMultiAlternatives, "send", fail)
        minutes = 0.0
        assert send() == 0
        assert send(0.2) == 0
        row = Notice.objects.get(person__username="amara")
        assert (row.tries, row.code) == (1, "ConnectionRefusedError")
        page = text_of(signed_in("oskar").get(reverse("operations_health")))
        assert "Notices that were not sent" in page
        assert "ConnectionRefusedError" in page
        for _ in range(20):
            minutes += 61
            send(minutes)
        row.refresh_from_db()
        assert (row.tries, row.next_try_at, row.sent_at) == (deliver.TRIES, None, None)
        oskar = signed_in("oskar")
        page = text_of(oskar.get(reverse("operations_health")))
        assert ("Given up" in page, "Send 1 again" in page) == (True, True)
        monkeypatch.undo()
        assert signed_in("amara").post(reverse("notices_again")).status_code == 403
        answer = oskar.post(reverse("notices_again"))
        assert (answer.status_code, answer["Location"]) == (303, reverse("operations_health"))
        assert "1 notice will be sent again." in text_of(oskar.get(reverse("operations_health")))
        assert AuditEvent.objects.filter(action="notices.ordered_again").count() == 1
        assert oskar.post(reverse("notices_again")).status_code == 409
        assert send(minutes) == 1
        row.refresh_from_db()
        assert (row.tries, row.code, row.sent_at is None) == (1, "", False)
        assert "Notices that were not sent" not in text_of(oskar.get(reverse("operations_health")))

    def test_a_changed_proposal_is_not_told_on(self, low: Request) -> None:
        Proposal.objects.update(canonical="{}")
        assert send() == 0
        assert Notice.objects.get(person__username="amara").code == "proposal_changed"

    def test_two_processes_that_read_the_same_row_send_once(self, low: Request) -> None:
        related = ("request__requester", "request__team", "request__account", "person")
        read_before = Notice.objects.select_related(*related).get(person__username="amara")
        assert send() == 1
        assert deliver._deliver(read_before, world.now()) is False
        assert len(mail.outbox) == 1


class TestWebhook:
    @pytest.fixture
    def posted(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Target, bytes, str]]:
        """What is posted, the lookup and the network replaced."""
        settings.ROLEDESK_WEBHOOK_URL = "https://hooks.example.test/T0"
        settings.ROLEDESK_WEBHOOK_SECRET = "s3"
        monkeypatch.setattr(
            webhook.target_of, "__kwdefaults__", {"loopback": False, "resolver": lambda *_: ["93.184.216.34"]}
        )
        found: list[tuple[Target, bytes, str]] = []

        def keep(target: Target, body: bytes, *, secret: str, delivery: str, timestamp: int) -> None:
            found.append((target, body, delivery))

        monkeypatch.setattr(webhook, "post", keep)
        return found

    def test_gets_slacks_text_and_facts_for_machines(
        self, here: World, low: Request, posted: list[tuple[Target, bytes, str]]
    ) -> None:
        Request.objects.filter(pk=low.pk).update(title="<!channel> & co")
        assert send() == 2
        ((target, body, delivery),) = posted
        said = json.loads(body)
        assert target.address == "93.184.216.34"
        assert delivery == str(Notice.objects.get(person=None).pk)
        assert "&lt;!channel&gt; &amp; co" in said["text"]
        assert "<" not in said["text"]
        facts = said["metadata"]["event_payload"]
        assert (facts["event"], facts["kind"], facts["request"]) == ("revision.proposed", "waiting", low.reference)

    def test_failures_are_kept_by_code_without_the_address(
        self, low: Request, posted: list[tuple[Target, bytes, str]], monkeypatch: pytest.MonkeyPatch, caplog: Any
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise NotSent("redirected")

        monkeypatch.setattr(webhook, "post", fail)
        send()
        assert Notice.objects.get(person=None).code == "redirected"
        assert "hooks.example.test" not in caplog.text

    def test_names_a_change_by_its_reference(
        self, change: ProposedChange, posted: list[tuple[Target, bytes, str]]
    ) -> None:
        send()
        (body,) = [json.loads(one[1]) for one in posted]
        said = body["metadata"]["event_payload"]
        assert (said["event"], said["change"]) == ("change.proposed", change.reference)

    def test_without_one_nothing_is_left_over(self, low: Request) -> None:
        send()
        row = Notice.objects.get(person=None)
        assert (row.next_try_at, row.sent_at, row.code) == (None, None, "")


class TestPages:
    def test_home_lists_what_happened_until_it_is_read(self, here: World, low: Request, signed_in: NewClient) -> None:
        world.approved(low, here.people["amara"])
        client = signed_in("rosa")
        page = text_of(client.get("/"))
        assert f"{low.reference} is approved" in page
        assert "unread notice" in page
        last = Notice.objects.get(event="request.approved", person__username="rosa").pk
        answer = client.post(reverse("notices_read"), {"last": last})
        assert (answer.status_code, answer["Location"]) == (303, "/")
        assert "is approved" not in text_of(client.get("/"))

    def test_nobody_reads_for_another(self, here: World, low: Request, signed_in: NewClient) -> None:
        world.approved(low, here.people["amara"])
        signed_in("theo").post(reverse("notices_read"), {"last": "999999"})
        assert Notice.objects.filter(person__username="rosa", seen_at=None).count() == 1

    def test_what_waits_is_counted_in_the_queue_alone(self, low: Request, signed_in: NewClient) -> None:
        assert "needs approval" not in text_of(signed_in("amara").get("/"))

    def test_old_ones_are_forgotten_once_settled(self, low: Request) -> None:
        late = world.now() + timedelta(days=91)
        assert deliver.forget_old(late) == 0
        send()
        assert deliver.forget_old(late) == 2


class TestReminding:
    def test_tells_again_who_has_not_decided_after_four_hours(
        self, here: World, low: Request, signed_in: NewClient
    ) -> None:
        address = reverse("request_remind", args=[low.pk])
        page = reverse("request_detail", args=[low.pk])
        assert "Remind who can decide" not in text_of(signed_in("rosa").get(page))
        assert signed_in("rosa").post(address).status_code == 409
        Notice.objects.update(at=world.now() - timedelta(hours=4, seconds=1))
        assert "Remind who can decide" in text_of(signed_in("rosa").get(page))
        assert signed_in("theo").post(address).status_code == 403
        assert signed_in("rosa").post(address).status_code == 303
        assert told("request.reminded") == ["amara", ""]
        assert AuditEvent.objects.filter(action="request.reminded", request=low.reference).count() == 1
        assert signed_in("rosa").post(address).status_code == 409
        send()
        assert [one.subject.split(":")[0] for one in mail.outbox][-1] == f"[IAM] {low.reference} still needs approval"

    def test_leaves_alone_who_has_decided(self, here: World, signed_in: NewClient) -> None:
        facts = world.facts_for(here.prod, managed_policy="full", why_full="An AppSpec of another bucket")
        high = world.in_review(here.people["rosa"], facts)
        world.approved(high, here.people["amara"])
        Notice.objects.update(at=world.now() - timedelta(hours=5))
        assert signed_in("rosa").post(reverse("request_remind", args=[high.pk])).status_code == 303
        assert told("request.reminded") == ["mei", ""]
