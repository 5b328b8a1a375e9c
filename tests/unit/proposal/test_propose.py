"""The four plan cases of an existing or missing role, and what binds a proposal."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from iamroles.blueprints import AccountFacts, PolicyState, RoleFacts, State
from iamroles.blueprints.grants import grant_document, granted_roles
from iamroles.iam import documents, trust
from iamroles.proposal import Context, Envelope, PassedRole, digest_of, older_sessions, propose, read
from iamroles.rules.account_rules import AccountRules
from tests.unit.proposal.conftest import EXECUTION, NAME, ROLE_ARN, TASK, absent, as_asked, live, unlimited

LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
FULL = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"
GRANT = "arn:aws:iam::111122223333:policy/ecsCodeDeployRole-PassRole"


def ids(found: object) -> list[tuple[str, str]]:
    return [(f.id, f.severity) for f in found if not f.standard and f.severity != "note"]  # type: ignore[attr-defined]


class TestMissingRole:
    def test_makes_the_role_then_the_grant_then_attaches(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        proposal = propose(facts=facts, base=absent(facts), context=context, envelope=envelope)
        assert [(call.api, call.resource) for call in proposal.plan] == [
            ("CreateRole", ROLE_ARN),
            ("CreatePolicy", GRANT),
            ("AttachRolePolicy", ROLE_ARN),
            ("AttachRolePolicy", ROLE_ARN),
        ]
        create, policy, *attach = proposal.plan
        assert json.loads(create.arguments["AssumeRolePolicyDocument"]) == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "",
                    "Effect": "Allow",
                    "Principal": {"Service": ["codedeploy.amazonaws.com"]},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}},
                }
            ],
        }
        assert {k: v for k, v in create.arguments.items() if k != "AssumeRolePolicyDocument"} == {
            "RoleName": NAME,
            "Path": "/",
            "Description": "",
            "MaxSessionDuration": 3600,
            "Tags": [{"Key": "cost-center", "Value": "4711"}],
        }
        assert json.loads(policy.arguments["PolicyDocument"]) == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "iam:PassRole",
                    "Resource": [TASK],
                    "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
                }
            ],
        }
        assert {call.arguments["PolicyArn"] for call in attach} == {LIMITED, GRANT}

    def test_is_low_and_needs_one_approver(self, facts: RoleFacts, context: Context, envelope: Envelope) -> None:
        proposal = propose(facts=facts, base=absent(facts), context=context, envelope=envelope)
        assert (proposal.risk, proposal.adopts, proposal.already_right) == ("low", False, False)
        assert [(r.group, r.count) for r in proposal.requirements] == [("approvers", 1)]
        assert ids(proposal.findings) == []

    def test_is_low_in_production_too_and_gets_the_boundary(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        boundary = "arn:aws:iam::111122223333:policy/boundary/B"
        account = AccountFacts("111122223333", "orders-prod", production=True, boundary=boundary)
        production = replace(facts, account=account)
        seen = replace(context, managed={**context.managed, boundary: unlimited(boundary)})
        proposal = propose(facts=production, base=absent(production), context=seen, envelope=envelope)
        assert proposal.risk == "low"
        assert proposal.plan[0].arguments["PermissionsBoundary"] == boundary

    def test_full_is_high(self, facts: RoleFacts, context: Context, envelope: Envelope) -> None:
        full = replace(facts, managed_policy="full")
        proposal = propose(facts=full, base=absent(full), context=context, envelope=envelope)
        assert proposal.risk == "high"
        assert [(r.group, r.count) for r in proposal.requirements] == [("approvers", 1), ("security", 1)]
        assert [call.api for call in proposal.plan] == ["CreateRole", "AttachRolePolicy"]
        assert {"PR02", "RS01", "RS02"} <= {f.id for f in proposal.findings if f.severity == "high"}

    def test_plain_trust_is_medium_and_high_in_production(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        plain = replace(facts, hardened=False)
        proposal = propose(facts=plain, base=absent(plain), context=context, envelope=envelope)
        assert (proposal.risk, ids(proposal.findings)) == ("medium", [("TR03", "medium")])
        production = replace(plain, account=replace(plain.account, production=True))
        assert propose(facts=production, base=absent(production), context=context, envelope=envelope).risk == "high"


class TestRightRole:
    def test_asks_nobody_when_the_inventory_holds_it(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        proposal = propose(
            facts=facts, base=as_asked(facts), context=context, envelope=replace(envelope, managed_here=True)
        )
        assert (proposal.plan, proposal.already_right) == ((), True)

    def test_is_adopted_when_the_inventory_does_not(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        proposal = propose(facts=facts, base=as_asked(facts), context=context, envelope=envelope)
        assert (proposal.plan, proposal.already_right, proposal.adopts) == ((), False, True)
        assert [r.group for r in proposal.requirements] == ["orders-platform"]

    def test_a_narrower_live_trust_is_right_and_stays(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        plain = replace(facts, hardened=False)
        base = as_asked(facts)
        proposal = propose(facts=plain, base=base, context=context, envelope=replace(envelope, managed_here=True))
        assert proposal.already_right
        assert proposal.target.state.role is not None
        assert proposal.target.state.role.trust == base.role.trust  # type: ignore[union-attr]

    def test_full_counts_as_right_where_limited_is_asked(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        small = replace(facts, task_roles=(), tags={})
        base = live(small, attached=frozenset({FULL}))
        proposal = propose(facts=small, base=base, context=context, envelope=replace(envelope, managed_here=True))
        assert proposal.already_right


class TestWrongRole:
    def test_replaces_a_wrong_trust_and_attaches_the_policy(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        wrong = documents.parse(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
                ],
            },
            kind="trust",
        )
        small = replace(facts, task_roles=(), tags={})
        base = live(small, trust=wrong, attached=frozenset())
        proposal = propose(facts=small, base=base, context=context, envelope=envelope)
        # What ec2 opened before the change must not get what is attached after it.
        assert [call.api for call in proposal.plan] == ["UpdateAssumeRolePolicy", "PutRolePolicy", "AttachRolePolicy"]
        assert "Cuts off every running session" in " ".join(proposal.sentences)
        assert proposal.adopts
        assert ("TR09", "high") in ids(proposal.findings)
        assert "This stops ec2.amazonaws.com from using this role." in [f.message for f in proposal.findings]


class TestForeignParts:
    def test_are_kept_and_listed(self, facts: RoleFacts, context: Context, envelope: Envelope) -> None:
        notes = documents.parse(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::notes/*"}],
            }
        )
        other = "arn:aws:iam::111122223333:policy/other"
        base = live(facts, attached=frozenset({LIMITED, other}), inline={"notes": notes}, tags={"owner": "x"})
        proposal = propose(facts=facts, base=base, context=context, envelope=envelope)
        role = proposal.target.state.role
        assert role is not None
        assert role.attached == {LIMITED, other, GRANT}
        assert role.inline == {"notes": notes}
        assert role.tags == {"owner": "x", "cost-center": "4711"}
        assert [call.api for call in proposal.plan] == ["TagRole", "CreatePolicy", "AttachRolePolicy"]
        assert [(k.kind, k.name) for k in proposal.target.kept] == [
            ("tag", "owner"),
            ("attached", other),
            ("inline", "notes"),
        ]

    def test_an_administrator_policy_on_the_role_is_forbidden(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        everything = documents.parse(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        )
        base = live(facts, inline={"admin": everything})
        proposal = propose(facts=facts, base=base, context=context, envelope=envelope)
        assert proposal.risk == "forbidden"
        assert proposal.requirements == ()


class TestPassedRoles:
    def test_a_missing_one_cannot_be_granted(self, facts: RoleFacts, context: Context, envelope: Envelope) -> None:
        without = replace(context, passed={EXECUTION: context.passed[EXECUTION], TASK: PassedRole(TASK, None, None)})
        proposal = propose(facts=facts, base=absent(facts), context=without, envelope=envelope)
        assert ids(proposal.findings) == [("PR15", "forbidden")]

    def test_one_that_does_not_trust_ecs_tasks_is_high(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        wrong = replace(context.passed[TASK], trust=trust.codedeploy_trust("111122223333"))
        proposal = propose(
            facts=facts,
            base=absent(facts),
            context=replace(context, passed={**context.passed, TASK: wrong}),
            envelope=envelope,
        )
        assert ids(proposal.findings) == [("PR08", "high")]


class TestDigest:
    def test_is_of_the_stored_text_and_reads_back(self, facts: RoleFacts, context: Context, envelope: Envelope) -> None:
        proposal = propose(facts=facts, base=absent(facts), context=context, envelope=envelope)
        assert proposal.digest == digest_of(proposal.canonical)
        stored = read(proposal.canonical)
        assert (stored.base, stored.target, stored.plan) == (proposal.base, proposal.target.state, proposal.plan)

    @pytest.mark.parametrize(
        "change",
        [
            {"revision": 2},
            {"requester": "8"},
            {"expires_at": "2027-01-01T00:00:00Z"},
            {"owner_group": "somebody-else"},
            {"rules": {"version": 2}},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_covers_the_envelope(
        self, facts: RoleFacts, context: Context, envelope: Envelope, change: dict[str, object]
    ) -> None:
        base = as_asked(facts)
        one = propose(facts=facts, base=base, context=context, envelope=replace(envelope, managed_here=True))
        changed = replace(envelope, managed_here=True, **change)  # type: ignore[arg-type]
        if "rules" in change:
            changed = replace(changed, rules={**envelope.rules, "version": 2})
        other = propose(facts=facts, base=base, context=context, envelope=changed)
        assert one.digest != other.digest

    def test_covers_the_context(self, facts: RoleFacts, context: Context, envelope: Envelope) -> None:
        other_role = replace(context.passed[TASK], role_id="AROAOTHER")
        other = replace(context, passed={**context.passed, TASK: other_role})
        base = absent(facts)
        digests = {
            propose(facts=facts, base=base, context=c, envelope=envelope).digest for c in (context, other, context)
        }
        assert len(digests) == 2


class TestPolicyOfThatName:
    def existing(self, facts: RoleFacts, roles: tuple[str, ...], **changes: object) -> State:
        policy = PolicyState(GRANT, "ecsCodeDeployRole-PassRole", "/", grant_document(roles), **changes)  # type: ignore[arg-type]
        return replace(live(facts), policies={GRANT: policy})

    def test_that_passes_more_than_asked_is_not_attached(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        base = self.existing(facts, (TASK, TASK.replace("orders-api-task", "AdminEverything")))
        proposal = propose(facts=facts, base=base, context=context, envelope=envelope)
        assert (proposal.risk, proposal.plan) == ("forbidden", ())
        assert "AdminEverything" in proposal.findings[0].message

    def test_that_this_role_holds_already_keeps_its_roles(
        self, facts: RoleFacts, context: Context, envelope: Envelope
    ) -> None:
        other = TASK.replace("orders-api-task", "orders-worker-task")
        base = self.existing(facts, (other,), users=frozenset({ROLE_ARN}))
        proposal = propose(facts=facts, base=base, context=context, envelope=envelope)
        target = proposal.target.state.policies[GRANT]
        assert target is not None
        assert granted_roles(target.document) == tuple(sorted((TASK, other)))

    @pytest.mark.parametrize(
        "resource", ["*", "arn:aws:iam::111122223333:role/*", "arn:aws:iam::111122223333:role/${x}"]
    )
    def test_with_a_pattern_is_no_grant_of_ours(
        self, facts: RoleFacts, context: Context, envelope: Envelope, resource: str
    ) -> None:
        base = self.existing(facts, (resource,))
        proposal = propose(facts=facts, base=base, context=context, envelope=envelope)
        assert (proposal.risk, proposal.plan) == ("forbidden", ())


class TestDenyOfOlderSessions:
    """Only exactly our own deny goes without saying; anything else under its name is weighed like every policy."""

    def allowing(self, facts: RoleFacts) -> State:
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        return live(facts, inline={older_sessions.NAME: documents.parse(everything)})

    def test_rights_under_its_name_are_found(self, facts: RoleFacts, context: Context, envelope: Envelope) -> None:
        guardrail = documents.parse(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ecs:*"], "Resource": "*"}]}
        )
        proposal = propose(
            facts=facts,
            base=self.allowing(facts),
            context=context,
            envelope=replace(envelope, account_rules=AccountRules(guardrail=(guardrail,))),
        )
        found = [f for f in proposal.findings if f.place.startswith(f"in-aws:{older_sessions.NAME}")]
        assert "PE01" in {f.id for f in found}
        assert proposal.risk == "forbidden"

    def test_our_own_is_not(self, facts: RoleFacts, context: Context, envelope: Envelope) -> None:
        base = live(facts, inline={older_sessions.NAME: older_sessions.document("2026-11-24T12:00:00Z")})
        proposal = propose(facts=facts, base=base, context=context, envelope=envelope)
        assert not [f for f in proposal.findings if older_sessions.NAME in f.place]
