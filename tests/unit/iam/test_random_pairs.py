"""Random pairs of policies against the slow oracle, which shares no code, and the laws that any containment keeps.

The seed is fixed. `ROLEDESK_PAIRS` sets the number of pairs for a long run.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from iamroles.iam import documents
from iamroles.iam.contain import contains
from iamroles.iam.diff import diff
from iamroles.iam.evaluate import Request, evaluate
from tests.unit.iam import oracle

PAIRS = int(os.environ.get("ROLEDESK_PAIRS", "250"))
KEYS = ["k:one", "k:two", "arn:key"]


def pairs(seed: int, count: int, *, variables: bool) -> list[tuple[Any, Any, Any, random.Random]]:
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        qualified: dict[str, str] = {}
        one = oracle.random_document(rng, qualified, variables=variables)
        other = (
            oracle.edited(rng, one, qualified, variables=variables)
            if rng.random() < 0.6
            else oracle.random_document(rng, qualified, variables=variables)
        )
        boundary = oracle.random_document(rng, qualified, variables=variables) if rng.random() < 0.2 else None
        one, other = (one, other) if rng.random() < 0.5 else (other, one)
        made.append((one, other, boundary, random.Random(rng.random())))
    return made


def as_request(call: dict[str, Any]) -> Request:
    return Request(call["action"], call["resource"], {key: tuple(value) for key, value in call["context"].items()})


def as_call(request: Request) -> dict[str, Any]:
    context = {key: [value] if isinstance(value, str) else list(value) for key, value in request.context.items()}
    return {"action": request.action, "resource": request.resource, "context": context}


@pytest.mark.parametrize("variables", [False, True])
def test_no_false_proof_and_no_wrong_counterexample(variables: bool) -> None:
    verdicts: dict[str, int] = {}
    for one, other, boundary, rng in pairs(20261124, PAIRS, variables=variables):
        limit = None if boundary is None else documents.parse(boundary)
        verdict = contains(documents.parse(one), documents.parse(other), boundary=limit)
        verdicts[verdict.verdict] = verdicts.get(verdict.verdict, 0) + 1
        if verdict.verdict == "proved":
            for call in oracle.calls(rng, KEYS, 2):
                exceeds = oracle.allowed([one], boundary, call) and not oracle.allowed([other], None, call)
                assert not exceeds, (one, other, boundary, call)
        elif verdict.verdict == "counterexample":
            assert verdict.witness is not None
            call = as_call(verdict.witness)
            assert oracle.allowed([one], boundary, call), (one, boundary, call)
            assert not oracle.allowed([other], None, call), (other, call)
    open_ones = verdicts.get("maybe", 0) + verdicts.get("unknown", 0)
    assert verdicts["proved"] > PAIRS * 0.3
    assert verdicts["counterexample"] > PAIRS * 0.3
    assert open_ones < PAIRS * (0.15 if variables else 0.02), verdicts


@pytest.mark.parametrize("variables", [False, True])
def test_decisions_are_those_of_the_oracle(variables: bool) -> None:
    for one, other, boundary, rng in pairs(7, 60, variables=variables):
        policies = [documents.parse(one), documents.parse(other)]
        limit = None if boundary is None else documents.parse(boundary)
        for call in rng.sample(oracle.calls(rng, KEYS, 1), 12):
            decided = evaluate(policies, limit, as_request(call)).allowed
            assert decided == oracle.allowed([one, other], boundary, call), (one, other, boundary, call)


def test_laws() -> None:
    for one, other, _, _ in pairs(99, 60, variables=True):
        a, b = documents.parse(one), documents.parse(other)
        assert contains(a, a).verdict == "proved"
        assert contains(a, [a, b]).verdict != "counterexample" or any(s.effect == "Deny" for s in b.statements)
        assert contains(a, a, boundary=b).verdict == "proved"
        assert contains(a, b, boundary=b).verdict != "counterexample"
        assert contains(documents.parse(documents.canonical(a)), a).verdict == "proved"
        assert not diff(a, a).changed


def test_canonical_spelling_changes_no_decision() -> None:
    for one, other, _, rng in pairs(13, 40, variables=True):
        policies = [documents.parse(one), documents.parse(other)]
        spelt = [documents.parse(documents.canonical(document)) for document in policies]
        for call in rng.sample(oracle.calls(rng, KEYS, 1), 10):
            request = as_request(call)
            assert evaluate(policies, None, request).decision == evaluate(spelt, None, request).decision


def test_diff_swaps_with_its_arguments() -> None:
    for one, other, _, _ in pairs(5, 40, variables=False):
        a, b = documents.parse(one), documents.parse(other)
        there, back = diff(a, b), diff(b, a)
        assert there.newly_allowed == back.no_longer_allowed
        assert there.no_longer_allowed == back.newly_allowed
        assert there.newly_denied == back.no_longer_denied
        assert len(there.sentences) == sum(
            map(len, (there.newly_allowed, there.no_longer_allowed, there.newly_denied, there.no_longer_denied))
        )


def test_the_generator_makes_what_traps_need() -> None:
    texts = [str((one, other)) for one, other, _, _ in pairs(1, 200, variables=True)]
    for sign in (
        "ForAllValues",
        "ForAnyValue",
        "IfExists",
        "Null",
        "Not",
        "${aws:username",
        "2008-10-17",
        "''",
        "Deny",
    ):
        assert sum(sign in text for text in texts) >= 5, sign
    rng = random.Random(1)
    contexts = [call["context"] for call in oracle.calls(rng, KEYS, 2)]
    assert any([""] in context.values() for context in contexts)
    assert any(len(value) > 1 for context in contexts for value in context.values())
    assert any("k:one" not in context for context in contexts)
    assert any(":" in value for context in contexts for value in context.get("aws:username", []))
