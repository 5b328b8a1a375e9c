"""A backup is restored: sealing halts until two people declare it, then the next generation of the trail begins.

The database, exports, bundles and the stand-alone script must tell what both generations still prove.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction

from iamroles import audit
from iamroles.audit import EventFilter, checkpoint, config, export, guard, keys, restore, rotate
from iamroles.audit.checkpoint import Checkpoint, SigningKey
from iamroles.audit.continuity import Restored
from iamroles.audit.evidence import verify as standalone
from iamroles.audit.evidence.bundle import build_bundle
from iamroles.audit.export import files
from iamroles.audit.publish import FilePublisher
from iamroles.audit.verify_files import verify_export
from iamroles.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditPending, AuditReceipt, ProposedChange, User
from iamroles.workflow import changes

from .conftest import ADA, NOON, ORIGIN, record_one

pytestmark = pytest.mark.django_db
SECOND = "test.example/audit/2"
LOST = (
    "a checkpoint of generation 1 covers 7 events, of which a declared restore lost the newest: "
    "nothing can be said about those"
)


def operator(login: str) -> User:
    """Makes a person who operates, with the event that says so."""
    user = User.objects.create(username=login)
    user.groups.add(Group.objects.get_or_create(name="operators")[0])
    subject = audit.Subject("user", str(user.pk), login)
    data = {"user": login, "group": "operators"}
    record_one(1, action="membership.granted", subject=subject, data=data, request=None, revision=None)
    return user


@dataclass
class World:
    """A trail whose checkpoints have sizes 3 and 7; what `kept` holds survives a restore."""

    kept: FilePublisher
    key: SigningKey
    folder: Path

    def seal(self, minutes: int = 2) -> None:
        config.sealer().seal_all(at=NOON + timedelta(minutes=minutes))

    def restore(self, size: int) -> None:
        """Makes the database as it was when `size` events were sealed."""
        guard.remove(connection)
        gone = list(AuditLeaf.objects.filter(seq__gte=size).values_list("event_id", flat=True))
        AuditEvent.objects.filter(pk__in=gone).delete()
        AuditPending.objects.all().delete()
        for model, column in ((AuditLeaf, "seq__gte"), (AuditCheckpoint, "size__gt"), (AuditReceipt, "size__gt")):
            model.objects.filter(**{column: size}).delete()
        AuditEvent.objects.filter(sealed=None).delete()
        ProposedChange.objects.all().delete()
        User.objects.all().delete()
        guard.install(connection)

    def halt(self) -> None:
        with pytest.raises(Restored):
            self.seal()

    def declare(self) -> AuditEvent:
        """Two people declare what sealing halted at. Returns the event."""
        loss = audit.undeclared()
        assert loss is not None
        first, second = operator("oskar"), operator("ines")
        change = changes.propose(
            subject="restore",
            target="",
            content=loss.facts(),
            reason="The disk of the database broke",
            user=first,
            signed_in_at=NOON,
            actor=replace(ADA, id=str(first.pk)),
            at=NOON,
        )
        changes.confirm(
            change_id=change.pk,
            seen_digest=change.digest,
            user=second,
            signed_in_at=NOON,
            actor=replace(ADA, id=str(second.pk)),
            at=NOON,
        )
        return AuditEvent.objects.filter(action="audit.forked").order_by("-pk")[0]

    def fork(self, size: int) -> AuditEvent:
        """Restores, declares, and seals one more event in the next generation."""
        self.restore(size)
        self.halt()
        event = self.declare()
        self.seal()
        record_one(90 + size)
        self.seal(3)
        return event

    def verify(self, *arguments: str) -> tuple[int, list[str]]:
        """Returns exit code and problems of `audit verify`."""
        path = self.folder / "report.json"
        with path.open("w") as out:
            try:
                call_command("audit", "verify", "--read-only", "--json", *arguments, stdout=out)
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
        return code, json.loads(path.read_text())["problems"] if path.stat().st_size else []

    def forget_lost(self) -> None:
        """Takes the checkpoints of the lost events out of the folder, as an operator may who archives them."""
        (self.folder / "kept" / f"{7:012d}.note").unlink()
        (self.folder / "kept" / "latest.note").unlink()


@pytest.fixture
def world(tmp_path: Path, settings: Any) -> World:
    path = tmp_path / "keys" / "audit.key"
    settings.ROLEDESK_AUDIT_ORIGIN = ORIGIN
    settings.ROLEDESK_AUDIT_KEY_FILE = str(path)
    settings.ROLEDESK_AUDIT_VKEYS_FILE = str(keys.vkeys_of(path))
    settings.ROLEDESK_CHECKPOINT_DIR = str(tmp_path / "kept")
    settings.ROLEDESK_SEAL_LAG_SECONDS = 10**9
    key = keys.ensure(path, ORIGIN)
    here = World(FilePublisher(tmp_path / "kept"), key, tmp_path)
    for number in range(1, 4):
        record_one(number)
    here.seal()
    for number in range(4, 8):
        record_one(number)
    here.seal()
    assert here.verify() == (0, [])
    return here


class TestSealing:
    def test_halts_until_two_people_declare_it(self, world: World) -> None:
        world.restore(3)
        assert world.verify()[0] == 1
        world.halt()
        assert audit.is_halted()
        loss = audit.undeclared()
        assert loss == restore.Loss(1, 2, world.kept.at(7) or "", 3, 7)
        event = world.declare()
        assert audit.undeclared() is None
        world.seal()
        assert not audit.is_halted()
        assert event.sealed.seq == 3
        newest = AuditCheckpoint.objects.order_by("-size")[0]
        assert checkpoint.read(newest.note).origin == SECOND
        assert world.kept.latest() == newest.note == world.kept.at(newest.size, 2)
        assert config.origin() == SECOND

    def test_says_in_the_event_what_was_lost_and_who_declared_it(self, world: World) -> None:
        event = world.fork(3)
        change = ProposedChange.objects.get()
        assert json.loads(event.canon)["data"] == {
            "previous": 1,
            "generation": 2,
            "last_note": world.kept.at(7),
            "lost_from": 3,
            "lost_to": 7,
            "change": change.reference,
            "proposed_by": str(change.proposed_by_id),
        }

    def test_goes_on_after_the_fork_could_not_be_published(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.restore(3)
        world.halt()
        world.declare()

        def die(*_: object) -> str:
            raise RuntimeError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(FilePublisher, "publish", die)
            with pytest.raises(RuntimeError):
                world.seal()
        record_one(8)
        world.seal(3)
        assert [problem for problem in world.verify()[1] if problem != LOST] == []

    def test_takes_no_declaration_of_another_loss(self, world: World) -> None:
        world.restore(3)
        world.halt()
        loss = audit.undeclared()
        assert loss is not None
        with transaction.atomic():
            other = {**loss.facts(), "lost_to": 6}
            audit.declare(other, change="CHG-000001", proposed_by="1", reason="x", actor=ADA, at=NOON)
        world.halt()
        assert AuditCheckpoint.objects.order_by("-size")[0].size == 3

    def test_halts_again_when_a_backup_from_before_the_fork_is_restored(self, world: World) -> None:
        world.fork(3)
        world.restore(3)
        world.halt()
        loss = audit.undeclared()
        assert loss is not None
        assert (loss.previous, loss.generation, loss.lost_from) == (1, 3, 3)
        assert world.declare().pk
        world.seal()
        assert config.origin() == "test.example/audit/3"
        code, problems = world.verify()
        assert (code, [problem for problem in problems if "of which a declared restore lost" not in problem]) == (2, [])

    def test_a_wiped_database_is_a_loss_of_everything(self, world: World) -> None:
        event = world.fork(0)
        assert event.sealed.seq == 0
        assert world.verify()[0] == 2


class TestVerify:
    def test_cannot_tell_about_what_was_lost_and_nothing_else(self, world: World) -> None:
        world.fork(3)
        assert world.verify() == (2, [LOST])
        world.forget_lost()
        assert world.verify() == (0, [])

    def test_holds_the_database_against_an_older_checkpoint_of_each_generation(self, world: World) -> None:
        older, lost = world.kept.at(3) or "", world.kept.at(7) or ""
        world.fork(3)
        world.forget_lost()
        later = world.kept.latest() or ""
        for note, code in ((older, 0), (lost, 2), (later, 0)):
            path = world.folder / "older.note"
            path.write_text(note, encoding="utf-8")
            assert world.verify("--older", str(path))[0] == code

    @pytest.mark.parametrize(
        ("generation", "size", "text"),
        [(1, 8, "does not fit"), (2, 3, "does not fit"), (3, 9, "does not fit"), (0, 2, "is not genuine")],
        ids=["beyond", "before", "undeclared", "earlier"],
    )
    def test_finds_a_checkpoint_that_there_cannot_have_been(
        self, world: World, generation: int, size: int, text: str
    ) -> None:
        """Number 22 of the matrix, across a fork."""
        world.fork(3)
        world.forget_lost()
        origin = f"test.example/audit/{generation}"
        note = checkpoint.sign(Checkpoint(origin, size, b"r" * 32), [SigningKey(origin, world.key.private)])
        (world.folder / "forged.note").write_text(note, encoding="utf-8")
        code, problems = world.verify("--older", str(world.folder / "forged.note"))
        assert code == 1
        assert [text in problem for problem in problems] == [True]

    def test_finds_a_fork_that_was_inserted_where_nothing_was_lost(self, world: World) -> None:
        note = world.kept.at(7) or ""
        with transaction.atomic():
            data = {"previous": 1, "generation": 2, "last_note": note, "lost_from": 7, "lost_to": 7}
            audit.declare(data, change="CHG-000001", proposed_by="1", reason="x", actor=ADA, at=NOON)
        world.seal()
        code, problems = world.verify()
        assert code == 1
        assert any("it declares generation 2, but nothing was lost" in problem for problem in problems)
        assert any("declares a restore from a backup that two people did not confirm" in each for each in problems)

    def test_finds_that_nobody_confirmed_it(self, world: World) -> None:
        event = world.fork(3)
        world.forget_lost()
        ProposedChange.objects.update(state="withdrawn")
        code, problems = world.verify()
        assert code == 1
        assert f"{event.reference} declares a restore from a backup that two people did not confirm" in problems

    def test_finds_an_edit_before_the_fork_and_after_it(self, world: World) -> None:
        world.fork(3)
        world.forget_lost()
        for seq in (1, AuditLeaf.objects.count() - 1):
            event = AuditLeaf.objects.get(seq=seq).event
            guard.remove(connection)
            AuditEvent.objects.filter(pk=event.pk).update(canon=event.canon.replace("Comment", "Kommentar"))
            guard.install(connection)
            code, problems = world.verify()
            assert (code, problems[0].split(":")[0]) == (1, f"{event.reference} (seq {seq})")
            guard.remove(connection)
            AuditEvent.objects.filter(pk=event.pk).update(canon=event.canon)
            guard.install(connection)


class TestPapers:
    """Exports and bundles of a forked trail, by the portal and by `verify.py`: both must agree."""

    def vkeys(self, world: World, *generations: int) -> str:
        path = world.folder / "vkeys"
        named = [SigningKey(f"test.example/audit/{number}", world.key.private).verifier for number in generations]
        path.write_text(keys.write_vkeys(named))
        return str(path)

    def answers(self, world: World, key_file: str, older: str | None = None) -> tuple[int, int, int]:
        """Returns the exit codes of the portal and of `verify.py` for an export, and of that for a whole bundle."""
        cut = export.find_cut(wait=0)
        path = world.folder / "events.jsonl"
        files.write_file(path, (chunk.body for chunk in export.read_chunks(EventFilter(), "jsonl", cut)))
        files.write_file(files.beside(path, "checkpoint"), [cut.note.encode()])
        files.write_file(files.beside(path, "leaves"), files.write_leaves(cut.size))
        bundle = world.folder / "all.zip"
        bundle.write_bytes(build_bundle(EventFilter(), cut).content)
        known = keys.read_vkeys(Path(key_file).read_text())
        ours = verify_export(files.read_lines(path), cut.note, keys=known, older=older).exit
        more: list[str] = []
        if older:
            (world.folder / "older.note").write_text(older, encoding="utf-8")
            more = ["--older", str(world.folder / "older.note")]
        return (
            ours,
            standalone.main(["--export", str(path), "--key", key_file, *more]),
            standalone.main([str(bundle), "--key", key_file, *more]),
        )

    def test_are_fine_with_the_key_of_the_generation(self, world: World) -> None:
        world.fork(3)
        assert self.answers(world, self.vkeys(world, 2)) == (0, 0, 0)
        assert self.answers(world, self.vkeys(world, 1)) == (1, 1, 1)

    def test_continue_an_older_checkpoint_up_to_what_was_restored(self, world: World) -> None:
        older, lost = world.kept.at(3) or "", world.kept.at(7) or ""
        world.fork(3)
        both = self.vkeys(world, 1, 2)
        assert self.answers(world, both, older) == (0, 0, 0)
        assert self.answers(world, both, lost) == (2, 2, 2)
        assert self.answers(world, both, world.kept.latest()) == (0, 0, 0)

    @pytest.mark.parametrize(("generation", "size"), [(1, 3), (1, 8), (2, 3), (3, 5)])
    def test_find_an_older_checkpoint_that_there_cannot_have_been(
        self, world: World, generation: int, size: int
    ) -> None:
        world.fork(3)
        key = SigningKey(f"test.example/audit/{generation}", world.key.private)
        forged = checkpoint.sign(Checkpoint(key.name, size, b"r" * 32), [key])
        assert self.answers(world, self.vkeys(world, 1, 2, 3), forged) == (1, 1, 1)

    def test_find_an_older_generation_passed_off_as_the_newest(self, world: World) -> None:
        world.fork(3)
        cut = export.find_cut(wait=0)
        lines = [chunk.body for chunk in export.read_chunks(EventFilter(), "jsonl", cut)]
        note = checkpoint.sign(Checkpoint(ORIGIN, cut.size, cut.root), [world.key])
        path = world.folder / "events.jsonl"
        files.write_file(path, lines)
        files.write_file(files.beside(path, "checkpoint"), [note.encode()])
        known = [world.key.verifier]
        assert verify_export(files.read_lines(path), note, keys=known).exit == 1
        assert standalone.main(["--export", str(path), "--key", str(world.key.verifier)]) == 1

    def test_of_one_request_are_held_against_both_generations(self, world: World) -> None:
        older, lost = world.kept.at(3) or "", world.kept.at(7) or ""
        world.fork(3)
        both, cut = self.vkeys(world, 1, 2), export.find_cut(wait=0)
        for note, code in ((older, 0), (lost, 2)):
            (world.folder / "older.note").write_text(note, encoding="utf-8")
            said = checkpoint.read(note)
            bundle = build_bundle(
                EventFilter(request="REQ-000002"), cut, older=said if said.size <= 3 else None
            ).content
            (world.folder / "some.zip").write_bytes(bundle)
            arguments = [str(world.folder / "some.zip"), "--key", both, "--older", str(world.folder / "older.note")]
            assert standalone.main(arguments) == code

    def test_the_command_makes_no_proof_from_what_was_lost(self, world: World) -> None:
        lost = world.folder / "lost.note"
        lost.write_text(world.kept.at(7) or "", encoding="utf-8")
        world.fork(3)
        for arguments in (("bundle", "--older"), ("export", "--format", "jsonl", "--as-of")):
            with pytest.raises(CommandError, match="covers events that a declared restore from a backup lost"):
                call_command("audit", *arguments, str(lost), "--output", str(world.folder / "out"))


class TestKeys:
    def test_are_printed_for_the_generation_that_goes_on_first(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.fork(3)
        call_command("audit", "checkpoint", "--vkey")
        second = SigningKey(SECOND, world.key.private).verifier
        assert capsys.readouterr().out.split() == [str(second), str(world.key.verifier)]

    def test_are_rotated_in_the_second_generation(self, world: World) -> None:
        world.fork(3)
        world.forget_lost()
        path = Path(config.key_file())
        new = rotate.rotate(path, keys.vkeys_of(path), actor=ADA, at=NOON)
        assert new.name == SECOND
        record_one(50)
        world.seal(5)
        assert len(checkpoint.signers(world.kept.latest() or "")) == 2
        assert world.verify() == (0, [])

    def test_a_key_revoked_in_the_second_generation_counts_there_no_more(self, world: World) -> None:
        world.fork(3)
        world.forget_lost()
        path = Path(config.key_file())
        rotate.revoke(path, keys.vkeys_of(path), last_size=None, actor=ADA, at=NOON)
        forged = checkpoint.sign(Checkpoint(SECOND, 99, b"r" * 32), [SigningKey(SECOND, world.key.private)])
        with pytest.raises(checkpoint.UnknownKey):
            checkpoint.verify(forged, config.verifier_keys(), origin=SECOND)
        assert world.verify() == (0, [])


def test_what_is_published_lies_in_a_folder_for_each_generation(
    world: World, new_sealer: Callable[..., object]
) -> None:
    world.fork(3)
    folder = world.folder / "kept" / "generation-2"
    sizes = sorted(path.name for path in folder.iterdir())
    assert sizes == sorted([*(f"{size:012d}.note" for size in _sizes()), "latest.note"])
    assert sorted(path.name for path in (world.folder / "kept").glob("*.note")) == [
        "000000000003.note",
        "000000000007.note",
        "latest.note",
    ]


def _sizes() -> list[int]:
    return list(AuditCheckpoint.objects.filter(size__gt=3).values_list("size", flat=True))
