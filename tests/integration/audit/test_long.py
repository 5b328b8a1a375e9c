"""Long runs, seeded: clean trails give no alarm, and evidence in which any byte was changed is never called fine.

`make test` does a part. The whole, 1,000 clean runs and 10,000 changed bytes, takes some minutes:
`ROLEDESK_CLEAN_RUNS=1000 ROLEDESK_CHANGED_BYTES=10000 .venv/bin/python -m pytest tests/integration/audit/test_long.py`
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from iamroles.audit import EventFilter, checkpoint, export
from iamroles.audit.checkpoint import SigningKey
from iamroles.audit.evidence import verify as standalone
from iamroles.audit.evidence.bundle import build_bundle
from iamroles.audit.export import files
from iamroles.audit.publish import FilePublisher, NotPublished
from iamroles.audit.reading import read_trail, snapshot
from iamroles.audit.seal import Sealer
from iamroles.audit.verify import Limits, verify_database
from iamroles.audit.verify_files import verify_export
from iamroles.models import AuditEvent

from .conftest import NOON, ORIGIN, record_one
from .test_command import run

pytestmark = pytest.mark.django_db

CLEAN_RUNS = int(os.environ.get("ROLEDESK_CLEAN_RUNS", "30"))
CHANGED_BYTES = int(os.environ.get("ROLEDESK_CHANGED_BYTES", "300"))
EACH = 25  # clean runs on one trail, before a new one


class Killed(Exception):
    """The sealer died between two instructions."""


def act(chance: random.Random, sealer: Sealer, patch: pytest.MonkeyPatch) -> None:
    """One thing that happens to a trail on an ordinary or a bad day."""
    what = chance.choice(["record", "record", "many", "roll back", "seal", "seal", "die", "cannot publish"])
    if what == "record":
        words = chance.choice(["Comment", "Ünïcode – “quoted”", '"=1+1"', "line\nbreak", "𝛌" * chance.randint(1, 40)])
        record_one(chance.randint(1, 5000), reason=words, outcome=chance.choice(["success", "refused", "unknown"]))
    elif what == "many":
        for number in range(chance.randint(2, 12)):
            record_one(number)
    elif what == "roll back":
        with transaction.atomic():
            record_one(chance.randint(1, 5000))
            transaction.set_rollback(True)
    elif what == "seal":
        sealer.seal(at=NOON)
    else:
        name = {"die": "sign", "cannot publish": "publish"}[what]
        with patch.context() as one:
            one.setattr(checkpoint if name == "sign" else FilePublisher, name, _fail(name))
            try:
                sealer.seal(at=NOON)
            except Killed:
                sealer.checked = False  # what comes next is another process


def _fail(name: str) -> object:
    def fail(*_: object) -> Sequence[object]:
        if name == "sign":
            raise Killed
        raise NotPublished("unwritable", "the disk is full")

    return fail


@pytest.mark.parametrize("seed", range(-(-CLEAN_RUNS // EACH)))
def test_a_clean_trail_gives_no_alarm(
    seed: int, key: SigningKey, kept: FilePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    second = SigningKey(ORIGIN, Ed25519PrivateKey.generate())
    known = [key.verifier, second.verifier]
    sealer = Sealer(origin=ORIGIN, keys=[key], vkeys=known, publishers=[kept], lag=timedelta(days=1))
    record_one(1)
    sealer.seal(at=NOON)
    for turn in range(min(EACH, CLEAN_RUNS)):
        for _ in range(chance.randint(1, 6)):
            act(chance, sealer, monkeypatch)
        if turn == EACH // 2:
            sealer.keys = [second, key]
        notes = kept.notes()
        with snapshot():
            limits = Limits(now=NOON, lag=timedelta(days=1))
            report = verify_database(read_trail(), keys=known, origin=ORIGIN, kept=notes, limits=limits)
        assert (report.exit, report.problems) == (0, []), (seed, turn)
        cut = export.find_cut(wait=0)
        lines = [row.canon.encode() for row in export.read_rows(EventFilter(), cut)]
        leaves = [bytes.fromhex(line.decode()) for line in files.write_leaves(cut.size)]
        assert verify_export(lines, cut.note, keys=known, leaves=leaves).exit == 0, (seed, turn)


def test_a_bundle_with_a_changed_byte_is_never_fine(
    sealed_trail: list[AuditEvent], key: SigningKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evidence.zip"
    whole = build_bundle(EventFilter(request="REQ-000004"), export.find_cut(wait=0)).content
    path.write_bytes(whole)
    assert standalone.main([str(path), "--key", str(key.verifier)]) == 0
    chance = random.Random(4711)
    missed = []
    for _ in range(CHANGED_BYTES):
        place, flipped = chance.randrange(len(whole)), chance.randint(1, 255)
        changed = bytearray(whole)
        changed[place] ^= flipped
        path.write_bytes(bytes(changed))
        if standalone.main([str(path), "--key", str(key.verifier)]) not in (1, 2):
            missed.append((place, flipped))
    assert missed == []


@pytest.mark.parametrize("kind", ["", "checkpoint", "proofs", "leaves"])
def test_both_verifiers_give_the_same_answer_to_a_changed_byte(
    kind: str, sealed_trail: list[AuditEvent], key: SigningKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an export, or of a file beside it. Leaves only serve to name a line: other ones change no answer."""
    path, cut = tmp_path / "events.jsonl", export.find_cut(wait=0)
    rows = export.read_rows(EventFilter(request="REQ-000004") if kind == "proofs" else EventFilter(), cut)
    path.write_bytes(export.write_lines(rows, "jsonl"))
    files.beside(path, "checkpoint").write_text(cut.note, encoding="utf-8")
    arguments = ["--export", str(path), "--key", str(key.verifier)]
    if kind == "proofs":
        files.write_file(files.beside(path, "proofs"), files.write_proofs(files.read_lines(path), cut.size))
        arguments.append("--selection")
    else:
        files.write_file(files.beside(path, "leaves"), files.write_leaves(cut.size))
    struck = files.beside(path, kind) if kind else path
    whole, chance = struck.read_bytes(), random.Random(4712)
    answers: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for _ in range(CHANGED_BYTES // 4):
        place, flipped = chance.randrange(len(whole)), chance.randint(1, 255)
        changed = bytearray(whole)
        changed[place] ^= flipped
        struck.write_bytes(bytes(changed))
        given = (run("verify", *arguments)[0], standalone.main(arguments))
        answers.setdefault(given, []).append((place, flipped))
    assert set(answers) <= {(1, 1), (0, 0) if kind == "leaves" else (2, 2)}, answers
