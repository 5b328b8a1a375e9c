"""The laws that any containment, decision and difference keep (POLICY.md part 10), on what Hypothesis comes up with.

Hypothesis draws the choices of `generator`, so that a broken law is shown by the smallest documents that break it.
"""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from iamroles.iam import documents
from iamroles.iam.contain import Budget, contains
from iamroles.iam.diff import Diff, diff
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import evaluate
from tests.unit.iam import generator
from tests.unit.iam.generator import Flavour, Maker, Pair
from tests.unit.iam.test_random_pairs import as_request

FLAVOURS = st.sampled_from([Flavour(), Flavour(variables=True), Flavour(trust=True)])
DICE = st.randoms(use_true_random=False)
BUDGET = Budget(states=20_000, pieces=2_000)
lawful = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def questions(draw: st.DrawFn, *, flavours: Any = FLAVOURS) -> Pair:
    """Two documents, most of them one edit apart, and a boundary."""
    rng, flavour = draw(DICE), draw(flavours)
    maker = Maker(rng, flavour)
    one = maker.document()
    other = maker.edited(one) if draw(st.booleans()) else maker.document()
    boundary = None if flavour.trust else maker.document()
    return Pair(one, other, boundary, flavour, random.Random(rng.randint(0, 10**9)))


def parsed(pair: Pair, value: dict[str, Any]) -> Document:
    return documents.parse(value, "trust" if pair.flavour.trust else "identity")


def verdict(new: Any, reference: Any, **options: Any) -> str:
    return contains(new, reference, budget=BUDGET, **options).verdict


def both(pair: Pair) -> tuple[Document, Document]:
    return parsed(pair, pair.new), parsed(pair, pair.reference)


def never_better(pair: Pair) -> bool:
    """True when something in the pair keeps every verdict from being better than maybe."""
    return pair.flavour.trust


@lawful
@given(questions())
def test_a_policy_lies_inside_itself(pair: Pair) -> None:
    one, other = both(pair)
    assert verdict(one, one) == "proved"
    assert verdict([one, other], [other, one]) == "proved"


@lawful
@given(questions())
def test_an_added_allow_never_shrinks(pair: Pair) -> None:
    one, other = both(pair)
    assume(not any(statement.effect == "Deny" for statement in other.statements))
    assert verdict(one, [one, other]) == "proved" or (never_better(pair) and verdict(one, [one, other]) == "maybe")


@lawful
@given(questions())
def test_an_added_deny_never_grows(pair: Pair) -> None:
    one, other = both(pair)
    assume(not any(statement.effect == "Allow" for statement in other.statements))
    found = verdict([one, other], one)
    assert found == "proved" or (never_better(pair) and found == "maybe")


@lawful
@given(questions(), DICE)
def test_inside_of_inside_is_inside(pair: Pair, rng: random.Random) -> None:
    maker = Maker(rng, pair.flavour)
    third = parsed(pair, maker.edited(pair.reference))
    one, other = both(pair)
    assume(verdict(one, other) == "proved" and verdict(other, third) == "proved")
    assert verdict(one, third) in {"proved", "maybe", "unknown"}


@lawful
@given(questions(flavours=st.sampled_from([Flavour(), Flavour(variables=True)])))
def test_a_policy_within_a_boundary_lies_inside_both(pair: Pair) -> None:
    one, _ = both(pair)
    assert pair.boundary is not None
    boundary = documents.parse(pair.boundary)
    assert verdict(one, one, boundary=boundary) == "proved"
    assert verdict(one, boundary, boundary=boundary) in {"proved", "maybe"}


@lawful
@given(questions())
def test_canonical_is_idempotent_and_changes_no_decision(pair: Pair) -> None:
    one, other = both(pair)
    spelt = [parsed(pair, json.loads(documents.canonical(document))) for document in (one, other)]
    assert [documents.canonical(document) for document in spelt] == [
        documents.canonical(one),
        documents.canonical(other),
    ]
    for call in generator.calls(pair, 6):
        request = as_request(call)
        assert evaluate(spelt, None, request).decision == evaluate([one, other], None, request).decision


@lawful
@given(questions())
def test_a_policy_does_not_differ_from_itself_and_differences_swap(pair: Pair) -> None:
    one, other = both(pair)
    assert diff(one, one) == Diff()
    there, back = diff(one, other, budget=BUDGET), diff(other, one, budget=BUDGET)
    assume(not (there.unfinished or back.unfinished))
    assert (there.newly_allowed, there.no_longer_allowed) == (back.no_longer_allowed, back.newly_allowed)
    assert (there.newly_denied, there.no_longer_denied) == (back.no_longer_denied, back.newly_denied)
    regions = (there.newly_allowed, there.no_longer_allowed, there.newly_denied, there.no_longer_denied)
    assert len(there.sentences) == sum(map(len, regions))


@lawful
@given(questions(flavours=st.just(Flavour())))
def test_no_difference_means_the_same_decisions(pair: Pair) -> None:
    one, other = both(pair)
    found = diff(one, other, budget=BUDGET)
    assume(not found.unfinished)
    for call in generator.calls(pair, 10):
        request = as_request(call)
        before, after = (evaluate([document], None, request).allowed for document in (one, other))
        assert found.newly_allowed or before or not after
        assert found.no_longer_allowed or after or not before
