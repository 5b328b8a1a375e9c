"""Approval rules as data: what matches adds, every case asks for somebody, and what needs nobody is narrow."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamroles.blueprints.facts import KINDS
from iamroles.rules import approval_rules
from iamroles.rules.approval_rules import OWNER, STARTING_RULES, Certainty, Subject, requirements_for, why_attended

SURE = Certainty(guarded=True, foreign=False, first_grants=False)


def subject(**changes: Any) -> Subject:
    given: dict[str, Any] = {
        "account": "111122223333",
        "environment": "staging",
        "production": False,
        "kind": "role",
        "adopts": False,
        "risk": "low",
        "findings": frozenset(),
        "team": "orders",
    }
    return Subject(**{**given, **changes})


def rule(when: dict[str, Any], *needs: tuple[list[str], int], why: str = "Because.") -> dict[str, Any]:
    return {"when": when, "needs": [{"any_of": names, "count": count} for names, count in needs], "why": why}


def rules(*given: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"version": 2, "life_days": 7, "rules": list(given), "unattended": [], **changes}


def asked(content: dict[str, Any], **changes: Any) -> list[tuple[str, int]]:
    found = requirements_for(subject(**changes), owner_group="orders-platform", content=content)
    return [(needed.name, needed.count) for needed in found]


ALWAYS = rule({}, (["approvers"], 1))


class TestTheStartingRules:
    def test_ask_as_they_always_did(self) -> None:
        assert asked(STARTING_RULES) == [("approvers", 1)]
        assert asked(STARTING_RULES, risk="high") == [("approvers", 1), ("security", 1)]
        assert asked(STARTING_RULES, adopts=True) == [("orders-platform", 1)]
        assert asked(STARTING_RULES, adopts=True, risk="high") == [("orders-platform", 1), ("security", 1)]
        assert asked(STARTING_RULES, risk="forbidden") == []

    def test_are_complete_and_never_edited(self) -> None:
        assert approval_rules.check(STARTING_RULES) == ()
        assert approval_rules.digest(STARTING_RULES).startswith("687c350de167496f")


class TestRequirementsFor:
    def test_all_of_every_matching_rule_hold(self) -> None:
        content = rules(
            rule({}, ([OWNER], 1), (["security"], 1)),
            rule({"risk": ["high"], "production": [True]}, (["security"], 2), why="Two of security."),
        )
        assert asked(content) == [("orders-platform", 1), ("security", 1)]
        assert asked(content, risk="high", production=True) == [("orders-platform", 1), ("security", 2)]

    def test_an_owner_who_is_security_still_needs_a_second_person(self) -> None:
        content = rules(rule({}, ([OWNER], 1), (["security"], 1)))
        found = requirements_for(subject(), owner_group="security", content=content)
        assert [(needed.name, needed.count) for needed in found] == [("security", 1), ("security", 1)]

    @pytest.mark.parametrize(
        ("when", "hit", "miss"),
        [
            ({"account": ["111122223333"]}, {}, {"account": "444455556666"}),
            ({"environment": ["staging", "test"]}, {}, {"environment": "production"}),
            ({"production": [True]}, {"production": True}, {}),
            ({"kind": ["removal"]}, {"kind": "removal"}, {}),
            ({"adopts": [True]}, {"adopts": True}, {}),
            ({"risk": ["medium", "high"]}, {"risk": "high"}, {}),
            ({"finding": ["PR08", "TR09"]}, {"findings": frozenset({"TR09"})}, {"findings": frozenset({"TR10"})}),
            ({"team": ["orders"]}, {}, {"team": "payments"}),
        ],
    )
    def test_each_condition_matches(self, when: dict[str, Any], hit: dict[str, Any], miss: dict[str, Any]) -> None:
        content = rules(ALWAYS, rule(when, (["extra"], 1)))
        assert ("extra", 1) in asked(content, **hit)
        assert ("extra", 1) not in asked(content, **miss)

    def test_conditions_of_one_rule_must_all_match(self) -> None:
        content = rules(ALWAYS, rule({"risk": ["high"], "team": ["payments"]}, (["extra"], 1)))
        assert asked(content, risk="high") == [("approvers", 1)]

    def test_a_subject_survives_storing(self) -> None:
        one = subject(findings=frozenset({"B", "A"}))
        assert Subject.from_mapping(one.as_mapping()) == one


class TestCheck:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"rules": []}, "at least one rule"),
            ({"life_days": 0}, "1 to 90 days"),
            ({"life_days": True}, "1 to 90 days"),
            ({"rules": [rule({"risk": ["high"]}, (["security"], 1))]}, "No rule says who approves this: kind role"),
            ({"rules": [rule({"adopts": [False]}, (["approvers"], 1))]}, "risk low, not production, adopting"),
            ({"rules": [rule({"colour": ["red"]}, (["approvers"], 1))]}, "there is no condition 'colour'"),
            ({"rules": [rule({"risk": ["forbidden"]}, (["approvers"], 1))]}, "risk is one of low, medium, high"),
            ({"rules": [rule({"production": ["yes"]}, (["approvers"], 1))]}, "production is either true or false"),
            ({"rules": [rule({"team": []}, (["approvers"], 1))]}, "give at least one value"),
            ({"rules": [rule({})]}, "how many of which group"),
            ({"rules": [rule({}, (["approvers"], 0))]}, "1 to 9 people"),
            ({"rules": [rule({}, ([], 1))]}, "at least one group"),
            ({"rules": [rule({}, (["approvers"], 1), why="")]}, "say why"),
            ({"unattended": [{"when": {}, "why": "Routine."}]}, "name the kinds"),
            ({"unattended": [rule({"kind": ["grant"]}, (["approvers"], 1))]}, "exactly when, why"),
            ({"unattended": [{"when": {"kind": ["removal"]}, "why": "Routine."}]}, "other kinds always need one"),
            ({"unattended": [{"when": {"kind": ["deployer"]}, "why": "Routine."}]}, "other kinds always need one"),
        ],
    )
    def test_says_what_is_wrong(self, wrong: dict[str, Any], said: str) -> None:
        assert said in " ".join(approval_rules.check({**rules(ALWAYS), **wrong}))

    @pytest.mark.parametrize("nonsense", [None, [], "rules", {"rules": []}, {**rules(ALWAYS), "more": 1}])
    def test_refuses_other_shapes(self, nonsense: Any) -> None:
        assert approval_rules.check(nonsense)

    def test_a_rule_of_one_account_covers_nothing_else(self) -> None:
        content = rules(rule({"account": ["111122223333"]}, (["approvers"], 1)))
        assert "No rule says who approves" in approval_rules.check(content)[0]


class TestUnattended:
    GRANTS = rules(ALWAYS, unattended=[{"when": {"kind": ["grant"]}, "why": "Routine grants."}])

    def test_lets_a_proved_low_grant_go(self) -> None:
        assert why_attended(subject(kind="grant"), SURE, self.GRANTS) == ""

    def test_the_starting_rules_let_nothing_go(self) -> None:
        for kind in KINDS:
            assert why_attended(subject(kind=kind), SURE, STARTING_RULES) == "no_rule"

    @pytest.mark.parametrize(
        ("changes", "certainty", "code"),
        [
            ({"kind": "role"}, SURE, "no_rule"),
            ({"production": True}, SURE, "no_rule"),
            ({"risk": "medium"}, SURE, "not_low"),
            ({"adopts": True}, SURE, "adopts"),
            ({}, Certainty(guarded=False, foreign=False, first_grants=False), "not_guarded"),
            ({}, Certainty(guarded=True, foreign=True, first_grants=False), "foreign_parts"),
            ({}, Certainty(guarded=True, foreign=False, first_grants=True), "first_grant"),
            ({}, replace(SURE, removes=True), "removes"),
        ],
    )
    def test_anything_else_waits_for_a_person(self, changes: dict[str, Any], certainty: Certainty, code: str) -> None:
        assert why_attended(subject(**{"kind": "grant", **changes}), certainty, self.GRANTS) == code

    def test_production_only_where_a_rule_names_it(self) -> None:
        content = deepcopy(self.GRANTS)
        content["unattended"][0]["when"]["production"] = [True]
        assert why_attended(subject(kind="grant", production=True), SURE, content) == ""


whens = st.fixed_dictionaries(
    {},
    optional={
        "production": st.lists(st.booleans(), min_size=1, max_size=1),
        "kind": st.lists(st.sampled_from(KINDS), min_size=1, max_size=2, unique=True),
        "adopts": st.lists(st.booleans(), min_size=1, max_size=1),
        "risk": st.lists(st.sampled_from(["low", "medium", "high"]), min_size=1, max_size=3, unique=True),
        "team": st.lists(st.sampled_from(["orders", "payments"]), min_size=1, max_size=2, unique=True),
        "finding": st.lists(st.sampled_from(["A1", "B2"]), min_size=1, max_size=2, unique=True),
    },
)
contents = st.lists(whens, min_size=1, max_size=4).map(
    lambda given: rules(*(rule(when, (["approvers"], 1)) for when in given))
)
subjects = st.builds(
    subject,
    production=st.booleans(),
    kind=st.sampled_from(KINDS),
    adopts=st.booleans(),
    risk=st.sampled_from(["low", "medium", "high"]),
    team=st.sampled_from(["orders", "payments", "other"]),
    findings=st.frozensets(st.sampled_from(["A1", "B2", "C3"])),
)


@given(contents, subjects)
def test_what_passes_the_check_asks_for_somebody_in_every_case(content: dict[str, Any], one: Subject) -> None:
    if not approval_rules.check(content):
        assert requirements_for(one, owner_group="o", content=content)
    else:
        assert any(
            not requirements_for(case, owner_group="o", content=content) for case in approval_rules._every_case()
        )
