"""Checkpoints: size and root of the trail as a C2SP signed note with Ed25519 signatures.

Writing and reading of notes and verifier keys; files of keys are in `keys`. Whether a root is *right* is decided by
`seal` and `verify`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from iamroles.audit import generations

_ED25519: Final = b"\x01"  # the signature type of the C2SP signed-note specification
_DASH: Final = "\u2014 "
_NAME: Final = re.compile(r"[^\s+]+")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")


class BadNote(ValueError):
    """The note is not well formed, of another origin, or carries a wrong signature of a known key."""


class UnknownKey(BadNote):
    """No key that we know signed the note: nothing can be said about it."""


class BadKey(ValueError):
    """The key file or verifier key cannot be used. The message says why."""


@dataclass(frozen=True)
class VerifierKey:
    """A public key with the name it signs under; a revoked one counts for checkpoints up to `last_size` alone.

    `inherits` says that it also counts for later generations of the trail, as our own do; an auditor is given each.
    """

    name: str
    public: bytes
    last_size: int | None = None
    inherits: bool = field(default=False, compare=False)

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256 of name, newline, 0x01 and the public key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"


@dataclass(frozen=True)
class SigningKey:
    """A private key with the name it signs under, the origin of the trail, and until when, if it was rotated."""

    name: str
    private: Ed25519PrivateKey
    until: datetime | None = None

    def signs_at(self, at: datetime) -> bool:
        """Returns False once the time is over that an older key signs beside the one that followed it."""
        return self.until is None or at < self.until

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


@dataclass(frozen=True)
class Checkpoint:
    """What a note says: the trail named `origin` has `size` leaves and this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Returns the signed text, with its last newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def known_for(keys: Sequence[VerifierKey], origin: str) -> list[VerifierKey]:
    """Returns the keys that count for notes of this origin, those that inherit it under its name."""
    trail, now = generations.split(origin)
    named = [(key, *generations.split(key.name)) for key in keys]
    heirs = [
        VerifierKey(origin, key.public)
        for key, of, began in named
        if key.inherits
        and of == trail
        and began < now
        and key.last_size is None
        and not any(other.public == key.public and began < later <= now for other, _, later in named)
    ]
    return [*(key for key in keys if key.name == origin), *heirs]


def sign(checkpoint: Checkpoint, keys: Sequence[SigningKey]) -> str:
    """Returns the note: text, an empty line, one signature line per key. Raises BadKey for a key of another name."""
    text = checkpoint.text()
    lines = []
    for key in keys:
        if key.name != checkpoint.origin:
            raise BadKey(f"the key signs as {key.name}, not as {checkpoint.origin}")
        signature = key.private.sign(text.encode())
        lines.append(f"{_DASH}{key.name} {base64.b64encode(key.verifier.key_id + signature).decode()}\n")
    return f"{text}\n{''.join(lines)}"


def read(note: str) -> Checkpoint:
    """Returns what an **unchecked** note says. Raises BadNote when it is not well formed."""
    text, _ = _split(note)
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise BadNote("the text of the note is not three lines: origin, size, root")
    origin, size, encoded = lines[:3]
    if not _NAME.fullmatch(origin) or not _SIZE.fullmatch(size):
        raise BadNote("origin or size of the note is not well formed")
    root = decode(encoded)
    if len(root) != 32:
        raise BadNote("the root of the note is not 32 bytes")
    return Checkpoint(origin, int(size), root)


def signers(note: str) -> list[bytes]:
    """Returns the key ids of an **unchecked** note, in order. Raises BadNote."""
    return [key_id for _, key_id, _ in _split(note)[1]]


def verify(note: str, keys: Iterable[VerifierKey], *, origin: str | None = None) -> Checkpoint:
    """Returns what the note says once a known key is found to have signed it.

    Raises UnknownKey when none of `keys` signed, BadNote when one did so wrongly or the origin is another. Signatures
    of unknown keys are ignored.
    """
    checkpoint = read(note)
    if origin is not None and checkpoint.origin != origin:
        raise BadNote(f"the note is of {checkpoint.origin}, not of {origin}")
    text, signatures = _split(note)
    known = {(key.name, key.key_id): key for key in known_for(list(keys), checkpoint.origin)}
    good = 0
    for name, key_id, signature in signatures:
        key = known.get((name, key_id))
        if key is None or name != checkpoint.origin:
            continue
        if key.last_size is not None and checkpoint.size > key.last_size:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
        except InvalidSignature:
            raise BadNote(f"the signature of {name} (key {key_id.hex()}) is wrong") from None
        good += 1
    if not good:
        raise UnknownKey("none of the known keys signed the note")
    return checkpoint


def read_vkey(text: str) -> VerifierKey:
    """Returns the key that a vkey spells. Raises BadKey."""
    parts = text.strip().split("+", 2)
    try:
        name, key_id, encoded = parts
        decoded = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadKey("a verifier key reads name+key id+base64") from error
    if len(decoded) != 33 or decoded[:1] != _ED25519:
        raise BadKey("the verifier key is no Ed25519 key")
    key = VerifierKey(name, decoded[1:])
    if key.key_id.hex() != key_id:
        raise BadKey("the key id does not fit the verifier key")
    return key


def _split(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    head, separator, tail = note.partition("\n\n")
    if not separator or "\r" in note or not tail.endswith("\n"):
        raise BadNote("the note has no text, empty line and signature lines")
    signatures = []
    for line in tail[:-1].split("\n"):
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space or not _NAME.fullmatch(name):
            raise BadNote("a signature line of the note is not well formed")
        decoded = decode(encoded)
        if len(decoded) < 5:
            raise BadNote("a signature of the note is too short")
        signatures.append((name, decoded[:4], decoded[4:]))
    return head + "\n", signatures


def encode(value: bytes) -> str:
    """Returns canonical base64."""
    return base64.b64encode(value).decode()


def decode(encoded: str) -> bytes:
    """Returns the bytes. Raises BadNote for anything but canonical base64."""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadNote("this is no base64") from error
    if base64.b64encode(decoded).decode() != encoded:
        raise BadNote("this base64 is not spelled canonically")
    return decoded
