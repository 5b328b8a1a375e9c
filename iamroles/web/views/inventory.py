"""The inventory: the list of managed roles and the page of one; and "Check a role", which only orders a look at AWS.

Nothing is requested and nothing is changed here.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from iamroles import permissions
from iamroles.models import ObservationOrder, Team, User
from iamroles.pages import drafts as draft_pages
from iamroles.pages import inventory as pages
from iamroles.pages import managed, policies
from iamroles.web.caller import actor_of, user_of
from iamroles.web.forms.requests import CheckRoleForm
from iamroles.web.once import once
from iamroles.workflow.check_role import check_role
from iamroles.workflow.verbs import Invalid, NotAllowed

NO_CONTENT = 204


@login_required
@require_safe
def inventory_list(request: HttpRequest) -> HttpResponse:
    """The roles that the person may see; the address is the filter, and the ARN of a role leads to its page."""
    user = user_of(request)
    chosen = managed.read_filter(request.GET.dict())
    found = managed.role_with_arn(user, chosen.text)
    if found is not None:
        return redirect("inventory_role", found.pk)
    query = request.GET.copy()
    query.pop("after", None)
    rest = query.copy()
    rest.pop("tab", None)
    context = {
        "page": managed.list_page(user, chosen),
        "policies": policies.policy_rows(user, chosen),
        "chosen": chosen,
        "query": query.urlencode(),
        "rest": rest.urlencode(),
    }
    return render(request, "iamroles/inventory_list.html", context)


@login_required
@require_safe
def inventory_role(request: HttpRequest, role_id: int) -> HttpResponse:
    """The page of one role. Somebody else's role is not found: its name is nobody's business."""
    user = user_of(request)
    rows = permissions.visible_roles(user).select_related("account__owner", "team", "request")
    row = get_object_or_404(rows, pk=role_id)
    context = {"page": managed.role_page(user, row), "operates": permissions.may_operate(user).allowed}
    return render(request, "iamroles/inventory_role.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def role_check(request: HttpRequest) -> HttpResponse:
    """The short form; a POST orders the look and leads to the page that waits for it."""
    user = user_of(request)
    choices = draft_pages.choices_for(user)
    if request.method != "POST":
        initial = {"account": request.GET.get("account", ""), "role_name": request.GET.get("role_name", "")}
        return render(request, "iamroles/check_role.html", {"form": CheckRoleForm(choices=choices, initial=initial)})
    form = CheckRoleForm(request.POST, choices=choices)
    if form.is_valid():
        try:
            return once(request, user, lambda: _order(request, user, form))
        except Invalid as error:
            form.add_error("role_name", str(error))
        except NotAllowed as error:
            form.add_error("account", str(error))
    return render(request, "iamroles/check_role.html", {"form": form}, status=422)


def _order(request: HttpRequest, user: User, form: CheckRoleForm) -> str:
    number = form.cleaned_data["account"]
    choice = form.choices.account(number)
    team: Team | None = next((team for team in form.choices.teams if number in form.choices.allowed[team.slug]), None)
    if choice is None or team is None:
        raise NotAllowed(f"AWS account {number} is not among those of your teams.")
    order = check_role(
        user=user,
        team=team,
        account=choice.row,
        role_name=form.cleaned_data["role_name"],
        actor=actor_of(request),
        at=datetime.now(UTC),
    )
    return reverse("role_check_result", args=[order.pk])


@login_required
@require_safe
def role_check_result(request: HttpRequest, order_id: int) -> HttpResponse:
    """The answer, or the wait for it. htmx asks again every second until a worker has answered; waiting costs 204."""
    user = user_of(request)
    orders = ObservationOrder.objects.filter(request=None).select_related("account", "ordered_by")
    order = get_object_or_404(orders, pk=order_id)
    if not pages.may_see_check(user, order):
        raise Http404
    check = pages.role_check_of(order)
    if request.headers.get("HX-Request"):
        if check.waits:
            return HttpResponse(status=NO_CONTENT)
        return HttpResponse(render_to_string("iamroles/_role_check.html", {"check": check, "user": user}))
    return render(request, "iamroles/check_role_result.html", {"check": check})
