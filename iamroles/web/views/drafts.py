"""Asking: the forms with their live preview, check answers, and discarding a draft.

A draft is saved by the first preview or by going on, never by opening a form. Which draft a form belongs to is decided
in `web.drafting`.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from iamroles.blueprints.facts import DEPLOYER, GRANT, INFRASTRUCTURE, REMOVAL, ROLE
from iamroles.models import Request, User
from iamroles.pages import drafts as pages
from iamroles.pages.check_answers import approvals_needed, checked_answers
from iamroles.rules import states
from iamroles.transitions import WrongState
from iamroles.web.caller import actor_of, user_of
from iamroles.web.drafting import (
    Tab,
    covered_already,
    form_address,
    own_request,
    posted_tab,
    preview_context,
    refuses_others,
    starting_answers,
)
from iamroles.web.forms.base import RequestForm
from iamroles.web.forms.requests import FORMS
from iamroles.web.once import SeeOther, once
from iamroles.workflow import draft as draft_verbs
from iamroles.workflow import submit as submit_verbs
from iamroles.workflow.verbs import Invalid, NotAllowed

_TEMPLATES = {
    ROLE: "iamroles/role_form.html",
    GRANT: "iamroles/grant_form.html",
    INFRASTRUCTURE: "iamroles/infrastructure_form.html",
    DEPLOYER: "iamroles/deployer_form.html",
    REMOVAL: "iamroles/removal_form.html",
}
_TITLES = {
    ROLE: "Role",
    GRANT: "PassRole grant for",
    INFRASTRUCTURE: "Infrastructure role",
    DEPLOYER: "Deployer policy for",
    REMOVAL: "Removal of",
}


def _form_page(
    request: HttpRequest, form: RequestForm, preview_form: RequestForm, tab: Tab, status: int = 200
) -> HttpResponse:
    at = tab.request.updated_at if tab.request else datetime.now(UTC)
    context = {
        **preview_context(preview_form, tab, at),
        "form": form,
        "kind": form.kind,
        "tab": tab.name,
        "idempotency": request.POST.get("idempotency_key") or str(uuid.uuid4()),
        "covered": covered_already(preview_form),
        "address": f"{form_address(tab.request)}&wrong" if tab.request and status == 422 else "",
    }
    return render(request, _TEMPLATES[form.kind], context, status=status)


def _new(request: HttpRequest, kind: str) -> HttpResponse:
    user = user_of(request)
    choices = pages.choices_for(user, kind)
    if request.method == "POST":
        return _send_form(request, user, kind, choices)
    reference = request.GET.get("draft", "")
    row = own_request(user, reference) if reference else None
    if row is not None and row.kind != kind:
        return redirect(form_address(row))
    answers = dict(row.answers) if row else starting_answers(request, user, choices, kind)
    tab = Tab(uuid.uuid4().hex, row)
    preview_form = FORMS[kind](answers, choices=choices, with_reason=False)
    preview_form.is_valid()
    if "wrong" in request.GET and row is not None:
        form = FORMS[kind](answers, choices=choices)
        return _form_page(request, form, preview_form, tab, 200 if form.is_valid() else 422)
    return _form_page(request, FORMS[kind](choices=choices, initial=answers), preview_form, tab)


def _send_form(request: HttpRequest, user: User, kind: str, choices: pages.Choices) -> HttpResponse:
    tab = posted_tab(request, user)
    form = FORMS[kind](request.POST, choices=choices)
    leaving = request.POST.get("act") == "leave"
    if (not form.is_valid() or _grant_not_needed(form)) and not leaving:
        return _wrong(request, user, form, tab)

    def produce() -> str:
        saved = _save(request, user, form, tab)
        if leaving:
            messages.success(request, f"{saved.reference} is saved. It is under Drafts for 30 days.")
            return reverse("home")
        return reverse("request_check", args=[saved.pk])

    try:
        return once(request, user, produce)
    except draft_verbs.ChangedElsewhere as error:
        form.add_error(None, str(error))
        return _form_page(request, form, form, tab, 409)


def _wrong(request: HttpRequest, user: User, form: RequestForm, tab: Tab) -> HttpResponse:
    """Answers 422 with the summary; a draft that exists already keeps what was typed, so that Back finds it."""
    preview_form = FORMS[form.kind](request.POST, choices=form.choices, with_reason=False)
    preview_form.is_valid()
    if tab.request is not None:
        try:
            tab = Tab(tab.name, _save(request, user, preview_form, tab))
        except (draft_verbs.ChangedElsewhere, WrongState) as error:
            form.add_error(None, str(error))
            return _form_page(request, form, preview_form, tab, 409)
    return _form_page(request, form, preview_form, tab, 422)


def _grant_not_needed(form: RequestForm) -> bool:
    """Puts the explanation at the field when every role of a grant is covered already and nobody ticked "anyway"."""
    covered = covered_already(form)
    if not covered or form.cleaned_data.get("anyway"):
        return False
    listed = ", ".join(covered)
    form.add_error(
        "execution_roles",
        f"You do not need this grant: {form.cleaned_data['role_name']} may already pass {listed}. "
        "Leave, or tick “Add it anyway” and say why.",
    )
    return True


def _save(request: HttpRequest, user: User, form: RequestForm, tab: Tab) -> Request:
    account = form.choices.account(str(form.cleaned_data.get("account", "")))
    role_name = form.cleaned_data.get("role_name") or "a role"
    return draft_verbs.save(
        user=user,
        kind=form.kind,
        answers={**form.texts(), "tab": tab.name},
        title=f"{_TITLES[form.kind]} {role_name}{f' in {account.row.name}' if account else ''}",
        actor=actor_of(request),
        at=datetime.now(UTC),
        request_id=tab.request.pk if tab.request else None,
        seen_version=tab.seen_version,
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@refuses_others("edit")
def role_request_new(request: HttpRequest) -> HttpResponse:
    """The form for a CodeDeploy service role; a POST leads to check answers or says what to change."""
    return _new(request, ROLE)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@refuses_others("edit")
def grant_request_new(request: HttpRequest) -> HttpResponse:
    """The shorter form for PassRole grants of an existing role."""
    return _new(request, GRANT)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@refuses_others("edit")
def infrastructure_request_new(request: HttpRequest) -> HttpResponse:
    """The form for the role with which Amazon ECS itself moves the traffic."""
    return _new(request, INFRASTRUCTURE)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@refuses_others("edit")
def deployer_request_new(request: HttpRequest) -> HttpResponse:
    """The form for the policy of whoever deploys, made for one role of the team."""
    return _new(request, DEPLOYER)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@refuses_others("edit")
def removal_request_new(request: HttpRequest) -> HttpResponse:
    """The form for taking away a role of the team, one of its PassRole policies, or a deployer policy."""
    return _new(request, REMOVAL)


@login_required
@require_POST
@refuses_others("edit")
def request_preview(request: HttpRequest) -> HttpResponse:
    """Saves the draft and answers the preview: a fragment for htmx, else the form's page at the draft's address."""
    user = user_of(request)
    kind = request.POST.get("kind", ROLE)
    if kind not in FORMS:
        raise Http404
    form = FORMS[kind](request.POST, choices=pages.choices_for(user, kind), with_reason=False)
    form.is_valid()
    tab = posted_tab(request, user)
    is_new = tab.request is None
    changed, status = "", 200
    try:
        tab = Tab(tab.name, _save(request, user, form, tab))
    except (draft_verbs.ChangedElsewhere, WrongState) as error:
        changed, status = str(error), 409
    if not request.headers.get("HX-Request"):
        if tab.request is None or changed:
            return render(request, "409.html", {"reason": changed}, status=409)
        return SeeOther(form_address(tab.request))
    context = {**preview_context(form, tab, datetime.now(UTC)), "changed": changed, "swapped": True, "user": user}
    context |= {"form": form, "covered": covered_already(form)}
    response = HttpResponse(render_to_string("iamroles/_preview_swap.html", context), status=status)
    if is_new and tab.request is not None:
        response["HX-Replace-Url"] = form_address(tab.request)
    return response


def _checked_form(row: Request, user: User) -> RequestForm:
    """Returns the form of a request's stored answers, validated."""
    form = FORMS[row.kind](row.answers, choices=pages.choices_for(user, row.kind))
    form.is_valid()
    return form


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@refuses_others("submit")
def request_check(request: HttpRequest, request_id: int) -> HttpResponse:
    """Shows all answers with what they lead to; its POST sends the request for approval."""
    user = user_of(request)
    row = own_request(user, f"REQ-{request_id:06d}")
    if row.state not in (states.DRAFT, states.IN_REVIEW, states.CHANGES_REQUESTED):
        return redirect("request_detail", row.pk)
    form = _checked_form(row, user)
    if form.facts is None:
        return redirect(f"{form_address(row)}&wrong")
    if request.method == "POST":
        return _submit(request, user, row, form)
    return _check_page(request, row, form)


def _check_page(request: HttpRequest, row: Request, form: RequestForm, error: str = "") -> HttpResponse:
    facts = form.facts
    if facts is None:
        raise Http404
    team = form.choices.team(facts.team)
    context = {
        **preview_context(form, Tab("", row), row.updated_at),
        "facts": facts,
        "row": row,
        "answers": checked_answers(facts, team.name if team else facts.team, form.cleaned_data["reason"]),
        "edit_url": form_address(row),
        "error": error,
        "voids": row.state == states.IN_REVIEW,
        "approvals": approvals_needed(facts, row.requester),
    }
    return render(request, "iamroles/check_answers.html", context, status=422 if error else 200)


def _submit(request: HttpRequest, user: User, row: Request, form: RequestForm) -> HttpResponse:
    facts = form.facts
    if facts is None:
        raise Http404

    def produce() -> str:
        submit_verbs.submit(
            request_id=row.pk,
            user=user,
            facts=facts,
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
            at=datetime.now(UTC),
        )
        return reverse("request_detail", args=[row.pk])

    try:
        return once(request, user, produce)
    except WrongState:  # sent already, from another tab
        return SeeOther(reverse("request_detail", args=[row.pk]))
    except Invalid as error:
        return _check_page(request, row, form, str(error))
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error


@login_required
@require_POST
@refuses_others("discard_draft")
def request_discard(request: HttpRequest, request_id: int) -> HttpResponse:
    """Deletes a draft that was never sent."""
    user = user_of(request)
    row = own_request(user, f"REQ-{request_id:06d}")

    def produce() -> str:
        draft_verbs.discard(request_id=row.pk, user=user, actor=actor_of(request), at=datetime.now(UTC))
        messages.success(request, f"{row.reference} is discarded. Nothing was sent.")
        return reverse("home")

    try:
        return once(request, user, produce)
    except WrongState as error:
        address = reverse("request_detail", args=[row.pk])
        return render(request, "409.html", {"reason": str(error), "back": address}, status=409)
