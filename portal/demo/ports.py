"""Ports on loopback: is one free, and if not, who holds it. Reads /proc; elsewhere the holder stays unnamed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

HOST = "127.0.0.1"
_LISTENING = "0A"


class PortTaken(Exception):
    """The port cannot be listened on; the text says who holds it and how to take another."""


def is_free(port: int) -> bool:
    """Returns True if a server may listen on the loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """Returns the preferred port if it is free, else one that the system picks."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def require_free(port: int) -> None:
    """Raises `PortTaken` with the holder's process id and command, and a port that is free."""
    if is_free(port):
        return
    found = holder(port)
    who = f"process {found[0]} ({found[1]})" if found else "another process"
    other = next((candidate for candidate in range(port + 1, 65536) if is_free(candidate)), 0) or free_port()
    raise PortTaken(f"Port {port} is in use by {who}. Take another: make demo PORT={other}")


def holder(port: int, proc: Path = Path("/proc")) -> tuple[int, str] | None:
    """Returns the process id and command line of who listens on the port, or None if that cannot be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port, proc)}
    if not sockets:
        return None
    for folder in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        if sockets & set(_open_files(folder)):
            return int(folder.name), _command(folder)
    return None


def _listening_inodes(port: int, proc: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in (line.split() for line in lines):
            if fields[3] == _LISTENING and int(fields[1].rsplit(":", 1)[1], 16) == port:
                yield fields[9]


def _open_files(folder: Path) -> Iterator[str]:
    try:
        names = os.listdir(folder / "fd")
    except OSError:  # ended meanwhile, or somebody else's
        return
    for name in names:
        try:
            yield os.readlink(folder / "fd" / name)
        except OSError:  # closed meanwhile
            continue


def _command(folder: Path) -> str:
    words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    text = " ".join(word for word in words if word)
    return text if len(text) <= 80 else text[:79] + "…"
