"""Order of writes (APPLY.md): what holds after every prefix of every plan, over random pairs of base and target.

The plan is played call by call on plain values. Permissions are sets of single actions, so that "what only the target
has" is exact; a session keeps what its principal had when it was opened, unless the deny for older sessions cuts it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from iamroles.blueprints.state import PolicyState, RoleState, State
from iamroles.iam import documents
from iamroles.iam.documents import Document
from iamroles.proposal import boundary, calls_between, older_sessions
from iamroles.proposal.calls import Call
from iamroles.proposal.plan import versions_to_drop

ROLE = "arn:aws:iam::111122223333:role/r"
OWN = tuple(f"arn:aws:iam::111122223333:policy/p{n}" for n in range(2))
AWS = tuple(f"arn:aws:iam::aws:policy/A{n}" for n in range(2))
ACTIONS = tuple(f"svc:Act{n}" for n in range(5))
FIXED = {AWS[0]: frozenset({"svc:Act0", "aws:Zero"}), AWS[1]: frozenset({"svc:Act1", "aws:One"})}
BOUNDARIES = {
    f"arn:aws:iam::111122223333:policy/boundary/{name}": frozenset(within)
    for name, within in (
        ("few", ("svc:Act0", "svc:Act1")),
        ("more", ("svc:Act0", "svc:Act1", "svc:Act2", "aws:Zero")),
        ("others", ("svc:Act2", "svc:Act3", "aws:One")),
        ("all", (*ACTIONS, "aws:Zero", "aws:One")),
    )
}
UNTIL = "2026-11-25T12:01:00Z"

actions = st.frozensets(st.sampled_from(ACTIONS), min_size=1, max_size=4)
principals = st.frozensets(st.sampled_from(("ecs.amazonaws.com", "ec2.amazonaws.com", "codedeploy.amazonaws.com")))


def identity(allowed: frozenset[str]) -> Document:
    statement = {"Effect": "Allow", "Action": sorted(allowed), "Resource": "*"}
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]})


def trusting(names: frozenset[str]) -> Document:
    statement = {"Effect": "Allow", "Principal": {"Service": sorted(names)}, "Action": "sts:AssumeRole"}
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]}, kind="trust")


def policy(arn: str, allowed: frozenset[str]) -> PolicyState:
    document = identity(allowed)
    versions = {"v1": documents.digest(document)}
    return PolicyState(arn, arn.rsplit("/", 1)[-1], "/", document, default_version="v1", versions=versions)


@st.composite
def states(draw: st.DrawFn) -> State:
    """A role with own and AWS policies, inline policies, tags and maybe a boundary; own policies that exist."""
    own = {arn: policy(arn, draw(actions)) for arn in OWN}
    attached = draw(st.frozensets(st.sampled_from(OWN + AWS)))
    inline = {name: identity(draw(actions)) for name in draw(st.frozensets(st.sampled_from(("i", "j"))))}
    role = RoleState(
        arn=ROLE,
        name="r",
        path="/",
        trust=trusting(draw(principals.filter(bool))),
        tags=draw(st.dictionaries(st.sampled_from(("a", "b")), st.sampled_from("12"))),
        attached=attached,
        inline=inline,
        role_id="AROA1",
    )
    return State(ROLE, role, dict(own))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[State, State]:
    """A base and a target; the target's own policies name the versions that must go, as a proposal's do."""
    base, target = draw(states()), draw(states())
    assert base.role is not None
    assert target.role is not None
    after = draw(st.sampled_from([None, *BOUNDARIES]))
    before = draw(st.sampled_from([None, *BOUNDARIES])) if after else None  # a boundary is never taken away
    policies: dict[str, PolicyState | None] = {}
    for arn in OWN:
        live, wanted = base.policies[arn], target.policies[arn]
        assert live is not None
        assert wanted is not None
        drops = () if documents.equal(live.document, wanted.document) else versions_to_drop(live, wanted.document)
        policies[arn] = replace(live, document=wanted.document, default_version=None, drops=drops)
    return (
        replace(base, role=replace(base.role, boundary=before)),
        State(ROLE, replace(target.role, boundary=after), policies),
    )


@dataclass
class Player:
    """AWS's side: applies one call after the other. `numbers` counts versions."""

    state: State
    numbers: int = 1
    cut: bool = field(default=False)

    def role(self, **changes: Any) -> None:
        assert self.state.role is not None
        self.state = replace(self.state, role=replace(self.state.role, **changes))

    def change(self, arn: str, **changes: Any) -> None:
        found = self.state.policies[arn]
        assert found is not None
        self.state = replace(self.state, policies={**self.state.policies, arn: replace(found, **changes)})

    def play(self, call: Call) -> None:
        role, sent = self.state.role, call.arguments
        assert role is not None
        match call.api:
            case "AttachRolePolicy":
                self.role(attached=role.attached | {sent["PolicyArn"]})
            case "DetachRolePolicy":
                assert sent["PolicyArn"] in role.attached
                self.role(attached=role.attached - {sent["PolicyArn"]})
            case "PutRolePolicy":
                self.role(inline={**role.inline, sent["PolicyName"]: documents.parse(sent["PolicyDocument"])})
                self.cut = self.cut or older_sessions.is_cut(call)
            case "DeleteRolePolicy":
                self.role(inline={n: d for n, d in role.inline.items() if n != sent["PolicyName"]})
            case "UpdateAssumeRolePolicy":
                self.role(trust=documents.parse(sent["PolicyDocument"], kind="trust"))
            case "PutRolePermissionsBoundary":
                self.role(boundary=sent["PermissionsBoundary"])
            case "TagRole":
                self.role(tags={**role.tags, **{tag["Key"]: tag["Value"] for tag in sent["Tags"]}})
            case "UntagRole":
                self.role(tags={key: value for key, value in role.tags.items() if key not in sent["TagKeys"]})
            case "UpdateRole":
                self.role(description=sent["Description"], max_session=sent["MaxSessionDuration"])
            case "CreatePolicyVersion":
                self.new_version(call.resource, documents.parse(sent["PolicyDocument"]))
            case "DeletePolicyVersion":
                self.drop_version(call.resource, sent["VersionId"])
            case _:
                raise AssertionError(call.api)

    def new_version(self, arn: str, document: Document) -> None:
        found = self.state.policies[arn]
        assert found is not None
        self.numbers += 1
        version = f"v{self.numbers}"
        versions = {**found.versions, version: documents.digest(document)}
        self.change(arn, document=document, default_version=version, versions=versions)

    def drop_version(self, arn: str, version: str) -> None:
        found = self.state.policies[arn]
        assert found is not None
        assert version != found.default_version
        self.change(arn, versions={v: d for v, d in found.versions.items() if v != version})


def granted(state: State) -> frozenset[str]:
    """What the role's permissions allow within its boundary, without the deny for older sessions."""
    assert state.role is not None
    found = set()
    for arn in state.role.attached:
        own = state.policies.get(arn)
        found |= set(own.document.statements[0].actions) if own else FIXED[arn]
    for name, document in state.role.inline.items():
        if not older_sessions.is_ours(name, document):
            found |= set(document.statements[0].actions)
    return frozenset(found) & (BOUNDARIES[state.role.boundary] if state.role.boundary else frozenset(found))


def admitted(state: State) -> frozenset[str]:
    assert state.role is not None
    return frozenset(name for _, name in state.role.trust.statements[0].principals)


def widens(base: State, target: State) -> bool:
    """As `propose` decides it, from the documents that the context holds."""
    seen = {**FIXED, **BOUNDARIES}
    return boundary.widens(base, target, {arn: identity(within) for arn, within in seen.items()})


def planned(base: State, target: State, left: tuple[str, ...] = ()) -> tuple[tuple[Call, ...], State]:
    """The plan as `propose` makes it, with its one open value, and what AWS reads at its end."""
    opens = widens(base, target)
    plan = calls_between(base, target, widens=opens)
    if older_sessions.leaving(base.role, target.role, left) and older_sessions.adds(base, plan):
        cut = older_sessions.with_cut(target, UNTIL)
        return calls_between(base, cut, widens=opens), cut
    return plan, target


def prefixes(base: State, plan: tuple[Call, ...]) -> Iterator[Player]:
    player = Player(base)
    yield player
    for call in plan:
        player.play(call)
        yield player


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_every_plan_leads_to_its_target(pair: tuple[State, State]) -> None:
    base, target = pair
    plan, end = planned(base, target)
    *_, player = prefixes(base, plan)
    assert calls_between(player.state, end) == ()
    for arn in OWN:
        live, before = player.state.policies[arn], base.policies[arn]
        assert live is not None
        assert before is not None
        assert len(live.versions) <= 2
        contained = granted_by(before) <= granted_by(live)
        assert ("v1" in live.versions) == (contained or live.default_version == "v1")


def granted_by(state: PolicyState) -> set[str]:
    return set(state.document.statements[0].actions)


@settings(max_examples=200, deadline=None)
@given(pairs(), principals)
def test_on_every_prefix_nobody_holds_what_is_not_theirs(pair: tuple[State, State], left: frozenset[str]) -> None:
    """`left` are principals that an earlier change took out of the trust: sessions of theirs may still live."""
    base, target = pair
    plan, _ = planned(base, target, tuple(left))
    only_base, only_target = granted(base) - granted(target), granted(target) - granted(base)
    new, leaving = admitted(target) - admitted(base), admitted(base) - admitted(target)
    for player in prefixes(base, plan):
        held = granted(player.state)
        assert held <= granted(base) | granted(target)
        if new & admitted(player.state):
            assert not held & only_base
        if leaving & admitted(player.state):
            assert not held & only_target
        if (leaving | left) - admitted(target) and held & only_target:
            # A session from before the change of trust lives for hours: it must have been cut off by now.
            assert player.cut


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_on_every_prefix_the_rest_of_the_plan_is_what_a_look_finds(pair: tuple[State, State]) -> None:
    """The engine looks between two calls: what is left must be calls of the plan, in whatever order, and none twice."""
    base, target = pair
    plan, end = planned(base, target)
    shapes = [(call.api, call.resource, dict(call.arguments)) for call in plan]
    for number, player in enumerate(prefixes(base, plan)):
        again = calls_between(player.state, end, widens=widens(base, target))
        left = [(call.api, call.resource, dict(call.arguments)) for call in again]
        assert all(shape in shapes[number:] for shape in left), number
        assert len(left) == len(plan) - number


@settings(max_examples=20, deadline=None)
@given(pairs())
def test_a_boundary_is_there_before_anybody_new_comes_in(pair: tuple[State, State]) -> None:
    base, target = pair
    assert base.role is not None
    assert target.role is not None
    plan, _ = planned(base, target)
    for player in prefixes(base, plan):
        assert player.state.role is not None
        if player.state.role.trust != base.role.trust:
            assert player.state.role.boundary == (target.role.boundary or base.role.boundary)


class TestBoundary:
    """Which place the call has, by what is proved of the two boundaries over what the role holds."""

    def apis(self, before: str | None, after: str, held: frozenset[str], *, trust: bool) -> list[str]:
        def state(boundary: str | None, names: frozenset[str], allowed: frozenset[str], label: str) -> State:
            role = RoleState(ROLE, "r", "/", trusting(names), boundary=boundary, inline={label: identity(allowed)})
            return State(ROLE, replace(role, attached=frozenset({AWS[0]}), role_id="AROA1"), {})

        old, new = (
            frozenset({"ecs.amazonaws.com"}),
            frozenset({"codedeploy.amazonaws.com" if trust else "ecs.amazonaws.com"}),
        )
        named = [
            boundary and next(arn for arn in BOUNDARIES if arn.endswith(f"/{boundary}")) for boundary in (before, after)
        ]
        base, target = state(named[0], old, held, "i"), state(named[1], new, frozenset({"svc:Act0"}), "j")
        return [call.api for call in planned(base, target)[0]]

    BOUNDARY, TRUST = "PutRolePermissionsBoundary", "UpdateAssumeRolePolicy"

    def test_one_where_there_was_none_goes_first(self) -> None:
        apis = self.apis(None, "few", frozenset({"svc:Act0"}), trust=True)
        assert apis[0] == self.BOUNDARY

    def test_a_narrower_one_goes_first(self) -> None:
        assert self.apis("all", "few", frozenset({"svc:Act0"}), trust=True)[0] == self.BOUNDARY

    def test_so_does_a_wider_one_that_gives_nothing_to_what_the_role_holds(self) -> None:
        assert self.apis("more", "all", frozenset({"svc:Act0"}), trust=True)[0] == self.BOUNDARY

    def test_a_wider_one_opens_the_additions(self) -> None:
        apis = self.apis("few", "all", frozenset({"svc:Act4"}), trust=False)
        assert apis == ["DeleteRolePolicy", self.BOUNDARY, "PutRolePolicy"]

    def test_beside_a_change_of_trust_nothing_is_in_place(self) -> None:
        apis = self.apis("few", "others", frozenset({"svc:Act3"}), trust=True)
        away = ["DetachRolePolicy", "DeleteRolePolicy"]
        assert apis == [*away, self.BOUNDARY, self.TRUST, "PutRolePolicy", "PutRolePolicy", "AttachRolePolicy"]

    def test_one_that_nobody_could_read_is_not_believed(self) -> None:
        base = State(ROLE, RoleState(ROLE, "r", "/", trusting(frozenset({"ecs.amazonaws.com"})), boundary="arn:a"), {})
        assert base.role is not None
        target = replace(base, role=replace(base.role, boundary="arn:b"))
        assert boundary.widens(base, target, {"arn:a": identity(frozenset({"svc:Act0"}))})
        assert not boundary.widens(base, base, {})
