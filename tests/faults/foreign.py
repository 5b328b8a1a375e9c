"""Another administrator's hand in the account between our looks and our writes, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from iamroles.blueprints.grants import grant_document
from iamroles.blueprints.state import RoleState
from iamroles.iam import documents, trust
from tests.faults.aws import AwsCall, Cell, Reply
from tests.faults.kinds import Strike
from tests.faults.scenarios import DEPLOYER, POLICY, ROLE, SCENARIOS, TASK, Place

ATTACHED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"
_ELSEWHERE = trust.codedeploy_trust("999999999999")


@dataclass(frozen=True)
class Foreign:
    """`act` changes AWS just before our write k; `seen` tells whether the change is still there.

    `overwrites` are our calls that replace the changed part as a whole: the window between look and write (APPLY.md
    part 10), after which the run ends as approved. `scenarios` limits it to those where it can be done at all;
    `harmless` names those in which nothing of ours is touched.
    """

    name: str
    act: Callable[[Place], object]
    seen: Callable[[Place], bool]
    overwrites: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    target: str = "foreign before write"

    def make(self, k: int, place: Place) -> Strike:
        def strike(cell: Cell, call: AwsCall, number: int, forward: Callable[[], Reply]) -> Reply:
            if call.kind == "write" and number == k and not cell.struck:
                cell.struck += 1
                self.act(place)
            return forward()

        return strike

    def expected(self, scenario: str, writes: list[str], k: int) -> str:
        """Returns the outcome, or "" where the change cannot be made: it needs a role, or that there is none."""
        if self.scenarios and scenario not in self.scenarios:
            return ""
        before = writes[: k - 1]
        absent = "DeleteRole" in before or (scenario in ("create", "deployer") and not before)
        if absent != self.name.startswith("takes"):
            return ""
        return "applied" if scenario in self.harmless or writes[k - 1] in self.overwrites else "conflict"

    def problems(self, place: Place, happened: str) -> list[str]:
        """A foreign change that led to a conflict is still there: nobody undid it."""
        if happened == "conflict" and not self.seen(place):
            return ["the foreign change was undone"]
        return []


def _role(place: Place) -> RoleState | None:
    return place.gateway.role(place.arn("role", ROLE))


def _delete(place: Place) -> RoleState:
    role = _role(place)
    assert role is not None
    for arn in role.attached:
        place.on_role("DetachRolePolicy", PolicyArn=arn)
    for name in role.inline:
        place.on_role("DeleteRolePolicy", PolicyName=name)
    place.on_role("DeleteRole")
    return role


def _remake(place: Place) -> None:
    role = _delete(place)
    place.make_role(ROLE, role.trust, dict(role.tags))


def _attached(place: Place) -> frozenset[str]:
    role = _role(place)
    return role.attached if role else frozenset()


def _trusts(place: Place, document: documents.Document) -> bool:
    role = _role(place)
    return role is not None and documents.equal(role.trust, document)


def _inline(place: Place) -> bool:
    role = _role(place)
    return role is not None and "theirs" in role.inline


def _use_elsewhere(place: Place) -> None:
    place.send("AttachRolePolicy", "role", TASK, RoleName=TASK, PolicyArn=place.arn("policy", POLICY))


def _used_elsewhere(place: Place) -> bool:
    policy = place.gateway.policy(place.arn("policy", POLICY))
    return policy is not None and place.arn("role", TASK) in policy.users


def _theirs(place: Place) -> documents.Document:
    return grant_document((place.arn("role", "theirs"),))


def _add_version(place: Place) -> None:
    arn, text = place.arn("policy", POLICY), documents.minified(_theirs(place))
    place.send("CreatePolicyVersion", "policy", POLICY, PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)


def _reads_theirs(place: Place) -> bool:
    policy = place.gateway.policy(place.arn("policy", POLICY))
    return policy is not None and documents.equal(policy.document, _theirs(place))


def _take_policy(place: Place) -> None:
    text = documents.minified(_theirs(place))
    path = f"/{_DEPLOYER.rsplit('/', 1)[0]}/"
    place.send("CreatePolicy", "policy", _DEPLOYER, PolicyName=DEPLOYER, Path=path, PolicyDocument=text)


def _policy_is_theirs(place: Place) -> bool:
    policy = place.gateway.policy(place.arn("policy", _DEPLOYER))
    return policy is not None and documents.equal(policy.document, _theirs(place))


_DEPLOYER = f"deployer/{DEPLOYER}"
_WITH_POLICY = ("one version", "two versions", "five versions", "removal of a role", "removal of a grant")
_WITH_ROOM = tuple(name for name in _WITH_POLICY if name != "five versions")

FOREIGN = [
    Foreign(
        "attaches a policy",
        lambda place: place.on_role("AttachRolePolicy", PolicyArn=ATTACHED),
        lambda place: ATTACHED in _attached(place),
    ),
    Foreign(
        "edits trust",
        lambda place: place.on_role("UpdateAssumeRolePolicy", PolicyDocument=documents.minified(_ELSEWHERE)),
        lambda place: _trusts(place, _ELSEWHERE),
        ("UpdateAssumeRolePolicy", "DeleteRole"),
    ),
    Foreign(
        "adds an inline policy",
        lambda place: place.on_role(
            "PutRolePolicy",
            PolicyName="theirs",
            PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}',
        ),
        _inline,
    ),
    Foreign(
        "sets a boundary",
        lambda place: place.on_role("PutRolePermissionsBoundary", PermissionsBoundary=ATTACHED),
        lambda place: getattr(_role(place), "boundary", None) == ATTACHED,
        ("DeleteRole",),
    ),
    Foreign(
        "deletes the role",
        _delete,
        lambda place: _role(place) is None,
        harmless=("removal of a role",),
    ),
    Foreign("remakes the role", _remake, lambda place: _role(place) is not None, ("DeleteRole",)),
    Foreign(
        "takes the name first",
        lambda place: place.make_role(ROLE, trust.codedeploy_trust(place.account.number), {"team": "orders"}),
        lambda place: getattr(_role(place), "attached", None) == frozenset(),
        scenarios=("create", "removal of a role"),
    ),
    Foreign("takes the policy's name first", _take_policy, _policy_is_theirs, scenarios=("deployer",)),
    Foreign("uses our policy elsewhere", _use_elsewhere, _used_elsewhere, scenarios=_WITH_POLICY),
    Foreign("adds a policy version", _add_version, _reads_theirs, ("CreatePolicyVersion",), scenarios=_WITH_ROOM),
    Foreign(
        "breaks a passed role's trust",
        lambda place: place.send(
            "UpdateAssumeRolePolicy",
            "role",
            TASK,
            RoleName=TASK,
            PolicyDocument=documents.minified(trust.codedeploy_trust(place.account.number)),
        ),
        lambda _place: True,
        # looked at when the claim begins, not between writes: nothing of ours changes
        harmless=tuple(scenario.name for scenario in SCENARIOS),
    ),
]
