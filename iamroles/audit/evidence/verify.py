#!/usr/bin/env python3
"""Checks evidence from a Roledesk audit trail with nothing but Python 3.10 or newer: no network, no other packages.

    python verify.py BUNDLE.zip --key VKEY [--older NOTE]
    python verify.py --export FILE --checkpoint NOTE --key VKEY [--older NOTE] [--selection]

VKEY is the verifier key that you were given by another channel, or a file with one a line. NOTE is a checkpoint that
you kept. Exit 0: fine. 1: tampered. 2: cannot tell. It shares no code with the portal and must give the same answers.

What it cannot find: an event that was untrue when recorded; events newer than the checkpoint; events that a selection
leaves out; forgeries by somebody who holds the signing key.
"""

# ruff: noqa: T201  (it talks to a terminal)

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

Point = tuple[int, int, int, int]
Keys = dict[tuple[str, bytes], bytes]  # (name, key id): public key
Note = tuple[str, int, bytes]  # origin, size, root
Fork = tuple[int, int, int, int, str]  # seq, generation before, generation after, size before the restore, trail

# --- Ed25519 in plain integers (RFC 8032, 5.1); verification needs no protection against timing ---

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(a: Point, b: Point) -> Point:
    """Returns the sum of two points in extended coordinates."""
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e = (y1 - x1) * (y2 - x2) % P
    f = (y1 + x1) * (y2 + x2) % P
    g = 2 * t1 * t2 * D % P
    h = 2 * z1 * z2 % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(factor: int, point: Point) -> Point:
    """Returns the multiple of a point."""
    result = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            result = add(result, point)
        point = add(point, point)
        factor >>= 1
    return result


def same(a: Point, b: Point) -> bool:
    """Returns whether two points are one."""
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def read_point(encoded: bytes) -> Point | None:
    """Returns the point of 32 bytes, or None for what is no point or not in its one spelling."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def base_point() -> Point:
    """Returns the point with y = 4/5 and even x."""
    point = read_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    if point is None:
        raise ArithmeticError("this Python does not calculate")
    return point


BASE = base_point()


def is_signature(public: bytes, message: bytes, signature: bytes) -> bool:
    """Returns whether the 64 bytes are the key's signature of the message."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, commitment = read_point(public), read_point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= L:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return same(multiply(scalar, BASE), add(commitment, multiply(challenge, key)))


# --- the answers ---


class Tampered(Exception):
    """Proof that something was changed."""


class CannotTell(Exception):
    """Something is missing or unreadable, so that nothing can be said."""


def decode(text: str) -> bytes:
    """Returns the bytes of canonical base64; raises ValueError."""
    value = base64.b64decode(text, validate=True)
    if base64.b64encode(value).decode() != text:
        raise ValueError("base64 in another spelling")
    return value


# --- signed notes ---


def read_keys(text: str) -> Keys:
    """Returns {(name, key id): public key} of verifier keys, one a line."""
    keys = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        try:
            name, key_id, encoded = line.split("+", 2)
            value = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise CannotTell("the verifier key is not well formed") from None
        digest = hashlib.sha256(name.encode() + b"\n" + value).digest()[:4]
        if len(value) != 33 or value[0] != 1 or digest.hex() != key_id:
            raise CannotTell("the verifier key is not well formed")
        keys[name, digest] = value[1:]
    if not keys:
        raise CannotTell("there is no verifier key")
    return keys


def read_note(note: str, keys: Keys, what: str) -> Note:
    """Returns origin, size and root of a note that one of the keys signed."""
    text, gap, rest = note.partition("\n\n")
    lines = text.split("\n")
    if not gap or len(lines) != 3 or not rest.endswith("\n") or "\r" in note:
        raise Tampered(f"{what} is not well formed")
    origin, size, encoded = lines
    try:
        root = decode(encoded)
    except ValueError:
        root = b""
    plain = size.isascii() and size.isdigit() and len(size) < 17 and str(int(size)) == size
    if not origin or "+" in origin or len(origin.split()) != 1 or origin.split()[0] != origin:
        raise Tampered(f"{what} is not well formed")
    if not plain or len(root) != 32:
        raise Tampered(f"{what} is not well formed")
    if not any(name == origin for name, _ in keys):
        raise Tampered(f"{what} is of {origin}, which is none of your keys' names")
    good = 0
    for line in rest[:-1].split("\n"):
        name, space, encoded = line[2:].partition(" ")
        try:
            signature = decode(encoded)
        except ValueError:
            signature = b""
        named = "+" not in name and name.split() == [name]
        if not line.startswith("\u2014 ") or not space or not named or len(signature) < 5:
            raise Tampered(f"{what} is not well formed")
        public = keys.get((name, signature[:4]))
        if public is None or name != origin:
            continue
        if not is_signature(public, text.encode() + b"\n", signature[4:]):
            raise Tampered(f"{what} has a wrong signature")
        good += 1
    if not good:
        raise CannotTell(f"{what} is signed by none of your keys")
    return origin, int(size), root


# --- the Merkle tree (RFC 6962, 2.1) ---


def leaf_hash(line: bytes) -> bytes:
    """Returns the leaf of an event's bytes."""
    return hashlib.sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the node over two hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaves: list[bytes]) -> bytes:
    """Returns the root over all leaves, level by level: an odd last one moves up as it is."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        above = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def included_root(leaf: bytes, index: int, size: int, hashes: list[bytes]) -> bytes | None:
    """Returns the root that an inclusion proof leads to, or None if it does not fit (RFC 9162, 2.1.3.2)."""
    if index < 0 or index >= size:
        return None
    number, last, found = index, size - 1, leaf
    for sibling in hashes:
        if last == 0:
            return None
        if number & 1 or number == last:
            found = node_hash(sibling, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        number, last = number >> 1, last >> 1
    return found if last == 0 else None


def is_prefix(old_size: int, old_root: bytes, size: int, root: bytes, hashes: list[bytes]) -> bool:
    """Returns whether a consistency proof holds (RFC 9162, 2.1.4.2)."""
    if old_size > size:
        return False
    if old_size == size:
        return old_root == root and not hashes
    if old_size == 0:
        return not hashes
    path = list(hashes)
    if old_size & (old_size - 1) == 0:
        path = [old_root, *path]
    if not path:
        return False
    number, last = old_size - 1, size - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and old == old_root and new == root


# --- exports ---


def split_lines(content: bytes, what: str) -> list[bytes]:
    """Returns the lines of a file whose last line also ends in a newline."""
    if not content:
        return []
    if not content.endswith(b"\n"):
        raise Tampered(f"{what} does not end with a newline")
    return content[:-1].split(b"\n")


def generation_of(origin: str) -> tuple[str, int]:
    """Returns the name of a trail and its generation, the number that its origin ends in."""
    name, _, last = origin.rpartition("/")
    plain = last.isascii() and last.isdigit() and len(last) < 17 and str(int(last)) == last
    return (name, int(last)) if name and plain else (origin, 0)


def read_forks(lines: list[bytes]) -> list[Fork]:
    """Returns the restores from a backup that the events declare, in order: each begins a generation of the trail."""
    forks: list[Fork] = []
    for seq, line in enumerate(lines):
        event = json.loads(line) if b'"action":"audit.forked"' in line else {}
        if event.get("action") != "audit.forked":
            continue
        said = event["data"]
        note = said["last_note"].split("\n")
        (name, last), size = generation_of(note[0]), int(note[1])
        before = forks[-1][2] if forks else said["previous"]
        right = [seq, before, last + 1, size] == [said[k] for k in ("lost_from", "previous", "generation", "lost_to")]
        if not right or last < before or (last == before and size <= seq):
            raise Tampered(f"seq {seq}: the event declares no restore that there can have been")
        forks.append((seq, before, last + 1, size, name))
    return forks


def check_generations(lines: list[bytes], note: Note, older: Note | None) -> None:
    """Checks that the checkpoints are of generations that the events declare, and that no restore lost the older's."""
    name, now = generation_of(note[0])
    forks = read_forks(lines[: note[1]])
    first = forks[0][1] if forks else now
    starts = {first: -1, **{fork[2]: fork[0] for fork in forks}}
    if list(starts)[-1] != now or any(fork[4] != name for fork in forks):
        raise Tampered("the checkpoint is not of the generation that the events declare last")
    if older is None:
        return
    trail, of = generation_of(older[0])
    if trail != name or of > now or of < first or older[1] <= starts.get(of, -1):
        raise Tampered("your older checkpoint is not of a generation that the events declare")
    following = next((fork for fork in forks if fork[1] == of), None)
    if of in starts and (following is None or older[1] <= following[0]):
        return
    if following and following[2] == of + 1 and older[1] > following[3]:
        raise Tampered("your older checkpoint covers more events than there were before the restore that was declared")
    raise CannotTell(f"a declared restore from a backup lost events that your checkpoint of generation {of} covers")


def check_full(lines: list[bytes], note: Note, older: Note | None, index: list[bytes] | None = None) -> None:
    """Checks a full export: line k is the event of seq k."""
    _, size, root = note
    leaves = [leaf_hash(line) for line in lines]
    check_leaves(leaves, size, root, index)
    check_generations(lines, note, older)
    if older and older[1] > size:
        raise Tampered(f"your older checkpoint covers {older[1]} events, the newer one only {size}")
    if older and tree_root(leaves[: older[1]]) != older[2]:
        raise Tampered(f"the first {older[1]} events are not what your older checkpoint covers")
    if len(leaves) > size:
        raise CannotTell(f"{len(leaves) - size} lines after the size of the checkpoint are not covered")


def check_leaves(leaves: list[bytes], size: int, root: bytes, index: list[bytes] | None) -> None:
    """Checks that the first leaves give the signed root; an index that does names the line that differs."""
    if len(leaves) < size:
        raise Tampered(f"the export has {len(leaves)} lines, but the checkpoint covers {size} events")
    if tree_root(leaves[:size]) != root:
        if index and len(index) >= size and tree_root(index[:size]) == root:
            line = next(i for i in range(size) if index[i] != leaves[i])
            raise Tampered(f"line {line + 1} (seq {line}) is not the event that was sealed there")
        raise Tampered(f"the first {size} lines do not give the signed root")


def check_selection(rows: list[tuple[bytes, int, list[bytes]]], size: int, root: bytes) -> None:
    """Checks selected events, each (line, seq, hashes)."""
    before = -1
    for line, seq, hashes in rows:
        if seq <= before:
            raise Tampered(f"seq {seq}: the events are not in the order of sealing")
        if included_root(leaf_hash(line), seq, size, hashes) != root:
            raise Tampered(f"seq {seq}: the event with its proof does not give the signed root")
        before = seq


def check_export(arguments: argparse.Namespace, keys: Keys) -> str:
    """Checks the files of `audit export`."""
    path = arguments.export
    lines = split_lines(path.read_bytes(), path.name)
    note_path = arguments.checkpoint or path.with_name(path.name + ".checkpoint")
    note = read_note(note_path.read_bytes().decode(), keys, "the checkpoint")
    _, size, root = note
    older = read_older(arguments, keys)
    proofs, leaves = path.with_name(path.name + ".proofs"), path.with_name(path.name + ".leaves")
    if arguments.selection:
        places = [line.decode().split(" ") for line in split_lines(proofs.read_bytes(), proofs.name)]
        if len(places) != len(lines):
            raise Tampered("there is not one proof for each line")
        rows = [
            (line, int(seq), [decode(text) for text in hashes])
            for line, (seq, *hashes) in zip(lines, places, strict=True)
        ]
        check_selection(rows, size, root)
        return f"{len(lines)} selected events are in the trail of {size}; whether others were left out cannot be shown"
    if proofs.exists():
        raise CannotTell("this is a selection: use --selection")
    index = [bytes.fromhex(line) for line in leaves.read_text().splitlines()] if leaves.exists() else None
    check_full(lines, note, older, index)
    return f"{size} events are exactly what was sealed"


def read_older(arguments: argparse.Namespace, keys: Keys) -> Note | None:
    """Returns what the checkpoint says that the auditor kept, or None."""
    if not arguments.older:
        return None
    return read_note(arguments.older.read_bytes().decode(), keys, "your older checkpoint")


# --- bundles ---


def open_bundle(path: Path) -> dict[str, bytes]:
    """Returns {name: bytes}; the container must be exactly what its files make."""
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            names = bundle.namelist()
            files = {name: bundle.read(name) for name in names}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError) as error:
        raise Tampered(f"the bundle cannot be opened: {error}") from None
    if pack(files) != content or names != sorted(files):
        raise Tampered("the bundle is not packed as it was made")
    return files


def pack(files: dict[str, bytes]) -> bytes:
    """Returns the zip of the files: sorted, not compressed, without times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            bundle.writestr(entry, files[name])
    return buffer.getvalue()


def check_manifest(files: dict[str, bytes]) -> dict[str, Any]:
    """Returns the manifest once every file is what it says."""
    try:
        manifest: dict[str, Any] = json.loads(files["manifest.json"])
        written = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        listed = {name: (entry["sha256"], entry["length"]) for name, entry in manifest["files"].items()}
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Tampered("manifest.json is missing or not well formed") from None
    if written != files["manifest.json"]:
        raise Tampered("manifest.json is not spelled as it was made")
    found = {name: (hashlib.sha256(body).hexdigest(), len(body)) for name, body in files.items()}
    del found["manifest.json"]
    for name in sorted(set(listed) | set(found)):
        if listed.get(name) != found.get(name):
            raise Tampered(f"{name} is not what the manifest says")
    return manifest


def check_bundle(arguments: argparse.Namespace, keys: Keys) -> str:
    """Checks a bundle as a whole."""
    files = open_bundle(arguments.bundle)
    manifest = check_manifest(files)
    note = files["checkpoint.note"].decode()
    origin, size, root = read_note(note, keys, "the checkpoint")
    lines = split_lines(files["events.jsonl"], "events.jsonl")
    claimed = [manifest.get(name) for name in ("origin", "size", "root", "rows")]
    if claimed != [origin, size, root.hex(), len(lines)]:
        raise Tampered("the manifest does not agree with the checkpoint and the events")
    index = [line.split(" ") for line in files["index.txt"].decode().splitlines()]
    if [leaf_hash(line).hex() for line in lines] != [leaf for _, leaf in index]:
        raise Tampered("index.txt does not agree with the events")
    older = read_older(arguments, keys)
    if manifest["selection"]:
        rows = [(line, int(seq), bundle_proof(files, seq, note)) for line, (seq, _) in zip(lines, index, strict=True)]
        check_selection(rows, size, root)
        check_consistency(files, older, (origin, size, root))
    else:
        check_full(lines, (origin, size, root), older)
    events = [json.loads(line) for line in lines]
    check_documents(files, events)
    check_disclosures(files, events)
    what = "selected events are" if manifest["selection"] else "events are all that were sealed, and are"
    return f"{len(lines)} {what} in the trail of {size}; events.csv is for reading only"


def bundle_proof(files: dict[str, bytes], seq: str, note: str) -> list[bytes]:
    """Returns the hashes of proofs/SEQ.tlog-proof."""
    head, _, rest = files.get(f"proofs/{seq}.tlog-proof", b"").decode().partition("\n\n")
    header, *lines = head.split("\n")
    if header != "c2sp.org/tlog-proof@v1" or not lines or lines[0] != f"index {seq}" or rest != note:
        raise Tampered(f"seq {seq}: its proof is missing or not well formed")
    return [decode(line) for line in lines[1:]]


def check_consistency(files: dict[str, bytes], older: Note | None, note: Note) -> None:
    """Checks that the trail of the bundle continues the one that the auditor's older checkpoint covers."""
    if older is None:
        return
    origin, size, root = note
    (trail, of), (name, now) = generation_of(older[0]), generation_of(origin)
    if trail != name or of > now:
        raise Tampered(f"your older checkpoint is of {older[0]}, the newer one of {origin}")
    if of < now and (older[1] > size or not files.get("consistency.txt")):
        raise CannotTell(f"a restore from a backup lost events of generation {of}: the whole trail says which")
    if older[1] > size:
        raise Tampered(f"your older checkpoint covers {older[1]} events, the newer one only {size}")
    old_size, *hashes = files.get("consistency.txt", b"").decode().splitlines() or ["-"]
    if old_size != str(older[1]):
        raise CannotTell(f"the bundle holds no consistency proof from {older[1]} events")
    if not is_prefix(older[1], older[2], size, root, [decode(text) for text in hashes]):
        raise Tampered("the trail does not continue the one that your older checkpoint covers")


_DECIDED = ("revision.proposed", "approval.given", "request.approved", "request.auto_approved")


def check_documents(files: dict[str, bytes], events: list[dict[str, Any]]) -> None:
    """Checks that each document has the digest that names it, and that every proposal that was decided on is there."""
    found = set()
    for name, body in files.items():
        if name.startswith("documents/"):
            digest = name[len("documents/") :].split(".")[0]
            if hashlib.sha256(body).hexdigest() != digest:
                raise Tampered(f"{name} does not have the digest of its name")
            found.add(digest)
    for event in events:
        if event["action"] in _DECIDED:
            digest = event["data"]["proposal_digest"]
            if digest not in found:
                raise Tampered(f"the proposal {digest} of {event['request']} is not among the documents")


def check_disclosures(files: dict[str, bytes], events: list[dict[str, Any]]) -> None:
    """Checks that each disclosed value is the one that its event is committed to."""
    by_id = {event["id"]: event for event in events}
    for line in split_lines(files["disclosures.jsonl"], "disclosures.jsonl"):
        said = json.loads(line)
        value = by_id.get(said["event"])
        for key in said["path"].split("."):
            value = value.get(key) if isinstance(value, dict) else None
        commit = hashlib.sha256(decode(said["salt"]) + said["value"].encode()).hexdigest()
        if not isinstance(value, dict) or value.get("commit") != commit:
            raise Tampered(f"a disclosed value is not what the event {said['event']} is committed to")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--export", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--older", type=Path)
    parser.add_argument("--key", required=True)
    parser.add_argument("--selection", action="store_true")
    given = parser.parse_args(arguments)
    if bool(given.bundle) == bool(given.export):
        parser.error("give either a bundle or --export")
    try:
        keys = read_keys(Path(given.key).read_text() if "+" not in given.key else given.key)
        said = check_bundle(given, keys) if given.bundle else check_export(given, keys)
    except Tampered as error:
        print(f"TAMPERED: {error}")
        return 1
    except (CannotTell, OSError) as error:
        print(f"CANNOT TELL: {error}")
        return 2
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        print(f"TAMPERED: something is not well formed ({type(error).__name__}: {error})")
        return 1
    print(f"FINE: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
