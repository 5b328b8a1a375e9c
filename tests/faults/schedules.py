"""Cells with several faults, drawn from a seed: each passes by itself, so that each run must end exactly as approved.

Benign changes of others are drawn the same way: what the plan does not touch stops nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.aws import AwsCall, Cell, Reply
from tests.faults.foreign import Foreign
from tests.faults.kinds import KINDS, Kind, Strike
from tests.faults.matrix import Healthy, Plan
from tests.faults.scenarios import APPLYING, ROLE, TASK, Place, Scenario

# A third death on one call, or twelve tries in all, is quarantine by design: one drawing stays below both.
_DEADLY = frozenset({"kill", "kill before", "kill after", "kill x3", "stopped"})
_LONG = frozenset({"dropped x8", "throttle x8"})


@dataclass(frozen=True)
class Schedule:
    """Two to five faults of one seed, each at a call of its own."""

    seed: int
    faults: tuple[tuple[Kind, int], ...]
    target: str = "schedule"

    @property
    def name(self) -> str:
        return f"seed {self.seed}: " + ", ".join(f"{kind.target} {kind.name} at {k}" for kind, k in self.faults)

    def make(self, _k: int) -> Strike:
        """Returns the strikes as one: the first stands outermost, and forwarding means asking the next."""
        strikes = [kind.make(k) for kind, k in self.faults]

        def strike(cell: Cell, call: AwsCall, number: int, forward: Callable[[], Reply]) -> Reply:
            def ask(left: list[Strike]) -> Reply:
                return left[0](cell, call, number, lambda: ask(left[1:])) if left else forward()

            return ask(strikes)

        return strike


def draw(seed: int, healthy: dict[str, Healthy]) -> Plan:
    """Returns the cell of a seed: a scenario and two to five passing faults."""
    dice = random.Random(seed)
    scenario = dice.choice([one for one in APPLYING if healthy[one.name].writes])
    frame = healthy[scenario.name]
    faults: list[tuple[Kind, int]] = []
    spent: set[frozenset[str]] = set()
    wanted = dice.randint(2, 5)
    while len(faults) < wanted:
        kind, k = _draw_fault(dice, frame)
        family = next((family for family in (_DEADLY, _LONG) if kind.name in family), None)
        if _passes(kind, scenario.name, frame.writes, k) and family not in spent:
            faults.append((kind, k))
            spent |= {family} if family else set()
    return Plan(scenario, Schedule(seed, tuple(faults)), 1, "applied")


def _passes(kind: Kind, scenario: str, writes: list[str], k: int) -> bool:
    """Whether the run ends as approved whichever call is struck: a call that an earlier fault has made again comes
    once more, so the k-th write may be any of the first k.
    """
    places = range(1, k + 1) if kind.target == "write" else (k,)
    return kind.only(writes, k) and all(kind.expected(scenario, writes, place) == "applied" for place in places)


def _draw_fault(dice: random.Random, frame: Healthy) -> tuple[Kind, int]:
    # Not the last calls: what an earlier fault makes superfluous must not leave a later one undelivered.
    kind = dice.choice([kind for kind in KINDS if frame.counts.get(kind.target)])
    most = frame.counts[kind.target]
    return kind, dice.randint(1, most if kind.target == "write" else max(1, most * 2 // 3))


def _tag(name: str) -> Callable[[Place], object]:
    tags = [{"Key": "cost-centre", "Value": "7"}]
    return lambda place: place.send("TagRole", "role", name, RoleName=name, Tags=tags)


def _unrelated(place: Place) -> None:
    place.make_policy("somebody-elses", TASK)


def _unrelated_role(place: Place) -> None:
    place.make_role("somebody-elses", place.trust_of(TASK))


BENIGN = [
    Foreign("tags the role", _tag(ROLE), lambda _place: True),
    Foreign("tags a passed role", _tag(TASK), lambda _place: True),
    Foreign("makes an unrelated policy", _unrelated, lambda _place: True),
    Foreign("makes an unrelated role", _unrelated_role, lambda _place: True),
]


def benign(count: int, healthy: dict[str, Healthy]) -> list[Plan]:
    """Returns so many cells with a change of others that must not stop the run, over all scenarios and calls."""
    places: list[tuple[Scenario, int]] = [
        (scenario, k) for scenario in APPLYING for k in range(1, len(healthy[scenario.name].writes) + 1)
    ]
    found = [
        Plan(scenario, change, k, "applied")
        for scenario, k in places
        for change in BENIGN
        if change.name != "tags the role" or change.expected(scenario.name, healthy[scenario.name].writes, k)
    ]
    return [found[number % len(found)] for number in range(count)]
