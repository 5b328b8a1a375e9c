"""Operators' pages of people: the list, inviting, one person with its acts; and taking an invitation up.

Which groups a person is in is changed on the groups' pages.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.views.decorators.http import require_http_methods, require_safe

from iamroles import invitations, permissions
from iamroles.audit import Actor
from iamroles.models import User
from iamroles.pages import people as pages
from iamroles.web.caller import actor_of, signed_in_at, user_of
from iamroles.web.forms.new_password import ChoosePassword
from iamroles.web.forms.organisation import InviteForm
from iamroles.web.once import once
from iamroles.web.operating import act_once, form_once, form_typed_on, typed_on
from iamroles.web.reading import refuse_look
from iamroles.workflow import people as verbs
from iamroles.workflow.verbs import Invalid, NotAllowed

_ACTS = {"deactivate": (verbs.deactivate, "is deactivated."), "reactivate": (verbs.reactivate, "can sign in again.")}
_log = logging.getLogger(__name__)


@login_required
@require_safe
def person_list(request: HttpRequest) -> HttpResponse:
    """Everybody, with their groups and teams."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_people", allowed)
    return render(request, "iamroles/person_list.html", {"rows": pages.people()})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def person_invite(request: HttpRequest) -> HttpResponse:
    """The form to invite; a POST makes the person and mails the link."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "invite_person", allowed)
    given = request.POST if request.method == "POST" else form_typed_on(request)
    form = InviteForm(given, teams=[(team.slug, team.name) for team in pages.teams()])
    if request.method != "POST" or not form.is_valid():
        return _invite_form(request, form)

    def work() -> str:
        person = verbs.invite(
            email=form.cleaned_data["email"],
            first_name=form.cleaned_data["first_name"],
            last_name=form.cleaned_data["last_name"],
            teams=form.cleaned_data.get("teams", ()),
            user=user_of(request),
            signed_in_at=signed_in_at(request),
            actor=actor_of(request),
            at=datetime.now(UTC),
        )
        _mail(request, person)
        return reverse("person_detail", args=[person.pk])

    def again(error: Invalid) -> HttpResponse:
        form.tell(error)
        return _invite_form(request, form)

    return form_once(request, work, back=reverse("person_list"), again=again)


def _invite_form(request: HttpRequest, form: InviteForm) -> HttpResponse:
    status = 422 if request.method == "POST" else 200
    return render(request, "iamroles/person_invite.html", {"form": form}, status=status)


def _mail(request: HttpRequest, person: User) -> None:
    """Sends the link. A mail that cannot go leaves the person invited, and says what to do."""
    try:
        invitations.send(person, settings.BASE_URL, actor=actor_of(request), at=datetime.now(UTC))
    except (OSError, SMTPException) as error:
        _log.warning("an invitation was not mailed: %s", type(error).__name__)
        text = f"The mail to {person.email} was not sent. Send it again, or: manage.py people link {person.email}"
        messages.error(request, text)
    else:
        messages.success(request, f"An invitation is on its way to {person.email}. It holds for three days.")


@login_required
@require_safe
def person_detail(request: HttpRequest, person_id: int) -> HttpResponse:
    """One person: groups, teams, and what an operator can do."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_people", allowed)
    return render(request, "iamroles/person_detail.html", {"row": _row(person_id)})


def _row(person_id: int) -> pages.PersonRow:
    row = pages.person(person_id)
    if row is None:
        raise Http404(f"There is no person {person_id}.")
    return row


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def person_act(request: HttpRequest, person_id: int, act: str) -> HttpResponse:
    """Deactivates a person, lets one back, or mails an invitation again."""
    user = user_of(request)
    allowed = permissions.may_operate(user)
    if not allowed.allowed:
        return refuse_look(request, f"{act}_person", allowed)
    row = _row(person_id)
    back = reverse("person_detail", args=[person_id])
    if act == "invite" and row.invited and request.method == "POST":

        def again() -> str:
            _mail(request, row.user)
            return back

        return once(request, user, again, meanwhile=back)
    if act not in _ACTS:
        raise Http404
    context = {"row": row, "act": act, "back": back}

    def page(typed: Any, problems: list[tuple[str, str]]) -> HttpResponse:
        more = {"typed": typed, "problems": problems}
        return render(request, "iamroles/person_act.html", {**context, **more}, status=422 if problems else 200)

    if request.method != "POST":
        return page(typed_on(request, request.path), [])
    verb, done = _ACTS[act]
    return act_once(
        request,
        verb,
        {"person_id": person_id},
        done=f"{row.user.display_name} {done}",
        back=back,
        again=page,
    )


class Invitation(PasswordResetConfirmView):
    """Where an invitation's link leads: the token moves into the session, then the person chooses a password."""

    template_name = "iamroles/invitation.html"
    form_class = ChoosePassword
    token_generator = invitations.tokens
    reset_url_token = "password"
    success_url = reverse_lazy("account_login")

    def form_valid(self, form: SetPasswordForm[User]) -> HttpResponse:
        """Sets the password by the verb, once."""
        user: User = form.user
        actor = Actor(
            type="user",
            id=str(user.pk),
            name=user.display_name,
            ip=self.request.META.get("REMOTE_ADDR") or None,
            agent=self.request.headers.get("User-Agent", "")[:200] or None,
        )
        try:
            verbs.accept_invitation(
                user=user, password=form.cleaned_data["new_password1"], actor=actor, at=datetime.now(UTC)
            )
        except NotAllowed as error:
            return render(self.request, "403.html", {"reason": str(error)}, status=403)
        logout(self.request)  # whoever was signed in here, with the event of it; the link is used up
        messages.success(self.request, f"Your password is set. Sign in as {user.get_username()}.")
        return super(PasswordResetConfirmView, self).form_valid(form)

    def form_invalid(self, form: SetPasswordForm[User]) -> HttpResponse:
        """Shows the form again with what is wrong, as 422."""
        answer = super().form_invalid(form)
        answer.status_code = 422
        return answer
