"""What a plan needs room for, read from its calls over a base."""

from __future__ import annotations

from dataclasses import replace

from iamroles.blueprints import PolicyState, RoleFacts, State, build_desired
from iamroles.iam import documents, trust
from iamroles.proposal import Context, Envelope, calls_between, older_sessions, propose
from iamroles.proposal.room import needed
from iamroles.rules.quotas import Quotas, Room
from tests.unit.proposal.conftest import ROLE_ARN, absent, as_asked, live


def wanted(facts: RoleFacts) -> State:
    desired = build_desired(facts)
    return State(facts.role_arn, desired.role, dict(desired.policies))


def test_a_new_role_needs_a_role_a_policy_and_a_trust(facts: RoleFacts) -> None:
    target = wanted(facts)
    assert target.role is not None
    room = needed(absent(facts), calls_between(absent(facts), target))
    assert room == Room(roles=1, policies=1, attaches=True, trust=documents.size(target.role.trust))


def test_what_reads_as_asked_needs_none(facts: RoleFacts) -> None:
    assert not needed(as_asked(facts), ()).any


def test_versions_are_counted_at_their_most(facts: RoleFacts) -> None:
    base = as_asked(facts)
    (arn,) = base.policies
    before = base.policies[arn]
    assert before is not None
    older = documents.parse(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    )

    def room(versions: int) -> Room:
        held = {f"v{number}": f"digest {number}" for number in range(1, versions + 1)}
        policy: PolicyState = replace(before, versions=held, document=older, default_version="v1")
        state = replace(base, policies={arn: policy})
        return needed(state, calls_between(state, as_asked(facts)))

    assert room(2).versions == {before.name: 3}
    assert room(5).versions == {before.name: 5}  # one goes first


def test_inline_policies_count_together_with_the_deny_for_older_sessions(facts: RoleFacts) -> None:
    """Somebody else's inline policies stay; what is put beside them must fit with them."""
    theirs = documents.parse(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    )
    base = live(facts, trust=trust.ecs_tasks_trust(), inline={"theirs": theirs})
    assert base.role is not None
    cut = older_sessions.with_cut(wanted(facts), None)
    assert cut.role is not None
    target = replace(cut, role=replace(cut.role, inline={**cut.role.inline, "theirs": theirs}))
    room = needed(base, calls_between(base, target))
    assert room.inline == documents.size(theirs) + documents.size(older_sessions.document(None))


def test_counts_that_move_move_no_digest(facts: RoleFacts, context: Context, envelope: Envelope) -> None:
    """Only a plan that does not fit any more reads otherwise."""

    def digest(roles: int) -> str:
        seen = replace(context, quotas=Quotas({"Roles": roles, "RolesQuota": 1000}))
        return propose(facts=facts, base=absent(facts), context=seen, envelope=envelope).digest

    assert digest(10) == digest(999)
    assert digest(10) == propose(facts=facts, base=absent(facts), context=context, envelope=envelope).digest
    assert digest(10) != digest(1000)


def test_the_finding_is_in_the_proposal(facts: RoleFacts, context: Context, envelope: Envelope) -> None:
    seen = replace(context, quotas=Quotas({"Roles": 1000, "RolesQuota": 1000}))
    made = propose(facts=facts, base=absent(facts), context=seen, envelope=envelope)
    (finding,) = [one for one in made.findings if one.id == "VA06"]
    assert (finding.severity, finding.will_not_work) == ("medium", True)
    assert ROLE_ARN in made.base.resources
