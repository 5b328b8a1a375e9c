"""What must hold before anything is signed: the trail fits its own checkpoints and what was published.

A trail that only ends before what was published was restored from a backup. Two operators may declare that; then
sealing goes on in the next generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iamroles.audit import checkpoint, generations, merkle
from iamroles.audit.checkpoint import Checkpoint, VerifierKey
from iamroles.audit.derive import text_of
from iamroles.audit.publish import NotPublished, Publisher
from iamroles.models import AuditCheckpoint, AuditLeaf, AuditPending


class Halted(Exception):
    """Sealing must not go on: the trail contradicts itself or what was published. The message names the place."""


class Restored(Halted):
    """The trail is older than what was published: a backup was restored. `note` is the newest that was published.

    Two operators may declare it; then the next generation begins.
    """

    def __init__(self, message: str, note: str) -> None:
        self.note = note
        super().__init__(message)


@dataclass(frozen=True)
class Beginning:
    """The waiting event that begins a generation, which the trail must still be `size` long for."""

    event_id: int
    generation: int
    size: int


@dataclass(frozen=True)
class Consistency:
    """Holds the trail against itself and its publishers. `origin` is that of the first generation."""

    origin: str
    vkeys: Sequence[VerifierKey]
    publishers: Sequence[Publisher]
    using: str = "default"

    def require(self, *, leaves: bool) -> Beginning | None:
        """Raises Halted unless stored and published checkpoints and, with `leaves`, all leaves agree.

        Returns the waiting event that declares why they do not, if the trail only ends before what was published.
        """
        stored = AuditCheckpoint.objects.using(self.using).order_by("-size").first()
        said = self._ours(stored.note, "the newest stored checkpoint") if stored else Checkpoint(self.origin, 0, b"")
        if stored is not None:
            tree_of(stored)
        lost = [found for publisher in self.publishers if (found := self._require_published(publisher, said))]
        begins = None
        if lost:
            newest = max(lost, key=lambda found: _age(checkpoint.read(found.note)))
            begins = self._declared(newest, said)
        if leaves:
            self.require_leaves()
        return begins

    def _ours(self, note: str, what: str) -> Checkpoint:
        # Also one that a revoked key signed after its time must fit: it is ours, though it proves nothing any more.
        try:
            said = checkpoint.read(note)
            origin = said.origin if generations.same_trail(said.origin, self.origin) else self.origin
            known = [VerifierKey(origin, key.public) for key in self.vkeys]
            return checkpoint.verify(note, known, origin=origin)
        except checkpoint.BadNote as error:
            raise Halted(f"{what} is not ours: {error}") from error

    def _require_published(self, publisher: Publisher, stored: Checkpoint) -> Restored | None:
        """Holds the trail against what a publisher keeps; returns how much longer that is. Raises Halted."""
        try:
            note = publisher.latest()
        except NotPublished:
            return None
        if note is None:
            return None
        said, name = self._ours(note, f"the checkpoint kept by {publisher.name}"), publisher.name
        if generations.number(said.origin) < generations.number(stored.origin):
            return None  # a declared fork that was not published yet: what came before was held against it then
        row = AuditCheckpoint.objects.using(self.using).filter(size=said.size).first()
        if row is None or said.origin != stored.origin:
            gone = f"the checkpoint of size {said.size} was published to {name} but is not in the database"
            if _age(said) > _age(stored):
                return Restored(gone, note)
            raise Halted(gone)
        if bytes(row.root) != said.root:
            raise Halted(f"the root at size {said.size} is another one than was published to {name}")
        return None

    def _declared(self, lost: Restored, stored: Checkpoint) -> Beginning:
        """Returns the waiting event that declares this very loss. Raises Restored when nobody did."""
        said, now = checkpoint.read(lost.note), generations.number(stored.origin)
        waiting = AuditPending.objects.using(self.using).filter(event__action=generations.FORKED)
        for event_id, canon in waiting.order_by("-event_id").values_list("event_id", "event__canon"):
            try:
                fork = generations.read_fork(text_of(canon), stored.size)
            except ValueError:
                continue
            if fork and fork.last_note == lost.note and fork.problem(said, now) is None:
                return Beginning(event_id, fork.generation, stored.size)
        raise lost

    def require_leaves(self) -> None:
        roots = dict(AuditCheckpoint.objects.using(self.using).values_list("size", "root"))
        tree = merkle.Frontier()
        rows = AuditLeaf.objects.using(self.using).order_by("seq").values_list("seq", "leaf")
        for seq, leaf in rows.iterator(chunk_size=10_000):
            if seq != tree.size:
                raise Halted(f"leaf {tree.size} is missing")
            tree.append(bytes(leaf))
            if tree.size in roots and bytes(roots.pop(tree.size)) != tree.root():
                raise Halted(f"the leaves do not give the root of the checkpoint of size {tree.size}")
        if roots:
            raise Halted(f"the checkpoint of size {min(roots)} covers more leaves than there are")
        newest = AuditCheckpoint.objects.using(self.using).order_by("-size").values_list("size", flat=True).first()
        covered = newest or 0
        if tree.size > covered:
            raise Halted(f"there are {tree.size} leaves, but the newest checkpoint covers {covered}")


def _age(said: Checkpoint) -> tuple[int, int]:
    return generations.number(said.origin), said.size


def tree_of(stored: AuditCheckpoint) -> merkle.Frontier:
    """Returns the tree that goes on from a stored checkpoint. Raises Halted when its root does not follow."""
    try:
        tree = merkle.Frontier.read(stored.size, bytes(stored.frontier))
    except ValueError as error:
        raise Halted(f"the checkpoint of size {stored.size} is damaged: {error}") from error
    if tree.root() != bytes(stored.root):
        raise Halted(f"the checkpoint of size {stored.size} is damaged: its root does not follow")
    return tree
