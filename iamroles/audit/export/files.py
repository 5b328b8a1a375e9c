"""Exports as files: the events, and beside them what a verifier needs. A file appears whole or not at all.

`FILE.checkpoint` is the signed note, `FILE.leaves` the leaf hashes of a full export, `FILE.proofs` the inclusion
proofs of a filtered one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from iamroles.audit import checkpoint, merkle
from iamroles.audit.envelope import leaf_hash
from iamroles.models import AuditLeaf


def write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Writes the chunks under a temporary name and renames it. Raises OSError."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def beside(path: Path, kind: str) -> Path:
    """Returns `FILE.kind`."""
    return path.with_name(f"{path.name}.{kind}")


def write_leaves(size: int, *, using: str = "default") -> Iterator[bytes]:
    """Yields the lines of FILE.leaves: the leaf of each seq in hexadecimal."""
    for leaf in sealed_leaves(size, using):
        yield leaf.hex().encode() + b"\n"


def read_leaves(text: str) -> list[bytes]:
    """Returns the leaves of FILE.leaves. Raises ValueError."""
    return [bytes.fromhex(line) for line in text.splitlines()]


def write_proofs(lines: Iterable[bytes], size: int, *, using: str = "default") -> Iterator[bytes]:
    """Yields the lines of FILE.proofs for exported lines: seq and siblings in base64, with spaces."""
    leaves = list(sealed_leaves(size, using))
    places = {leaf: seq for seq, leaf in enumerate(leaves)}
    tree = merkle.Tree(leaves)
    for line in lines:
        seq = places[leaf_hash(line)]
        yield " ".join([str(seq), *(checkpoint.encode(value) for value in tree.inclusion(seq))]).encode() + b"\n"


def read_proofs(text: str) -> list[tuple[int, list[bytes]]]:
    """Returns seq and siblings for each line of FILE.proofs. Raises ValueError, also when the last has no newline."""
    *lines, rest = text.split("\n")
    if rest:
        raise ValueError("the proofs do not end with a newline")
    found = []
    for line in lines:
        seq, *hashes = line.split(" ")
        found.append((int(seq), [checkpoint.decode(value) for value in hashes]))
    return found


def read_lines(path: Path) -> Iterator[bytes]:
    """Yields the lines of an export without their newlines. Raises ValueError when the last one has none."""
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                raise ValueError(f"{path} does not end with a newline")
            yield line[:-1]


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the lines of an export in pieces, without their newlines; each must end with one."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def sealed_leaves(size: int, using: str = "default") -> Iterator[bytes]:
    """Yields the leaves of the first `size` events, in order."""
    rows = AuditLeaf.objects.using(using).filter(seq__lt=size).order_by("seq").values_list("leaf", flat=True)
    for leaf in rows.iterator(chunk_size=10_000):
        yield bytes(leaf)
