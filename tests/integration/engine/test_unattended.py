"""Auto-approval (APPLY.md test 67): what a rule lets go without a person, and what the claim sends back."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from iamroles import audit, canonical
from iamroles.audit import reading
from iamroles.blueprints import Facts, GrantFacts, RemovalFacts
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.state import RoleState
from iamroles.engine import observe
from iamroles.iam import documents, trust
from iamroles.iam.documents import Document
from iamroles.models import AuditEvent, Decision, Notice, Proposal, Request, Revision, User
from iamroles.pages.requests import request_page
from iamroles.proposal import digest_of
from iamroles.rules import standard
from iamroles.rules.approval_rules import STARTING_RULES
from iamroles.transitions import move_request
from iamroles.workflow import changes, organisation
from tests.integration.account_rules import set_account_rule
from tests.integration.engine.world import NUMBER, POLICY, ROLE, SYSTEM, TASK, World, actor

PLAIN = "Roles that pass what was passed before are routine."
OTHER = f"arn:aws:iam::{NUMBER}:role/orders-api-other"
NARROWER = trust.codedeploy_trust(NUMBER, source_arn=f"arn:aws:codedeploy:*:{NUMBER}:deploymentgroup:*")
SECOND = "ecsCodeDeployRoleTwo"


def unattended(*kinds: str, **when: Any) -> list[dict[str, Any]]:
    return [{"when": {"kind": list(kinds), **when}, "why": PLAIN}]


def set_rules(world: World, rules: list[dict[str, Any]], version: int = 2) -> None:
    content = {**deepcopy(STARTING_RULES), "version": version, "unattended": rules}
    change = changes.propose(
        subject="approval_rules",
        target="",
        content=content,
        reason="Routine requests wait too long.",
        user=world.security,
        signed_in_at=world.clock(),
        actor=actor(world.security),
        at=world.clock(),
    )
    operator = User.objects.filter(username="olga").first() or organisation.add_person(
        login="olga",
        first_name="Olga",
        last_name="",
        password=None,
        groups=("operators",),
        teams=(),
        actor=SYSTEM,
        at=world.clock(),
    )
    changes.confirm(
        change_id=change.pk,
        seen_digest=change.digest,
        user=operator,
        signed_in_at=world.clock(),
        actor=actor(operator),
        at=world.clock(),
    )


def set_guardrail(world: World, kind: str = "guardrail", *actions: str) -> None:
    if kind == "guardrail":
        listed = actions or ("*",)
        value: Any = {"Statement": [{"Effect": "Allow", "Action": list(listed), "Resource": "*"}]}
    else:
        value = json.loads(trust.codedeploy_trust(NUMBER).canonical_text)
    text = json.dumps({"Version": "2012-10-17", **value})
    set_account_rule(number=NUMBER, kind=kind, text=text, actor=SYSTEM, at=world.clock())


def second(world: World, **changes: Any) -> Facts:
    return world.facts(role_name=SECOND, policy_name=f"{SECOND}-PassRole", **changes)


def sent(world: World, facts: Facts) -> Request:
    request = world.submitted(facts)
    observe.observe(request_id=request.pk, tools=world.tools())
    request.refresh_from_db()
    return request


def attended(request: Request) -> str:
    proposal = request.current_proposal()
    assert proposal is not None
    return str(proposal.body.get("attended", "no_rule"))


@pytest.fixture
def ready(world: World) -> World:
    """A first role was applied by people's approvals; both guardrails are set; a rule lets further ones go."""
    set_guardrail(world)
    set_guardrail(world, "trust_guardrail")
    assert world.apply(world.approved()) == "applied"
    set_rules(world, unattended("role", "grant"))
    return world


def grant(world: World) -> Facts:
    return GrantFacts(
        account=world.account.facts(),
        team="orders",
        role_name="ecsCodeDeployRole",
        task_roles=(TASK,),
        policy_name="ecsCodeDeployRole-More",
        policy_description="More",
        anyway=True,
    )


def removal(world: World) -> Facts:
    return RemovalFacts(
        account=world.account.facts(), team="orders", role_name="ecsCodeDeployRole", role_arn=ROLE, policies=(POLICY,)
    )


def document(*actions: str) -> Document:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]})


def put(world: World, arn: str, **changes: Any) -> None:
    """Changes a role in AWS around the portal; tags and inline policies are added."""
    name = arn.rsplit("/", 1)[-1].lower()
    role = world.aws.roles[name]
    for part in ("tags", "inline"):
        if part in changes:
            changes[part] = {**getattr(role, part), **changes[part]}
    world.aws.roles[name] = replace(role, **changes)


def more_in_our_policy(world: World) -> None:
    """Somebody else lets a policy that the portal made pass one role more."""
    policy = world.aws.policies[POLICY]
    value = json.loads(policy.state.document.canonical_text)
    value["Statement"][0]["Resource"] = [*value["Statement"][0]["Resource"], f"{TASK}-more"]
    changed = documents.parse(value)
    versions = {policy.state.default_version or "v1": changed}
    world.aws.policies[POLICY] = replace(policy, state=replace(policy.state, document=changed), versions=versions)


def put_new(world: World, name: str, trusted: str = "tasks") -> None:
    document = trust.ecs_tasks_trust() if trusted == "tasks" else trust.codedeploy_trust(NUMBER)
    world.aws.put_role(RoleState(arn=f"arn:aws:iam::{NUMBER}:role/{name}", name=name, path="/", trust=document))


def take_back(world: World, kind: str) -> None:
    set_account_rule(number=NUMBER, kind=kind, text="[]", actor=SYSTEM, at=world.clock())


def forget_grants() -> None:
    Request.objects.filter(outcome="applied").update(outcome="resolved")


def remember_grants() -> None:
    Request.objects.filter(outcome="resolved").update(outcome="applied")


def deactivate(world: World) -> None:
    User.objects.filter(pk=world.requester.pk).update(is_active=False)


def digests(world: World) -> dict[str, Any]:
    facts = world.facts()
    return standard.digests(facts.account, facts_module.service_of(facts), world.account.rules())


def swap(request: Request, other: Request) -> None:
    """Gives the one request the other's facts, and a proposal that is made of them, whole in itself."""
    mine, theirs = request.current_proposal(), other.current_proposal()
    assert mine is not None
    assert theirs is not None
    Revision.objects.filter(pk=mine.revision_id).update(
        facts=theirs.revision.facts, desired_digest=theirs.revision.desired_digest
    )
    text = theirs.canonical.replace(other.reference, request.reference)
    Proposal.objects.filter(pk=mine.pk).update(canonical=text, digest=digest_of(text))


def forge(proposal: Proposal, text: str) -> None:
    """Stores another text with its digest, and an event that says that a rule let it go."""
    digest = digest_of(text)
    Proposal.objects.filter(pk=proposal.pk).update(canonical=text, digest=digest)
    known = json.loads(AuditEvent.objects.get(action="request.auto_approved").canon)
    audit.record(
        "request.auto_approved",
        actor=SYSTEM,
        subject=audit.Subject("request", proposal.revision.request.reference, ""),
        at=proposal.observed_at,
        request=proposal.revision.request.reference,
        revision=proposal.revision.number,
        data={**known["data"], "proposal_digest": digest},
    )


def reopened(request: Request) -> dict[str, Any]:
    rows = AuditEvent.objects.filter(action="request.reopened", request=request.reference).order_by("-pk")
    data: dict[str, Any] = json.loads(rows[0].canon)["data"]
    return data


class TestObserving:
    def test_a_proved_low_request_goes_without_a_person(self, ready: World) -> None:
        request = sent(ready, second(ready))
        assert request.state == "approved"
        assert not Decision.objects.filter(request=request).exists()
        assert ready.events(request)[-2:] == ["revision.proposed", "request.auto_approved"]
        assert ready.apply(request) == "applied"
        assert request.outcome == "applied"

    def test_only_the_requester_is_told(self, ready: World) -> None:
        request = sent(ready, second(ready))
        told = Notice.objects.filter(request=request).exclude(person=None).values_list("person__username", "event")
        assert list(told) == [("rosa", "request.auto_approved")]

    def test_without_such_a_rule_people_decide(self, ready: World) -> None:
        set_rules(ready, [], version=3)
        request = sent(ready, second(ready))
        assert (request.state, attended(request)) == ("in_review", "no_rule")

    def test_a_grant_for_such_a_role_goes_too(self, ready: World) -> None:
        request = sent(ready, grant(ready))
        assert (request.state, attended(request)) == ("approved", "no_rule")
        assert ready.apply(request) == "applied"

    @pytest.mark.parametrize(
        ("spoil", "facts", "code"),
        [
            (lambda w: set_guardrail(w, "guardrail", "s3:*"), second, "not_low"),  # outside: forbidden
            (lambda w: take_back(w, "guardrail"), second, "not_guarded"),
            (lambda w: take_back(w, "trust_guardrail"), second, "not_guarded"),
            (lambda w: put(w, TASK, role_id="AROAREMADE"), second, "first_grant"),
            (lambda w: put_new(w, "orders-api-other"), lambda w: second(w, task_roles=(OTHER,)), "first_grant"),
            (
                lambda w: put(w, ROLE, tags={"aws:cloudformation:stack-name": "orders"}),
                grant,
                "foreign_parts",
            ),
            (
                lambda w: put(w, ROLE, inline={"theirs": w.aws.policies[POLICY].state.document}),
                grant,
                "foreign_parts",
            ),
            (lambda w: put(w, ROLE, trust=NARROWER), grant, "foreign_parts"),
            (more_in_our_policy, grant, "foreign_parts"),
            (lambda w: None, removal, "no_rule"),
            (lambda w: put_new(w, SECOND, trusted="codedeploy"), second, "adopts"),
        ],
    )
    def test_what_is_not_certain_waits_for_people(
        self, ready: World, spoil: Callable[[World], None], facts: Callable[[World], Facts], code: str
    ) -> None:
        spoil(ready)
        request = sent(ready, facts(ready))
        assert (request.state, attended(request)) == ("in_review", code)
        assert "request.auto_approved" not in ready.events(request)

    def test_production_goes_only_where_the_rule_names_it(self, ready: World) -> None:
        ready.account.is_production = True
        ready.account.save()
        assert sent(ready, second(ready)).state == "in_review"
        set_rules(ready, unattended("role", production=[True]), version=3)
        request = sent(ready, second(ready))
        # Named, it is decided like any other: production alone makes no Low request.
        assert (request.state, attended(request)) in {("approved", "no_rule"), ("in_review", "not_low")}

    def test_what_a_worker_proposes_anew_waits_for_people(self, ready: World) -> None:
        set_rules(ready, [], version=3)
        request = sent(ready, second(ready))
        set_rules(ready, unattended("role"), version=4)
        observe.observe(request_id=request.pk, tools=ready.tools())
        request.refresh_from_db()
        assert (request.state, request.revision_number) == ("in_review", 2)
        proposal = request.current_proposal()
        assert proposal is not None
        assert proposal.unattended == {"version": 4, "why": PLAIN}


class TestTheClaim:
    @pytest.mark.parametrize(
        ("change", "cause"),
        [
            (lambda w: set_rules(w, [], version=3), "rule_changed"),
            (lambda w: set_guardrail(w, "guardrail", "ecs:*"), "guardrail_changed"),
            (lambda w: take_back(w, "trust_guardrail"), "guardrail_changed"),
            (lambda w: forget_grants(), "first_grant"),
            (deactivate, "requester_lost_rights"),
        ],
    )
    def test_decides_again_and_any_difference_goes_to_people(
        self, ready: World, change: Callable[[World], None], cause: str
    ) -> None:
        request = sent(ready, second(ready))
        sent_before = len(ready.sent())
        change(ready)
        assert ready.apply(request) == "in_review"
        assert (request.state, len(ready.sent())) == ("in_review", sent_before)
        assert reopened(request)["cause"] == cause

    def test_after_that_people_decide_even_if_the_rule_would_let_it_go_again(self, ready: World) -> None:
        request = sent(ready, second(ready))
        set_guardrail(ready, "guardrail", "*", "ecs:*")
        assert ready.apply(request) == "in_review"
        request = ready.approve(request)
        assert request.state == "approved"
        assert ready.apply(request) == "applied"

    def test_a_passed_role_that_gained_rights_goes_to_people(self, ready: World) -> None:
        request = sent(ready, second(ready))
        put(ready, TASK, inline={"more": document("sqs:SendMessage")})
        assert ready.apply(request) == "in_review"
        assert ready.events(request)[-1] == "request.reopened"

    def test_refuses_a_proposal_that_was_changed_by_sql(self, ready: World) -> None:
        """Digest and facts fit each other, and the rule would let it go: but it is not what was let go."""
        request = sent(ready, second(ready))
        other = sent(ready, second(ready, tags={"team": "orders", "more": "x"}))
        assert other.state == "approved"
        swap(request, other)
        assert ready.apply(request) == "invalid"
        assert ready.run(request).stop_reason == "invalid"

    def test_does_not_believe_what_the_text_says_of_itself(self, ready: World) -> None:
        """Without the guardrail's proof the stored text alone lets nothing go, even with an event that fits."""
        request = sent(ready, second(ready))
        proposal = request.current_proposal()
        assert proposal is not None
        take_back(ready, "guardrail")
        body = {**json.loads(proposal.canonical), "account_rules": digests(ready)}
        text = canonical.dumps(body).decode()
        forge(proposal, text)
        assert ready.apply(request) == "in_review"
        assert reopened(request)["cause"] == "not_guarded"

    def test_makes_the_plan_anew_from_facts_base_and_context(self, ready: World) -> None:
        """A target and a plan that the facts do not give go to people, even with an event that fits the text."""
        request = sent(ready, second(ready))
        proposal = request.current_proposal()
        assert proposal is not None
        body = json.loads(proposal.canonical)
        body["target"]["role"]["attached"].append("arn:aws:iam::aws:policy/AdministratorAccess")
        forge(proposal, canonical.dumps(body).decode())
        assert ready.apply(request) == "in_review"
        assert reopened(request)["cause"] == "plan_differs"

    def test_a_state_set_by_sql_after_the_return_is_not_enough(self, ready: World) -> None:
        request = sent(ready, second(ready))
        forget_grants()
        assert ready.apply(request) == "in_review"
        remember_grants()
        Request.objects.filter(pk=request.pk).update(state="approved", next_try_at=ready.clock())
        request.refresh_from_db()
        assert ready.apply(request) == "in_review"
        assert reopened(request)["cause"] == "no_approval"


class TestTheRecord:
    def test_the_event_names_rule_and_digest(self, ready: World) -> None:
        request = sent(ready, second(ready))
        proposal = request.current_proposal()
        assert proposal is not None
        event = json.loads(AuditEvent.objects.get(action="request.auto_approved").canon)
        assert event["data"] == {
            "revision": 1,
            "proposal_digest": proposal.digest,
            "version": 2,
            "rule": PLAIN,
            "rules_digest": proposal.body["rules_digest"],
        }
        assert event["actor"]["type"] == "worker"
        assert list(reading.wrong_states()) == []

    def test_verify_notices_an_approval_that_no_rule_gave(self, ready: World) -> None:
        set_rules(ready, [], version=3)
        request = sent(ready, second(ready))
        proposal = request.current_proposal()
        assert proposal is not None
        data = {
            "revision": 1,
            "proposal_digest": proposal.digest,
            "version": 3,
            "rule": PLAIN,
            "rules_digest": proposal.body["rules_digest"],
        }
        move_request(
            request, "approve", event="request.auto_approved", actor=SYSTEM, at=ready.clock(), data=data, fields={}
        )
        reference = request.reference
        assert list(reading.wrong_states()) == [
            f"{reference} (revision 1) went without a person, but version 3 of the approval rules has no such rule"
        ]

    def test_the_pages_say_by_which_rule(self, ready: World, client: Client) -> None:
        request = sent(ready, second(ready))
        said = f"Approved by rule version 2 without a person, because: {PLAIN}"
        client.force_login(ready.security)
        assert ready.apply(request) == "applied"
        for name in ("request_detail", "request_evidence"):
            assert said in client.get(reverse(name, args=[request.pk])).content.decode()
        evidence = client.get(reverse("request_evidence_json", args=[request.pk])).json()
        assert evidence["approved_by_rule"] == {"version": 2, "why": PLAIN}

    def test_the_page_says_why_a_person_must_decide(self, ready: World, client: Client) -> None:
        take_back(ready, "guardrail")
        request = sent(ready, second(ready))
        client.force_login(ready.approver)
        said = "A rule lets such requests go without a person, but this one is not proved inside both guardrails"
        for name in ("request_detail", "approval_review"):
            assert said in client.get(reverse(name, args=[request.pk])).content.decode()

    def test_once_it_went_back_the_page_asks_people(self, ready: World) -> None:
        request = sent(ready, second(ready))
        forget_grants()
        ready.apply(request)
        assert request_page(request, ready.approver).next_step.startswith("It waits for approval by approvers.")
