"""Verifying an export, a selection or one event against a checkpoint, without the database.

Pure, and other code than the `verify.py` of the evidence bundle, which must give the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from iamroles.audit import checkpoint, envelope, generations, merkle, proof
from iamroles.audit.checkpoint import Checkpoint, VerifierKey
from iamroles.audit.report import Report
from iamroles.audit.verify_forks import first_origin, fits, read_line


def verify_export(
    lines: Iterable[bytes],
    note: str,
    *,
    keys: Sequence[VerifierKey],
    leaves: Sequence[bytes] | None = None,
    older: str | None = None,
) -> Report:
    """Returns the report on a full export, whose line k (from 0) is the event of seq k, against a checkpoint.

    `lines` come without their newline. `leaves` (FILE.leaves) serve to name the line; they are used only if they give
    the signed root. `older` is a note that the verifier kept before, of this generation of the trail or an earlier one.
    """
    report = Report("export", key_ids=tuple(key.key_id.hex() for key in keys))
    said = _trusted(note, keys, report, "the checkpoint")
    before = _trusted(older, keys, report, "the older checkpoint") if older else None
    wanted = {said.size if said else -1, before.size if before else -1}
    tree, roots, found = merkle.Frontier(), {0: merkle.EMPTY_ROOT}, []
    told = []
    for line in lines:
        if generations.may_declare(line) and said and tree.size < said.size:
            told.append((tree.size, line))
        leaf = envelope.leaf_hash(line)
        found.append(leaf)
        tree.append(leaf)
        if tree.size in wanted:
            roots[tree.size] = tree.root()
    report.size, report.root = tree.size, tree.root()
    if said is None:
        return report
    report.covered = min(said.size, tree.size)
    _compare_generations(told, before, said, roots, keys, report)
    if tree.size < said.size:
        report.tampered(f"the export has {tree.size} lines, but the checkpoint covers {said.size} events")
    elif roots[said.size] != said.root:
        report.covered = 0
        differs = _first_difference(found, leaves, said)
        if differs is None:
            report.tampered(f"the first {said.size} lines do not give the signed root")
        else:
            report.tampered(f"line {differs + 1} is not the event that was sealed there", seq=differs)
    if tree.size > said.size:
        report.cannot_tell(f"{tree.size - said.size} lines after the size of the checkpoint are not covered")
    return report


def verify_selection(
    rows: Iterable[tuple[bytes, int, Sequence[bytes]]], note: str, *, keys: Sequence[VerifierKey]
) -> Report:
    """Returns the report on selected events, each line with its seq and inclusion proof.

    It shows that each event is in the trail; that none is left out cannot be shown.
    """
    report = Report("selection", key_ids=tuple(key.key_id.hex() for key in keys))
    said = _trusted(note, keys, report, "the checkpoint")
    if said is None:
        return report
    report.size, report.root = said.size, said.root
    before = -1
    for line, seq, hashes in rows:
        if seq <= before:
            report.tampered("the events are not in the order of sealing", seq=seq)
        before = seq
        problem = _inclusion_problem(line, seq, hashes, said)
        if problem:
            report.tampered(problem, seq=seq)
        report.covered += 1
    return report


def verify_proof(line: bytes, proof_text: str, *, keys: Sequence[VerifierKey]) -> Report:
    """Returns the report on one event with its `.tlog-proof`."""
    report = Report("event", key_ids=tuple(key.key_id.hex() for key in keys))
    try:
        index, hashes, note = proof.read(proof_text)
    except ValueError as error:
        report.cannot_tell(f"the proof cannot be read: {error}")
        return report
    said = _trusted(note, keys, report, "the checkpoint")
    if said is None:
        return report
    report.size, report.root = said.size, said.root
    problem = _inclusion_problem(line, index, hashes, said)
    if problem:
        report.tampered(problem, seq=index)
    else:
        report.covered = 1
    return report


def _inclusion_problem(line: bytes, index: int, hashes: Sequence[bytes], said: Checkpoint) -> str | None:
    try:
        found = merkle.root_of_inclusion(envelope.leaf_hash(line), index, said.size, hashes)
    except ValueError as error:
        return str(error)
    return None if found == said.root else "the event with its proof does not give the signed root"


def _trusted(note: str, keys: Sequence[VerifierKey], report: Report, name: str) -> Checkpoint | None:
    try:
        origin = checkpoint.read(note).origin
        if checkpoint.known_for(keys, origin):
            return checkpoint.verify(note, keys)
        report.tampered(f"{name} is of {origin}, which is none of the keys' names")
    except checkpoint.UnknownKey:
        report.cannot_tell(f"{name} is signed by none of the known keys")
    except checkpoint.BadNote as error:
        report.tampered(f"{name} is not genuine: {error}")
    return None


def _compare_generations(
    told: Sequence[tuple[int, bytes]],
    before: Checkpoint | None,
    said: Checkpoint,
    roots: Mapping[int, bytes],
    keys: Sequence[VerifierKey],
    report: Report,
) -> None:
    """The checkpoint is of the generation that the events tell of last, and the older one fits what they tell."""
    line = read_line(told, first_origin(told, said), keys, report)
    if line.newest != generations.number(said.origin):
        report.tampered(f"the checkpoint is not of generation {line.newest}, which the events tell of last")
    if before is not None and not generations.same_trail(before.origin, said.origin):
        report.tampered(f"the older checkpoint is of {before.origin}, the newer one of {said.origin}")
    elif before is not None and fits(before, line, report):
        _compare_older(before, said, roots, report)


def _compare_older(before: Checkpoint, said: Checkpoint, roots: Mapping[int, bytes], report: Report) -> None:
    if before.size > said.size:
        report.tampered(f"the older checkpoint covers {before.size} events, the newer one only {said.size}")
    elif before.size in roots and roots[before.size] != before.root:
        report.tampered(f"the first {before.size} events are not what the older checkpoint covers")


def _first_difference(found: Sequence[bytes], leaves: Sequence[bytes] | None, said: Checkpoint) -> int | None:
    """Returns the first line that differs from `leaves`, or None when these do not give the signed root either."""
    if leaves is None or len(leaves) < said.size or merkle.root(leaves[: said.size]) != said.root:
        return None
    return next(at for at in range(said.size) if found[at] != leaves[at])
