"""What the views of asking share: which draft a form belongs to, what a new form opens with, the preview's values.

A browser tab names itself (`tab`): its own later previews never look like somebody else's change, and a preview that
was cut off makes no second draft. Nothing is saved here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from iamroles import permissions
from iamroles.blueprints.facts import (
    DEPLOYER,
    GRANT,
    INFRASTRUCTURE,
    REMOVAL,
    ROLE,
    DeployerFacts,
    GrantFacts,
    RemovalFacts,
)
from iamroles.iam.arns import ArnError
from iamroles.iam.documents import DocumentError
from iamroles.models import Request, User
from iamroles.pages import drafts as pages
from iamroles.pages import preview as preview_pages
from iamroles.permissions import Allowance
from iamroles.web.forms.base import RequestForm
from iamroles.web.forms.requests import FORMS, STARTING_ANSWERS
from iamroles.web.reading import refuse_look

View = Callable[..., HttpResponse]

_URLS = {
    ROLE: "role_request_new",
    GRANT: "grant_request_new",
    INFRASTRUCTURE: "infrastructure_request_new",
    DEPLOYER: "deployer_request_new",
    REMOVAL: "removal_request_new",
}


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


class NotYours(Exception):
    """The request is somebody else's; views answer with `refuse_look`, which records it."""

    def __init__(self, allowance: Allowance, row: Request) -> None:
        super().__init__(allowance.reason)
        self.allowance = allowance
        self.row = row


def own_request(user: User, reference: str) -> Request:
    """Returns the person's request of a reference. Raises Http404, or NotYours for somebody else's."""
    pk = _number(reference.removeprefix("REQ-"))
    if pk is None:
        raise Http404
    row = get_object_or_404(Request.objects.select_related("requester", "team", "account"), pk=pk)
    allowance = permissions.may_edit(user, row)
    if not allowance.allowed:
        raise NotYours(allowance, row)
    return row


def refuses_others(verb: str) -> Callable[[View], View]:
    """Makes a view answer NotYours: 403, with the refusal of `verb` as an event."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapper(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
            try:
                return view(request, *arguments, **named)
            except NotYours as error:
                return refuse_look(request, verb, error.allowance, error.row)

        return wrapper

    return decorate


def _number(text: str) -> int | None:
    """Returns the number that up to 12 plain digits make, as in a reference; None for everything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


def posted_tab(request: HttpRequest, user: User) -> Tab:
    name = request.POST.get("tab", "")[:40]
    reference = request.POST.get("draft", "")
    row = own_request(user, reference) if reference else pages.draft_of(user, name)
    if row is None or row.answers.get("tab") == name:
        return Tab(name, row)
    return Tab(name, row, _number(request.POST.get("answers_version", "")))


def starting_answers(request: HttpRequest, user: User, choices: pages.Choices, kind: str) -> dict[str, str]:
    """Returns the answers that a new form opens with: a copied request's, or the defaults for team and AWS account."""
    source = request.GET.get("from", "")
    copied_id = _number(source.removeprefix("REQ-"))
    if copied_id is not None:
        copied = permissions.visible_requests(user).filter(pk=copied_id, kind=kind).first()
        if copied is not None:
            return {name: text for name, text in copied.answers.items() if name not in FORMS[kind].uncopied}
    last_team, last_account = pages.last_used(user)
    team = choices.team(request.GET.get("team", "")) or choices.team(last_team)
    team = team or (choices.teams[0] if choices.teams else None)
    allowed = choices.allowed.get(team.slug, frozenset()) if team else frozenset()
    wanted = (request.GET.get("account", ""), last_account, *(choice.row.number for choice in choices.accounts))
    number = next((number for number in wanted if number in allowed), "")
    account = choices.account(number)
    answers = {**STARTING_ANSWERS[kind], "team": team.slug if team else "", "account": number}
    if team and account:
        usual = FORMS[kind].default_role_name
        answers["role_name"] = request.GET.get("role_name", "") or pages.free_role_name(account.row, team, usual)
    return answers


def name_answer_of(form: RequestForm) -> pages.NameAnswer | None:
    """Returns what the inventory knows of the name that the form is about, once team and AWS account are right."""
    cleaned = form.cleaned_data
    account = form.choices.account(str(cleaned.get("account", "")))
    team = form.choices.team(str(cleaned.get("team", "")))
    if account is None or team is None or not cleaned.get("role_name"):
        return None
    if form.kind == DEPLOYER:
        return (
            pages.policy_answer(account.row, form.facts.policy_name) if isinstance(form.facts, DeployerFacts) else None
        )
    if isinstance(form.facts, RemovalFacts) and form.facts.role_arn is None:
        return pages.removal_answer(account.row, team, form.facts.policies[0])
    return pages.name_answer(account.row, team, str(cleaned["role_name"]), form.default_role_name)


def preview_context(form: RequestForm, tab: Tab, at: datetime) -> dict[str, Any]:
    """Returns the preview's values for a validated form; wrong answers leave it incomplete, never broken."""
    known = name_answer_of(form)
    preview = None
    if form.facts is not None:
        try:
            chosen = form.choices.account(str(form.cleaned_data.get("account", "")))
            preview = preview_pages.preview_of(
                form.facts, managed=known.managed if known else None, account=chosen.row if chosen else None
            )
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


def covered_already(form: RequestForm) -> tuple[str, ...]:
    """Returns the roles of a grant form that the role of the inventory covers already, if it covers all of them."""
    if not isinstance(form.facts, GrantFacts):
        return ()
    name = name_answer_of(form)
    return preview_pages.preview_of(form.facts, managed=name.managed).covered_already if name and name.managed else ()
