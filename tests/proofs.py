"""`python -m tests.proofs`: random policies against a brute force that shares no code, and against z3; a long run.

`make test-proofs PAIRS=100000 SEED=1` runs all of it. The last line is the verdict; exit 1 unless there were no false
proofs, no wrong counterexamples, no disagreement, and few enough open answers.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

from iamroles.iam import documents
from iamroles.iam.contain import Budget, Verdict, contains
from iamroles.iam.evaluate import Request
from tests.unit.iam import generator, oracle
from tests.unit.iam.generator import Flavour, Pair
from tests.unit.iam.oracle import Reading

FLAVOURS: dict[str, tuple[Flavour, int]] = {  # and how many of a hundred pairs
    "plain": (Flavour(), 50),
    "variables": (Flavour(variables=True), 25),
    "numbers": (Flavour(numbers=True), 10),
    "trust": (Flavour(trust=True), 15),
}
MOST_OPEN = {"plain": 0.01, "variables": 0.15, "numbers": 1.0, "trust": 1.0}
CALLS = 60
_READINGS = [Reading(*bits) for bits in product([False, True], repeat=2)]
_SPREAD = [(False, False), (True, False), (True, True)]  # a root that hands on is also one that a Deny reaches widely
_TRUST_READINGS = [Reading(False, empty, *spread) for empty in (False, True) for spread in _SPREAD]


@dataclass
class Tally:
    """What a run found. `wrong` holds the questions themselves, for whoever mends them."""

    verdicts: Counter[str] = field(default_factory=Counter)
    open_readings: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def asked(self) -> int:
        return self.verdicts.total()

    @property
    def open_share(self) -> float:
        """The share of answers that are neither proved nor refuted, those left open by the wildcard readings aside."""
        left = self.verdicts["maybe"] + self.verdicts["unknown"] - self.open_readings
        return left / max(1, self.asked)


def as_call(request: Request) -> generator.Call:
    context = {key: [value] if isinstance(value, str) else list(value) for key, value in request.context.items()}
    return {
        "action": request.action,
        "resource": request.resource,
        "context": context,
        "principal": request.principal,
    }


def readings(pair: Pair) -> list[Reading]:
    """The readings that can matter for a pair."""
    text = str(pair.documents)
    crossing = any(_has_two_ways(one) for one in re.findall("'(arn:[^']*)'", text))
    return [
        one
        for one in (_TRUST_READINGS if pair.flavour.trust else _READINGS)
        if (crossing or not one.crossing) and ("ForAllValues" in text or not one.ignore_empty)
    ]


def _has_two_ways(pattern: str) -> bool:
    pieces = pattern.split(":", 5)
    return len(pieces) < 6 or "${" in pattern or any(sign in ":".join(pieces[:5]) for sign in "*?")


def exceeds(pair: Pair, call: generator.Call, reading: Reading) -> bool:
    """Whether the brute force sees new allow what the reference does not."""
    if not oracle.allowed([pair.new], pair.boundary, call, reading):
        return False
    return not oracle.allowed([pair.reference], None, call, reading)


def answered(pair: Pair) -> Verdict:
    kind: documents.Kind = "trust" if pair.flavour.trust else "identity"
    new, reference = documents.parse(pair.new, kind), documents.parse(pair.reference, kind)
    return contains(new, reference, boundary=documents.parse(pair.boundary) if pair.boundary else None)


def fault(pair: Pair, verdict: Verdict, calls: int = CALLS) -> str:
    """Returns what is wrong with a verdict, with the question and the call, or ''."""
    if verdict.verdict == "counterexample":
        assert verdict.witness is not None
        call = as_call(verdict.witness)
        first = (Reading(wide_denies=False), Reading()) if pair.flavour.trust else (Reading(),)
        wrong = next((one for one in first if not exceeds(pair, call, one)), None)
        return "" if wrong is None else _told("wrong counterexample", pair, call, wrong)
    if verdict.verdict == "proved":
        every = readings(pair)
        for call in generator.calls(pair, calls):
            for reading in every:
                if exceeds(pair, call, reading):
                    return _told("false proof", pair, call, reading)
    return ""


def _told(what: str, pair: Pair, call: generator.Call, reading: Reading) -> str:
    question = {"new": pair.new, "reference": pair.reference, "boundary": pair.boundary}
    return f"{what}: {json.dumps({**question, 'call': call, 'reading': reading._asdict()}, ensure_ascii=False)}"


def brute_force(seed: int, count: int, flavour: Flavour, tell: Callable[[str], None] = lambda _: None) -> Tally:
    """Returns the tally of that many random pairs."""
    tally = Tally()
    for index, pair in enumerate(generator.pairs(seed, count, flavour), 1):
        verdict = answered(pair)
        tally.verdicts[verdict.verdict] += 1
        if verdict.reason.startswith("depends on how"):
            tally.open_readings += 1
        wrong = fault(pair, verdict)
        if wrong:
            tally.wrong.append(wrong)
            tell(wrong)
        if index % 5000 == 0:
            tell(f"  {index:,} pairs: {dict(tally.verdicts)}")
    return tally


def against_z3(seed: int, count: int, tell: Callable[[str], None] = lambda _: None) -> Tally:
    """Returns the tally of that many pairs that z3 answered too; `wrong` are the opposite answers."""
    from tests.unit.iam import encoding  # z3 takes a while to load
    from tests.unit.iam.test_against_z3 import pair, several

    rng = random.Random(seed)
    tally = Tally()
    while tally.asked < count:
        new, reference = pair(rng)
        end = time.perf_counter() + 5
        budget = Budget(stop=lambda end=end: time.perf_counter() > end)  # type: ignore[misc]
        verdict = contains(documents.parse(new), documents.parse(reference), budget=budget)
        if verdict.verdict not in {"proved", "counterexample"} or several(verdict):
            continue
        answer = encoding.exceeds(new, reference, 10_000)
        if answer == "unknown":
            continue
        tally.verdicts[verdict.verdict] += 1
        if answer != ("unsat" if verdict.verdict == "proved" else "sat"):
            tally.wrong.append(f"z3 says {answer}: {json.dumps([new, reference])}")
            tell(tally.wrong[-1])
        if tally.asked % 1000 == 0:
            tell(f"  {tally.asked:,} pairs: {dict(tally.verdicts)}")
    return tally


def main(arguments: list[str] | None = None) -> int:
    """Runs what is asked for, prints the figures, returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs", description=__doc__)
    parser.add_argument("--pairs", type=int, default=2_000, help="random pairs against the brute force")
    parser.add_argument("--z3", type=int, default=None, help="pairs against z3; a tenth of --pairs unless given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=[*FLAVOURS, "z3"], help="one part of the run")
    given = parser.parse_args(arguments)
    failed = False
    for name, (flavour, share) in FLAVOURS.items():
        if given.only in (None, name):
            count = given.pairs if given.only else given.pairs * share // 100
            failed |= _report(name, brute_force(given.seed, count, flavour, _tell), MOST_OPEN[name])
    if given.only in (None, "z3"):
        failed |= _report("z3", against_z3(given.seed, given.pairs // 10 if given.z3 is None else given.z3, _tell), 0)
    print(f"seed {given.seed}: {'FAILED' if failed else 'nothing wrong'}")
    return int(failed)


def _tell(text: str) -> None:
    print(text, flush=True)


def _report(name: str, tally: Tally, most_open: float) -> bool:
    counted = ", ".join(f"{number:,} {word}" for word, number in sorted(tally.verdicts.items()))
    print(
        f"{name}: {tally.asked:,} pairs, {len(tally.wrong)} wrong; {counted}; {tally.open_readings:,} left open by how"
        f" a wildcard or an empty string is read, {tally.open_share:.2%} open besides (at most {most_open:.0%})",
        flush=True,
    )
    return bool(tally.wrong) or tally.open_share > most_open


if __name__ == "__main__":
    sys.exit(main())
