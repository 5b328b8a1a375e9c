"""Single sign-on for operators: which of the provider's groups fill which group or team. Two people change it."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from iamroles import permissions
from iamroles.pages import provider_groups as pages
from iamroles.web.caller import user_of
from iamroles.web.forms.organisation import ProviderGroupsForm
from iamroles.web.operating import form_once, form_typed_on, propose
from iamroles.web.reading import refuse_look
from iamroles.workflow.verbs import Invalid

PROVIDER: Final = "sso"  # as the settings name the one that there may be


@login_required
@require_safe
def provider_group_list(request: HttpRequest) -> HttpResponse:
    """The provider, every group and team with what fills it, and what it tells that fills nothing."""
    allowed = permissions.may_change_rules(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_groups", allowed)
    context = {
        "provider": settings.ROLEDESK_SINGLE_SIGN_ON,
        "callback": settings.BASE_URL.rstrip("/") + reverse("openid_connect_callback", args=[PROVIDER]),
        "rows": pages.rows(),
        "unused": pages.unused(),
    }
    return render(request, "iamroles/provider_group_list.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def provider_group_change(request: HttpRequest, target: str) -> HttpResponse:
    """The provider's groups that fill one group or team; a POST proposes others."""
    allowed = permissions.may_change_rules(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "propose_change", allowed)
    row = pages.row(target)
    if row is None:
        raise Http404(f"There is no group or team {target}.")
    given = request.POST if request.method == "POST" else form_typed_on(request)
    form = ProviderGroupsForm(given, initial={"values": "\n".join(row.values)})

    def page() -> HttpResponse:
        context = {"row": row, "form": form, "provider": settings.ROLEDESK_SINGLE_SIGN_ON}
        return render(request, "iamroles/provider_group_change.html", context, status=422 if form.errors else 200)

    def work() -> str:
        content = {"values": form.cleaned_data["values"]}
        return propose(request, pages.SUBJECT, target, content, form.cleaned_data["reason"])

    def again(error: Invalid) -> HttpResponse:
        form.tell(error)
        return page()

    if request.method != "POST" or not form.is_valid():
        return page()
    return form_once(request, work, back=reverse("provider_group_list"), again=again)
