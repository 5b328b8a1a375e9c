"""The proof that one event is in the trail, in the form of a C2SP tlog-proof. Spelling only; `verify_files` decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from iamroles.audit import checkpoint, merkle

_HEADER: Final = "c2sp.org/tlog-proof@v1"


def write(index: int, hashes: Sequence[bytes], note: str) -> str:
    """Returns a C2SP tlog-proof: header, index, the siblings from the leaf upward, an empty line, the checkpoint."""
    siblings = "".join(f"{checkpoint.encode(value)}\n" for value in hashes)
    return f"{_HEADER}\nindex {index}\n{siblings}\n{note}"


def read(text: str) -> tuple[int, list[bytes], str]:
    """Returns index, siblings and note of a tlog-proof. Raises ValueError when it is not well formed."""
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != _HEADER or len(lines) < 2 or not lines[1].startswith("index "):
        raise ValueError("it does not begin with header and index")
    digits = lines[1].removeprefix("index ")
    if not digits.isascii() or not digits.isdigit() or str(int(digits)) != digits:
        raise ValueError("the index is no number")
    hashes = [checkpoint.decode(line) for line in lines[2:]]
    if any(len(value) != merkle.HASH_BYTES for value in hashes):
        raise ValueError("a hash is not 32 bytes")
    return int(digits), hashes, note
