"""The operators' pages: health, stuck work, and pauses. Each POST is one verb with a reason."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from iamroles import audit, permissions
from iamroles.models import AwsAccount, KillSwitch, Notice
from iamroles.pages import changes as change_pages
from iamroles.pages import jobs as job_pages
from iamroles.pages import operations as operations_pages
from iamroles.web.caller import actor_of, user_of
from iamroles.web.operating import Typed, act_once, button_once, form_once, form_typed_on, propose, typed_on
from iamroles.web.reading import refuse_look
from iamroles.workflow import change_kinds, outbox, pauses
from iamroles.workflow.verbs import Invalid


@login_required
@require_safe
def operations_health(request: HttpRequest) -> HttpResponse:
    """Shows whether database, workers, waiting work and sealing are well, and what is paused."""
    allowed = permissions.may_operate(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_operations", allowed)
    at = datetime.now(UTC)
    context = {
        "health": operations_pages.health(at),
        "unsent": operations_pages.unsent(),
        "given_up": Notice.given_up().count(),
        "pauses": job_pages.pauses(),
        "lost": audit.undeclared(),
        "at": at,
    }
    return render(request, "iamroles/operations_health.html", context)


@login_required
@require_safe
def operations_jobs(request: HttpRequest) -> HttpResponse:
    """Lists what does not go on by itself, with the acts that this operator has on it."""
    user = user_of(request)
    allowed = permissions.may_operate(user)
    if not allowed.allowed:
        return refuse_look(request, "view_jobs", allowed)
    at = datetime.now(UTC)
    return render(request, "iamroles/operations_jobs.html", {"jobs": job_pages.jobs(user, at), "at": at})


@login_required
@require_POST
def notices_again(request: HttpRequest) -> HttpResponse:
    """Has the notices sent again that were given up, and leads back to health."""
    back = reverse("operations_health")

    def work() -> str:
        count = outbox.send_again(user=user_of(request), actor=actor_of(request), at=datetime.now(UTC))
        messages.success(request, f"{count} notice{'' if count == 1 else 's'} will be sent again.")
        return back

    return button_once(request, work, back=back)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def pause_everything(request: HttpRequest) -> HttpResponse:
    """Turns the kill switch on or off; the page says which of the two it would be."""
    allowed = permissions.may_pause_everything(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "pause_everything", allowed)
    on = KillSwitch.objects.exists() if request.method != "POST" else request.POST.get("act") == "resume"
    context: dict[str, Any] = {"on": on, "account": None}
    if request.method != "POST":
        return _confirm(request, context, typed_on(request, request.path), [])
    return act_once(
        request,
        pauses.resume_everything if on else pauses.pause_everything,
        {},
        done="Workers go on. Paused AWS accounts stay paused." if on else "Everything is paused.",
        back=reverse("operations_health"),
        again=lambda typed, problems: _confirm(request, context, typed, problems),
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def pause_account(request: HttpRequest, number: str) -> HttpResponse:
    """Pauses additions to one AWS account or lets them go on; the page says which of the two it would be."""
    allowed = permissions.may_pause_account(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "pause_account", allowed)
    account = get_object_or_404(AwsAccount, number=number)
    on = account.paused_at is not None if request.method != "POST" else request.POST.get("act") == "resume"
    context = {"on": on, "account": account}
    if request.method != "POST":
        return _confirm(request, context, typed_on(request, request.path), [])
    return act_once(
        request,
        pauses.resume_account if on else pauses.pause_account,
        {"number": account.number},
        done=f"Additions to {account.name} go on." if on else f"Additions to {account.name} are paused.",
        back=reverse("operations_health"),
        again=lambda typed, problems: _confirm(request, context, typed, problems),
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def restore_propose(request: HttpRequest) -> HttpResponse:
    """Says what a restore from a backup lost; a POST proposes to declare it. 404 when sealing is not halted by one."""
    allowed = permissions.may_change_rules(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "propose_change", allowed)
    lost = audit.undeclared()
    if lost is None:
        raise Http404("Sealing is not halted by a restore from a backup.")
    given = request.POST if request.method == "POST" else form_typed_on(request)
    reason = given.get("reason", "") if given else ""
    context = {"lost": lost, "typed": Typed(reason[:2000]), "back": reverse("operations_health")}
    waiting = change_pages.waiting_of(change_kinds.RESTORE)
    if request.method != "POST" or waiting is not None:
        return render(request, "iamroles/restore_propose.html", {**context, "waiting": waiting})

    def again(error: Invalid) -> HttpResponse:
        problems = [("act-reason" if error.field == "reason" else "", str(error))]
        return render(request, "iamroles/restore_propose.html", {**context, "problems": problems}, status=422)

    return form_once(
        request,
        lambda: propose(request, change_kinds.RESTORE, "", lost.facts(), reason),
        back=reverse("change_list"),
        again=again,
    )


def _confirm(
    request: HttpRequest, context: dict[str, Any], typed: Typed, problems: list[tuple[str, str]]
) -> HttpResponse:
    more = {"typed": typed, "problems": problems, "back": reverse("operations_health")}
    status = 422 if problems else 200
    return render(request, "iamroles/operations_pause.html", {**context, **more}, status=status)
