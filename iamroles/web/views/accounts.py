"""Operators' pages of AWS accounts: the list, one account, ordering a test of the connection or a scan."""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from iamroles import permissions
from iamroles.models.looks import CHECK, SCAN
from iamroles.pages import accounts as pages
from iamroles.web.caller import actor_of, user_of
from iamroles.web.once import once
from iamroles.web.reading import refuse_look
from iamroles.workflow import look

NO_CONTENT = 204


@login_required
@require_safe
def account_list(request: HttpRequest) -> HttpResponse:
    """Every AWS account with its last test and its last scan."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_operations", allowed)
    return render(request, "iamroles/account_list.html", {"rows": pages.accounts()})


@login_required
@require_safe
def account_detail(request: HttpRequest, number: str) -> HttpResponse:
    """One AWS account; its polled part asks again until a worker has answered, and waiting costs 204."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_operations", allowed)
    row = pages.account_row(number)
    if row is None:
        raise Http404
    if request.headers.get("HX-Request"):
        if row.connection is None or row.connection.waits:
            return HttpResponse(status=NO_CONTENT)
        return render(request, "iamroles/_account_connection.html", {"row": row})
    context = {"row": row, "rules": pages.rules_of_accounts(number)[row.account]}
    return render(request, "iamroles/account_detail.html", context)


@login_required
@require_POST
def account_look(request: HttpRequest, number: str) -> HttpResponse:
    """Orders a test of the connection, or a scan, and leads back to the page that shows the answer."""
    user = user_of(request)
    allowed = permissions.may_operate(user)
    if not allowed.allowed:
        return refuse_look(request, "order_look", allowed)
    row = pages.account_row(number)
    if row is None:
        raise Http404
    kind = SCAN if request.POST.get("kind") == SCAN else CHECK

    def order() -> str:
        look.order_look(account=row.account, kind=kind, user=user, actor=actor_of(request), at=datetime.now(UTC))
        return reverse("account_detail", args=[number])

    return once(request, user, order)
