# ruff: noqa: E501  (tables read best with one case a line)
"""Widened policies are told, single changes are told once, rewrites are not, and a sabotaged rule is caught."""

from __future__ import annotations

import dataclasses
import random
import sys
import types
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from iamroles.iam import boxes, boxing, documents, evaluate, patterns
from iamroles.iam.contain import contains
from iamroles.iam.diff import Diff, diff
from iamroles.iam.documents import Document
from tests.unit.iam import generator, mutations, oracle
from tests.unit.iam.generator import Flavour
from tests.unit.iam.test_contain import TestReadings as Readings
from tests.unit.iam.test_contain import TestTraps as Traps
from tests.unit.iam.test_random_pairs import as_request
from tests.unit.iam.test_traps import TestPrincipals as Principals
from tests.unit.iam.test_traps import TestVariables as Variables

GENERATED = mutations.generated()


@pytest.mark.parametrize("name", GENERATED)
def test_every_widening_is_told(name: str) -> None:
    original = GENERATED[name]
    for value, mutant in islice(mutations.mutants(original, mutations.WIDENING, 200), 200):
        found = diff(original, mutant)
        assert found.newly_allowed, value
        told = (found.newly_allowed, found.no_longer_allowed)
        assert len(found.sentences) == sum(map(len, told)), value
        assert contains(mutant, original).verdict == "counterexample", value


def test_500_single_changes_give_one_region_and_one_sentence() -> None:
    for name, original in GENERATED.items():
        for value, mutant in islice(mutations.mutants(original, mutations.SINGLE, 500), -(-500 // len(GENERATED))):
            found = diff(original, mutant)
            regions = [*found.newly_allowed, *found.no_longer_allowed, *found.newly_denied, *found.no_longer_denied]
            assert (len(regions), len(found.sentences)) == (1, 1), (name, value, found.sentences)


def test_500_equivalent_rewrites_give_no_sentence() -> None:
    rng = random.Random(500)
    for name, original in GENERATED.items():
        for _ in range(-(-500 // len(GENERATED))):
            other = mutations.rewritten(rng, original)
            assert diff(original, other) == Diff(), (name, other.given)


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
    monkeypatch.setattr("iamroles.iam.contain.other_readings", lambda question: iter(()))


def _null_takes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxing, "_always", lambda condition: False)


def _a_root_keeps_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamroles.iam.contain.root_beside_exceptions", lambda question: "")


def _one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    original = boxing._principal
    monkeypatch.setattr(boxing, "_principal", lambda kind, name, width: original(kind, name, "wide"))


def _ids_are_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamroles.iam.witness._delegated", lambda question, principal: False)


def _variables_are_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns.Pattern, "uncertain", property(lambda self: False))


def _variables_have_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_identity", lambda found, mode: "a" if "Variable" in repr(found) else "")


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
        (_a_root_keeps_to_itself, lambda: Principals().test_a_root_may_hand_on_to_whom_the_reference_leaves_out()),
        (_one_width, lambda: Principals().test_a_deny_of_new_takes_away_the_exact_values_only()),
        (_ids_are_names, lambda: Principals().test_an_id_that_stands_for_a_role_is_that_role()),
        (_variables_are_certain, lambda: Traps().test_a_variable_in_a_deny_of_new_proves_nothing()),
        (_variables_have_no_identity, lambda: Variables().test_two_names_are_two_values()),
    ],
)
def test_a_sabotaged_rule_is_caught(
    monkeypatch: pytest.MonkeyPatch, sabotage: Callable[[pytest.MonkeyPatch], None], guard: Callable[[], None]
) -> None:
    guard()
    sabotage(monkeypatch)
    with pytest.raises(AssertionError):
        guard()


# The rules of POLICY.md part 3 in `evaluate`, each with a line of it and what a careless hand would make of it.
RULES = {
    "an explicit deny wins": ('if any(effect == "Deny" for _, effect in effects):', "if False:"),
    "a boundary must allow too": ("and (not bounded or (True,", "and (True or (True,"),
    "the boundary alone gives nothing": ('if (False, "Allow") in effects and', "if"),
    "actions ignore case": ("ascii_lower(pattern), False", "pattern, False"),
    "keys ignore case": ("folded = ascii_lower(key)", "folded = key"),
    "NotAction is the complement": ("if action == statement.not_actions:", "if not action:"),
    "NotResource is the complement": ("if resource == statement.not_resources:", "if not resource:"),
    "NotPrincipal is the complement": ("return hit != statement.not_principals", "return hit"),
    "a short pattern is padded": ("self._pieces(pattern, version), pad=True", "self._pieces(pattern, version), pad=False"),
    "an Arn value is not padded": ("_expressions.segmented(pieces, pad=False)", "_expressions.segmented(pieces, pad=True)"),
    "a value's star is no wildcard": ("pieces.append((value, True))", "pieces.append((value, False))"),
    "an escape is the character": ("pieces.append((part.character, True))", "pieces.append((part.character, False))"),
    "an absent variable matches nothing": ("                    return None\n", "                    value = ''\n"),
    "an absent variable has its default": ("return variable.default", "return None"),
    "several values expand to nothing": ("return values[0] if len(values) == 1 else None", "return values[0]"),
    "an empty list is absent": ("for key, values in self.context.items() if values}", "for key, values in self.context.items()}"),
    "Null true is absent": ('("true" if members is None else "false")', '("false" if members is None else "true")'),
    "ForAllValues holds of an absent key": ('if operator.qualifier == "all":\n                return True', 'if operator.qualifier == "all":\n                return False'),
    "ForAnyValue fails on an absent key": ("return operator.if_exists\n", "return True\n"),
    "a negated operator holds of an absent key": ("return operator.if_exists or operator.negated", "return operator.if_exists"),
    "IfExists holds of an absent key": ("return operator.if_exists or operator.negated", "return operator.negated"),
    "ForAllValues asks every member": ("return all(hit != operator.negated for hit in hits)", "return any(hit != operator.negated for hit in hits)"),
    "ForAnyValue asks for one member": ("return any(hit != operator.negated for hit in hits)", "return all(hit != operator.negated for hit in hits)"),
    "a negated operator is the opposite": ("return any(hits) != operator.negated", "return any(hit != operator.negated for hit in hits)"),
    "IgnoreCase folds": ("return ascii_lower(text) == ascii_lower(member)", "return text == member"),
    "StringEquals does not fold": ("        return text == member", "        return ascii_lower(text) == ascii_lower(member)"),
    "StringEquals has no wildcards": ('if base == "StringLike":', 'if base != "StringEqualsIgnoreCase":'),
    "a star is every AWS principal": ('same = name == "*" or', "same ="),
    "a role covers its sessions": ("role is not None and session is not None and role.groups()", "False and role.groups()"),
    "a Deny of a root reaches its account": ("if root and self.principal[0]", "if False and self.principal[0]"),
    "a Deny of * reaches every type": ('if kind == "AWS" and name == "*":', "if False:"),
}  # fmt: skip


def _as_the_oracle(decide: Callable[..., evaluate.Decision]) -> bool:
    """Whether it decides a few hundred calls as the oracle does."""
    for flavour in (Flavour(variables=True), Flavour(trust=True), Flavour(numbers=True)):
        for pair in generator.pairs(11, 250, flavour):
            policies = [
                documents.parse(one, "trust" if flavour.trust else "identity") for one in (pair.new, pair.reference)
            ]
            limit = documents.parse(pair.boundary) if pair.boundary else None
            for call in generator.calls(pair, 8):
                decided = decide(policies, limit, as_request(call)).allowed
                if decided != oracle.allowed([pair.new, pair.reference], pair.boundary, call):
                    return False
    return True


def test_the_evaluator_decides_as_the_oracle() -> None:
    assert _as_the_oracle(evaluate.evaluate)


@pytest.mark.parametrize("rule", RULES)
def test_a_sabotaged_rule_of_the_evaluator_is_caught(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    source = Path(evaluate.__file__).read_text()
    written, careless = RULES[rule]
    assert source.count(written) == 1, "the line has changed: say it anew"
    module = types.ModuleType("sabotaged")
    monkeypatch.setitem(sys.modules, "sabotaged", module)
    exec(source.replace(written, careless), module.__dict__)  # noqa: S102
    assert not _as_the_oracle(module.evaluate)
