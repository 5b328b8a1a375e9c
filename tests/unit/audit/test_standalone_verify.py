"""The parts of the bundle's `verify.py`: Ed25519 in plain integers, and trees and notes as the portal reads them."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from iamroles.audit import checkpoint, merkle
from iamroles.audit.checkpoint import BadNote, Checkpoint, SigningKey, UnknownKey
from iamroles.audit.evidence import verify

# RFC 8032, 7.1: public key, message, signature
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
            "655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
            "b00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
            "c027beceea1ec40a"
        ),
    ),
]
ORIGIN = "test.example/audit/1"
KEY = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEYS = verify.read_keys(str(KEY.verifier))


class TestEd25519:
    @pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
    def test_accepts_the_vectors_and_nothing_near_them(self, public: str, message: str, signature: str) -> None:
        key, text, signed = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
        assert verify.is_signature(key, text, signed)
        assert not verify.is_signature(key, text + b"x", signed)
        for place in range(0, 64, 7):
            changed = bytearray(signed)
            changed[place] ^= 1
            assert not verify.is_signature(key, text, bytes(changed))

    def test_refuses_a_second_spelling_of_the_scalar(self) -> None:
        key, text, signed = (bytes.fromhex(part) for part in VECTORS[1])
        scalar = int.from_bytes(signed[32:], "little") + verify.L
        assert not verify.is_signature(key, text, signed[:32] + scalar.to_bytes(32, "little"))

    @pytest.mark.parametrize(
        "encoded",
        [
            (verify.P + 1).to_bytes(32, "little"),  # 1, spelled above the prime
            (1 | 1 << 255).to_bytes(32, "little"),  # x = 0 with a sign
            (2).to_bytes(32, "little"),  # no point of the curve
        ],
    )
    def test_refuses_what_is_no_point_in_its_one_spelling(self, encoded: bytes) -> None:
        assert verify.read_point(encoded) is None

    def test_agrees_with_the_library(self) -> None:
        draw = random.Random(8032)
        for _ in range(10):
            private = Ed25519PrivateKey.from_private_bytes(draw.randbytes(32))
            message = draw.randbytes(draw.randrange(200))
            public = private.public_key().public_bytes_raw()
            assert verify.is_signature(public, message, private.sign(message))
            assert not verify.is_signature(public, message + b"\x00", private.sign(message))


class TestTree:
    def test_agrees_with_the_portal(self) -> None:
        leaves = [hashlib.sha256(b"%d" % number).digest() for number in range(40)]
        tree = merkle.Tree(leaves)
        for size in range(1, 41):
            assert verify.tree_root(leaves[:size]) == tree.root(size)
            for index in range(size):
                hashes = tree.inclusion(index, size)
                assert verify.included_root(leaves[index], index, size, hashes) == tree.root(size)
                assert verify.included_root(leaves[index], index, size, [*hashes, leaves[0]]) is None
            for old in range(1, size + 1):
                hashes = tree.consistency(old, size)
                assert verify.is_prefix(old, tree.root(old), size, tree.root(size), hashes)
                assert not verify.is_prefix(old, leaves[39], size, tree.root(size), hashes) or size == 40
                assert not verify.is_prefix(old, tree.root(old), size, tree.root(size), [*hashes, leaves[0]])


class TestNote:
    def test_reads_what_the_portal_signed(self) -> None:
        note = checkpoint.sign(Checkpoint(ORIGIN, 7, b"r" * 32), [KEY])
        assert verify.read_note(note, KEYS, "it") == (ORIGIN, 7, b"r" * 32)

    def test_gives_the_portals_answer_to_every_note_with_one_byte_changed(self) -> None:
        note = checkpoint.sign(Checkpoint(ORIGIN, 7, b"r" * 32), [KEY]).encode()
        for place in range(len(note)):
            changed = bytearray(note)
            changed[place] ^= 0x02
            try:
                text = changed.decode()
            except UnicodeDecodeError:
                continue
            assert _portal(text) == _standalone(text) != 0, text


def _portal(note: str) -> int:
    try:
        checkpoint.verify(note, [KEY.verifier], origin=ORIGIN)
    except UnknownKey:
        return 2
    except BadNote:
        return 1
    return 0


def _standalone(note: str) -> int:
    try:
        verify.read_note(note, KEYS, "it")
    except verify.CannotTell:
        return 2
    except verify.Tampered:
        return 1
    return 0


def test_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    script = tmp_path / "verify.py"
    script.write_bytes(Path(verify.__file__).read_bytes())
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(script), "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "iamroles" not in script.read_text()
