"""Removals: what goes and in which order, what stays, what approvers weigh, and the proof that nothing is added."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iamroles.blueprints import RemovalFacts, RoleFacts, State
from iamroles.blueprints import facts as facts_module
from iamroles.iam import catalogue, documents, trust, wording
from iamroles.proposal import Context, Envelope, ManagedPolicyVersion, Proposal, propose
from iamroles.proposal.propose import resources
from tests.unit.proposal.conftest import ACCOUNT, NAME, ROLE_ARN, as_asked

POLICY = "arn:aws:iam::111122223333:policy/ecsCodeDeployRole-PassRole"
LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
FULL = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS)
FOREIGN = "arn:aws:iam::111122223333:policy/theirs"
WHOLE = RemovalFacts(account=ACCOUNT, team="orders", role_name=NAME, role_arn=ROLE_ARN, policies=(POLICY,))
ONE = replace(WHOLE, whole=False)


def document(effect: str = "Allow") -> documents.Document:
    statement = {"Effect": effect, "Action": "s3:GetObject", "Resource": "*"}
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def mine(envelope: Envelope) -> Envelope:
    return replace(envelope, managed_here=True)


def removed(
    facts: RemovalFacts, base: State, context: Context, envelope: Envelope, **foreign: documents.Document
) -> Proposal:
    more = {arn: ManagedPolicyVersion(arn, "v1", found) for arn, found in foreign.items()}
    return propose(
        facts=facts, base=base, context=replace(context, managed={**context.managed, **more}), envelope=envelope
    )


def ids(made: Proposal) -> list[tuple[str, str]]:
    return [(finding.id, finding.severity) for finding in made.findings]


class TestWholeRole:
    def test_detaches_deletes_the_role_and_then_its_policy(
        self, facts: RoleFacts, context: Context, mine: Envelope
    ) -> None:
        made = removed(WHOLE, as_asked(facts), context, mine)
        assert [(call.api, call.resource) for call in made.plan] == [
            ("DetachRolePolicy", ROLE_ARN),
            ("DetachRolePolicy", ROLE_ARN),
            ("DeleteRole", ROLE_ARN),
            ("DeletePolicy", POLICY),
        ]
        assert made.target.state == State(ROLE_ARN, None, {POLICY: None})
        assert (made.adopts, made.already_right, made.title) == (
            False,
            False,
            "Remove role ecsCodeDeployRole in orders-staging",
        )
        assert made.sentences == (
            "Deletes the role ecsCodeDeployRole in orders-staging (111122223333).",
            f"No longer: {wording.sentences(trust.codedeploy_trust(ACCOUNT.number))[0]}",
            "Detaches AWSCodeDeployRoleForECSLimited; the policy itself stays in AWS.",
            "Deletes the policy ecsCodeDeployRole-PassRole: by it, CodeDeploy could hand orders-api-task to ECS tasks.",
        )

    def test_is_at_least_medium_and_high_in_production(
        self, facts: RoleFacts, context: Context, mine: Envelope
    ) -> None:
        made = removed(WHOLE, as_asked(facts), context, mine)
        assert (made.risk, ids(made)) == ("medium", [("RM01", "medium")])
        production = replace(WHOLE, account=replace(ACCOUNT, production=True))
        assert removed(production, as_asked(facts), context, mine).risk == "high"

    def test_lists_what_others_put_there(self, facts: RoleFacts, context: Context, mine: Envelope) -> None:
        base = as_asked(facts)
        assert base.role is not None
        role = replace(base.role, attached=base.role.attached | {FOREIGN}, inline={"logs": document()})
        made = removed(WHOLE, replace(base, role=role), context, mine, **{FOREIGN: document()})
        assert [f.message for f in made.findings if f.id == "RM02"] == [
            "Others put theirs and logs on the role; that goes with it."
        ]
        assert FOREIGN not in {call.resource for call in made.plan}

    def test_a_policy_that_others_use_stays(self, facts: RoleFacts, context: Context, mine: Envelope) -> None:
        base = as_asked(facts)
        policy = base.policies[POLICY]
        assert policy is not None
        shared = replace(policy, users=policy.users | {"arn:aws:iam::111122223333:role/other"})
        made = removed(WHOLE, replace(base, policies={POLICY: shared}), context, mine)
        assert "DeletePolicy" not in [call.api for call in made.plan]
        assert made.target.state.policies == {POLICY: shared}
        assert made.sentences[-1].startswith(
            "Detaches the policy ecsCodeDeployRole-PassRole, which others use too and which stays"
        )

    def test_a_role_that_is_gone_needs_nothing(self, context: Context, mine: Envelope) -> None:
        made = removed(WHOLE, State(ROLE_ARN, None, {POLICY: None}), context, mine)
        assert (made.already_right, made.sentences) == (True, ("Changes nothing: AWS has none of it any more.",))

    def test_somebody_elses_role_cannot_be_removed(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        made = removed(WHOLE, as_asked(facts), context, envelope)
        assert (made.risk, made.plan, made.requirements) == ("forbidden", (), ())


class TestOnePolicy:
    def test_detaches_and_deletes_it_alone(self, facts: RoleFacts, context: Context, mine: Envelope) -> None:
        base = as_asked(facts)
        made = removed(ONE, base, context, mine)
        assert [(call.api, call.resource) for call in made.plan] == [
            ("DetachRolePolicy", ROLE_ARN),
            ("DeletePolicy", POLICY),
        ]
        assert base.role is not None
        assert made.target.state.role == replace(base.role, attached=frozenset({LIMITED}))
        assert ids(made) == [("RM03", "medium")]
        assert made.title == "Remove ecsCodeDeployRole-PassRole of ecsCodeDeployRole in orders-staging"

    def test_is_low_when_the_rest_covers_it(self, facts: RoleFacts, context: Context, mine: Envelope) -> None:
        base = as_asked(facts)
        assert base.role is not None
        base = replace(base, role=replace(base.role, attached=frozenset({FULL.arn, POLICY})))
        made = removed(ONE, base, context, mine)
        assert (made.risk, ids(made)) == ("low", [("RM04", "note")])


class TestAddsNothing:
    @pytest.mark.parametrize(
        ("effect", "known", "proved"), [("Allow", True, True), ("Deny", True, False), ("Allow", False, False)]
    )
    def test_only_allows_that_were_seen_are_a_proof(
        self, facts: RoleFacts, context: Context, mine: Envelope, effect: str, known: bool, proved: bool
    ) -> None:
        base = as_asked(facts)
        assert base.role is not None
        base = replace(base, role=replace(base.role, attached=base.role.attached | {FOREIGN}))
        seen: dict[str, Any] = {FOREIGN: document(effect)} if known else {}
        body = documents_body(removed(WHOLE, base, context, mine, **seen))
        assert body.get("removes_only", False) is proved

    def test_no_other_request_claims_it(self, facts: RoleFacts, context: Context, mine: Envelope) -> None:
        base = State(facts.role_arn, None, {POLICY: None})
        made = propose(facts=facts, base=base, context=context, envelope=mine)
        assert "removes_only" not in documents_body(made)

    def test_a_denying_inline_policy_is_no_proof(self, facts: RoleFacts, context: Context, mine: Envelope) -> None:
        base = as_asked(facts)
        assert base.role is not None
        base = replace(base, role=replace(base.role, inline={"guard": document("Deny")}))
        assert "removes_only" not in documents_body(removed(WHOLE, base, context, mine))


def documents_body(made: Proposal) -> dict[str, Any]:
    from iamroles.proposal import read

    return dict(read(made.canonical).body)


def test_facts_read_back_and_name_what_to_look_at() -> None:
    assert facts_module.read(facts_module.write(ONE)) == ONE
    assert resources(WHOLE) == (ROLE_ARN, (POLICY,), ())
