"""Another administrator's hand in the account between our looks and our writes, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from iamroles.iam import documents, trust
from tests.faults.aws import AwsCall, Cell, Reply
from tests.faults.kinds import Strike
from tests.faults.scenarios import ROLE, TASK, Place

ATTACHED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"
_ELSEWHERE = trust.codedeploy_trust("999999999999")


@dataclass(frozen=True)
class Foreign:
    """`act` changes AWS just before our write k; `seen` tells whether the change is still there."""

    name: str
    act: Callable[[Place], None]
    seen: Callable[[Place], bool]
    overwrites: tuple[str, ...] = ()
    target: str = "foreign before write"

    def make(self, k: int, place: Place) -> Strike:
        def strike(cell: Cell, call: AwsCall, number: int, forward: Callable[[], Reply]) -> Reply:
            if call.kind == "write" and number == k and not cell.struck:
                cell.struck += 1
                self.act(place)
            return forward()

        return strike

    def expected(self, scenario: str, writes: list[str], k: int) -> str:
        """A part that our write k replaces as a whole is the window of APPLY.md part 10; all else is a conflict."""
        if scenario == "create" and k == 1:
            return "conflict" if self.name == "takes the name first" else ""
        if self.name == "takes the name first":
            return ""
        return "applied" if writes[k - 1] in self.overwrites else "conflict"

    def problems(self, place: Place, happened: str) -> list[str]:
        """A foreign change that led to a conflict is still there: nobody undid it."""
        if happened == "conflict" and not self.seen(place):
            return ["the foreign change was undone"]
        return []


def _role(place: Place) -> object:
    return place.gateway.role(place.arn("role", ROLE))


def _remake(place: Place) -> None:
    role = place.gateway.role(place.arn("role", ROLE))
    assert role is not None
    for arn in role.attached:
        place.on_role("DetachRolePolicy", PolicyArn=arn)
    place.on_role("DeleteRole")
    place.make_role(ROLE, role.trust, dict(role.tags))


def _attached(place: Place) -> frozenset[str]:
    role = place.gateway.role(place.arn("role", ROLE))
    return role.attached if role else frozenset()


def _trusts(place: Place, document: documents.Document) -> bool:
    role = place.gateway.role(place.arn("role", ROLE))
    return role is not None and documents.equal(role.trust, document)


def _inline(place: Place) -> bool:
    role = place.gateway.role(place.arn("role", ROLE))
    return role is not None and "theirs" in role.inline


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
        ("UpdateAssumeRolePolicy",),
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
    ),
    Foreign("remakes the role", _remake, lambda place: _role(place) is not None),
    Foreign(
        "takes the name first",
        lambda place: place.make_role(ROLE, trust.codedeploy_trust(place.account.number), {"team": "orders"}),
        lambda place: getattr(_role(place), "attached", None) == frozenset(),
    ),
    Foreign(
        "deletes a passed role's trust",
        lambda place: place.send(
            "UpdateAssumeRolePolicy",
            "role",
            TASK,
            RoleName=TASK,
            PolicyDocument=documents.minified(trust.codedeploy_trust(place.account.number)),
        ),
        lambda _place: True,
        # looked at when the claim begins, not between writes: nothing of ours changes
        (
            "CreateRole",
            "UpdateAssumeRolePolicy",
            "TagRole",
            "CreatePolicy",
            "AttachRolePolicy",
            "CreatePolicyVersion",
            "DeletePolicyVersion",
        ),
    ),
]
