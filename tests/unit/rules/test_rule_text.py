"""Approval rules as lines: what is shown is what is typed, and reading it back gives the same rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iamroles.rules import approval_rules, rule_text
from iamroles.rules.approval_rules import OWNER, STARTING_RULES
from iamroles.rules.rule_text import CannotRead
from tests.unit.rules.test_approval_rules import whens


def test_shows_the_starting_rules() -> None:
    assert rule_text.write(STARTING_RULES) == (
        "When not adopting: 1 of approvers. Every request needs an approver.",
        "When adopting: 1 of owner. The AWS account's owner answers for adopting a role that exists already.",
        "When risk high: 1 of security. High risk needs somebody of security.",
        "An approval holds for 7 days.",
    )


def test_reads_what_a_person_types() -> None:
    text = """
    Always: 1 of owner and 1 of security or approvers. Two people.
    when Risk high, production: 2 of security. e.g. Full, in production.
    Nobody when kind grant or removal, team orders: Routine.
    An approval holds for 1 day.
    """
    assert rule_text.read(text, 2) == {
        "version": 2,
        "life_days": 1,
        "rules": [
            {
                "when": {},
                "needs": [{"any_of": [OWNER], "count": 1}, {"any_of": ["security", "approvers"], "count": 1}],
                "why": "Two people.",
            },
            {
                "when": {"risk": ["high"], "production": [True]},
                "needs": [{"any_of": ["security"], "count": 2}],
                "why": "e.g. Full, in production.",
            },
        ],
        "unattended": [{"when": {"kind": ["grant", "removal"], "team": ["orders"]}, "why": "Routine."}],
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Everybody may.", 'Line 1: it begins with "Always:"'),
        ("Always risk high: 1 of security. Why.", 'Line 1: nothing stands between "Always"'),
        ("When colour red: 1 of security. Why.", "Line 1: 'colour red' is no condition"),
        ("When risk low, risk high: 1 of security. Why.", "Line 1: risk stands twice"),
        ("When risk high: security. Why.", "Line 1: 'security' is not \"number of group\""),
        ("When risk high: 1 of security", "Line 1: after the colon"),
    ],
)
def test_names_the_line_and_what_is_wrong(line: str, said: str) -> None:
    with pytest.raises(CannotRead) as error:
        rule_text.read(line, 2)
    assert str(error.value).startswith(said)


names = st.lists(st.sampled_from([OWNER, "approvers", "security", "orders-platform"]), min_size=1, unique=True)
needs = st.lists(st.fixed_dictionaries({"any_of": names, "count": st.integers(1, 9)}), min_size=1, max_size=3)
reasons = st.sampled_from(["Because.", "A. B. c", "1 of x. And: 2 of y.", "Wer fragt? Wir: heute."])
contents = st.fixed_dictionaries(
    {
        "version": st.just(2),
        "life_days": st.integers(1, 90),
        "rules": st.lists(
            st.fixed_dictionaries({"when": whens, "needs": needs, "why": reasons}), min_size=1, max_size=4
        ),
        "unattended": st.lists(st.fixed_dictionaries({"when": whens, "why": reasons}), max_size=2),
    }
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine is no fault of the text
@given(contents)
def test_reading_back_gives_the_same_rules(content: dict[str, Any]) -> None:
    if any("kind" not in rule["when"] for rule in content["unattended"]):
        return
    text = "\n".join(rule_text.write(content))
    assert rule_text.read(text, 2) == content
    assert approval_rules.check(rule_text.read(text, 2)) == approval_rules.check(content)
