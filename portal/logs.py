"""Logging through structlog: one line an entry, control characters escaped, names that look like secrets masked."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_WORDS = ("password", "secret", "token", "credential", "authorization", "cookie", "session_key", "external_id")
_LINK = re.compile(r"((?<!/accounts)/invited/[^/\s]+/)[^/\s?\"]+|(/login/callback/\?)[^\s\"]+")


def hide_links(text: str) -> str:
    """Returns the text without the tokens of invitations and the identity provider's codes.

    Until an invitation is used, its link makes anybody that person.
    """
    return _LINK.sub(r"\1\2[masked]", text)


def mask_secrets(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces the value of every key whose name contains a secret's word, and the token in every link."""
    for key, value in entry.items():
        if isinstance(value, str):
            entry[key] = hide_links(value)
        if any(word in key.lower() for word in _SECRET_WORDS):
            entry[key] = "[masked]"
    return entry


def one_line(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escapes control characters, so that a name cannot begin a line of its own or colour a terminal."""
    for key, value in entry.items():
        if isinstance(value, str) and key not in ("exception", "stack"):
            entry[key] = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in value)
    return entry


def configure(*, json: bool) -> None:
    """Sends structlog's and the standard library's entries to stderr, as JSON or as readable text."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
        one_line,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("botocore").setLevel(logging.WARNING)
