"""The set-up: the same list as `manage.py setup` prints, until nothing is missing; saying what no program can see."""

from __future__ import annotations

from datetime import UTC, datetime
from smtplib import SMTPException
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.mail import send_mail
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from iamroles import permissions
from iamroles.pages import first_run as pages
from iamroles.rules import first_run
from iamroles.web.caller import actor_of, user_of
from iamroles.web.once import once
from iamroles.web.operating import act_once, typed_on
from iamroles.web.reading import refuse_look
from iamroles.workflow import set_up

_STATES = {"done": first_run.DONE, "skip": first_run.SKIPPED, "open": set_up.OPEN}


@login_required
@require_safe
def setup(request: HttpRequest) -> HttpResponse:
    """The list; once nothing is missing, the way to Operations."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_setup", allowed)
    at = datetime.now(UTC)
    items = pages.setup_items(at)
    if not first_run.left(items) and "all" not in request.GET:
        return redirect("operations_health")
    return render(request, "iamroles/setup.html", {"items": items, "left": first_run.left(items), "at": at})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def setup_say(request: HttpRequest, item: str, act: str) -> HttpResponse:
    """Says with a reason that an item is done, is left out, or is open again."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "say_of_setup", allowed)
    found = next((row for row in pages.setup_items(datetime.now(UTC)) if row.key == item), None)
    if found is None or act not in _STATES:
        raise Http404

    def page(typed: Any, problems: list[tuple[str, str]]) -> HttpResponse:
        context = {"item": found, "act": act, "typed": typed, "problems": problems}
        return render(request, "iamroles/setup_say.html", context, status=422 if problems else 200)

    if request.method != "POST":
        return page(typed_on(request, request.path), [])
    return act_once(
        request,
        set_up.say,
        {"item": found, "state": _STATES[act]},
        done=f"{found.title}: noted.",
        back=reverse("setup"),
        again=page,
    )


@login_required
@require_POST
def setup_mail(request: HttpRequest) -> HttpResponse:
    """Mails a test to the operator. Whether it arrives, only they see: they say so afterwards."""
    user = user_of(request)
    allowed = permissions.may_operate(user)
    if not allowed.allowed:
        return refuse_look(request, "say_of_setup", allowed)

    def send() -> str:
        try:
            send_mail(
                "Roledesk can send mail", "If you read this, mail works: say so on the set-up page.", None, [user.email]
            )
        except (OSError, SMTPException) as error:
            set_up.record_test_mail(error, actor=actor_of(request), at=datetime.now(UTC))
            messages.error(request, f"The mail server did not take it: {type(error).__name__}. Check EMAIL_HOST.")
        else:
            set_up.record_test_mail(None, actor=actor_of(request), at=datetime.now(UTC))
            messages.success(request, f"The mail server took a test mail to {user.email}. Say “done” once it arrives.")
        return reverse("setup")

    return once(request, user, send, meanwhile=reverse("setup"))
