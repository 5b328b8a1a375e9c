"""The tree of RFC 6962 against the vectors of Certificate Transparency and against a definition written out plainly."""

from __future__ import annotations

import hashlib
import random

import pytest

from iamroles.audit import merkle

INPUTS = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [hashlib.sha256(b"\x00" + bytes.fromhex(text)).digest() for text in INPUTS]
MANY = [hashlib.sha256(b"\x00%d" % number).digest() for number in range(70)]


def plain_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + plain_root(leaves[:split]) + plain_root(leaves[split:])).digest()


class TestRoot:
    @pytest.mark.parametrize("size", range(1, 9))
    def test_gives_the_known_roots(self, size: int) -> None:
        assert merkle.root(LEAVES[:size]).hex() == ROOTS[size - 1]

    @pytest.mark.parametrize("size", range(70))
    def test_agrees_with_the_definition_in_all_three_ways(self, size: int) -> None:
        tree = merkle.Frontier()
        tree.extend(MANY[:size])
        expected = plain_root(MANY[:size])
        assert (tree.root(), merkle.Tree(MANY).root(size), merkle.root(MANY[:size])) == (expected,) * 3

    @pytest.mark.parametrize("size", range(70))
    def test_goes_on_from_what_was_stored(self, size: int) -> None:
        tree = merkle.Frontier()
        tree.extend(MANY[:size])
        again = merkle.Frontier.read(size, tree.write())
        again.extend(MANY[size:])
        assert again.root() == plain_root(MANY)

    @pytest.mark.parametrize(("size", "stored"), [(3, b"x" * 32), (1, b"x" * 31), (0, b"x" * 32), (2, b"x" * 64)])
    def test_refuses_peaks_that_do_not_fit(self, size: int, stored: bytes) -> None:
        with pytest.raises(ValueError, match="peaks do not make a tree"):
            merkle.Frontier.read(size, stored)


class TestInclusion:
    def test_proves_every_leaf_of_every_size_and_no_other(self) -> None:
        tree = merkle.Tree(MANY)
        for size in range(1, 70):
            for index in range(size):
                proof = tree.inclusion(index, size)
                assert merkle.root_of_inclusion(MANY[index], index, size, proof) == plain_root(MANY[:size])
                assert merkle.root_of_inclusion(MANY[index + 1], index, size, proof) != plain_root(MANY[:size])

    @pytest.mark.parametrize(("index", "size"), [(8, 8), (-1, 8), (0, 0)])
    def test_refuses_a_place_outside_the_tree(self, index: int, size: int) -> None:
        with pytest.raises(ValueError, match="no leaf"):
            merkle.root_of_inclusion(MANY[0], index, size, [])
        with pytest.raises(IndexError):
            merkle.Tree(MANY).inclusion(index, size)

    def test_refuses_a_proof_of_the_wrong_length(self) -> None:
        proof = merkle.Tree(MANY).inclusion(3, 8)
        for wrong in (proof[:-1], [*proof, MANY[0]]):
            with pytest.raises(ValueError, match="has 3 hashes"):
                merkle.root_of_inclusion(MANY[3], 3, 8, wrong)


class TestConsistency:
    def test_proves_every_pair_of_sizes_and_finds_every_altered_hash(self) -> None:
        tree, draw = merkle.Tree(MANY), random.Random(6962)
        for new in range(1, 66):
            for old in range(new + 1):
                old_root, new_root = plain_root(MANY[:old]), plain_root(MANY[:new])
                proof = tree.consistency(old, new)
                assert merkle.is_consistent(old, new, old_root, new_root, proof)
                assert not merkle.is_consistent(old, new, old_root, new_root, [*proof, MANY[0]])
                assert not merkle.is_consistent(old, new, MANY[69], new_root, proof)
                if proof:
                    assert not merkle.is_consistent(old, new, old_root, new_root, proof[:-1])
                    altered = list(proof)
                    altered[draw.randrange(len(proof))] = MANY[69]
                    assert not merkle.is_consistent(old, new, old_root, new_root, altered)

    def test_refuses_an_older_tree_that_is_larger(self) -> None:
        assert not merkle.is_consistent(5, 4, MANY[0], MANY[1], [])
        with pytest.raises(IndexError):
            merkle.Tree(MANY).consistency(5, 4)
