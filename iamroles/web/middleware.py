"""Response headers that every page needs and no view should think of."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from iamroles import correlation
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


class Correlation:
    """Everything that follows from this call carries one id, of the proxy in front or fresh. The answer has it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = correlation.taken(request.headers.get(correlation.HEADER, ""))
        with correlation.bound(given):
            response = self.get_response(request)
        response[correlation.HEADER] = given
        return response


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
