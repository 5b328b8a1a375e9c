"""Findings that need more than one document: passed roles, guardrails, a replaced trust, sharing (POLICY.md part 8).

Each id with what raises it and with the nearest thing that does not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iamroles.blueprints import AccountFacts, RoleState
from iamroles.blueprints.grants import grant_document
from iamroles.iam import catalogue, documents, trust
from iamroles.iam.documents import Document
from iamroles.rules.account_rules import AccountRules
from iamroles.rules.checks import Around, Attached, Passed, check_proposal
from iamroles.rules.findings import Finding
from iamroles.rules.observed import Rights

A = "111122223333"
ACCOUNT = AccountFacts(A, "orders")
ROLE = f"arn:aws:iam::{A}:role/ecsCodeDeployRole"
TASK = f"arn:aws:iam::{A}:role/orders-api-task"
BOUND = f"arn:aws:iam::{A}:policy/Bound"
LIMITED = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED)
FULL = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS)
ECS = trust.ecs_tasks_trust()


def policy(*actions: str, resource: str | list[str] = "*", effect: str = "Allow", **more: Any) -> Document:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource, **more}
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]})


def role(**changes: Any) -> RoleState:
    return RoleState(ROLE, "ecsCodeDeployRole", "/", trust.codedeploy_trust(A), **changes)


def limited(*more: Document) -> list[Attached]:
    own = [Attached(f"arn:aws:iam::{A}:policy/own-{n}", f"grants:own-{n}", one) for n, one in enumerate(more)]
    return [Attached(LIMITED.arn, "permissions:Limited", LIMITED.document), *own]


def found(**given: Any) -> list[Finding]:
    """Unfolded findings above note, of a Limited role unless told otherwise."""
    values: dict[str, Any] = {"live": None, "target": role(), "attached": limited(), "passed": (), "around": Around()}
    every = check_proposal(account=ACCOUNT, **{**values, **given})
    return [one for one in every if not one.standard and one.severity != "note"]


def ids(**given: Any) -> list[tuple[str, str]]:
    return [(one.id, one.severity) for one in found(**given)]


def passed(*policies: Document, boundary: Document | None = None, unseen: tuple[str, ...] = ()) -> dict[str, Any]:
    """One granted task role with these policies."""
    held = tuple((f"policy-{number}", one) for number, one in enumerate(policies))
    rights = Rights(held, boundary, BOUND if boundary else None, unseen)
    return {"passed": [Passed(TASK, ECS, True, rights, task=True)], "attached": limited(grant_document((TASK,)))}


class TestPassedRoles:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (passed(policy("*")), "orders-api-task has administrator rights."),
            (passed(policy("s3:*"), policy("*")), "orders-api-task has administrator rights."),
            (passed(policy("*"), boundary=policy("*")), "orders-api-task has administrator rights."),
            (passed(policy("iam:CreatePolicyVersion")), "orders-api-task can widen its own rights."),
            (passed(policy("iam:Put*"), boundary=policy("iam:*")), "orders-api-task can widen its own rights."),
            (passed(policy("s3:GetObject"), unseen=("Odd",)), "orders-api-task holds Odd, which AWS did not show:"),
        ],
    )
    def test_pr07_a_privileged_role(self, given: dict[str, Any], words: str) -> None:
        (finding,) = found(**given)
        assert (finding.id, finding.severity, finding.place) == ("PR07", "high", "passed:orders-api-task")
        assert finding.message.startswith(words)

    @pytest.mark.parametrize(
        "given",
        [
            passed(),
            passed(policy("s3:*"), policy("sqs:SendMessage")),
            passed(
                policy("*"), policy("iam:*", "sts:*", "sso*:*", "identitystore:*", "organizations:*", effect="Deny")
            ),
            passed(policy("*"), boundary=policy("s3:*")),
        ],
    )
    def test_an_ordinary_role(self, given: dict[str, Any]) -> None:
        assert ids(**given) == []

    def test_pr07_a_protected_role(self) -> None:
        arn = f"arn:aws:iam::{A}:role/OrganizationAccountAccessRole"
        given = {"passed": [Passed(arn, ECS, True, Rights())], "attached": limited(grant_document((arn,)))}
        assert ids(**given) == [("PR07", "high")]

    def test_pr07_by_the_guardrail(self) -> None:
        around = Around(rules=AccountRules(guardrail=(LIMITED.document, policy("s3:*"), grant_document((TASK,)))))
        (finding,) = found(around=around, **passed(policy("sqs:SendMessage", resource=f"arn:aws:sqs:r:{A}:q")))
        assert finding.id == "PR07"
        assert f"sqs:SendMessage on arn:aws:sqs:r:{A}:q" in finding.message.replace(
            "sqs:sendmessage", "sqs:SendMessage"
        )
        assert ids(around=around, **passed(policy("s3:GetObject"))) == []

    def test_pr08_by_the_account_of_the_request(self) -> None:
        own, other = trust.ecs_tasks_trust(A), trust.ecs_tasks_trust("999922223333")
        hardened = passed()["passed"][0]
        attached = limited(grant_document((TASK,)))
        assert ids(passed=[replace(hardened, trust=own)], attached=attached) == []
        assert ids(passed=[replace(hardened, trust=other)], attached=attached) == [("PR08", "high")]

    def test_pr09_a_role_that_others_use_too(self) -> None:
        both = documents.parse(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"]},
                        "Action": "sts:AssumeRole",
                    }
                ],
            },
            "trust",
        )
        (finding,) = found(passed=[Passed(TASK, both, True)], attached=limited(grant_document((TASK,))))
        assert (finding.id, finding.severity) == ("PR09", "medium")
        assert "orders-api-task may also be used by lambda.amazonaws.com" in finding.message

    def test_pr15_a_role_that_is_not_there(self) -> None:
        given = {"passed": [Passed(TASK, None, True)], "attached": limited(grant_document((TASK,)))}
        assert ids(**given) == [("PR15", "forbidden")]

    def test_lm01_to_lm03_by_what_the_role_will_hold(self) -> None:
        small = f"arn:aws:iam::{A}:role/ecsTaskExecutionRole-app"
        deep = f"arn:aws:iam::{A}:role/apps/ecsTaskExecutionRole"
        for arn, rule in ((TASK, "LM01"), (small, "LM02"), (deep, "LM03")):
            assert ids(passed=[Passed(arn, ECS, False)]) == [(rule, "medium")]
        assert ids(passed=[Passed(TASK, ECS, False, task=True)]) == [("LM06", "medium")]
        assert ids(passed=[Passed(f"arn:aws:iam::{A}:role/ecsTaskExecutionRole", ECS, False)]) == []

    def test_a_deny_of_others_makes_a_grant_useless(self) -> None:
        deny = policy("iam:PassRole", effect="Deny", resource=TASK)
        given = {"passed": [Passed(TASK, ECS, True)], "attached": limited(grant_document((TASK,)), deny)}
        assert ids(**given) == [("LM01", "medium")]


class TestUnasked:
    FITTING = (f"arn:aws:iam::{A}:role/ECSTaskExecutionRole-billing", f"arn:aws:iam::{A}:role/ECSTaskExecutionX/Admin")

    def lm05(self, fitting: tuple[str, ...], **given: Any) -> list[Finding]:
        values: dict[str, Any] = {"live": None, "target": role(), "attached": limited(), "passed": ()}
        every = check_proposal(account=ACCOUNT, **{**values, "around": Around(fitting=fitting), **given})
        return [one for one in every if one.id == "LM05"]

    def test_names_them_and_folds_what_the_standard_gives(self) -> None:
        (finding,) = self.lm05((*self.FITTING, TASK))
        assert (finding.severity, finding.standard) == ("medium", True)
        assert "ECSTaskExecutionRole-billing and ECSTaskExecutionX/Admin" in finding.message

    def test_counts_where_the_standard_is_another(self) -> None:
        around = Around(fitting=self.FITTING, rules=AccountRules(standard=(policy("ecs:*"),)))
        assert [one.standard for one in self.lm05((), around=around)] == [False]

    def test_says_nothing_of_roles_that_were_asked_for_or_do_not_fit(self) -> None:
        (first, _) = self.FITTING
        assert self.lm05((first, TASK), passed=[Passed(first, ECS, False)]) == []

    def test_leaves_every_role_to_pr02(self) -> None:
        full = [Attached(FULL.arn, "permissions:Full", FULL.document)]
        assert self.lm05(self.FITTING, attached=full) == []


class TestGuardrail:
    def around(self, *allowed: Document, **more: Any) -> Around:
        return Around(rules=AccountRules(guardrail=allowed), **more)

    def test_no_guardrail_no_finding(self) -> None:
        assert ids() == []

    def test_gr01_outside(self) -> None:
        (finding,) = found(around=self.around(policy("ecs:*", "elasticloadbalancing:*")))
        assert (finding.id, finding.severity, finding.place) == ("GR01", "forbidden", "permissions:Limited")
        assert "the guardrail of orders forbids, such as " in finding.message

    def test_inside(self) -> None:
        assert ids(around=self.around(LIMITED.document)) == []
        assert ids(around=self.around(LIMITED.document), attached=limited(grant_document((TASK,)))) == [
            ("GR01", "forbidden")
        ]

    def test_what_the_boundary_holds_back_is_inside(self) -> None:
        around = self.around(policy("ecs:*"), boundary=policy("ecs:*"))
        assert ids(around=around, target=role(boundary=BOUND)) == []

    def test_gr02_not_proved(self) -> None:
        below = policy("sqs:SendMessage", Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "5"}})
        further = policy("sqs:SendMessage", Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "10"}})
        attached = [Attached("arn:x", "in-aws:x", below)]
        (finding,) = [one for one in found(around=self.around(further), attached=attached) if one.id[:2] == "GR"]
        assert (finding.id, finding.severity, finding.place) == ("GR02", "high", "in-aws:x")
        assert "It is not proved that the role stays inside the guardrail of orders: " in finding.message

    def test_gr05_trust(self) -> None:
        tight = AccountRules(trust_guardrail=(trust.codedeploy_trust(A),))
        assert ids(around=Around(rules=tight)) == []
        plain = replace(role(), trust=trust.codedeploy_trust(A, source_account=False))
        assert ("GR05", "forbidden") in ids(around=Around(rules=tight), target=plain)

    def test_gr03_the_boundary_is_not_there_or_reads_otherwise(self) -> None:
        bound = role(boundary=BOUND)
        assert ids(target=bound) == [("GR03", "forbidden")]
        assert ids(target=bound, around=Around(boundary=policy("*"))) == []
        accepted = AccountRules(boundary=(policy("ecs:*"),))
        assert ids(target=bound, around=Around(rules=accepted, boundary=policy("ecs:*"))) == []
        assert ids(target=bound, around=Around(rules=accepted, boundary=policy("*"))) == [("GR03", "forbidden")]

    def test_gr04_a_void_grant(self) -> None:
        def notes(boundary: Document) -> list[str]:
            every = check_proposal(
                account=ACCOUNT,
                live=None,
                target=role(boundary=BOUND),
                attached=limited(grant_document((TASK,))),
                passed=[Passed(TASK, ECS, True)],
                around=Around(boundary=boundary),
            )
            return [one.message for one in every if one.id == "GR04"]

        assert notes(policy("ecs:*")) == [
            "The permissions boundary does not let orders-api-task be passed: the grant is void."
        ]
        assert notes(policy("*")) == []


class TestReplacedTrust:
    EC2 = trust.service_trust("ec2.amazonaws.com", {})

    def changed(self, live: Document, before: tuple[Document, ...], **more: Any) -> list[tuple[str, str]]:
        return ids(live=replace(role(), trust=live), replaced=["trust"], around=Around(before=before, **more))

    def test_tr07_older_sessions_get_new_rights(self) -> None:
        assert self.changed(self.EC2, ()) == [("TR07", "high"), ("TR09", "high")]

    def test_tr07_is_a_note_where_the_plan_cuts_them_off(self) -> None:
        assert self.changed(self.EC2, (), cuts=True) == [("TR09", "high")]
        cut = Around(before=(), cuts=True)
        every = check_proposal(
            account=ACCOUNT,
            live=replace(role(), trust=self.EC2),
            target=role(),
            attached=limited(),
            passed=(),
            replaced=["trust"],
            around=cut,
        )
        assert [(one.severity, one.message) for one in every if one.id == "TR07"] == [
            (
                "note",
                "Sessions that ec2.amazonaws.com began before are cut off before anything is added, wanted ones too.",
            )
        ]

    def test_no_tr07_without_new_rights(self) -> None:
        assert self.changed(self.EC2, (LIMITED.document,)) == [("TR09", "high")]

    def test_no_tr07_when_nobody_is_shut_out(self) -> None:
        assert self.changed(trust.codedeploy_trust(A, source_arn="arn:aws:codedeploy:*:*:x"), ()) == []

    def test_tr09_a_role_in_use(self) -> None:
        plain = trust.codedeploy_trust(A, source_account=False)
        held = (LIMITED.document,)
        assert self.changed(plain, held) == []
        assert self.changed(plain, held, last_used="2026-11-20") == [("TR09", "high")]


class TestSharing:
    DEPLOY = policy(
        "codedeploy:CreateDeploymentGroup",
        "codedeploy:CreateDeployment",
        resource=f"arn:aws:codedeploy:r:{A}:deploymentgroup:app/*",
    )
    PASS = grant_document((ROLE,), "codedeploy.amazonaws.com")

    def deployer(self, *held: Document, rights: Document = LIMITED.document, **around: Any) -> list[tuple[str, str]]:
        """A deployer policy of the Orders team for our role."""
        own = [Attached(f"arn:aws:iam::{A}:policy/d{n}", f"grants:d{n}", one) for n, one in enumerate(held)]
        return ids(
            target=None,
            attached=own,
            passed=[
                Passed(
                    ROLE, trust.codedeploy_trust(A), False, Rights((("p", rights),)), service="codedeploy.amazonaws.com"
                )
            ],
            expected={ROLE: "codedeploy.amazonaws.com"},
            around=Around(team="orders", **around),
        )

    def test_pe07_is_as_bad_as_what_is_borrowed(self) -> None:
        assert self.deployer(self.DEPLOY, self.PASS) == []
        assert self.deployer(self.DEPLOY, self.PASS, rights=FULL.document) == [("PE07", "high")]
        assert ("PE07", "forbidden") in self.deployer(self.DEPLOY, self.PASS, rights=policy("iam:PutRolePolicy"))

    def test_pe07_by_both_together(self) -> None:
        register = policy("ecs:RegisterTaskDefinition", resource="*")
        assert ("PE07", "high") in self.deployer(self.DEPLOY, self.PASS, register)

    def test_no_pe07_without_deployment_groups(self) -> None:
        assert self.deployer(self.PASS, rights=FULL.document) == []
        assert self.deployer(self.DEPLOY, rights=FULL.document) == []

    def test_rs06_two_teams(self) -> None:
        held = (self.DEPLOY, self.PASS)
        assert self.deployer(*held, deployers={ROLE: {"payments": held}}) == [("RS06", "medium")]
        assert self.deployer(*held, deployers={ROLE: {"orders": held}}) == []
        assert self.deployer(*held, deployers={TASK: {"payments": held}}) == []

    def test_a_change_of_the_role_names_who_deploys_with_it(self) -> None:
        held = {"orders": (self.DEPLOY, self.PASS), "payments": (self.DEPLOY, self.PASS)}
        assert ids(around=Around(deployers={ROLE: held})) == [("RS06", "medium")]
        register = {"orders": (*held["orders"], policy("ecs:RegisterTaskDefinition"))}
        assert ids(around=Around(deployers={ROLE: register})) == [("PE07", "high")]


def test_va06_more_policies_than_iam_takes() -> None:
    def holding(count: int) -> RoleState:
        return role(attached=frozenset(f"arn:aws:iam::{A}:policy/p{number}" for number in range(count)))

    assert ids(target=holding(10)) == []
    assert ids(target=holding(11)) == [("VA06", "medium")]
    assert ids(live=holding(11), target=holding(11)) == []


class TestTogether:
    def test_pe04_also_of_two_policies_of_aws(self) -> None:
        both = [
            Attached("arn:aws:iam::aws:policy/A", "in-aws:A", policy("ecs:RunTask")),
            Attached("arn:aws:iam::aws:policy/B", "in-aws:B", LIMITED.document),
        ]
        assert ("PE04", "high") in ids(attached=both)
        assert "PE04" not in [one for one, _ in ids(attached=both[:1])]

    def test_st01_what_nobody_needs(self) -> None:
        strange = policy("sqs:SendMessage", resource=f"arn:aws:sqs:r:{A}:q")
        around = Around(needs=(LIMITED.document,))
        assert ids(attached=limited(strange), around=around) == [("ST01", "medium")]
        assert ids(attached=limited(strange), around=replace(around, needs=(strange,))) == []
