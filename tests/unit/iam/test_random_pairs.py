"""Random pairs of policies against the slow oracle, which shares no code: a small part of `python -m tests.proofs`.

The seed is fixed. What the generator must make is counted here, because a trap that is never set catches nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from iamroles.iam import documents
from iamroles.iam.evaluate import Request, evaluate
from tests import proofs
from tests.unit.iam import generator, oracle
from tests.unit.iam.generator import Flavour, Pair

FLAVOURS = {name: flavour for name, (flavour, _) in proofs.FLAVOURS.items()}


def as_request(call: dict[str, Any]) -> Request:
    """The call as `evaluate` takes it, its keys in capitals: their case must not matter."""
    context = {key.upper(): tuple(value) for key, value in call["context"].items()}
    return Request(call["action"], call["resource"], context, call.get("principal"))


@pytest.mark.parametrize("name", FLAVOURS)
def test_no_false_proof_and_no_wrong_counterexample(name: str) -> None:
    tally = proofs.brute_force(20261125, 200, FLAVOURS[name])
    assert tally.wrong == []
    assert min(tally.verdicts["proved"], tally.verdicts["counterexample"]) > 50
    assert tally.open_share <= proofs.MOST_OPEN[name] + 0.01


@pytest.mark.parametrize("name", FLAVOURS)
def test_decisions_are_those_of_the_oracle(name: str) -> None:
    for pair in generator.pairs(7, 60, FLAVOURS[name]):
        kind: documents.Kind = "trust" if pair.flavour.trust else "identity"
        policies = [documents.parse(pair.new, kind), documents.parse(pair.reference, kind)]
        limit = None if pair.boundary is None else documents.parse(pair.boundary)
        for call in generator.calls(pair, 12):
            decided = evaluate(policies, limit, as_request(call)).allowed
            assert decided == oracle.allowed([pair.new, pair.reference], pair.boundary, call), (pair, call)


class TestGenerator:
    """It must make each of these, often enough to matter."""

    @staticmethod
    def statements(pairs: list[Pair]) -> list[dict[str, Any]]:
        return [statement for pair in pairs for document in pair.documents for statement in document["Statement"]]

    @staticmethod
    def conditions(statements: list[dict[str, Any]]) -> Iterator[tuple[str, str, list[Any]]]:
        for statement in statements:
            for operator, found in statement.get("Condition", {}).items():
                for key, values in found.items():
                    yield operator, key, values if isinstance(values, list) else [values]

    def test_documents(self) -> None:
        pairs = list(generator.pairs(1, 400, Flavour(variables=True, numbers=True)))
        statements = self.statements(pairs)
        tests = list(self.conditions(statements))
        texts = [text for s in statements for text in s.get("Resource", s.get("NotResource", []))]
        values = [value for _, _, listed in tests for value in listed if isinstance(value, str)]
        counted = Counter(
            {
                "boundaries": sum(pair.boundary is not None for pair in pairs),
                "Deny": sum(s["Effect"] == "Deny" for s in statements),
                "NotAction": sum("NotAction" in s for s in statements),
                "NotResource": sum("NotResource" in s for s in statements),
                "2008-10-17": sum(one["Version"] == "2008-10-17" for pair in pairs for one in pair.documents),
                "plain operators": sum(":" not in operator for operator, _, _ in tests),
                "ForAnyValue": sum(operator.startswith("ForAnyValue") for operator, _, _ in tests),
                "ForAllValues": sum(operator.startswith("ForAllValues") for operator, _, _ in tests),
                "ForAllValues beside Null": sum(
                    {"Null"} < set(s.get("Condition", {})) and "ForAllValues" in str(s["Condition"]) for s in statements
                ),
                "IfExists": sum(operator.endswith("IfExists") for operator, _, _ in tests),
                "negated operators": sum("Not" in operator for operator, _, _ in tests),
                "IgnoreCase": sum("IgnoreCase" in operator for operator, _, _ in tests),
                "Arn operators": sum("Arn" in operator for operator, _, _ in tests),
                "Numeric operators": sum("Numeric" in operator for operator, _, _ in tests),
                "Null with both": sum(operator == "Null" and len(listed) == 2 for operator, _, listed in tests),
                "keys in capitals": sum(key == "K:One" for _, key, _ in tests),
                "mixed case": sum(value != value.lower() for value in values),
                "'' as a value": values.count(""),
                "variables in resources": sum("${aws:" in text for text in texts),
                "variables in the first five segments": sum("${" in text.rpartition("::")[0] for text in texts),
                "variables in values": sum("${aws:" in value for value in values),
                "defaults": sum(", '" in text or ",'" in text for text in (*texts, *values)),
                "escapes": sum("${*}" in text for text in (*texts, *values)),
                "short patterns": sum(text != "*" and text.count(":") < 5 for text in texts),
                "wildcards that may cross": sum("*" in ":".join(text.split(":")[:5]) for text in texts),
            }
        )
        assert {name: count for name, count in counted.items() if count < 20} == {}

    def test_trust_documents(self) -> None:
        statements = self.statements(list(generator.pairs(1, 300, Flavour(trust=True))))
        shown = str([s.get("Principal", s.get("NotPrincipal")) for s in statements])
        assert sum("NotPrincipal" in s for s in statements) >= 20
        assert all(shown.count(name) >= 20 for _, name in generator.PRINCIPALS)

    def test_calls(self) -> None:
        counted: Counter[str] = Counter()
        for pair in generator.pairs(1, 40, Flavour(variables=True)):
            for call in generator.calls(pair, 60):
                values = list(call["context"].values())
                names = [call["context"].get(name) for name in generator.NAMES]
                users = [one[0] for one in names if one]
                counted["absent keys"] += "k:two" not in call["context"]
                counted["empty lists"] += [] in values
                counted["empty strings"] += any("" in one for one in values)
                counted["several members"] += any(len(one) > 1 for one in values)
                counted["empty variables"] += "" in users
                counted["long variables"] += any(len(one) > 8 for one in users)
                counted["variables with colons"] += any(":" in one for one in users)
                counted["equal variables"] += len(users) > len(set(users))
                counted["absent variables"] += None in names
                counted["other partitions"] += call["resource"].startswith("arn:cn")
                counted["colons in the sixth segment"] += call["resource"].count(":") > 5
                counted["actions in capitals"] += call["action"] == "S3:GET"
        assert {name: count for name, count in counted.items() if count < 50} == {}
        assert len(counted) == 12
