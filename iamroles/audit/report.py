"""What a verification says: problems with their place, what was covered, and one exit code.

0 fine, 1 tampered, 2 cannot tell. Values only; `verify` and `verify_files` fill them, the command prints them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Final

from iamroles.audit import merkle

FINE: Final = 0
TAMPERED: Final = 1
CANNOT_TELL: Final = 2
_MOST_PROBLEMS: Final = 20
_VERDICTS: Final = {
    FINE: "FINE: every event is exactly what was sealed",
    TAMPERED: "TAMPERED",
    CANNOT_TELL: "CANNOT TELL",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: whether it proves tampering or only leaves us unable to tell, and where."""

    exit: int
    text: str
    event: str | None = None
    seq: int | None = None

    def __str__(self) -> str:
        place = self.event or ("" if self.seq is None else f"seq {self.seq}")
        if self.event and self.seq is not None:
            place += f" (seq {self.seq})"
        return f"{place}: {self.text}" if place else self.text


@dataclass
class Report:
    """What was verified and what was found. `covered` is the size that a checkpoint kept outside vouches for."""

    mode: str
    size: int = 0
    root: bytes = merkle.EMPTY_ROOT
    covered: int = 0
    waiting: int = 0
    key_ids: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    found: int = 0

    def tampered(self, text: str, *, event: str | None = None, seq: int | None = None) -> None:
        """Adds proof of tampering; after twenty they are only counted."""
        self._add(Problem(TAMPERED, text, event, seq))

    def cannot_tell(self, text: str) -> None:
        """Adds a reason why the answer stays open."""
        self._add(Problem(CANNOT_TELL, text))

    def _add(self, problem: Problem) -> None:
        self.found += 1
        if len(self.problems) < _MOST_PROBLEMS or all(known.exit != problem.exit for known in self.problems):
            self.problems.append(problem)

    @property
    def exit(self) -> int:
        """0 fine, 1 tampered, 2 cannot tell."""
        codes = {problem.exit for problem in self.problems}
        return TAMPERED if TAMPERED in codes else max(codes, default=FINE)

    @property
    def first_bad(self) -> Problem | None:
        """The first tampered event, by its place in the trail, or else the first proof of tampering."""
        tampered = [problem for problem in self.problems if problem.exit == TAMPERED]
        named = [problem for problem in tampered if problem.event]
        if named:
            return min(named, key=lambda p: (p.seq is None, p.seq or 0))
        return tampered[0] if tampered else None

    def as_text(self) -> str:
        """Returns the report for a person; its first line begins with the verdict and names the first bad event."""
        first = self.first_bad
        lines = [_VERDICTS[self.exit] + (f": {first}" if first else "")]
        lines += [f"  {problem}" for problem in self.problems if problem != first]
        if self.found > len(self.problems):
            lines.append(f"  and {self.found - len(self.problems)} more")
        lines.append(f"{self.mode}: size {self.size}, root {_base64(self.root)}")
        lines.append(f"covered by checkpoints kept outside: {self.covered}; waiting to be sealed: {self.waiting}")
        lines.append(f"keys: {', '.join(self.key_ids)}")
        return "\n".join(lines)

    def as_json(self) -> str:
        """Returns the report for a program."""
        first = self.first_bad
        return json.dumps(
            {
                "mode": self.mode,
                "exit": self.exit,
                "size": self.size,
                "root": _base64(self.root),
                "covered": self.covered,
                "waiting": self.waiting,
                "keys": self.key_ids,
                "first_bad": {"event": first.event, "seq": first.seq, "reason": first.text} if first else None,
                "problems": [str(problem) for problem in self.problems],
            }
        )


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
