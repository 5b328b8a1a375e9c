"""Verifying across generations: which forks the events declare, and what a checkpoint can still be held against.

Pure. Shared by `verify` and `verify_files`; the `verify.py` of the bundle has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from iamroles.audit import checkpoint, generations
from iamroles.audit.checkpoint import Checkpoint, VerifierKey
from iamroles.audit.generations import Fork, Line
from iamroles.audit.report import Report


def read_line(
    told: Sequence[tuple[int, bytes]],
    origin: str,
    keys: Sequence[VerifierKey],
    report: Report,
    ids: Sequence[int] | None = None,
) -> Line:
    """Returns the generations that these texts declare, by seq; one that declares no restore is reported, not followed.

    `origin` is that of the first generation, `ids` name the event of each seq.
    """
    first = generations.number(origin)
    forks: list[Fork] = []
    for seq, text in told:
        try:
            fork = generations.read_fork(text, seq)
            problem = _problem(fork, Line(first, forks).newest, keys, origin) if fork else None
        except ValueError as error:
            fork, problem = None, str(error)
        if problem:
            report.tampered(problem, event=f"EVT-{ids[seq]:07d}" if ids else None, seq=seq)
        elif fork:
            forks.append(fork)
    return Line(first, forks)


def _problem(fork: Fork, now: int, keys: Sequence[VerifierKey], origin: str) -> str | None:
    """Returns why the event declares no restore. Raises ValueError. Of a key that we lack, the note's text counts."""
    said = checkpoint.read(fork.last_note)
    if not generations.same_trail(said.origin, origin):
        return "the last checkpoint of the declared fork is of another trail"
    with suppress(checkpoint.UnknownKey):
        checkpoint.verify(fork.last_note, keys)
    return fork.problem(said, now)


def first_origin(told: Sequence[tuple[int, bytes]], said: Checkpoint) -> str:
    """Returns the origin of the first generation of an export: that before its first fork, or the checkpoint's own."""
    for seq, text in told:
        try:
            fork = generations.read_fork(text, seq)
        except ValueError:
            continue
        if fork:
            return generations.spell(said.origin, fork.previous)
    return said.origin


def fits(said: Checkpoint, line: Line, report: Report) -> bool:
    """Returns whether the trail can be held against a checkpoint; reports why it cannot."""
    place, of = line.place(said), generations.number(said.origin)
    if place == "lost":
        report.cannot_tell(
            f"a checkpoint of generation {of} covers {said.size} events, of which a declared restore lost the newest: "
            "nothing can be said about those"
        )
    elif place == "wrong":
        report.tampered(
            f"a checkpoint of generation {of} with {said.size} events does not fit the generations that events tell of"
        )
    return place == "here"
