# ruff: noqa: E501  (questions read best on one line)
"""Mangled questions: an answer with a code or a finding, never an exception and never a guess that looks green."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from iamroles.iam import catalogue, questions
from iamroles.iam.emptiness import Budget
from tests.unit.iam.generator import Flavour, Maker

_CODES = {"bad_json", "duplicate_key", "too_deep", "too_large", "bad_document", "bad_operator", "bad_request"}
_JUNK: list[Any] = [
    "", None, 1, 1.5, True, [], {}, "*", "a:b", "arn:aws:iam::1:role/x", "arn:::::", "${aws:username}", "${", "\u212a",
    "${*}", "${a,'b'}", "x" * 300, ["a", ["b"]], {"a": 1}, -1, "arn:aws:iam::111122223333:role/", "true",
]  # fmt: skip
_LIMITED = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document.as_mapping()
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": ["*", "111122223333", "AROAX"], "Service": "a"},
            "Action": "sts:*",
            "Condition": {"ArnLike": {"aws:SourceArn": "arn:*"}},
        }
    ],
}
_FACTS = {
    "expected": {"trust": ["a"], "grants": {"arn:aws:iam::1:role/x": "s"}},
    "standard": [_LIMITED],
    "rest": [_LIMITED],
    "execution_roles": ["x"],
    "passed": {"a": _TRUST},
}


def mangled(rng: random.Random, value: Any) -> Any:
    """A copy with one to three places replaced, removed, added to or wrapped."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        place, inner = None, value
        while isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            key: Any = rng.choice(list(inner)) if isinstance(inner, dict) else rng.randrange(len(inner))
            place, inner = (inner, key), inner[key]
        if place is None:
            continue
        holder, key = place
        junk = copy.deepcopy(rng.choice(_JUNK))
        act = rng.choice(["replace", "remove", "wrap", "add"])
        if act == "remove":
            del holder[key]
        elif act == "add" and isinstance(holder, dict):
            holder[rng.choice(["Statement", "NotAction", "Resource", "Principal", "Condition", "Sid", "zz"])] = junk
        else:
            holder[key] = [copy.deepcopy(inner)] if act == "wrap" else junk
    return value


def asked(rng: random.Random) -> dict[str, Any]:
    def document() -> Any:
        one = rng.choice([_LIMITED, _TRUST, Maker(rng, Flavour(variables=True)).document()])
        return mangled(rng, one) if rng.random() < 0.6 else one

    request = {"action": "s3:Get", "resource": "arn:aws:s3:::a", "context": {"k:one": ["a"]}}
    return {
        "contains": {"id": 1, "new": document(), "reference": document(), "account": rng.choice([None, "111122223333", "x"])},
        "evaluate": {"id": 1, "policies": [document()], "boundary": None, "request": request},
        "lint": {"id": 1, "document": document(), "kind": rng.choice(["identity", "trust"]), "account": "111122223333", "facts": rng.choice([None, _FACTS])},
        "diff": {"id": 1, "before": rng.choice([None, document()]), "after": document()},
        "canonical": {"id": 1, "document": document()},
    }  # fmt: skip


def test_mangled_questions_are_answered() -> None:
    rng = random.Random(20261124)
    codes: set[str] = set()
    for _ in range(60):
        for command, question in asked(rng).items():
            text = json.dumps(mangled(rng, question) if rng.random() < 0.2 else question).encode()
            answer, code = questions.answer(command, text, budget=Budget(states=2000, pieces=500), clock=lambda: 0.0)
            assert json.loads(json.dumps(answer)) == answer
            if "error" in answer:
                assert set(answer) == {"id", "error"}
                assert (answer["error"]["code"] in _CODES, code) == (True, 2)
                codes.add(answer["error"]["code"])
            else:
                assert code in {0, 1, 3}
    assert codes >= {"bad_document", "bad_request"}
