"""What every page needs and no view should think of: response headers, and texts that the database can store.

A text with a control character is refused at the door, with its place named; no form, filter or verb meets one.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from iamroles.models.requests import ProposalChanged

_log = structlog.get_logger(__name__)


class ProposalChangedPage:
    """A proposal that was changed in the database is shown by no page: the person is told, the log alarms."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answers 409 for a changed proposal and leaves every other error alone."""
        if not isinstance(error, ProposalChanged):
            return None
        _log.error("proposal_changed", path=request.path, alarm=True)
        context = {"reason": f"{error} Nothing of it can be approved or applied. Tell an operator."}
        return render(request, "409.html", context, status=409)


class VaryOnHtmx:
    """A pushed address answers a fragment or a page: caches must tell them apart. Signed-in pages are not stored."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        patch_vary_headers(response, ("HX-Request",))
        if request.user.is_authenticated and not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-store"
        return response


class RefuseControlCharacters:
    """Answers 400 to a posted or queried text with a control character other than tab and line ends.

    PostgreSQL stores no U+0000, and IAM takes none of the others. A view without CSRF protection reads no form.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], arguments: Any, named: Any
    ) -> HttpResponse | None:
        """Returns the refusal, or None to go on. Runs after the CSRF check, before the view."""
        found = control_character(request.GET)
        if not found and request.method == "POST" and not getattr(view, "csrf_exempt", False):
            found = control_character(request.POST)
        if not found:
            return None
        reason = f"This text contains a character that cannot be stored (U+{ord(found):04X}). Nothing was stored."
        return render(request, "400.html", {"reason": reason}, status=400)


def control_character(values: QueryDict) -> str:
    """Returns the first control character of names and values that is no tab or line end, or ""."""
    for name, texts in values.lists():
        for text in (name, *map(str, texts)):
            for character in text:
                if character not in _LINES_AND_TABS and unicodedata.category(character) == "Cc":
                    return character
    return ""
