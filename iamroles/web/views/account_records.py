"""The pages of an AWS account's record, standard and guardrails: adding one, and proposing others for one.

A new AWS account may be used by no team yet, so one operator adds it; what one allows later, another person confirms.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from iamroles import permissions
from iamroles.models import AwsAccount
from iamroles.pages import accounts as pages
from iamroles.pages import people as people_pages
from iamroles.rules import account_rules
from iamroles.web.caller import actor_of, signed_in_at, user_of
from iamroles.web.forms.organisation import AccountForm, AccountRuleForm, RecordForm
from iamroles.web.operating import form_once, form_typed_on, propose
from iamroles.web.reading import refuse_look
from iamroles.workflow import account_rules as rule_verbs
from iamroles.workflow import change_kinds, organisation
from iamroles.workflow.verbs import Invalid


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account_add(request: HttpRequest) -> HttpResponse:
    """Registers an AWS account and leads to its page, where the connection is tested."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "add_account", allowed)
    form = AccountForm(request.POST if request.method == "POST" else form_typed_on(request))
    if request.method != "POST" or not form.is_valid():
        return _page(request, form, None)

    def work() -> str:
        account = organisation.add_account(
            **form.cleaned_data,
            user=user_of(request),
            signed_in_at=signed_in_at(request),
            actor=actor_of(request),
            at=datetime.now(UTC),
        )
        messages.success(request, f"{account.name} is registered. Create the portal's role in it, then test it.")
        return reverse("account_detail", args=[account.number])

    def again(error: Invalid) -> HttpResponse:
        form.tell(error)
        return _page(request, form, None)

    return form_once(request, work, back=reverse("account_list"), again=again)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account_change(request: HttpRequest, number: str) -> HttpResponse:
    """Proposes another record. Number and partition never change: they are the AWS account."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "propose_change", allowed)
    account = get_object_or_404(AwsAccount.objects.select_related("owner"), number=number)
    stands = {name: getattr(account, name) for name in RecordForm.base_fields if name not in ("owner", "reason")}
    form = RecordForm(
        request.POST if request.method == "POST" else form_typed_on(request),
        initial={**stands, "owner": account.owner.name},
    )
    if request.method != "POST" or not form.is_valid():
        return _page(request, form, account)

    def again(error: Invalid) -> HttpResponse:
        form.tell(error)
        return _page(request, form, account)

    return form_once(
        request,
        lambda: propose(request, "account", number, form.record(), form.cleaned_data["reason"]),
        back=reverse("account_detail", args=[number]),
        again=again,
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account_rule_change(request: HttpRequest, number: str, kind: str) -> HttpResponse:
    """The standard or a guardrail of an AWS account with its versions; a POST proposes other documents."""
    allowed = permissions.may_change_rules(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "propose_change", allowed)
    account, rules = next(iter(pages.rules_of_accounts(number).items()), (None, ()))
    rule = next((one for one in rules if one.kind == kind), None)
    if account is None or rule is None:
        raise Http404(f"AWS account {number} has no {kind}.")
    given = request.POST if request.method == "POST" else form_typed_on(request)
    form = AccountRuleForm(given, initial={"text": rule.text})

    def page() -> HttpResponse:
        context = {
            "account": account,
            "rule": rule,
            "form": form,
            "operates": permissions.may_operate(user_of(request)).allowed,
        }
        return render(request, "iamroles/account_rule.html", context, status=422 if form.errors else 200)

    def work() -> str:
        content = rule_verbs.content_of(kind, form.cleaned_data["text"] or "[]")
        target = account_rules.target_of(number, kind)
        return propose(request, change_kinds.ACCOUNT_RULES, target, content, form.cleaned_data["reason"])

    def again(error: Invalid) -> HttpResponse:
        form.tell(error)
        return page()

    if request.method != "POST" or not form.is_valid():
        return page()
    return form_once(request, work, back=reverse("change_list"), again=again)


def _page(request: HttpRequest, form: RecordForm, account: AwsAccount | None) -> HttpResponse:
    context = {"form": form, "account": account, "groups": [row.name for row in people_pages.group_rows()]}
    status = 422 if request.method == "POST" else 200
    return render(request, "iamroles/account_form.html", context, status=status)
