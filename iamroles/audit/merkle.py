"""The Merkle tree of RFC 6962, part 2: roots, inclusion and consistency proofs, and a tree that grows leaf by leaf.

Pure functions over 32-byte hashes. What a leaf is made of is decided in `envelope`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def node(left: bytes, right: bytes) -> bytes:
    """Returns the hash of an inner node: SHA-256 of 0x01, left and right."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that grows: the roots of the perfect subtrees that `size` leaves fall into, largest first."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Raises ValueError unless there is one peak for each bit of `size`."""
        if size.bit_count() != len(peaks) or any(len(peak) != HASH_BYTES for peak in peaks):
            raise ValueError(f"{len(peaks)} peaks do not make a tree of {size} leaves")
        self.size = size
        self.peaks = list(peaks)

    @classmethod
    def read(cls, size: int, stored: bytes) -> Frontier:
        """Returns the tree that `write` stored. Raises ValueError when the bytes do not fit the size."""
        return cls(size, [stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES)])

    def write(self) -> bytes:
        """Returns the peaks, one after the other."""
        return b"".join(self.peaks)

    def append(self, leaf: bytes) -> None:
        """Adds one leaf on the right."""
        size, peaks, sha256 = self.size, self.peaks, hashlib.sha256
        self.size = size + 1
        while size & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            size >>= 1
        peaks.append(leaf)

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Adds leaves on the right, in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """Returns the root of the tree of `size` leaves."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node(peak, root)
        return root


def root(leaves: Iterable[bytes]) -> bytes:
    """Returns the root over all leaves."""
    tree = Frontier()
    tree.extend(leaves)
    return tree.root()


class Tree:
    """A whole tree in memory, for proofs: every perfect subtree is hashed once."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.size = len(leaves)
        self._levels = [leaves]
        while len(below := self._levels[-1]) > 1:
            self._levels.append([node(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])

    def root(self, size: int | None = None) -> bytes:
        """Returns the root over the first `size` leaves, or over all."""
        size = self.size if size is None else size
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Returns the siblings from the leaf upward (RFC 6962, 2.1.1). Raises IndexError outside the tree."""
        size = self.size if size is None else size
        if not 0 <= index < size <= self.size:
            raise IndexError(f"no leaf {index} in a tree of {size}")
        proof: list[bytes] = []
        low, high = 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                proof.append(self._range(middle, high))
                high = middle
            else:
                proof.append(self._range(low, middle))
                low = middle
        proof.reverse()
        return proof

    def consistency(self, old_size: int, size: int | None = None) -> list[bytes]:
        """Returns the proof that the first `old_size` leaves are a prefix (RFC 6962, 2.1.2). Raises IndexError."""
        size = self.size if size is None else size
        if not 0 <= old_size <= size <= self.size:
            raise IndexError(f"no tree of {old_size} within one of {size}")
        if old_size in {0, size}:
            return []
        proof: list[bytes] = []
        low, high, whole = 0, size, True
        while old_size != high:
            middle = low + _split(high - low)
            if old_size <= middle:
                proof.append(self._range(middle, high))
                high = middle
            else:
                proof.append(self._range(low, middle))
                low, whole = middle, False
        if not whole:
            proof.append(self._range(low, high))
        proof.reverse()
        return proof

    def _range(self, low: int, high: int) -> bytes:
        width = high - low
        if width.bit_count() == 1:
            level = width.bit_length() - 1
            return self._levels[level][low >> level]
        middle = low + _split(width)
        return node(self._range(low, middle), self._range(middle, high))


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Returns the root that the proof leads to. Raises ValueError when index, size and length do not fit together."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    if len(proof) != inner + border:
        raise ValueError(f"a proof for leaf {index} of {size} has {inner + border} hashes, not {len(proof)}")
    found = leaf
    for level, sibling in enumerate(proof[:inner]):
        found = node(sibling, found) if index >> level & 1 else node(found, sibling)
    for sibling in proof[inner:]:
        found = node(sibling, found)
    return found


def is_consistent(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Returns whether the proof shows that the older tree is a prefix of the newer one (RFC 9162, 2.1.4.2)."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == 0:
        return old_root == EMPTY_ROOT and not proof
    if old_size == new_size:
        return old_root == new_root and not proof
    hashes = list(proof)
    if old_size.bit_count() == 1:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    left, right = old_size - 1, new_size - 1
    while left & 1:
        left, right = left >> 1, right >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if right == 0:
            return False
        if left & 1 or left == right:
            old, new = node(sibling, old), node(sibling, new)
            while not left & 1 and left:
                left, right = left >> 1, right >> 1
        else:
            new = node(new, sibling)
        left, right = left >> 1, right >> 1
    return right == 0 and old == old_root and new == new_root


def _split(size: int) -> int:
    """Returns the largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1
