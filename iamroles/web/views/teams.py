"""Operators' pages of groups and teams. Who is in a group, and which AWS accounts a team may use, another confirms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from iamroles import permissions
from iamroles.models import AwsAccount, User
from iamroles.pages import people as pages
from iamroles.rules import approval_rules
from iamroles.web.caller import actor_of, signed_in_at, user_of
from iamroles.web.forms.organisation import ChosenForm, OrganisationForm, TeamForm
from iamroles.web.operating import form_once, form_typed_on, propose
from iamroles.web.reading import refuse_look
from iamroles.workflow import organisation
from iamroles.workflow.verbs import Invalid

Again = Callable[[Invalid], HttpResponse]


@login_required
@require_safe
def group_list(request: HttpRequest) -> HttpResponse:
    """Every group with what it decides; `?name=` leads to one, also to one that is new."""
    allowed = permissions.may_change_rules(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_groups", allowed)
    name = request.GET.get("name", "").strip()
    if approval_rules.is_name(name):
        return redirect("group_detail", name)
    problems = [("name", "A group's name is one word, for example orders-platform.")] if name else []
    context = {"rows": pages.group_rows(), "name": name, "problems": problems}
    return render(request, "iamroles/group_list.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def group_detail(request: HttpRequest, name: str) -> HttpResponse:
    """Who is in a group; a POST proposes who shall be."""
    allowed = permissions.may_change_rules(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "propose_change", allowed)
    if not approval_rules.is_name(name):
        raise Http404
    members = pages.members_of(name)
    form = ChosenForm(
        request.POST if request.method == "POST" else form_typed_on(request),
        label="Members",
        choices=_people(pages.active_people(members)),
        stands=members,
    )

    def page() -> HttpResponse:
        context = {"form": form, "row": pages.group_row(name), "members": members}
        return render(request, "iamroles/group_detail.html", context, status=422 if form.errors else 200)

    if request.method != "POST" or not form.is_valid():
        return page()
    work = _proposal(request, "group", name, {"members": sorted(form.cleaned_data["chosen"])}, form)
    return form_once(request, work, back=reverse("change_list"), again=_telling(form, page))


@login_required
@require_safe
def team_list(request: HttpRequest) -> HttpResponse:
    """Every team."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_teams", allowed)
    return render(request, "iamroles/team_list.html", {"rows": pages.teams()})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def team_new(request: HttpRequest) -> HttpResponse:
    """Makes a team by its name, and leads to its page."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "add_team", allowed)
    form = TeamForm(request.POST if request.method == "POST" else form_typed_on(request))

    def page() -> HttpResponse:
        status = 422 if request.method == "POST" else 200
        return render(request, "iamroles/team_new.html", {"form": form}, status=status)

    def work() -> str:
        team = organisation.add_team(
            slug="",
            name=form.cleaned_data["name"],
            accounts=(),
            user=user_of(request),
            signed_in_at=signed_in_at(request),
            actor=actor_of(request),
            at=datetime.now(UTC),
        )
        messages.success(request, f"The team {team.name} exists. Choose its people and its AWS accounts.")
        return reverse("team_detail", args=[team.slug])

    if request.method != "POST" or not form.is_valid():
        return page()
    return form_once(request, work, back=reverse("team_list"), again=_telling(form, page))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def team_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One team; a POST changes its members, or proposes which AWS accounts it may use."""
    user = user_of(request)
    allowed = permissions.may_operate(user)
    if not allowed.allowed:
        return refuse_look(request, "view_teams", allowed)
    row = pages.team(slug)
    if row is None:
        raise Http404(f"There is no team {slug}.")
    given = request.POST if request.method == "POST" else form_typed_on(request)
    part = given.get("part", "") if given else ""
    members = ChosenForm(
        given if part == "members" else None,
        label="Members",
        choices=_people(pages.active_people(member.get_username() for member in row.members)),
        stands=[member.get_username() for member in row.members],
        reason=False,
        prefix="members",
    )
    accounts = ChosenForm(
        given if part == "accounts" else None,
        label="AWS accounts",
        choices=[(account.number, str(account)) for account in AwsAccount.objects.all()],
        stands=[account.number for account in row.accounts],
        prefix="accounts",
    )
    form = members if part == "members" else accounts

    def page() -> HttpResponse:
        context = {"row": row, "members": members, "accounts": accounts, "form": form if form.is_bound else None}
        return render(request, "iamroles/team_detail.html", context, status=422 if form.errors else 200)

    def set_members() -> str:
        changed = organisation.set_team_members(
            slug=slug,
            logins=members.cleaned_data["chosen"],
            user=user,
            signed_in_at=signed_in_at(request),
            actor=actor_of(request),
            at=datetime.now(UTC),
        )
        messages.success(request, f"{changed} membership{'' if changed == 1 else 's'} of {row.team.name} changed.")
        return reverse("team_detail", args=[slug])

    if request.method != "POST" or not form.is_valid():
        return page()
    work = set_members
    if form is accounts:
        work = _proposal(request, "team", slug, {"accounts": sorted(form.cleaned_data["chosen"])}, form)
    return form_once(request, work, back=reverse("team_detail", args=[slug]), again=_telling(form, page))


def _people(rows: tuple[User, ...]) -> list[tuple[str, str]]:
    return [(row.get_username(), f"{row.display_name} ({row.get_username()})") for row in rows]


def _proposal(
    request: HttpRequest, subject: str, target: str, content: dict[str, Any], form: ChosenForm
) -> Callable[[], str]:
    return lambda: propose(request, subject, target, content, form.cleaned_data["reason"])


def _telling(form: OrganisationForm, page: Callable[[], HttpResponse]) -> Again:
    def again(error: Invalid) -> HttpResponse:
        form.tell(error)
        return page()

    return again
