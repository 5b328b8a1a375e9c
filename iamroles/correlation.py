"""One id for everything that follows from one act: in the browser's answer, on each log line, in events, at AWS.

The web server makes or takes it; `record` puts it into events; a worker finds it again in the request's newest event,
because messages carry a row's id and nothing else.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from structlog.contextvars import bound_contextvars, get_contextvars

HEADER: Final = "X-Request-ID"
_KEY: Final = "correlation"
# It goes into headers, logs and the AWS user agent as it is: no character that could end or begin anything.
_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")


def new() -> str:
    """Returns a fresh id: 16 random hexadecimal digits."""
    return secrets.token_hex(8)


def taken(given: str) -> str:
    """Returns what a proxy in front said, or a fresh id for what is no id."""
    return given if _WELL_FORMED.fullmatch(given) else new()


def current() -> str | None:
    """Returns the id of what is being done, or None outside of any act."""
    found = get_contextvars().get(_KEY)
    return found if isinstance(found, str) else None


@contextmanager
def bound(correlation: str | None) -> Iterator[None]:
    """Everything inside the block has the id; with None nothing changes."""
    with bound_contextvars(**({_KEY: correlation} if correlation else {})):
        yield
