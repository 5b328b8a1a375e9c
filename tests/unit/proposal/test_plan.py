"""From one state to another: the calls, their order, and what counts as the same."""

from __future__ import annotations

from dataclasses import replace

from iamroles.blueprints import RoleFacts, State, build_desired
from iamroles.blueprints.grants import grant_document
from iamroles.proposal import calls_between, same
from tests.unit.proposal.conftest import TASK, as_asked

OTHER = TASK.replace("orders-api", "orders-worker")


def with_document(state: State, roles: tuple[str, ...], **changes: object) -> State:
    ((arn, policy),) = state.policies.items()
    assert policy is not None
    return replace(state, policies={arn: replace(policy, document=grant_document(roles), **changes)})  # type: ignore[arg-type]


class TestCallsBetween:
    def test_nothing_is_left_when_equal(self, facts: RoleFacts) -> None:
        assert calls_between(as_asked(facts), as_asked(facts)) == ()

    def test_a_changed_grant_is_a_new_version(self, facts: RoleFacts) -> None:
        live = with_document(as_asked(facts), (TASK,), versions={"v1": "x"})
        (call,) = calls_between(live, with_document(as_asked(facts), (TASK, OTHER)))
        assert (call.api, call.arguments["SetAsDefault"]) == ("CreatePolicyVersion", True)

    def test_at_five_versions_the_oldest_other_one_goes_first(self, facts: RoleFacts) -> None:
        versions = {f"v{n}": str(n) for n in (2, 9, 10, 11, 12)}
        live = with_document(as_asked(facts), (TASK,), versions=versions, default_version="v2")
        calls = calls_between(live, with_document(as_asked(facts), (TASK, OTHER)))
        assert [(c.api, c.arguments.get("VersionId")) for c in calls] == [
            ("DeletePolicyVersion", "v9"),
            ("CreatePolicyVersion", None),
        ]

    def test_a_version_that_carries_the_target_becomes_the_default(self, facts: RoleFacts) -> None:
        wanted = with_document(as_asked(facts), (TASK, OTHER))
        from iamroles.iam import documents

        digest = documents.digest(grant_document((TASK, OTHER)))
        live = with_document(as_asked(facts), (TASK,), versions={"v1": "x", "v2": digest}, default_version="v1")
        (call,) = calls_between(live, wanted)
        assert (call.api, call.arguments["VersionId"]) == ("SetDefaultPolicyVersion", "v2")

    def test_a_removal_detaches_before_it_deletes(self, facts: RoleFacts) -> None:
        live = as_asked(facts)
        gone = State(live.role_arn, None, dict.fromkeys(live.policies))
        assert [c.api for c in calls_between(live, gone)] == [
            "DetachRolePolicy",
            "DetachRolePolicy",
            "DeleteRole",
            "DeletePolicy",
        ]


class TestSame:
    def test_a_role_made_anew_is_not_the_same(self, facts: RoleFacts) -> None:
        target = as_asked(facts)
        assert target.role is not None
        assert same(target, target)
        assert not same(replace(target, role=replace(target.role, role_id="AROANEW")), target)

    def test_a_tag_that_the_target_lacks_is_untagged(self, facts: RoleFacts) -> None:
        target = as_asked(facts)
        assert target.role is not None
        tagged = replace(target, role=replace(target.role, tags={**target.role.tags, "old": "1"}))
        (call,) = calls_between(tagged, target)
        assert (call.api, call.arguments["TagKeys"]) == ("UntagRole", ["old"])

    def test_an_extra_attachment_is_not_the_same(self, facts: RoleFacts) -> None:
        target = as_asked(facts)
        assert target.role is not None
        more = replace(target.role, attached=target.role.attached | {"arn:aws:iam::aws:policy/Other"})
        assert not same(replace(target, role=more), target)


def test_desired_is_the_same_for_the_same_facts(facts: RoleFacts) -> None:
    assert build_desired(facts).digest() == build_desired(replace(facts)).digest()
