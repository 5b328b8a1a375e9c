"""The demo's mail: files in `var/mail/`, read back for one page."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LISTED: Final = 20
_BETWEEN: Final = b"\n" + b"-" * 79 + b"\n"  # as Django's file backend writes it


@dataclass(frozen=True)
class Mail:
    """One mail as it was sent; `text` is its plain part."""

    subject: str
    to: str
    date: str
    text: str


def newest(folder: Path) -> list[Mail]:
    """Returns the newest mails, at most 20, newest first; none while the folder does not exist."""
    files = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime_ns, reverse=True)[:LISTED]
    texts = [part for path in files for part in reversed(path.read_bytes().split(_BETWEEN)) if part.strip()]
    return [_read(text) for text in texts[:LISTED]]


def _read(text: bytes) -> Mail:
    message = email.message_from_bytes(text.lstrip(), policy=email.policy.default)
    body = message.get_body(("plain",))
    return Mail(
        subject=str(message["Subject"] or ""),
        to=str(message["To"] or ""),
        date=str(message["Date"] or ""),
        text=body.get_content() if body else "",
    )
