"""Publishers: where signed checkpoints go so that a database administrator cannot take them back.

One Protocol with two implementations: a directory and standard output. They move notes and do not judge them.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TextIO

from iamroles.audit import checkpoint, generations


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
        """Returns the newest note of the newest generation, or None if there is none or this publisher cannot be read.

        Raises NotPublished.
        """
        ...


class FilePublisher:
    """One new file per size in a directory, and `latest.note` with the newest of them.

    Each generation after the first has a folder of its own in it, `generation-2` and so on.
    """

    name = "file"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def publish(self, note: str) -> str:
        """Writes the note once; another note for the same size raises NotPublished("conflict")."""
        said = checkpoint.read(note)
        path = self._folder(generations.number(said.origin)) / f"{said.size:012d}.note"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._create(path, note):
                existing = path.read_text(encoding="utf-8")
                if checkpoint.read(existing) != said:
                    raise NotPublished("conflict", f"{path} holds another root for this size")
            self._replace_latest(path.with_name("latest.note"), note)
        except OSError as error:
            raise NotPublished("unwritable", f"{path} cannot be written: {error.strerror}") from error
        return str(path.relative_to(self._directory))

    def latest(self) -> str | None:
        """Returns the contents of the newest `latest.note`; one that is no note counts as the newest."""
        found = [note for folder in self._folders() if (note := self._read(folder / "latest.note")) is not None]
        return max(found, key=_age, default=None)

    def at(self, size: int, generation: int = 1) -> str | None:
        """Returns the note of this size, if it was published here."""
        return self._read(self._folder(generation) / f"{size:012d}.note")

    def notes(self) -> list[str]:
        """Returns all notes of all generations, ascending, and the newest of each once more."""
        paths = [path for folder in self._folders() for path in sorted(folder.glob("*.note"))]
        return [note for path in paths if (note := self._read(path)) is not None]

    def _folder(self, generation: int) -> Path:
        return self._directory if generation < 2 else self._directory / f"generation-{generation}"

    def _folders(self) -> Iterator[Path]:
        yield self._directory
        yield from sorted(self._directory.glob("generation-*"))

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

    def _replace_latest(self, path: Path, note: str) -> None:
        newest = self._read(path)
        if newest is not None and _age(newest) > _age(note):
            return
        new = path.with_name(f"latest.{secrets.token_hex(4)}.new")
        _write(new, note)
        new.replace(path)


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


def _age(note: str) -> tuple[float, int]:
    try:
        said = checkpoint.read(note)
    except checkpoint.BadNote:
        return float("inf"), 0
    return generations.number(said.origin), said.size


def _write(path: Path, note: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(note.encode())
        file.flush()
        os.fsync(file.fileno())
