"""What our own plan explains, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iamroles.blueprints.grants import grant_document
from iamroles.blueprints.state import PolicyState, RoleState, State
from iamroles.engine import explain
from iamroles.engine.explain import Difference
from iamroles.iam import documents, trust
from iamroles.iam.documents import Document
from iamroles.proposal import Context, ManagedPolicyVersion, PassedRole
from iamroles.proposal.calls import Call
from iamroles.proposal.plan import calls_between
from iamroles.proposal.propose import Stored

NUMBER = "111122223333"
ROLE = f"arn:aws:iam::{NUMBER}:role/ecsCodeDeployRole"
POLICY = f"arn:aws:iam::{NUMBER}:policy/pass"
PASSED = f"arn:aws:iam::{NUMBER}:role/task"
LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"

BEFORE = RoleState(
    arn=ROLE, name="ecsCodeDeployRole", path="/", trust=trust.ecs_tasks_trust(), tags={"cost": "7"}, role_id="AROA1"
)
AFTER = replace(
    BEFORE,
    trust=trust.codedeploy_trust(NUMBER),
    tags={"cost": "7", "team": "orders"},
    attached=frozenset({LIMITED, POLICY}),
)
GRANT = PolicyState(arn=POLICY, name="pass", path="/", document=grant_document((PASSED,)))
BASE = State(ROLE, BEFORE, {POLICY: None})
TARGET = State(ROLE, AFTER, {POLICY: GRANT})
BODY = {"desired": {"role": {"tags": {"team": "orders"}}}}


def stored(base: State = BASE, target: State = TARGET) -> Stored:
    return Stored(body=BODY, base=base, target=target, plan=calls_between(base, target), kept=())


def odd(observed: State, *, begun: bool, made: dict[str, str] | None = None, plan: Stored | None = None) -> list[str]:
    plan = plan or stored()
    return [d.part for d in explain.unexplained(explain.fit(observed, plan), plan, made or {}, begun=begun)]


class TestBeforeTheFirstCall:
    def test_base_is_explained(self) -> None:
        assert odd(BASE, begun=False) == []

    def test_target_is_explained_for_what_was_there(self) -> None:
        plan = stored(replace(BASE, policies={}), replace(TARGET, policies={}))
        assert odd(replace(TARGET, policies={}), begun=False, plan=plan) == []

    def test_half_of_the_plan_is_not(self) -> None:
        half = replace(BASE, role=replace(BEFORE, trust=AFTER.trust))
        assert odd(half, begun=False) == ["trust"]

    def test_a_role_of_the_right_name_made_by_others_is_not(self) -> None:
        plan = stored(State(ROLE, None, {}), State(ROLE, replace(AFTER, role_id=None), {}))
        assert odd(State(ROLE, AFTER, {}), begun=False, plan=plan) == ["role id"]

    def test_a_policy_of_the_right_name_made_by_others_is_not(self) -> None:
        assert odd(replace(BASE, policies={POLICY: GRANT}), begun=False)[0] == f"policy {POLICY}"


class TestAfterIt:
    def test_each_part_on_its_own_may_be_base_or_target(self) -> None:
        half = replace(BASE, role=replace(BEFORE, trust=AFTER.trust, attached=frozenset({LIMITED})))
        assert odd(half, begun=True) == []

    @pytest.mark.parametrize(
        ("changes", "part"),
        [
            ({"trust": trust.codedeploy_trust("999999999999")}, "trust"),
            ({"attached": frozenset({"arn:aws:iam::aws:policy/AdministratorAccess"})}, None),
            ({"inline": {"theirs": grant_document((PASSED,))}}, "inline theirs"),
            ({"boundary": POLICY}, "boundary"),
            ({"description": "x"}, "description"),
            ({"max_session": 7200}, "max_session"),
            ({"role_id": "AROA2"}, "role id"),
            ({"tags": {"cost": "7", "team": "payments"}}, "tag team"),
        ],
    )
    def test_anything_else_is_somebody_elses(self, changes: dict[str, object], part: str | None) -> None:
        changed = replace(BEFORE, **changes)  # type: ignore[arg-type]
        part = part or "attached arn:aws:iam::aws:policy/AdministratorAccess"
        assert odd(replace(BASE, role=changed), begun=True) == [part]

    def test_a_role_that_vanished_is_not_explained(self) -> None:
        assert "role" in odd(State(ROLE, None, {POLICY: None}), begun=True)

    def test_what_we_made_is_ours_by_its_id(self) -> None:
        plan = stored(State(ROLE, None, {}), State(ROLE, replace(AFTER, role_id=None), {}))
        live = State(ROLE, replace(AFTER, attached=frozenset()), {})
        assert odd(live, begun=True, made={ROLE: "AROA1"}, plan=plan) == []
        assert odd(live, begun=True, made={ROLE: "AROA2"}, plan=plan) == ["role id"]


class TestTags:
    def test_a_tag_that_the_plan_does_not_name_stops_nothing(self) -> None:
        live = replace(BASE, role=replace(BEFORE, tags={"cost": "8", "portal:nonce": "x"}))
        assert odd(live, begun=False) == []
        calls = calls_between(explain.fit(live, stored()), TARGET)
        assert [call.arguments["Tags"] for call in calls if call.api == "TagRole"] == [
            [{"Key": "team", "Value": "orders"}]
        ]


class TestIsPlanned:
    def test_by_meaning_not_by_spelling(self) -> None:
        spelled = (
            '{"Statement":{"Action":["sts:AssumeRole"],"Principal":{"Service":["a.amazonaws.com"]},'
            '"Effect":"Allow"},"Version":"2012-10-17"}'
        )
        other = documents.minified(documents.parse(spelled, kind="trust")).replace(
            '["sts:AssumeRole"]', '"sts:AssumeRole"'
        )
        one = Call("UpdateAssumeRolePolicy", ROLE, {"RoleName": "x", "PolicyDocument": spelled})
        two = Call("UpdateAssumeRolePolicy", ROLE, {"RoleName": "x", "PolicyDocument": other})
        assert explain.is_planned(one, two)

    def test_a_part_of_planned_tags_is_planned_and_more_is_not(self) -> None:
        def tag(*keys: str) -> Call:
            return Call("TagRole", ROLE, {"RoleName": "x", "Tags": [{"Key": key, "Value": "v"} for key in keys]})

        assert explain.is_planned(tag("a"), tag("a", "b"))
        assert not explain.is_planned(tag("a", "b"), tag("a"))

    def test_another_resource_is_another_call(self) -> None:
        call = Call("AttachRolePolicy", ROLE, {"RoleName": "x", "PolicyArn": LIMITED})
        assert explain.find_planned(call, [replace(call, resource=POLICY)]) is None


class TestForeignUsers:
    def test_a_new_user_of_a_policy_that_changes(self) -> None:
        before = replace(GRANT, users=frozenset({ROLE}))
        after = replace(GRANT, document=grant_document((PASSED, f"{PASSED}2")))
        plan = stored(State(ROLE, BEFORE, {POLICY: before}), State(ROLE, BEFORE, {POLICY: after}))
        other = f"arn:aws:iam::{NUMBER}:role/other"
        live = State(ROLE, BEFORE, {POLICY: replace(before, users=frozenset({ROLE, other}))})
        assert explain.foreign_users(live, plan) == [Difference(f"user of {POLICY}", None, None, other)]

    def test_a_new_user_of_a_policy_that_stays(self) -> None:
        plan = stored(State(ROLE, BEFORE, {POLICY: GRANT}), State(ROLE, AFTER, {POLICY: GRANT}))
        live = State(ROLE, BEFORE, {POLICY: replace(GRANT, users=frozenset({"arn:x"}))})
        assert explain.foreign_users(live, plan) == []


def version(document: Document, name: str = "v3") -> ManagedPolicyVersion:
    return ManagedPolicyVersion(LIMITED, name, document)


class TestDependencies:
    TRUST = trust.ecs_tasks_trust()
    BEFORE = Context(
        passed={PASSED: PassedRole(PASSED, "AROA9", TRUST)}, managed={LIMITED: version(grant_document((PASSED,)))}
    )

    def changed(self, after: Context) -> list[Difference]:
        body = {**BODY, "dependencies": self.BEFORE.dependencies(), "documents": self.BEFORE.texts()}
        return explain.changed_dependencies(replace(stored(), body=body), after)

    def test_the_same_document_under_a_new_version_changes_nothing(self) -> None:
        after = replace(self.BEFORE, managed={LIMITED: version(grant_document((PASSED,)), "v4")})
        assert self.changed(after) == []

    def test_another_document_trust_or_role_id_does(self) -> None:
        more, other = grant_document((PASSED, ROLE)), trust.codedeploy_trust(NUMBER)
        after = Context(passed={PASSED: PassedRole(PASSED, "AROA8", other)}, managed={LIMITED: version(more, "v4")})
        digest = documents.digest
        old, new = digest(grant_document((PASSED,))), digest(more)
        assert self.changed(after) == [
            Difference(f"managed_policies {LIMITED} document", old, old, new),
            Difference(f"passed_roles {PASSED} role_id", "AROA9", "AROA9", "AROA8"),
            Difference(f"passed_roles {PASSED} trust", digest(self.TRUST), digest(self.TRUST), digest(other)),
        ]

    def test_a_passed_role_that_gains_rights_does(self) -> None:
        role = PassedRole(PASSED, "AROA9", self.TRUST, inline={"more": grant_document((ROLE,))})
        assert [one.part for one in self.changed(replace(self.BEFORE, passed={PASSED: role}))] == [
            f"passed_roles {PASSED} inline"
        ]

    def test_a_proposal_of_before_knows_no_policies_of_passed_roles(self) -> None:
        role = PassedRole(PASSED, "AROA9", self.TRUST, inline={"more": grant_document((ROLE,))})
        old = {"role_id": "AROA9", "trust": documents.digest(self.TRUST)}
        body = {**BODY, "dependencies": {"passed_roles": {PASSED: old}}}
        after = replace(self.BEFORE, passed={PASSED: role})
        assert explain.changed_dependencies(replace(stored(), body=body), after) == []


def test_documents_compare_by_meaning() -> None:
    spaced = documents.parse(documents.pretty(GRANT.document))
    assert explain.parts(State(ROLE, None, {POLICY: replace(GRANT, document=spaced)})) == explain.parts(
        State(ROLE, None, {POLICY: GRANT})
    )
