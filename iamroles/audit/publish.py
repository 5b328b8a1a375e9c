"""Publishers: where signed checkpoints go so that a database administrator cannot take them back.

One Protocol with two implementations: a directory and standard output. They move notes and do not judge them.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Protocol, TextIO

from iamroles.audit import checkpoint


class NotPublished(Exception):
    """The publisher could not take or give the note; `code` is for events. It is worth trying again."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class Publisher(Protocol):
    """Takes signed notes and, where it can, gives the newest one back."""

    name: str

    def publish(self, note: str) -> str:
        """Returns a receipt: where the note lies now. Raises NotPublished."""
        ...

    def latest(self) -> str | None:
        """Returns the newest note, or None if there is none or this publisher cannot be read. Raises NotPublished."""
        ...


class FilePublisher:
    """One new file per size in a directory, and `latest.note` with the newest of them."""

    name = "file"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def publish(self, note: str) -> str:
        """Writes the note once; another note for the same size raises NotPublished("conflict")."""
        size = checkpoint.read(note).size
        path = self._directory / f"{size:012d}.note"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            if not self._create(path, note):
                existing = path.read_text(encoding="utf-8")
                if checkpoint.read(existing) != checkpoint.read(note):
                    raise NotPublished("conflict", f"{path} holds another root for this size")
            self._replace_latest(note)
        except OSError as error:
            raise NotPublished("unwritable", f"{path} cannot be written: {error.strerror}") from error
        return path.name

    def latest(self) -> str | None:
        """Returns the contents of `latest.note`."""
        return self._read(self._directory / "latest.note")

    def at(self, size: int) -> str | None:
        """Returns the note of this size, if it was published here."""
        return self._read(self._directory / f"{size:012d}.note")

    def sizes(self) -> list[int]:
        """Returns the sizes of all notes, ascending."""
        return sorted(int(path.stem) for path in self._directory.glob("[0-9]*.note") if path.stem.isdigit())

    @staticmethod
    def _read(path: Path) -> str | None:
        try:
            return path.read_bytes().decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise NotPublished("unreadable", f"{path} cannot be read") from error

    @staticmethod
    def _create(path: Path, note: str) -> bool:
        new = path.with_suffix(f".{secrets.token_hex(4)}.new")
        _write(new, note)
        try:
            os.link(new, path)
        except FileExistsError:
            return False
        finally:
            new.unlink(missing_ok=True)
        return True

    def _replace_latest(self, note: str) -> None:
        newest = self.latest()
        if newest is not None and checkpoint.read(newest).size > checkpoint.read(note).size:
            return
        new = self._directory / f"latest.{secrets.token_hex(4)}.new"
        _write(new, note)
        new.replace(self._directory / "latest.note")


class StdoutPublisher:
    """One line per note on a stream that is collected elsewhere. It cannot be read back."""

    name = "stdout"

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def publish(self, note: str) -> str:
        """Writes the note as one line, its newlines spelled \\n."""
        line = "audit-checkpoint " + note.replace("\n", "\\n")
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise NotPublished("unwritable", "standard output cannot be written") from error
        return "line"

    def latest(self) -> str | None:
        """Returns None: standard output cannot be read back."""
        return None


def _write(path: Path, note: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(note.encode())
        file.flush()
        os.fsync(file.fileno())
