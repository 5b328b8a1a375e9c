"""The tamper matrix: what an administrator of the database, or somebody with an export in hand, may try.

The attacker here is strong: he holds the signing key too, so that only the checkpoints kept outside stand against him.
Numbers are those of the design. The portal and the bundle's `verify.py` must give the same answer to each export.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from iamroles import canonical
from iamroles.audit import EventFilter, checkpoint, envelope, export, guard, merkle
from iamroles.audit.checkpoint import Checkpoint, SigningKey
from iamroles.audit.evidence import verify as standalone
from iamroles.audit.evidence.bundle import build_bundle, pack
from iamroles.audit.export import files
from iamroles.audit.publish import FilePublisher
from iamroles.audit.reading import read_trail, snapshot
from iamroles.audit.report import Report
from iamroles.audit.verify import Limits, verify_database
from iamroles.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditPending, AuditReceipt, Request, User

from .conftest import ADA, NOON, ORIGIN, record_one
from .test_command import run

pytestmark = pytest.mark.django_db


@dataclass
class World:
    """A sealed trail of seven events (checkpoints of sizes 3 and 7), and what lies outside the database."""

    events: list[AuditEvent]
    key: SigningKey
    kept: FilePublisher
    shown: list[str] = field(default_factory=list)  # checkpoints that others hold up

    def verify(self, *, fast: bool = False) -> Report:
        notes = [*self.kept.notes(), *self.shown]
        with snapshot():
            return verify_database(
                read_trail(fast=fast),
                keys=[self.key.verifier],
                origin=ORIGIN,
                kept=notes,
                limits=Limits(now=NOON + timedelta(minutes=2)),
            )

    def edit(self, event: AuditEvent, **changes: Any) -> None:
        """Writes a changed text with its right hash and columns."""
        said = {**json.loads(event.canon), **changes}
        canon = canonical.dumps(said)
        AuditEvent.objects.filter(pk=event.pk).update(
            canon=canon.decode(), leaf=envelope.leaf_hash(canon), **envelope.project(said)._asdict()
        )

    def rebuild(self) -> None:
        """Makes leaves and checkpoints anew over the events as they are now, with the real key."""
        sizes = [3, 7]
        for model in (AuditLeaf, AuditCheckpoint, AuditReceipt, AuditPending):
            model.objects.all().delete()
        tree = merkle.Frontier()
        for event in AuditEvent.objects.order_by("pk"):
            AuditLeaf.objects.create(seq=tree.size, event_id=event.pk, leaf=bytes(event.leaf))
            tree.append(bytes(event.leaf))
            if tree.size in sizes or tree.size == AuditEvent.objects.count():
                note = checkpoint.sign(Checkpoint(ORIGIN, tree.size, tree.root()), [self.key])
                AuditCheckpoint.objects.update_or_create(
                    size=tree.size,
                    defaults={"root": tree.root(), "frontier": tree.write(), "note": note, "signed_at": NOON},
                )


@pytest.fixture
def world(sealed_trail: list[AuditEvent], key: SigningKey, kept: FilePublisher) -> World:
    return World(sealed_trail, key, kept)


def edit_text(world: World) -> None:
    third = world.events[2]
    AuditEvent.objects.filter(pk=third.pk).update(canon=third.canon.replace("Comment 3", "Comment 9"))


def edit_text_and_hash(world: World) -> None:
    world.edit(world.events[2], reason="Comment 9")


def edit_and_rebuild(world: World) -> None:
    world.edit(world.events[2], reason="Comment 9")
    world.rebuild()


def edit_column(world: World) -> None:
    AuditEvent.objects.filter(pk=world.events[2].pk).update(outcome="failed")


def delete_middle(world: World) -> None:
    AuditEvent.objects.filter(pk=world.events[2].pk).delete()


def delete_middle_and_rebuild(world: World) -> None:
    AuditEvent.objects.filter(pk=world.events[2].pk).delete()
    world.rebuild()


def cut_off_newest(world: World) -> None:
    AuditEvent.objects.filter(pk__gte=world.events[5].pk).delete()
    world.rebuild()


def wipe_and_restart(world: World) -> None:
    AuditEvent.objects.all().delete()
    for number in range(1, 8):
        record_one(number, reason="Nothing happened")
    world.rebuild()


def restore_backup(world: World) -> None:
    ids = [event.pk for event in world.events[3:]]
    AuditEvent.objects.filter(pk__in=ids).delete()
    AuditLeaf.objects.filter(seq__gte=3).delete()
    AuditCheckpoint.objects.filter(size=7).delete()
    AuditReceipt.objects.filter(size=7).delete()


def swap(world: World) -> None:
    second, third = world.events[1:3]
    canons = {second.pk: third.canon, third.pk: second.canon}
    AuditEvent.objects.filter(pk=third.pk).update(event_id=uuid4())
    for pk, canon in canons.items():
        AuditEvent.objects.filter(pk=pk).update(
            canon=canon,
            leaf=envelope.leaf_hash(canon.encode()),
            **envelope.project(json.loads(canon))._asdict(),
        )
    world.rebuild()


def duplicate(world: World) -> None:
    third, fourth = world.events[2:4]
    world.edit(fourth, **{**json.loads(third.canon), "id": str(fourth.event_id)})
    world.rebuild()


def replace_without_guard(world: World) -> None:
    third = world.events[2]
    AuditEvent.objects.filter(pk=third.pk).delete()
    insert(third.pk, {**json.loads(third.canon), "reason": "Comment 9"})


def insert_backdated(world: World) -> None:
    insert(-5, {**json.loads(world.events[0].canon), "id": str(uuid4()), "at": "2026-01-01T00:00:00.000000Z"})
    world.rebuild()


def insert(pk: int, said: dict[str, Any]) -> None:
    canon = canonical.dumps(said)
    AuditEvent.objects.create(
        pk=pk, canon=canon.decode(), leaf=envelope.leaf_hash(canon), **envelope.project(said)._asdict()
    )


def rename_key(world: World) -> None:
    third = world.events[2]
    AuditEvent.objects.filter(pk=third.pk).update(canon=third.canon.replace('"reason":', '"raison":'))


def serialise_again(world: World) -> None:
    canon = json.dumps(json.loads(world.events[2].canon))
    leaf = envelope.leaf_hash(canon.encode())
    AuditEvent.objects.filter(pk=world.events[2].pk).update(canon=canon, leaf=leaf)
    AuditLeaf.objects.filter(seq=2).update(leaf=leaf)


def double_a_key(world: World) -> None:
    canon = world.events[2].canon.replace('"reason":"Comment 3"', '"reason":"Comment 9","reason":"Comment 3"')
    leaf = envelope.leaf_hash(canon.encode())
    AuditEvent.objects.filter(pk=world.events[2].pk).update(canon=canon, leaf=leaf)
    AuditLeaf.objects.filter(seq=2).update(leaf=leaf)


def delete_pending(world: World) -> None:
    event = record_one(8, at=NOON + timedelta(minutes=2))
    AuditPending.objects.filter(event_id=event.pk).delete()
    world.events.append(event)


def add_a_leaf(world: World) -> None:
    AuditLeaf.objects.create(seq=7, event_id=world.events[6].pk + 1, leaf=b"x" * 32)


def sign_another_size(world: World) -> None:
    row = AuditCheckpoint.objects.get(size=7)
    AuditCheckpoint.objects.filter(size=7).update(note=row.note.replace("\n7\n", "\n6\n"))


def sign_another_root(world: World) -> None:
    note = checkpoint.sign(Checkpoint(ORIGIN, 7, b"r" * 32), [world.key])
    AuditCheckpoint.objects.filter(size=7).update(note=note)


def sign_with_another_key(world: World) -> None:
    other = SigningKey(ORIGIN, Ed25519PrivateKey.generate())
    row = AuditCheckpoint.objects.get(size=7)
    AuditCheckpoint.objects.filter(size=7).update(note=checkpoint.sign(Checkpoint(ORIGIN, 7, bytes(row.root)), [other]))


def sign_for_another_generation(world: World) -> None:
    other = SigningKey("test.example/audit/2", world.key.private)
    row = AuditCheckpoint.objects.get(size=7)
    note = checkpoint.sign(Checkpoint(other.name, 7, bytes(row.root)), [other])
    AuditCheckpoint.objects.filter(size=7).update(note=note)


def show_two_roots(world: World) -> None:
    world.shown.append(_signed(7, b"r" * 32, world.key))


def declare_what_was_not_lost(world: World) -> None:
    """An event that begins another generation, sealed like any other. A declared restore: `test_restore`."""
    data = {"previous": 1, "generation": 2, "last_note": world.kept.at(7), "lost_from": 7, "lost_to": 7}
    said = {"change": "CHG-000001", "proposed_by": "1"}
    event = record_one(8, action="audit.forked", data={**data, **said}, at=NOON + timedelta(minutes=2))
    world.events.append(event)
    world.rebuild()


def delete_waiting(world: World) -> None:
    event = record_one(8, at=NOON + timedelta(minutes=2))
    AuditEvent.objects.filter(pk=event.pk).delete()
    world.events.append(event)


def disarm_edit_and_arm(world: World) -> None:
    """Number 19: the triggers are off during each of these attacks and on again afterwards; here with equal hashes."""
    third = world.events[2]
    world.edit(third, outcome="failed")
    AuditLeaf.objects.filter(seq=2).update(leaf=AuditEvent.objects.get(pk=third.pk).leaf)


def change_a_state(world: World) -> None:
    user = User.objects.create(username="rosa")
    at = NOON + timedelta(minutes=2)
    Request.objects.create(pk=1, kind="role", requester=user, created_at=at, updated_at=at)
    rosa = replace(ADA, id=str(user.pk))
    data = {"account": None, "team": None, "kind": "role", "facts_digest": "0" * 64}
    record_one(1, action="request.created", actor=rosa, at=at, data=data)
    guard.install(connection)
    assert world.verify().exit == 0
    Request.objects.update(state="approved")


# attack, exit code, which event is named first (by its place in `events`), what the answer contains
DATABASE = [
    (1, edit_text, 1, 2, "the text does not have the stored hash"),
    (2, edit_text_and_hash, 1, 2, "the text does not have the hash that was sealed"),
    (3, edit_and_rebuild, 1, None, "3 events up to {third} (seq 0 to 2) are not what was published at size 3"),
    (4, edit_column, 1, 2, "the column outcome is not what the text says"),
    (5, delete_middle, 1, 2, "the event was deleted"),
    (6, delete_middle_and_rebuild, 1, None, "are not what was published at size 3"),
    (7, cut_off_newest, 1, None, "the trail ends at 5, but a checkpoint kept outside covers 7 events"),
    (8, wipe_and_restart, 1, None, "are not what was published at size 3"),
    (9, restore_backup, 1, None, "the trail ends at 3, but a checkpoint kept outside covers 7 events"),
    (10, swap, 1, None, "3 events up to {third} (seq 0 to 2) are not what was published at size 3"),
    (11, duplicate, 1, None, "4 events up to {last} (seq 3 to 6) are not what was published at size 7"),
    (12, insert_backdated, 1, None, "are not what was published at size 3"),
    (13, rename_key, 1, 2, "the text does not have the stored hash"),
    (14, serialise_again, 1, 2, "the text is not in canonical form"),
    (15, double_a_key, 1, 2, "the text is not in canonical form"),
    (16, delete_pending, 1, 7, "the event has no leaf and does not wait for one"),
    (17, add_a_leaf, 1, None, "the event was deleted"),
    (18, replace_without_guard, 1, 2, "the text does not have the hash that was sealed"),
    (19, disarm_edit_and_arm, 1, None, "3 events up to {third} (seq 0 to 2) are not what was published at size 3"),
    (20, sign_another_size, 1, None, "the stored checkpoint of size 7 is not genuine"),
    (20, sign_another_root, 1, None, "the stored checkpoint of size 7 does not say what its columns say"),
    (21, sign_with_another_key, 2, None, "the stored checkpoint of size 7 is signed by none of the known keys"),
    (22, sign_for_another_generation, 1, None, "the stored checkpoint of size 7 is not genuine"),
    (22, declare_what_was_not_lost, 1, 7, "it declares generation 2, but nothing was lost"),
    (23, show_two_roots, 1, None, "two checkpoints of size 7 have different roots"),
    (28, change_a_state, 1, None, "REQ-000001 is approved, but EVT-"),
    (30, delete_waiting, 1, 7, "the event was deleted while it waited to be sealed"),
]


class TestDatabase:
    @pytest.mark.parametrize(
        ("number", "attack", "code", "named", "text"), DATABASE, ids=[f"{row[0]}-{row[1].__name__}" for row in DATABASE]
    )
    def test_finds(
        self, number: int, attack: Callable[[World], None], code: int, named: int | None, text: str, world: World
    ) -> None:
        assert world.verify().exit == 0
        guard.remove(connection)
        attack(world)
        guard.install(connection)
        report = world.verify()
        answers = [str(problem) for problem in report.problems]
        assert report.exit == code, answers
        expected = text.format(third=world.events[2].reference, last=world.events[6].reference)
        assert expected in " | ".join(answers)
        if named is not None:
            assert report.first_bad is not None
            assert report.first_bad.event == world.events[named].reference

    @pytest.mark.parametrize(
        ("attack", "text"),
        [
            (edit_text, "the text does not have the hash that was sealed"),
            (edit_text_and_hash, "the text does not have the hash that was sealed"),
            (edit_and_rebuild, "are not what was published at size 3"),
            (delete_middle, "the event was deleted"),
            (lambda world: AuditEvent.objects.filter(pk=world.events[0].pk).update(outcome="failed"), "column outcome"),
        ],
    )
    def test_finds_in_a_hurry(self, attack: Callable[[World], None], text: str, world: World) -> None:
        assert world.verify(fast=True).exit == 0
        guard.remove(connection)
        attack(world)
        guard.install(connection)
        report = world.verify(fast=True)
        assert report.exit == 1
        assert text in " | ".join(map(str, report.problems))

    def test_derives_no_columns_of_most_events_in_a_hurry(self, world: World) -> None:
        guard.remove(connection)
        edit_column(world)
        guard.install(connection)
        assert (world.verify(fast=True).exit, world.verify().exit) == (0, 1)

    @pytest.mark.skipif(connection.vendor == "postgresql", reason="PostgreSQL stores no nonsense in a column of ids")
    @pytest.mark.parametrize("fast", [True, False])
    def test_finds_columns_that_cannot_be_read(self, fast: bool, world: World) -> None:
        guard.remove(connection)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE audit_event SET event_id = 'nonsense' WHERE id = %s", [world.events[0].pk])
        guard.install(connection)
        report = world.verify(fast=fast)
        assert str(report.first_bad) == f"{world.events[0].reference} (seq 0): the columns of the event cannot be read"


@dataclass
class Papers:
    """An export in hand: lines, leaves and the note, as files, and the checkpoint that its reader kept, if any."""

    folder: Path
    key: SigningKey
    kept: FilePublisher
    older: str | None = None
    selection: bool = False

    @property
    def path(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True)

    @property
    def note(self) -> str:
        return files.beside(self.path, "checkpoint").read_text(encoding="utf-8")

    def write(self, lines: list[bytes], *, note: str | None = None) -> None:
        self.path.write_bytes(b"".join(lines))
        if note is not None:
            files.beside(self.path, "checkpoint").write_text(note, encoding="utf-8")

    def rebuild(self, lines: list[bytes]) -> None:
        """Writes other lines with leaves and a checkpoint made anew, with the real key."""
        leaves = [envelope.leaf_hash(line[:-1]) for line in lines]
        self.write(lines, note=_signed(len(lines), merkle.root(leaves), self.key))
        files.beside(self.path, "leaves").write_text("".join(f"{leaf.hex()}\n" for leaf in leaves))

    def select(self) -> list[str]:
        """Keeps two lines with their proofs. Returns the lines of the proofs."""
        self.write([self.lines[1], self.lines[4]])
        files.write_file(files.beside(self.path, "proofs"), files.write_proofs(files.read_lines(self.path), 7))
        return files.beside(self.path, "proofs").read_text().splitlines()

    def answers(self) -> tuple[int, int]:
        """Returns the exit codes of the portal and of `verify.py`."""
        arguments = ["--export", str(self.path), "--key", str(self.key.verifier)]
        if self.older:
            (self.folder / "older.note").write_text(self.older, encoding="utf-8")
            arguments += ["--older", str(self.folder / "older.note")]
        if self.selection:
            arguments.append("--selection")
        return run("verify", *arguments)[0], standalone.main(arguments)


@pytest.fixture
def papers(sealed_trail: list[AuditEvent], key: SigningKey, kept: FilePublisher, tmp_path: Path) -> Papers:
    folder = tmp_path / "papers"
    folder.mkdir()
    found = Papers(folder, key, kept)
    done = export.begin(EventFilter(), "jsonl", actor=ADA, wait=0, clock=lambda: NOON)
    files.write_file(found.path, done)
    files.write_file(files.beside(found.path, "checkpoint"), [done.cut.note.encode()])
    files.write_file(files.beside(found.path, "leaves"), files.write_leaves(done.cut.size))
    return found


Attack = Callable[[Papers], None]


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Attack:
    return lambda papers: papers.write(change(papers.lines))


def _rebuilt(change: Callable[[list[bytes]], list[bytes]], *, against: int) -> Attack:
    def attack(papers: Papers) -> None:
        papers.rebuild(change(papers.lines))
        papers.older = papers.kept.at(against)

    return attack


def _note(change: Callable[[str, SigningKey], str]) -> Attack:
    return lambda papers: papers.write(papers.lines, note=change(papers.note, papers.key))


def _older(make: Callable[[Papers], str | None]) -> Attack:
    def attack(papers: Papers) -> None:
        papers.older = make(papers)

    return attack


def _signed(size: int, root: bytes, key: SigningKey) -> str:
    return checkpoint.sign(Checkpoint(key.name, size, root), [key])


def _signed_as(origin: str) -> Attack:
    return _note(lambda note, key: _signed(7, checkpoint.read(note).root, SigningKey(origin, key.private)))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def edit_line(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b"Comment 3", b"Comment 9"), *lines[3:]]


def edit_line_and_leaf(papers: Papers) -> None:
    note = papers.note
    papers.rebuild(edit_line(papers.lines))
    papers.write(papers.lines, note=note)


def restore_export(papers: Papers) -> None:
    papers.rebuild(papers.lines[:3])
    assert papers.note == papers.kept.at(3)
    papers.older = papers.kept.at(7)


def take_a_node_for_a_leaf(papers: Papers) -> None:
    first, second = (envelope.leaf_hash(line[:-1]) for line in papers.lines[:2])
    papers.write([b"\x01" + first + second + b"\n", *papers.lines[2:]])


def select(papers: Papers) -> None:
    papers.select()
    papers.selection = True


def pass_a_selection_off_as_all(papers: Papers) -> None:
    papers.select()


def pass_a_selection_off_without_its_proofs(papers: Papers) -> None:
    papers.write([papers.lines[1], papers.lines[4]])


def _altered_proof(line: int) -> Attack:
    def attack(papers: Papers) -> None:
        rows = papers.select()
        papers.selection = True
        seq, _, *hashes = rows[line].split(" ")
        rows[line] = " ".join([seq, _base64(b"r" * 32), *hashes])
        files.beside(papers.path, "proofs").write_text("".join(f"{row}\n" for row in rows))

    return attack


def _proofs(change: Callable[[str], str]) -> Attack:
    def attack(papers: Papers) -> None:
        rows = "".join(f"{row}\n" for row in papers.select())
        papers.selection = True
        files.beside(papers.path, "proofs").write_bytes(change(rows).encode())

    return attack


OTHER = SigningKey(ORIGIN, Ed25519PrivateKey.generate())
EXPORTS: list[tuple[int, str, Attack, int]] = [
    (0, "nothing", lambda papers: None, 0),
    (0, "held against an older checkpoint", _older(lambda papers: papers.kept.at(3)), 0),
    (0, "a selection taken as one", select, 0),
    (1, "a line edited", _lines(edit_line), 1),
    (2, "its leaf, too", edit_line_and_leaf, 1),
    (3, "tree and checkpoint, too", _rebuilt(edit_line, against=3), 1),
    (5, "a line removed", _lines(lambda x: x[:2] + x[3:]), 1),
    (6, "tree and checkpoint made anew", _rebuilt(lambda x: x[:2] + x[3:], against=3), 1),
    (7, "the newest cut off", _lines(lambda x: x[:5]), 1),
    (7, "and the checkpoint made anew", _rebuilt(lambda x: x[:5], against=7), 1),
    (7, "the newest cut off within a line", _lines(lambda x: [*x[:-1], x[-1][:-1]]), 1),
    (8, "all lines gone", _lines(lambda x: []), 1),
    (9, "an older backup", restore_export, 1),
    (10, "two swapped", _lines(lambda x: [x[1], x[0], *x[2:]]), 1),
    (11, "one doubled", _lines(lambda x: [x[0], *x]), 1),
    (12, "one inserted", _lines(lambda x: [x[0].replace(b"Comment 1", b"Comment 0"), *x]), 1),
    (13, "a key renamed", _lines(lambda x: [x[0].replace(b'"reason"', b'"raison"'), *x[1:]]), 1),
    (14, "serialised again", _lines(lambda x: [json.dumps(json.loads(x[0])).encode() + b"\n", *x[1:]]), 1),
    (15, "a key doubled", _lines(lambda x: [x[0].replace(b'"v":1', b'"v":2,"v":1'), *x[1:]]), 1),
    (20, "size changed", _note(lambda note, key: note.replace("\n7\n", "\n6\n")), 1),
    (20, "root changed", _note(lambda note, key: note.replace(note.split("\n")[2], _base64(b"r" * 32))), 1),
    (21, "other key", _note(lambda note, key: _signed(7, checkpoint.read(note).root, OTHER)), 2),
    (22, "other origin", _signed_as("other/1"), 1),
    (22, "other generation", _signed_as("test.example/audit/2"), 1),
    (23, "two roots for one size", _older(lambda papers: _signed(7, b"r" * 32, papers.key)), 1),
    (23, "another root before", _older(lambda papers: _signed(3, b"r" * 32, papers.key)), 1),
    (23, "more events before", _older(lambda papers: _signed(8, b"r" * 32, papers.key)), 1),
    (24, "a node taken for a leaf", take_a_node_for_a_leaf, 1),
    (25, "a proof altered", _altered_proof(0), 1),
    (25, "the last proof altered", _altered_proof(1), 1),
    (25, "a proof left out", _proofs(lambda rows: rows[: rows.index("\n") + 1]), 1),
    (25, "a proof broken in two", _proofs(lambda rows: rows.replace(" ", "\n", 1)), 1),
    (25, "another end of the last proof", _proofs(lambda rows: rows[:-1] + "\f"), 1),
    (25, "no end of the last proof", _proofs(lambda rows: rows[:-1]), 1),
    (26, "lines added", _lines(lambda x: [*x, x[0]]), 2),
    (29, "a selection passed off as all", pass_a_selection_off_as_all, 2),
    (29, "and its proofs left out", pass_a_selection_off_without_its_proofs, 1),
]


class TestExport:
    @pytest.mark.parametrize(
        ("attack", "code"), [row[2:] for row in EXPORTS], ids=[f"{row[0]}-{row[1]}" for row in EXPORTS]
    )
    def test_gets_the_same_answer_from_the_portal_and_from_the_script(
        self, attack: Attack, code: int, papers: Papers
    ) -> None:
        attack(papers)
        assert papers.answers() == (code, code)


BUNDLED = ["events.jsonl", "events.csv", "README.txt", "index.txt", "manifest.json"]
IN_BUNDLES = 27


def test_no_attack_of_the_design_is_left_out() -> None:
    tried = {row[0] for row in DATABASE} | {row[0] for row in EXPORTS} | {IN_BUNDLES}
    assert tried - {0} == set(range(1, 31))


class TestBundle:
    """Number 27, and what is fine."""

    @pytest.fixture
    def bundle(self, sealed_trail: list[AuditEvent], tmp_path: Path) -> Path:
        path = tmp_path / "evidence.zip"
        path.write_bytes(build_bundle(EventFilter(request="REQ-000004"), export.find_cut(wait=0)).content)
        return path

    def run(self, path: Path, key: SigningKey, *arguments: str) -> int:
        return standalone.main([str(path), "--key", str(key.verifier), *arguments])

    def test_is_reproducible_and_fine(self, bundle: Path, key: SigningKey) -> None:
        again = build_bundle(EventFilter(request="REQ-000004"), export.find_cut(wait=0))
        assert (bundle.read_bytes() == again.content, again.rows) == (True, 1)
        assert self.run(bundle, key) == 0
        assert self.run(bundle, OTHER) == 2

    def test_of_the_whole_trail_is_fine(self, sealed_trail: list[AuditEvent], key: SigningKey, tmp_path: Path) -> None:
        path = tmp_path / "all.zip"
        path.write_bytes(build_bundle(EventFilter(), export.find_cut(wait=0)).content)
        assert self.run(path, key) == 0

    def test_continues_an_older_checkpoint(
        self, sealed_trail: list[AuditEvent], key: SigningKey, kept: FilePublisher, tmp_path: Path
    ) -> None:
        path, older = tmp_path / "some.zip", tmp_path / "older.note"
        older.write_text(kept.at(3) or "", encoding="utf-8")
        wanted, cut = EventFilter(request="REQ-000004"), export.find_cut(wait=0)
        path.write_bytes(build_bundle(wanted, cut, older=checkpoint.read(kept.at(3) or "")).content)
        assert self.run(path, key, "--older", str(older)) == 0
        older.write_text(_signed(3, b"r" * 32, key), encoding="utf-8")
        assert self.run(path, key, "--older", str(older)) == 1
        older.write_text(_signed(2, b"r" * 32, key), encoding="utf-8")
        assert self.run(path, key, "--older", str(older)) == 2

    @pytest.mark.parametrize("name", BUNDLED)
    def test_finds_a_replaced_file(self, name: str, bundle: Path, key: SigningKey) -> None:
        contents = standalone.open_bundle(bundle)
        contents[name] = contents[name].replace(b"4", b"5")
        bundle.write_bytes(pack(contents))
        assert self.run(bundle, key) == 1

    def test_finds_a_document_replaced_together_with_the_manifest(self, bundle: Path, key: SigningKey) -> None:
        contents = standalone.open_bundle(bundle)
        body = b'{"changed":true}'
        contents["documents/" + "0" * 64 + ".json"] = body
        manifest = json.loads(contents["manifest.json"])
        manifest["files"]["documents/" + "0" * 64 + ".json"] = {
            "sha256": standalone.hashlib.sha256(body).hexdigest(),
            "length": len(body),
        }
        contents["manifest.json"] = canonical.dumps(manifest) + b"\n"
        bundle.write_bytes(pack(contents))
        assert self.run(bundle, key) == 1
