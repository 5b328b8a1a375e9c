"""The health page, for operators. Repairing has commands; this page says which."""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from iamroles import permissions
from iamroles.pages import operations as operations_pages
from iamroles.web.caller import user_of
from iamroles.web.reading import refuse_look


@login_required
@require_safe
def operations_health(request: HttpRequest) -> HttpResponse:
    """Shows whether database, workers, waiting work and sealing are well."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_operations", allowed)
    at = datetime.now(UTC)
    return render(request, "iamroles/operations_health.html", {"health": operations_pages.health(at), "at": at})
