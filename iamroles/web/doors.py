"""The doors that everything sent passes: what is too long to read, and what the database cannot store, is refused
before a form, filter or verb meets it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

# Unicode's control characters but tab, line feed and carriage return; and half characters, which a form's charset may
# smuggle in.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


_DIGITS = 20  # of a length that is still read as a number


class RefuseLongBodies:
    """Answers 413 to a body of more than DATA_UPLOAD_MAX_MEMORY_SIZE bytes, unread: no form of ours needs a tenth.

    Django's own limit does not count files, which it would write to disk; no form takes one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length, limit = request.META.get("CONTENT_LENGTH") or "0", settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        digits = length.lstrip("0") or "0"
        if not (digits.isascii() and digits.isdigit()) or len(digits) > _DIGITS or int(digits) > limit:
            reason = f"What was sent is longer than {limit:,} bytes. Nothing was stored."
            return render(request, "400.html", {"reason": reason, "code": 413}, status=413)
        return self.get_response(request)


class RefuseControlCharacters:
    """Answers 400 to a posted or queried text with a control character other than tab and line ends.

    PostgreSQL stores no U+0000, and IAM takes none of the others.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], arguments: Any, named: Any
    ) -> HttpResponse | None:
        """Returns the refusal, or None to go on. Runs after the CSRF check, before the view."""
        found = control_character(request.GET) or control_character(request.POST)
        if not found:
            return None
        reason = f"This text contains a character that cannot be stored (U+{ord(found):04X}). Nothing was stored."
        return render(request, "400.html", {"reason": reason}, status=400)


def control_character(values: QueryDict) -> str:
    """Returns the first control character of names and values that is no tab or line end, or ""."""
    for name, texts in values.lists():
        for text in (name, *map(str, texts)):
            if found := _CONTROL.search(text):
                return found[0]
    return ""
