"""The review page and deciding: what approvers see, and that every refusal stores nothing but its event."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.http import HttpResponse
from django.urls import reverse

from iamroles.iam import documents, trust
from iamroles.models import AuditEvent, Decision, Request
from iamroles.rules.account_rules import AccountRules
from iamroles.rules.quotas import Quotas
from iamroles.workflow import decide
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World

Key = Callable[[], str]
SCRIPT = "<script>alert('x')</script>"


def review_address(row: Request) -> str:
    return reverse("approval_review", args=[row.pk])


def form(row: Request, decision: str = "approve", **changes: Any) -> dict[str, Any]:
    proposal = row.current_proposal()
    assert proposal is not None
    return {"decision": decision, "proposal_digest": proposal.digest, "reason": "", **changes}


def ticks(row: Request) -> list[str]:
    proposal = row.current_proposal()
    assert proposal is not None
    return [finding["id"] for finding in decide.to_acknowledge(proposal)]


def refusals(row: Request) -> list[tuple[str, str]]:
    events = AuditEvent.objects.filter(action="verb.refused", request=row.reference).order_by("pk")
    return [(event.actor_name, event.code) for event in events]


def text_of(response: HttpResponse) -> str:
    return response.content.decode()


@pytest.fixture
def low(here: World) -> Request:
    return world.in_review(here.people["rosa"], world.facts_for(here.prod))


@pytest.fixture
def high(here: World) -> Request:
    facts = world.facts_for(
        here.prod, role_name="ecsCodeDeployRole-full", managed_policy="full", why_full="The hooks are shared"
    )
    return world.in_review(here.people["rosa"], facts)


@pytest.fixture
def adopting(here: World) -> Request:
    facts = world.facts_for(here.staging, role_name="ecsCodeDeployRole-legacy")
    return world.in_review(here.people["rosa"], facts, world.existing_base(facts))


class TestShowing:
    def test_says_why_limited_is_not_enough_where_full_is_asked_for(
        self, low: Request, high: Request, signed_in: NewClient
    ) -> None:
        page = text_of(signed_in("amara").get(review_address(high)))
        assert "Why Limited is not enough" in page
        assert "The hooks are shared" in page
        assert "Why Limited is not enough" not in text_of(signed_in("amara").get(review_address(low)))

    def test_says_words_documents_and_digest(self, low: Request, signed_in: NewClient) -> None:
        page = text_of(signed_in("amara").get(review_address(low)))
        proposal = low.current_proposal()
        assert proposal is not None
        assert proposal.sentences[0] in page
        assert f'name="proposal_digest" value="{proposal.digest}"' in page
        for part in (
            "iam:PassedToService",
            "aws:SourceAccount",
            "orders-api-task",
            "0 of 1 approval: approvers missing.",
        ):
            assert part in page, part

    def test_links_every_finding_to_an_id_on_the_page(
        self, high: Request, adopting: Request, signed_in: NewClient
    ) -> None:
        for row in (high, adopting):
            page = text_of(signed_in("mei").get(review_address(row)))
            ids = re.findall(r'\bid="([^"]+)"', page)
            found = re.findall(r'data-finding="[^"]+".*?href="#([^"]+)"', page, re.DOTALL)
            proposal = row.current_proposal()
            assert proposal is not None
            assert len(found) == len({(f["id"], f["message"], f["standard"]) for f in proposal.findings}) > 0
            assert set(found) <= set(ids)
            assert len(ids) == len(set(ids))

    def test_says_that_the_aws_account_has_no_room(self, here: World, signed_in: NewClient) -> None:
        facts = world.facts_for(here.staging)
        full = replace(world.context_for(facts), quotas=Quotas({"Roles": 1000, "RolesQuota": 1000}))
        row = world.sent(here.people["rosa"], facts)
        world.proposed(row, context=full)
        page = text_of(signed_in("amara").get(review_address(row)))
        said = "orders-staging has 1,000 of 1,000 roles: AWS would refuse one more."
        assert f"<strong>Will not work.</strong> {said}" in page

    def test_says_what_whoever_can_deploy_may_do_through_a_role(self, here: World, signed_in: NewClient) -> None:
        facts = world.facts_for(here.staging)
        api, worker = facts.task_roles
        usual = world.context_for(facts)
        everything, some = (
            documents.parse({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": a, "Resource": "*"}]})
            for a in ("*", "s3:GetObject")
        )
        passed = {
            **usual.passed,
            api: replace(usual.passed[api], inline={"app": some}),
            worker: replace(usual.passed[worker], inline={"all": everything}),
        }
        row = world.sent(here.people["rosa"], facts)
        world.proposed(row, context=replace(usual, passed=passed))
        page = text_of(signed_in("mei").get(review_address(row)))
        assert "orders-worker-task has administrator rights: everything in orders-staging." in page
        assert "May read every S3 object (app)." in page
        assert 'href="#passed-orders-worker-task">orders-worker-task</a> <span class="mono">PR07</span>' in page
        assert 'id="passed-orders-worker-task"' in page
        assert ticks(row) == re.findall(r'<input[^>]*name="acknowledged"[^>]*value="([A-Z0-9]+)"', page) == ["PR07"]
        assert "none set: nothing is held against one" in page

    def test_says_which_guardrails_it_was_held_against(self, here: World, signed_in: NewClient) -> None:
        facts = world.facts_for(here.staging)
        row = world.sent(here.people["rosa"], facts)
        limits = documents.parse(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        )
        rules = AccountRules(guardrail=(limits,), trust_guardrail=(trust.codedeploy_trust(here.staging.number),))
        world.proposed(row, account_rules=rules)
        page = text_of(signed_in("mei").get(review_address(row)))
        assert "kept for rights and trust" in page

    def test_says_adopt_and_marks_what_is_kept(self, adopting: Request, signed_in: NewClient) -> None:
        page = text_of(signed_in("amara").get(review_address(adopting)))
        assert "Adopts an existing role" in page
        assert re.search(r"ReadOnlyAccess</h3><span[^>]*>Kept<", page)
        assert re.search(r"appspec-read</h3><span[^>]*>Kept<", page)
        assert re.search(r'<span class="diff-sign">−</span><del>.*ec2\.amazonaws\.com', page)
        assert re.search(r'<span class="diff-sign">\+</span><ins>.*aws:SourceAccount', page)

    def test_shows_the_requester_why_there_is_no_form(self, low: Request, signed_in: NewClient) -> None:
        page = text_of(signed_in("rosa").get(review_address(low)))
        assert "You asked for this, so someone else must approve it." in page
        assert 'name="decision"' not in page

    def test_shows_the_auditor_the_page_without_a_form(self, low: Request, signed_in: NewClient) -> None:
        page = text_of(signed_in("idris").get(review_address(low)))
        assert "Decisions on this request are made by: approvers." in page
        assert 'name="decision"' not in page

    def test_refuses_an_outsider_and_records_it(self, low: Request, signed_in: NewClient) -> None:
        answer = signed_in("eve").get(review_address(low))
        assert answer.status_code == 403
        assert refusals(low) == [("Eve Stone", "not_involved")]

    def test_escapes_what_people_typed(self, here: World, signed_in: NewClient) -> None:
        row = world.sent(here.people["rosa"], world.facts_for(here.prod), reason=f"{SCRIPT} ORD-1")
        world.proposed(row)
        page = text_of(signed_in("amara").get(review_address(row)))
        assert SCRIPT not in page
        assert "&lt;script&gt;alert(" in page

    def test_sends_to_the_request_while_a_worker_reads(self, here: World, signed_in: NewClient) -> None:
        row = world.sent(here.people["rosa"], world.facts_for(here.prod))
        answer = signed_in("amara").get(review_address(row))
        assert (answer.status_code, answer["Location"]) == (302, reverse("request_detail", args=[row.pk]))


class TestDeciding:
    @staticmethod
    def post(client: Any, row: Request, values: dict[str, Any]) -> Any:
        return client.post(reverse("approval_decide", args=[row.pk]), values)

    def test_approves_and_goes_to_the_next(
        self, low: Request, adopting: Request, signed_in: NewClient, key: Key
    ) -> None:
        answer = self.post(signed_in("amara"), low, form(low, idempotency_key=key()))
        assert (answer.status_code, answer["Location"]) == (303, review_address(adopting))
        row = Decision.objects.get()
        proposal = low.current_proposal()
        assert proposal is not None
        assert (row.decision, row.approver.username, row.proposal_digest) == ("approve", "amara", proposal.digest)
        low.refresh_from_db()
        assert low.state == "approved"

    def test_shows_the_progress_of_a_high_request(
        self, high: Request, here: World, signed_in: NewClient, key: Key
    ) -> None:
        client = signed_in("amara")
        answer = self.post(client, high, form(high, acknowledged=ticks(high), idempotency_key=key()))
        page = text_of(client.get(answer["Location"]))
        assert f"{high.reference} approved (1 of 2). You can take it back on its page." in page
        page = text_of(signed_in("mei").get(review_address(high)))
        assert "1 of 2 approvals: approvers done, security missing." in page

    def test_stores_one_decision_for_a_double_click(
        self, low: Request, adopting: Request, signed_in: NewClient, key: Key
    ) -> None:
        values = form(low, idempotency_key=key())
        client = signed_in("amara")
        answers = [self.post(client, low, values) for _ in range(2)]
        assert [(a.status_code, a["Location"]) for a in answers] == [(303, review_address(adopting))] * 2
        assert Decision.objects.count() == 1

    def test_a_key_counts_for_one_person_and_one_address(
        self, high: Request, low: Request, here: World, signed_in: NewClient, key: Key
    ) -> None:
        shared = key()
        for login in ("amara", "mei"):
            answer = self.post(signed_in(login), high, form(high, acknowledged=ticks(high), idempotency_key=shared))
            assert answer.status_code == 303
        self.post(signed_in("amara"), low, form(low, idempotency_key=shared))
        comment = reverse("request_comment", args=[low.pk])
        for _ in range(2):
            signed_in("amara").post(comment, {"text": "Watch the worker", "idempotency_key": shared})
        made = Decision.objects.order_by("pk").values_list("request_id", "approver__username")
        assert list(made) == [(high.pk, "amara"), (high.pk, "mei"), (low.pk, "amara")]
        assert AuditEvent.objects.filter(action="request.commented").count() == 1

    @pytest.mark.parametrize(
        ("login", "code"), [("rosa", "self_approval"), ("idris", "not_eligible"), ("oskar", "not_eligible")]
    )
    def test_refuses_who_may_not(self, low: Request, signed_in: NewClient, key: Key, login: str, code: str) -> None:
        answer = self.post(signed_in(login), low, form(low, reason="let me through", idempotency_key=key()))
        assert answer.status_code == 403
        assert "let me through" in text_of(answer)
        assert Decision.objects.count() == 0
        assert [found for _, found in refusals(low)] == [code]

    @pytest.mark.parametrize("verb", ["decide", "take_back"])
    @pytest.mark.parametrize("decided", [False, True])
    def test_says_nothing_of_a_request_to_who_may_not_see_it(
        self, low: Request, here: World, signed_in: NewClient, key: Key, verb: str, decided: bool
    ) -> None:
        proposal = low.current_proposal()
        assert proposal is not None
        if decided:
            values = form(low, "reject", reason="The budget of project Heron", idempotency_key=key())
            self.post(signed_in("amara"), low, values)
        values = form(low, proposal_digest="0" * 64, idempotency_key=key())
        answer = signed_in("eve").post(reverse(f"approval_{verb}", args=[low.pk]), values)
        page = text_of(answer)
        assert answer.status_code == 403
        assert [word for word in (*proposal.sentences, "Amara", "Heron", low.role_name) if word in page] == []
        assert refusals(low) == [("Eve Stone", "not_involved")]
        assert AuditEvent.objects.get(action="verb.refused").canon.count(f'"verb":"{verb}"') == 1

    def test_refuses_a_stale_digest_and_shows_what_changed(
        self, low: Request, here: World, signed_in: NewClient, key: Key
    ) -> None:
        values = form(low, reason="fine by me", idempotency_key=key())
        other = world.facts_for(here.prod, task_roles=(f"arn:aws:iam::{world.PROD}:role/orders-batch-task",))
        world.resent(low, here.people["rosa"], other)
        world.proposed(low)
        answer = self.post(signed_in("amara"), low, values)
        page = text_of(answer)
        assert answer.status_code == 409
        assert re.search(r"<del>[^<]*orders-api-task and orders-worker-task", page)
        assert re.search(r"<ins>[^<]*orders-batch-task", page)
        assert "fine by me" in page
        assert "You saw revision 1" in page
        assert Decision.objects.count() == 0
        assert refusals(low) == [("Amara Okafor", "stale_digest")]

    def test_refuses_an_unknown_digest(self, low: Request, signed_in: NewClient, key: Key) -> None:
        answer = self.post(signed_in("amara"), low, form(low, proposal_digest="", idempotency_key=key()))
        assert answer.status_code == 409
        assert Decision.objects.count() == 0

    @pytest.mark.parametrize("decision", ["changes", "reject"])
    def test_wants_a_reason_unless_it_approves(
        self, low: Request, signed_in: NewClient, key: Key, decision: str
    ) -> None:
        answer = self.post(signed_in("amara"), low, form(low, decision, reason="  ", idempotency_key=key()))
        page = text_of(answer)
        assert answer.status_code == 422
        assert "<title>Error: Review" in page
        assert 'href="#decision-reason"' in page
        assert Decision.objects.count() == 0

    def test_records_a_rejection_with_its_reason(self, low: Request, signed_in: NewClient, key: Key) -> None:
        answer = self.post(signed_in("amara"), low, form(low, "reject", reason="Use staging", idempotency_key=key()))
        assert answer.status_code == 303
        low.refresh_from_db()
        assert (low.state, low.outcome) == ("closed", "rejected")
        assert Decision.objects.get().reason == "Use staging"

    def test_wants_a_tick_for_each_high_finding_and_keeps_what_was_typed(
        self, high: Request, signed_in: NewClient, key: Key
    ) -> None:
        wanted = ticks(high)
        client = signed_in("mei")
        values = form(high, reason="checked with the team", acknowledged=wanted[:1], idempotency_key=key())
        answer = self.post(client, high, values)
        page = text_of(answer)
        assert answer.status_code == 422
        assert "checked with the team</textarea>" in page
        assert re.findall(r'value="([A-Z0-9]+)" checked', page) == wanted[:1]
        assert Decision.objects.count() == 0
        answer = self.post(client, high, {**values, "acknowledged": wanted})
        assert answer.status_code == 303
        assert Decision.objects.get().acknowledged == sorted(wanted)

    def test_the_tick_of_one_finding_is_not_the_tick_of_another_of_its_id(
        self, here: World, signed_in: NewClient, key: Key
    ) -> None:
        facts = world.facts_for(here.staging)
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        usual = world.context_for(facts)
        passed = {
            arn: replace(usual.passed[arn], inline={"all": documents.parse(everything)}) for arn in facts.task_roles
        }
        row = world.sent(here.people["rosa"], facts)
        world.proposed(row, context=replace(usual, passed={**usual.passed, **passed}))
        client = signed_in("mei")
        boxes = re.findall(
            r'name="acknowledged"[^>]*value="(PR07\.[0-9a-f]{8})"', text_of(client.get(review_address(row)))
        )
        assert len(set(boxes)) == 2
        for one, other in (boxes, boxes[::-1]):
            answer = self.post(client, row, form(row, acknowledged=[one, "PR07.00000000"], idempotency_key=key()))
            assert answer.status_code == 422
            assert re.findall(r'value="(PR07[^"]*)" checked', text_of(answer)) == [one] != [other]
        assert Decision.objects.count() == 0
        assert self.post(client, row, form(row, acknowledged=boxes, idempotency_key=key())).status_code == 303
        assert Decision.objects.get().acknowledged == sorted(boxes)

    def test_asks_to_sign_in_again_and_keeps_the_form(self, high: Request, signed_in: NewClient, key: Key) -> None:
        client = signed_in("mei", minutes=6)
        values = form(high, reason="seen with Theo", acknowledged=ticks(high), idempotency_key=key())
        answer = self.post(client, high, values)
        assert answer.status_code == 302
        assert answer["Location"] == (f"{reverse('account_reauthenticate')}?next=%2Fapprovals%2F{high.reference}%2F")
        assert "seen" not in answer["Location"]
        assert Decision.objects.count() == 0
        page = text_of(client.get(review_address(high)))
        assert "We kept what you typed." in page
        assert "seen with Theo</textarea>" in page
        assert re.findall(r'value="([A-Z0-9]+)" checked', page) == ticks(high)

    def test_low_may_be_decided_half_an_hour_after_signing_in(
        self, low: Request, signed_in: NewClient, key: Key
    ) -> None:
        assert self.post(signed_in("amara", minutes=29), low, form(low, idempotency_key=key())).status_code == 303

    def test_says_who_was_quicker(self, low: Request, here: World, signed_in: NewClient, key: Key) -> None:
        values = form(low, reason="mine", idempotency_key=key())
        world.approved(low, here.people["amara"])
        other = signed_in("amara")
        answer = self.post(other, low, values)
        page = text_of(answer)
        assert answer.status_code == 409
        assert "Amara Okafor</span> approved revision 1" in page
        assert Decision.objects.count() == 1

    def test_refuses_get_and_a_missing_token(self, low: Request, signed_in: NewClient, key: Key) -> None:
        address = reverse("approval_decide", args=[low.pk])
        assert signed_in("amara").get(address).status_code == 405
        answer = signed_in("amara", strict=True).post(address, form(low, idempotency_key=key()))
        assert answer.status_code == 403
        assert Decision.objects.count() == 0

    def test_sends_people_without_a_session_to_the_door(self, low: Request, client: Any) -> None:
        answer = self.post(client, low, form(low))
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("account_login"))
        assert Decision.objects.count() == 0

    def test_an_unknown_reference_is_not_found(self, here: World, signed_in: NewClient) -> None:
        for address in ("/approvals/REQ-999999/", "/requests/REQ-999999/", "/requests/REQ-999999/withdraw/"):
            assert signed_in("amara").get(address).status_code == 404, address
        assert signed_in("amara").post("/approvals/REQ-999999/decide/", {}).status_code == 404


class TestTakingBack:
    def test_returns_the_request_to_review(self, low: Request, here: World, signed_in: NewClient, key: Key) -> None:
        world.approved(low, here.people["amara"])
        address = reverse("approval_take_back", args=[low.pk])
        answer = signed_in("amara").post(address, {"idempotency_key": key()})
        assert (answer.status_code, answer["Location"]) == (303, reverse("request_detail", args=[low.pk]))
        low.refresh_from_db()
        assert low.state == "in_review"

    def test_refuses_somebody_who_has_not_approved(self, low: Request, signed_in: NewClient, key: Key) -> None:
        answer = signed_in("mei").post(reverse("approval_take_back", args=[low.pk]), {"idempotency_key": key()})
        assert answer.status_code == 403
        assert refusals(low) == [("Mei Tanaka", "no_approval")]

    def test_refuses_once_a_step_was_made(self, low: Request, here: World, signed_in: NewClient, key: Key) -> None:
        world.run_of(world.approved(low, here.people["amara"]), done=1)
        answer = signed_in("amara").post(reverse("approval_take_back", args=[low.pk]), {"idempotency_key": key()})
        assert answer.status_code == 409
        low.refresh_from_db()
        assert low.state == "approved"
