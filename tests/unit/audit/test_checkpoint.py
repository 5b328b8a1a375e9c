"""Signed notes: their exact bytes, and everything that may not pass as one."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from iamroles.audit import checkpoint, keys
from iamroles.audit.checkpoint import BadKey, BadNote, Checkpoint, SigningKey, UnknownKey, VerifierKey

# The example of the Go package golang.org/x/mod/sumdb/note: vkey, text and signature are published there.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ORIGIN = "test.example/audit/1"
KEY = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
SAID = Checkpoint(ORIGIN, 1204, b"r" * 32)
NOTE = checkpoint.sign(SAID, [KEY])


class TestKeys:
    def test_reads_and_writes_a_published_vkey(self) -> None:
        key = checkpoint.read_vkey(PETER)
        assert (key.name, key.key_id.hex(), str(key)) == ("PeterNeumann", "c74f20a3", PETER)

    def test_verifies_a_published_signature(self) -> None:
        text, line = PETER_NOTE.split("\n\n")
        signature = base64.b64decode(line.split(" ")[2])
        key = checkpoint.read_vkey(PETER)
        assert signature[:4] == key.key_id
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        Ed25519PublicKey.from_public_bytes(key.public).verify(signature[4:], f"{text}\n".encode())

    @pytest.mark.parametrize(
        "text",
        ["", "a+b", PETER.replace("c74f20a3", "c74f20a4"), PETER[:-4], PETER.replace("+AR", "+BR"), "a+00+####"],
    )
    def test_refuses_a_damaged_vkey(self, text: str) -> None:
        with pytest.raises(BadKey):
            checkpoint.read_vkey(text)

    def test_makes_a_key_once_and_for_its_owner_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "keys" / "audit.key"
        first, second = keys.ensure(path, ORIGIN), keys.ensure(path, ORIGIN)
        assert first.verifier == second.verifier
        assert (path.stat().st_mode & 0o777, (tmp_path / "keys" / "audit.vkeys").read_text()) == (
            0o600,
            f"{first.verifier}\n",
        )

    def test_says_what_is_wrong_with_a_key_file(self, tmp_path: Path) -> None:
        with pytest.raises(BadKey, match="cannot be read: No such file"):
            keys.load(tmp_path / "none", ORIGIN)
        (tmp_path / "text").write_text("no key")
        with pytest.raises(BadKey, match="is no PEM private key"):
            keys.load(tmp_path / "text", ORIGIN)


class TestNote:
    def test_writes_exactly_these_lines(self) -> None:
        text = f"{ORIGIN}\n1204\n{base64.b64encode(b'r' * 32).decode()}\n"
        signature = KEY.verifier.key_id + KEY.private.sign(text.encode())
        assert f"{text}\n\u2014 {ORIGIN} {base64.b64encode(signature).decode()}\n" == NOTE

    def test_reads_back_what_it_signed(self) -> None:
        assert checkpoint.verify(NOTE, [KEY.verifier], origin=ORIGIN) == SAID

    def test_ignores_unknown_keys_beside_a_known_one(self) -> None:
        both = checkpoint.sign(SAID, [OTHER, KEY])
        assert checkpoint.verify(both, [KEY.verifier]) == SAID
        assert checkpoint.verify(both, [OTHER.verifier, KEY.verifier]) == SAID

    def test_cannot_tell_when_no_known_key_signed(self) -> None:
        with pytest.raises(UnknownKey):
            checkpoint.verify(NOTE, [OTHER.verifier])

    def test_refuses_one_wrong_signature_beside_a_right_one(self) -> None:
        mixed = (
            checkpoint.sign(SAID, [KEY])
            + checkpoint.sign(Checkpoint(ORIGIN, 1205, SAID.root), [OTHER]).split("\n\n")[1]
        )
        with pytest.raises(BadNote, match="is wrong"):
            checkpoint.verify(mixed, [KEY.verifier, OTHER.verifier])

    def test_refuses_another_origin_and_another_generation(self) -> None:
        with pytest.raises(BadNote, match=r"not of test\.example/audit/2"):
            checkpoint.verify(NOTE, [KEY.verifier], origin="test.example/audit/2")
        elsewhere = SigningKey("other.example/audit/1", KEY.private)
        note = checkpoint.sign(Checkpoint(elsewhere.name, 1, b"r" * 32), [elsewhere])
        with pytest.raises(UnknownKey):
            checkpoint.verify(note, [KEY.verifier])

    @pytest.mark.parametrize(
        "note",
        [
            "",
            NOTE.replace("\n1204\n", "\n1205\n"),
            NOTE.replace("\n1204\n", "\n01204\n"),
            NOTE.replace("\n1204\n", "\n+1204\n"),
            NOTE.replace("\n1204\n", "\n1204\nextra\n"),
            NOTE.replace("\n", "\r\n"),
            NOTE.replace("\n\n", "\n"),
            NOTE.replace("\u2014", "-"),
            NOTE[:-1],
            NOTE + "\n",
            NOTE + "more\n",
            NOTE.replace("cnJycnI=", "cnJycnJy"),
            NOTE.replace("=\n\n", "\n\n"),
        ],
    )
    def test_refuses(self, note: str) -> None:
        assert note != NOTE
        with pytest.raises(BadNote) as refused:
            checkpoint.verify(note, [KEY.verifier])
        assert not isinstance(refused.value, UnknownKey)

    def test_refuses_every_note_with_one_byte_changed(self) -> None:
        written = NOTE.encode()
        for place in range(len(written)):
            changed = bytearray(written)
            changed[place] ^= 0x01
            with pytest.raises((BadNote, UnicodeDecodeError)):
                checkpoint.verify(changed.decode(), [KEY.verifier], origin=ORIGIN)

    def test_refuses_to_sign_under_another_name(self) -> None:
        with pytest.raises(BadKey, match="signs as"):
            checkpoint.sign(Checkpoint("other", 1, b"r" * 32), [KEY])


def test_a_verifier_key_is_a_value() -> None:
    assert VerifierKey("a", b"k" * 32) == VerifierKey("a", b"k" * 32) != VerifierKey("b", b"k" * 32)
