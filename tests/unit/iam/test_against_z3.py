"""The same questions to z3, on what it can encode: never the opposite answer. The bench asks more."""

from __future__ import annotations

import os
import random
from typing import Any

from iamroles.iam import documents
from iamroles.iam.contain import contains
from tests.unit.iam import encoding

PAIRS = int(os.environ.get("ROLEDESK_Z3_PAIRS", "60"))
_ACTIONS = ["s3:get", "s3:put", "s3:*", "s3:g*", "s3:?et", "*:get", "*"]
_TAILS = ["a", "b", "a*", "*b", "a?", "*a*", "x/*", "*/y", "x/a/y", "??"]
_HEADS = ["arn:aws:s3:::", "arn:aws:s3:*:*:", "arn:*:s3:::", "arn:aws:s3:r:1:"]
_VALUES = ["a", "b", "ab", "a*", "*b", "?", "*", ""]


def statement(rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": rng.choice(["Allow", "Allow", "Allow", "Deny"])}
    made[rng.choice(["Action"] * 4 + ["NotAction"])] = rng.sample(_ACTIONS, rng.randint(1, 2))
    resources = (
        ["*"] if rng.random() < 0.2 else [rng.choice(_HEADS) + rng.choice(_TAILS) for _ in range(rng.randint(1, 3))]
    )
    made[rng.choice(["Resource"] * 4 + ["NotResource"])] = resources
    if rng.random() < 0.5:
        operator = rng.choice(
            ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringLikeIfExists", "Null"]
        )
        values = rng.choice(["true", "false"]) if operator == "Null" else rng.sample(_VALUES, rng.randint(1, 2))
        made["Condition"] = {operator: {rng.choice(["k:a", "K:A", "k:b"]): values}}
    return made


def pair(rng: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    def document(statements: list[dict[str, Any]]) -> dict[str, Any]:
        return {"Version": "2012-10-17", "Statement": statements}

    one = [statement(rng) for _ in range(rng.randint(1, 2))]
    one[0]["Effect"] = "Allow"
    other = [*one, statement(rng)] if rng.random() < 0.5 else [statement(rng) for _ in range(rng.randint(1, 3))]
    return (document(one), document(other)) if rng.random() < 0.6 else (document(other), document(one))


def several(verdict: Any) -> bool:
    """True when a witness needs a key with several members, which the encoding does not have."""
    return verdict.witness is not None and any(not isinstance(v, str) for v in verdict.witness.context.values())


def test_never_the_opposite_answer() -> None:
    rng = random.Random(3)
    compared = 0
    for _ in range(PAIRS):
        new, reference = pair(rng)
        verdict = contains(documents.parse(new), documents.parse(reference))
        if verdict.verdict not in {"proved", "counterexample"} or several(verdict):
            continue
        answer = encoding.exceeds(new, reference, 3000)
        if answer == "unknown":
            continue
        compared += 1
        assert answer == ("unsat" if verdict.verdict == "proved" else "sat"), (new, reference)
    assert compared > PAIRS * 0.7
