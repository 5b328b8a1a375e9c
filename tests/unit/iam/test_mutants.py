"""Widened policies are told, and a sabotaged rule of the analysis is caught by the tests that guard it."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest

from iamroles.iam import boxes, boxing, catalogue, documents, patterns, trust
from iamroles.iam.contain import contains
from iamroles.iam.diff import diff
from iamroles.iam.documents import Document
from tests.unit.iam.test_contain import TestReadings as Readings
from tests.unit.iam.test_contain import TestTraps as Traps

A = "111122223333"
LIMITED = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document
GRANT = documents.parse(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iam:PassRole",
                "Resource": [f"arn:aws:iam::{A}:role/{name}" for name in ("orders-exec", "orders-task", "apps/x")],
                "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            }
        ],
    }
)
GROUP = f"arn:aws:codedeploy:us-east-1:{A}:deploymentgroup:orders/*"

Edit = Callable[[random.Random, dict[str, Any]], bool]  # changes one statement; False where it does not apply


def _listed(statement: dict[str, Any], element: str) -> list[str]:
    value = statement[element]
    statement[element] = [value] if isinstance(value, str) else list(value)
    return statement[element]  # type: ignore[no-any-return]


def widen_resource(rng: random.Random, statement: dict[str, Any]) -> bool:
    if statement.get("Resource", "*") == "*":
        return False
    listed = _listed(statement, "Resource")
    index = rng.randrange(len(listed))
    cut = rng.randint(listed[index].rindex(":") + 1, len(listed[index]) - 1)
    listed[index] = (
        listed[index][:cut] + "*" if not listed[index].endswith("*") else listed[index][: max(cut - 1, 0)] + "*"
    )
    return True


def add_resource(rng: random.Random, statement: dict[str, Any]) -> bool:
    if statement.get("Resource", "*") == "*":
        return False
    _listed(statement, "Resource").append(
        f"arn:aws:iam::{A}:role/added{rng.randint(0, 9)}" if "iam" in str(statement["Resource"]) else "*"
    )
    return True


def add_action(rng: random.Random, statement: dict[str, Any]) -> bool:
    _listed(statement, "Action").append(rng.choice(["sts:TagSession", "iam:CreateRole", "dynamodb:*", "*"]))
    return True


def drop_conditions(rng: random.Random, statement: dict[str, Any]) -> bool:
    return statement.pop("Condition", None) is not None


def soften_condition(rng: random.Random, statement: dict[str, Any]) -> bool:
    conditions = statement.get("Condition")
    if not conditions:
        return False
    name = rng.choice(sorted(conditions))
    tests = conditions.pop(name)
    if rng.random() < 0.5:
        conditions[f"{name}IfExists"] = tests
    else:
        key = rng.choice(sorted(tests))
        values = tests[key] if isinstance(tests[key], list) else [tests[key]]
        added = "arn:aws:codedeploy:*:*:*" if "Arn" in name else "added.amazonaws.com"
        conditions[name] = {**tests, key: [*values, added]}
    return True


def add_principal(rng: random.Random, statement: dict[str, Any]) -> bool:
    if "Principal" not in statement:
        return False
    statement["Principal"] = {**statement["Principal"], "AWS": rng.choice(["*", A, f"arn:aws:iam::{A}:role/x"])}
    return True


EDITS: list[Edit] = [widen_resource, add_resource, add_action, drop_conditions, soften_condition, add_principal]


@pytest.mark.parametrize(
    "original",
    [GRANT, LIMITED, trust.codedeploy_trust(A), trust.codedeploy_trust(A, source_arn=GROUP)],
    ids=["grant", "limited", "trust", "trust with group"],
)
def test_every_widening_is_told(original: Document) -> None:
    rng = random.Random(200)
    told = 0
    while told < 100:
        value = original.as_mapping()
        statement = rng.choice(value["Statement"])
        if not rng.choice(EDITS)(rng, statement):
            continue
        mutant = documents.parse(value, original.kind)
        found = diff(original, mutant)
        assert found.newly_allowed, value
        assert len(found.sentences) == len(found.newly_allowed), value
        assert found.no_longer_allowed == (), value
        assert contains(original, mutant).verdict == "proved", value
        told += 1


def _one_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "ANY_STAR", patterns.Element(star=False, letters=""))


def _unicode_folding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "ascii_lower", str.lower)


def _all_values_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    """ForAllValues fails on an absent key."""
    original = boxing.Boxing._condition

    def sabotaged(self: boxing.Boxing, condition: Any, document: Document) -> boxes.Test:
        test = original(self, condition, document)
        return dataclasses.replace(test, absent=False) if condition.operator.qualifier == "all" else test

    monkeypatch.setattr(boxing.Boxing, "_condition", sabotaged)


def _no_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    original = patterns.Builder._segments

    def sabotaged(self: patterns.Builder, found: Any, text: str, *, pad: bool, crossing: bool) -> Any:
        return original(self, found, text, pad=False, crossing=crossing)

    monkeypatch.setattr(patterns.Builder, "_segments", sabotaged)


def _one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamroles.iam.contain._other_readings", lambda question: iter(()))


def _null_takes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxing, "_always", lambda condition: False)


def _absent_equals_proved() -> None:
    new = {"ForAllValues:StringEquals": {"k:x": "a"}}
    reference = {"ForAnyValue:StringLike": {"k:x": "*"}}

    def made(condition: Any) -> Document:
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": condition}
        return documents.parse({"Version": "2012-10-17", "Statement": [statement]})

    assert contains(made(new), made(reference)).verdict == "counterexample"


@pytest.mark.parametrize(
    ("sabotage", "guard"),
    [
        (_one_letter, lambda: Traps().test_a_variable_is_not_one_letter("x/?")),
        (_unicode_folding, lambda: Traps().test_unicode_folds_nothing()),
        (_all_values_demand, _absent_equals_proved),
        (_no_padding, lambda: Readings().test_a_short_pattern_is_padded_and_does_not_vanish()),
        (_one_reading, lambda: Readings().test_green_needs_both_readings_of_a_wildcard()),
        (_null_takes_one, lambda: Traps().test_null_with_both_values_limits_nothing()),
    ],
)
def test_a_sabotaged_rule_is_caught(
    monkeypatch: pytest.MonkeyPatch, sabotage: Callable[[pytest.MonkeyPatch], None], guard: Callable[[], None]
) -> None:
    guard()
    sabotage(monkeypatch)
    with pytest.raises(AssertionError):
        guard()
