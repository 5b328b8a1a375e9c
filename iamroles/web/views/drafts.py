"""Asking: the two forms with their live preview, check answers, and discarding a draft.

A draft is saved by the first preview or by going on, never by opening a form. A browser tab names itself (`tab`): its
own later previews never look like somebody else's change, and a preview that was cut off makes no second draft.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from iamroles import permissions
from iamroles.blueprints.facts import GRANT, ROLE, GrantFacts
from iamroles.iam.arns import ArnError
from iamroles.iam.documents import DocumentError
from iamroles.models import Request, User
from iamroles.pages import drafts as pages
from iamroles.pages import preview as preview_pages
from iamroles.rules import states
from iamroles.transitions import WrongState
from iamroles.web.caller import actor_of, user_of
from iamroles.web.forms.requests import FORMS, STARTING_ANSWERS, RequestForm
from iamroles.web.once import SeeOther, once
from iamroles.workflow import draft as draft_verbs
from iamroles.workflow import submit as submit_verbs
from iamroles.workflow.verbs import Invalid, NotAllowed

_URLS = {ROLE: "role_request_new", GRANT: "grant_request_new"}
_TEMPLATES = {ROLE: "iamroles/role_form.html", GRANT: "iamroles/grant_form.html"}


@dataclass(frozen=True)
class Tab:
    """Which draft a form belongs to: its row if there is one, and the version of the answers that it opened with."""

    name: str
    request: Request | None = None
    seen_version: int | None = None

    @property
    def version(self) -> int | str:
        """What the form says next time: a tab that is behind stays behind until it is loaded again."""
        if self.seen_version is not None:
            return self.seen_version
        return self.request.answers_version if self.request else ""


def form_address(request: Request) -> str:
    """Returns the address at which a draft or a request that can be edited goes on."""
    return f"{reverse(_URLS[request.kind])}?draft={request.reference}"


def _own(user: User, reference: str) -> Request:
    """Returns the person's request of a reference. Raises Http404, or PermissionDenied for somebody else's."""
    digits = reference.removeprefix("REQ-")
    if not digits.isdigit():
        raise Http404
    row = get_object_or_404(Request.objects.select_related("requester", "team", "account"), pk=int(digits))
    allowance = permissions.may_edit(user, row)
    if not allowance.allowed:
        raise PermissionDenied(allowance.reason)
    return row


def _posted_tab(request: HttpRequest, user: User) -> Tab:
    name = request.POST.get("tab", "")[:40]
    reference = request.POST.get("draft", "")
    row = _own(user, reference) if reference else pages.draft_of(user, name)
    if row is None or row.answers.get("tab") == name:
        return Tab(name, row)
    version = request.POST.get("answers_version", "")
    return Tab(name, row, int(version) if version.isdigit() else None)


def _starting_answers(request: HttpRequest, user: User, choices: pages.Choices, kind: str) -> dict[str, str]:
    """Returns the answers that a new form opens with: a copied request's, or the defaults for team and AWS account."""
    source = request.GET.get("from", "")
    if source.startswith("REQ-") and source[4:].isdigit():
        copied = permissions.visible_requests(user).filter(pk=int(source[4:]), kind=kind).first()
        if copied is not None:
            return {name: text for name, text in copied.answers.items() if name not in ("reason", "tab")}
    last_team, last_account = pages.last_used(user)
    team = choices.team(request.GET.get("team", "")) or choices.team(last_team)
    team = team or (choices.teams[0] if choices.teams else None)
    allowed = choices.allowed.get(team.slug, frozenset()) if team else frozenset()
    wanted = (request.GET.get("account", ""), last_account, *(choice.row.number for choice in choices.accounts))
    number = next((number for number in wanted if number in allowed), "")
    account = choices.account(number)
    answers = {**STARTING_ANSWERS[kind], "team": team.slug if team else "", "account": number}
    if team and account:
        answers["role_name"] = request.GET.get("role_name", "") or pages.free_role_name(account.row, team)
    return answers


def _name_answer(form: RequestForm) -> pages.NameAnswer | None:
    """Returns what the inventory knows of the form's role name, once team and AWS account are right."""
    cleaned = form.cleaned_data
    account = form.choices.account(str(cleaned.get("account", "")))
    team = form.choices.team(str(cleaned.get("team", "")))
    if account is None or team is None or not cleaned.get("role_name"):
        return None
    return pages.name_answer(account.row, team, str(cleaned["role_name"]))


def _preview_context(form: RequestForm, tab: Tab, at: datetime) -> dict[str, Any]:
    """Returns the preview's values for a validated form; wrong answers leave it incomplete, never broken."""
    known = _name_answer(form)
    preview = None
    if form.facts is not None:
        try:
            preview = preview_pages.preview_of(form.facts, managed=known.managed if known else None)
        except (ArnError, DocumentError) as error:
            form.add_error(None, str(error))
    return {
        "preview": preview,
        "name_answer": known,
        "account": form.choices.account(str(form.cleaned_data.get("account", ""))),
        "problems": [
            (form.fields[field].label, errors) for field, errors in form.errors.items() if field in form.fields
        ],
        "saved_line": pages.saved_line(tab.request, at) if tab.request else "",
        "draft": tab.request,
        "answers_version": tab.version,
    }


def _form_page(
    request: HttpRequest, form: RequestForm, preview_form: RequestForm, tab: Tab, status: int = 200
) -> HttpResponse:
    at = tab.request.updated_at if tab.request else datetime.now(UTC)
    context = {
        **_preview_context(preview_form, tab, at),
        "form": form,
        "kind": form.kind,
        "tab": tab.name,
        "idempotency": request.POST.get("idempotency_key") or str(uuid.uuid4()),
        "covered": _covered(preview_form),
        "address": f"{form_address(tab.request)}&wrong" if tab.request and status == 422 else "",
    }
    return render(request, _TEMPLATES[form.kind], context, status=status)


def _covered(form: RequestForm) -> tuple[str, ...]:
    """Returns the roles of a grant form that the role of the inventory covers already, if it covers all of them."""
    if not isinstance(form.facts, GrantFacts):
        return ()
    name = _name_answer(form)
    return preview_pages.preview_of(form.facts, managed=name.managed).covered_already if name and name.managed else ()


def _new(request: HttpRequest, kind: str) -> HttpResponse:
    user = user_of(request)
    choices = pages.choices_for(user)
    if request.method == "POST":
        return _send_form(request, user, kind, choices)
    reference = request.GET.get("draft", "")
    row = _own(user, reference) if reference else None
    if row is not None and row.kind != kind:
        return redirect(form_address(row))
    answers = dict(row.answers) if row else _starting_answers(request, user, choices, kind)
    tab = Tab(uuid.uuid4().hex, row)
    preview_form = FORMS[kind](answers, choices=choices, with_reason=False)
    preview_form.is_valid()
    if "wrong" in request.GET and row is not None:
        form = FORMS[kind](answers, choices=choices)
        return _form_page(request, form, preview_form, tab, 200 if form.is_valid() else 422)
    return _form_page(request, FORMS[kind](choices=choices, initial=answers), preview_form, tab)


def _send_form(request: HttpRequest, user: User, kind: str, choices: pages.Choices) -> HttpResponse:
    tab = _posted_tab(request, user)
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
    covered = _covered(form)
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
    what = "PassRole grant for" if form.kind == GRANT else "Role"
    return draft_verbs.save(
        user=user,
        kind=form.kind,
        answers={**form.texts(), "tab": tab.name},
        title=f"{what} {role_name}{f' in {account.row.name}' if account else ''}",
        actor=actor_of(request),
        at=datetime.now(UTC),
        request_id=tab.request.pk if tab.request else None,
        seen_version=tab.seen_version,
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def role_request_new(request: HttpRequest) -> HttpResponse:
    """The form for a CodeDeploy service role; a POST leads to check answers or says what to change."""
    return _new(request, ROLE)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def grant_request_new(request: HttpRequest) -> HttpResponse:
    """The shorter form for PassRole grants of an existing role."""
    return _new(request, GRANT)


@login_required
@require_POST
def request_preview(request: HttpRequest) -> HttpResponse:
    """Saves the draft and answers the preview: a fragment for htmx, else the form's page at the draft's address."""
    user = user_of(request)
    kind = request.POST.get("kind", ROLE)
    if kind not in FORMS:
        raise Http404
    form = FORMS[kind](request.POST, choices=pages.choices_for(user), with_reason=False)
    form.is_valid()
    tab = _posted_tab(request, user)
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
    context = {**_preview_context(form, tab, datetime.now(UTC)), "changed": changed, "swapped": True, "user": user}
    context |= {"form": form, "covered": _covered(form)}
    response = HttpResponse(render_to_string("iamroles/_preview_swap.html", context), status=status)
    if is_new and tab.request is not None:
        response["HX-Replace-Url"] = form_address(tab.request)
    return response


def _checked_form(row: Request, user: User) -> RequestForm:
    """Returns the form of a request's stored answers, validated."""
    form = FORMS[row.kind](row.answers, choices=pages.choices_for(user))
    form.is_valid()
    return form


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def request_check(request: HttpRequest, request_id: int) -> HttpResponse:
    """Shows all answers with what they lead to; its POST sends the request for approval."""
    user = user_of(request)
    row = _own(user, f"REQ-{request_id:06d}")
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
        **_preview_context(form, Tab("", row), row.updated_at),
        "facts": facts,
        "row": row,
        "answers": preview_pages.checked_answers(facts, team.name if team else facts.team, form.cleaned_data["reason"]),
        "edit_url": form_address(row),
        "error": error,
        "voids": row.state == states.IN_REVIEW,
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
def request_discard(request: HttpRequest, request_id: int) -> HttpResponse:
    """Deletes a draft that was never sent."""
    user = user_of(request)
    row = _own(user, f"REQ-{request_id:06d}")

    def produce() -> str:
        draft_verbs.discard(request_id=row.pk, user=user, actor=actor_of(request), at=datetime.now(UTC))
        messages.success(request, f"{row.reference} is discarded. Nothing was sent.")
        return reverse("home")

    try:
        return once(request, user, produce)
    except WrongState as error:
        address = reverse("request_detail", args=[row.pk])
        return render(request, "409.html", {"reason": str(error), "back": address}, status=409)
