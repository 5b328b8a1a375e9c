"""Generations of the trail: the last part of the origin. A restore from a backup that two operators declared begins
the next one, and the event `audit.forked` is its first leaf.

Pure. `Line` says which checkpoint of which generation covers leaves that the trail still holds; `seal` and both
verifications ask it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from iamroles.audit.checkpoint import Checkpoint

FORKED: Final = "audit.forked"
TOLD: Final = b'"action":"audit.forked"'

# "here": the trail holds the leaves that it covers. "lost": a restore lost some. "wrong": there was no such checkpoint.
Place = Literal["here", "lost", "wrong"]


def split(origin: str) -> tuple[str, int]:
    """Returns the name of a trail and its generation; 0 for an origin that does not end in a number."""
    name, _, last = origin.rpartition("/")
    if name and last.isascii() and last.isdigit() and str(int(last)) == last:
        return name, int(last)
    return origin, 0


def number(origin: str) -> int:
    """Returns the generation of an origin."""
    return split(origin)[1]


def spell(origin: str, generation: int) -> str:
    """Returns the origin of another generation of the same trail."""
    name, own = split(origin)
    return origin if generation == own else f"{name}/{generation}"


def same_trail(origin: str, other: str) -> bool:
    """Returns whether both are generations of one trail."""
    return split(origin)[0] == split(other)[0]


@dataclass(frozen=True)
class Fork:
    """What `audit.forked` says: the trail of `previous` goes on as `generation` after `lost_from` leaves.

    `last_note` is the newest checkpoint that was published, of size `lost_to`; `seq` the place of the event itself.
    """

    seq: int
    previous: int
    generation: int
    last_note: str
    lost_from: int
    lost_to: int

    def problem(self, said: Checkpoint, now: int) -> str | None:
        """Returns why it declares no restore; `said` is what its note says, `now` the generation before it."""
        of = number(said.origin)
        if self.seq != self.lost_from or self.previous != now:
            return f"it declares generation {self.generation} for another place of the trail"
        if self.generation != of + 1 or self.lost_to != said.size:
            return "it does not say what its last checkpoint says"
        if of < now or (of == now and said.size <= self.seq):
            return f"it declares generation {self.generation}, but nothing was lost"
        return None


def may_declare(text: bytes) -> bool:
    """Returns False for texts that certainly declare no fork: nearly all of them."""
    return TOLD in text


def read_fork(text: bytes, seq: int) -> Fork | None:
    """Returns what an event's text declares, or None for other events. Raises ValueError for one that is not whole."""
    if not may_declare(text):
        return None
    said = json.loads(text)
    if said["action"] != FORKED:
        return None
    data = said["data"]
    try:
        numbers = [data[name] for name in ("previous", "generation", "lost_from", "lost_to")]
        note = data["last_note"]
    except KeyError as error:
        raise ValueError(f"the declared fork has no {error}") from error
    if not isinstance(note, str) or any(type(value) is not int for value in numbers):
        raise ValueError("the declared fork is not spelled as one")
    previous, generation, lost_from, lost_to = numbers
    return Fork(seq, previous, generation, note, lost_from, lost_to)


class Line:
    """Which generation covers which leaves, from the first one and the forks in the order of sealing."""

    def __init__(self, first: int, forks: Sequence[Fork] = ()) -> None:
        self._starts = [(first, -1), *((fork.generation, fork.seq) for fork in forks)]
        self._ends = {fork.previous: fork for fork in forks}

    @property
    def newest(self) -> int:
        """The generation that goes on."""
        return self._starts[-1][0]

    def at(self, size: int) -> int:
        """Returns the generation whose checkpoints have this size."""
        return max((start, generation) for generation, start in self._starts if start < size or start == -1)[1]

    def place(self, said: Checkpoint) -> Place:
        """Returns what can be said about a checkpoint from its generation and size alone."""
        of, known = number(said.origin), dict(self._starts)
        if of not in known:
            return "lost" if self._starts[0][0] < of < self.newest else "wrong"
        if said.size <= known[of]:
            return "wrong"
        fork = self._ends.get(of)
        if fork is None or said.size <= fork.seq:
            return "here"
        return "lost" if fork.generation > of + 1 or said.size <= fork.lost_to else "wrong"
