"""Verifying the database: other code than writing, and pure. It hashes payloads and never trusts a stored hash.

Takes rows, notes and keys, and returns a `Report`; `reading` fetches the rows. Exports and single events are verified
in `verify_files`. What cannot be detected is listed in docs/audit-format.md.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from iamroles.audit import checkpoint, envelope, generations, merkle
from iamroles.audit.checkpoint import Checkpoint, VerifierKey
from iamroles.audit.derive import StoredEvent, contradiction
from iamroles.audit.generations import Line
from iamroles.audit.report import Report
from iamroles.audit.verify_forks import fits, read_line

_LOGGED: Final = re.compile(r"audit-leaf EVT-([0-9]{7,18}) ([0-9a-f]{64})")


class SealedRow(NamedTuple):
    """A leaf with its event's text, None when there is no such event, and with the whole row where it is derived again.

    `unreadable` says that the columns are nonsense.
    """

    seq: int
    event_id: int
    leaf: object
    text: bytes | None
    event: StoredEvent | None
    unreadable: bool = False


@dataclass(frozen=True)
class StoredCheckpoint:
    """A row of audit_checkpoint."""

    size: int
    root: bytes
    frontier: bytes
    note: str
    signed_at: datetime


@dataclass(frozen=True)
class Trail:
    """The rows of one consistent reading. `unsealed` says for each event without a leaf whether it waits."""

    sealed: Iterable[SealedRow]
    unsealed: Iterable[tuple[StoredEvent, bool]]
    waiting_without_event: Sequence[int]
    waiting_though_sealed: Sequence[int]
    checkpoints: Sequence[StoredCheckpoint]
    missing_triggers: Sequence[str]
    wrong_grants: Sequence[str]
    wrong_states: Sequence[str]


@dataclass(frozen=True)
class Limits:
    """When the verification runs, and how long sealing and publishing may take before the tail counts as open."""

    now: datetime
    lag: timedelta = timedelta(seconds=30)


def verify_database(
    trail: Trail,
    *,
    keys: Sequence[VerifierKey],
    origin: str,
    kept: Sequence[str],
    limits: Limits,
) -> Report:
    """Returns the report on the database held against `kept`, the notes that lie outside of it.

    `origin` is that of the trail's first generation; the events tell of later ones.
    `kept` must have been read before `trail`: a newer note than the rows would look like a trail cut short.
    """
    report = Report("database", key_ids=tuple(key.key_id.hex() for key in keys))
    notes = _read_notes(kept, keys, origin, report)
    wanted = {said.size for said in notes} | {stored.size for stored in trail.checkpoints}
    walked = _walk(trail.sealed, wanted, report)
    line = read_line(walked.forks, origin, keys, report, walked.ids)
    outside = [(said.size, said.root) for said in notes if fits(said, line, report)]
    _compare(outside, walked, report)
    _check_stored(trail.checkpoints, walked.roots, keys, (origin, line), report)
    _check_tail(trail, report, limits)
    _check_coverage(trail.checkpoints, outside, report, limits)
    for name in trail.missing_triggers:
        report.tampered(f"the trigger {name} is missing or disabled")
    for text in (*trail.wrong_grants, *trail.wrong_states):
        report.tampered(text)
    return report


def check_leaf_log(logged: Mapping[int, bytes], stored: Iterable[tuple[int, bytes]], report: Report) -> None:
    """Adds to the report each event that was logged when it was recorded and is gone or another one now.

    `stored` are ids with the hash of their text as it is now, for all events.
    """
    left = dict(logged)
    for event_id, leaf in stored:
        if left.pop(event_id, leaf) != leaf:
            report.tampered("the text does not have the hash that was logged", event=_event(event_id))
    for event_id in sorted(left):
        report.tampered("the event was logged when it was recorded, and is gone", event=_event(event_id))


def read_leaf_log(lines: Iterable[str]) -> dict[int, bytes]:
    """Returns the leaf of each event in a process's log; other lines are skipped."""
    found = (_LOGGED.search(line) for line in lines)
    return {int(match[1]): bytes.fromhex(match[2]) for match in found if match}


def _read_notes(notes: Sequence[str], keys: Sequence[VerifierKey], origin: str, report: Report) -> list[Checkpoint]:
    found: dict[tuple[int, str], Checkpoint] = {}
    for note in notes:
        try:
            said = checkpoint.read(note)
            ours = generations.same_trail(said.origin, origin)
            named = said.origin if ours and generations.number(said.origin) >= generations.number(origin) else origin
            said = checkpoint.verify(note, keys, origin=named)
        except checkpoint.UnknownKey:
            report.cannot_tell("a checkpoint kept outside is signed by none of the known keys")
        except checkpoint.BadNote as error:
            report.tampered(f"a checkpoint kept outside is not genuine: {error}")
        else:
            if found.setdefault((said.size, said.origin), said) != said:
                report.tampered(f"two checkpoints of size {said.size} have different roots")
    return [found[place] for place in sorted(found)]


@dataclass(frozen=True)
class _Walked:
    """What was found on the way: roots at the wanted sizes, the event id of each seq, and texts that declare forks."""

    roots: dict[int, bytes]
    ids: array[int]
    forks: list[tuple[int, bytes]]


def _walk(rows: Iterable[SealedRow], wanted: set[int], report: Report) -> _Walked:
    """Hashes all sealed events in order."""
    tree = merkle.Frontier()
    roots = {0: merkle.EMPTY_ROOT}
    ids = array("q")
    forks = []
    for row in rows:  # a million of them: the one that is as it should be takes the shortest way
        seq, event_id, stored, text, event, unreadable = row
        if seq != tree.size:
            report.tampered("the leaf is missing", seq=tree.size)
            break
        ids.append(event_id)
        leaf = hashlib.sha256(b"\0" + text).digest() if text is not None else b""
        if event is not None or unreadable or leaf != stored:
            leaf = _examine(row, leaf, report)
        if text is not None and generations.TOLD in text:
            forks.append((seq, text))
        tree.append(leaf)
        if tree.size in wanted:
            roots[tree.size] = tree.root()
    report.size, report.root = tree.size, tree.root()
    return _Walked(roots, ids, forks)


def _examine(row: SealedRow, leaf: bytes, report: Report) -> bytes:
    """Reports what in the rows contradicts the event's text. Returns its leaf, or the stored one where it has none."""
    stored = bytes(row.leaf) if isinstance(row.leaf, bytes | memoryview) else b""
    if row.unreadable:
        report.tampered("the columns of the event cannot be read", event=_event(row.event_id), seq=row.seq)
        return stored
    if row.text is None:
        report.tampered("the event was deleted", event=_event(row.event_id), seq=row.seq)
        return stored
    problem = contradiction(row.event, leaf) if row.event else None
    if leaf != stored and not problem:
        problem = "the text does not have the hash that was sealed"
    if problem:
        report.tampered(problem, event=_event(row.event_id), seq=row.seq)
    return leaf


def _compare(outside: Sequence[tuple[int, bytes]], walked: _Walked, report: Report) -> None:
    """Holds the roots against what was kept outside; names the first stretch that differs."""
    good, roots, ids = 0, walked.roots, walked.ids
    for size, root in outside:
        if size > report.size:
            report.tampered(f"the trail ends at {report.size}, but a checkpoint kept outside covers {size} events")
            break
        if roots.get(size) != root:
            last = _event(ids[size - 1])
            if size - good == 1:
                report.tampered(f"the text is not what was published at size {size}", event=last, seq=size - 1)
            else:
                report.tampered(
                    f"{size - good} events up to {last} (seq {good} to {size - 1}) are not what was published at "
                    f"size {size}"
                )
            break
        good = size
    report.covered = good


def _check_stored(
    stored: Sequence[StoredCheckpoint],
    roots: Mapping[int, bytes],
    keys: Sequence[VerifierKey],
    generation: tuple[str, Line],
    report: Report,
) -> None:
    first, line = generation
    for row in sorted(stored, key=lambda row: row.size):
        where = f"the stored checkpoint of size {row.size}"
        origin = generations.spell(first, line.at(row.size))
        try:
            said = checkpoint.verify(row.note, keys, origin=origin)
        except checkpoint.UnknownKey:
            report.cannot_tell(f"{where} is signed by none of the known keys")
            return
        except checkpoint.BadNote as error:
            report.tampered(f"{where} is not genuine: {error}")
            return
        if said != Checkpoint(origin, row.size, row.root):
            report.tampered(f"{where} does not say what its columns say")
            return
        if not _fits(row):
            report.tampered(f"{where} has a frontier that does not give its root")
            return
        if row.size > report.size:
            report.tampered(f"{where} covers more events than the {report.size} that are sealed")
            return
        if roots.get(row.size) != row.root:
            report.tampered(f"the events do not give the root of {where}")
            return


def _fits(row: StoredCheckpoint) -> bool:
    try:
        return merkle.Frontier.read(row.size, row.frontier).root() == row.root
    except ValueError:
        return False


def _check_tail(trail: Trail, report: Report, limits: Limits) -> None:
    """Every event has either a leaf or a pending row, and waits no longer than the lag limit."""
    oldest: datetime | None = None
    for event, waits in trail.unsealed:
        problem = contradiction(event)
        if problem:
            report.tampered(problem, event=_event(event.pk))
        if not waits:
            report.tampered("the event has no leaf and does not wait for one", event=_event(event.pk))
            continue
        report.waiting += 1
        oldest = min(oldest, event.at) if oldest else event.at
    for event_id in trail.waiting_without_event:
        report.tampered("the event was deleted while it waited to be sealed", event=_event(event_id))
    for event_id in trail.waiting_though_sealed:
        report.tampered("the event waits to be sealed a second time", event=_event(event_id))
    if oldest and limits.now - oldest > limits.lag:
        report.cannot_tell(
            f"{report.waiting} events are not sealed yet, the oldest since {envelope.write_time(oldest)}: they are not "
            "covered by any checkpoint"
        )


def _check_coverage(
    stored: Sequence[StoredCheckpoint], outside: Sequence[tuple[int, bytes]], report: Report, limits: Limits
) -> None:
    if not outside:
        report.cannot_tell("no checkpoint is kept outside the database, so there is nothing to compare with")
        return
    sizes = {row.size for row in stored}
    gone = [size for size, _ in outside if size not in sizes]
    if gone:
        report.tampered(f"the checkpoint of size {gone[0]} was published but is not stored any more")
    open_since = [row.signed_at for row in stored if row.size > outside[-1][0]]
    if open_since and limits.now - min(open_since) > limits.lag:
        report.cannot_tell(f"the checkpoints after size {outside[-1][0]} were not published")


def _event(event_id: int) -> str:
    return f"EVT-{event_id:07d}"
