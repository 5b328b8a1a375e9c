"""AWS calls in words: every operation that a plan can hold has a sentence of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from iamroles.pages import calls
from iamroles.proposal import plan

ROLE = "arn:aws:iam::111122223333:role/ecsCodeDeployRole"
LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"


@pytest.mark.parametrize(
    ("api", "arguments", "sentence"),
    [
        (
            "CreateRole",
            {"RoleName": "r", "Tags": [{"Key": "a", "Value": "b"}], "PermissionsBoundary": "arn"},
            "Create the role r with its trust policy, its tags and the permissions boundary",
        ),
        ("CreateRole", {"RoleName": "r"}, "Create the role r with its trust policy"),
        (
            "AttachRolePolicy",
            {"RoleName": "r", "PolicyArn": LIMITED},
            "Attach Limited (AWSCodeDeployRoleForECSLimited) to r",
        ),
        ("TagRole", {"RoleName": "r", "Tags": [{"Key": "a", "Value": "b"}]}, "Tag the role r: a = b"),
        ("UntagRole", {"RoleName": "r", "TagKeys": ["a", "b"]}, "Remove the tags a, b from the role r"),
        (
            "CreatePolicyVersion",
            {"PolicyArn": "arn:aws:iam::111122223333:policy/r-PassRole"},
            "Give the policy r-PassRole a new default version",
        ),
        ("ListRoles", {}, f"ListRoles on {ROLE}"),
    ],
)
def test_says_what_a_call_does(api: str, arguments: dict[str, object], sentence: str) -> None:
    assert calls.sentence_of(api, ROLE, arguments) == sentence


def test_every_operation_of_a_plan_has_words() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(plan.__file__).parent.glob("*.py")]
    made = set(re.findall(r'Call\(\s*"(\w+)"', "\n".join(sources)))
    assert len(made) > 10
    assert made <= set(calls._WORDS)
