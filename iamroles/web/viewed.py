"""Which sections of a review page somebody has marked as viewed, kept in the session by what each section says.

A mark is the section's id and a digest of its content, so that it is gone once the section says something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from django.http import HttpRequest

_KEPT: Final = "viewed"
_REQUESTS: Final = 20  # of the last reviewed
_MARKS: Final = 20  # of one request


def keep(request: HttpRequest, request_id: int, marks: Iterable[str]) -> None:
    """Keeps what is marked on a request's page now, in place of what was."""
    kept = {key: value for key, value in request.session.get(_KEPT, {}).items() if key != str(request_id)}
    kept[str(request_id)] = sorted({mark[:80] for mark in marks})[:_MARKS]
    request.session[_KEPT] = dict(list(kept.items())[-_REQUESTS:])


def kept(request: HttpRequest, request_id: int) -> frozenset[str]:
    """Returns the marks of a request's page."""
    return frozenset(request.session.get(_KEPT, {}).get(str(request_id), ()))


def still(marks: Iterable[str], sections: Mapping[str, str]) -> list[str]:
    """Returns the ids of the sections whose mark is among `marks`; `sections` gives the id by today's mark."""
    return sorted({sections[mark] for mark in marks if mark in sections})
