"""Deciding Low requests of one shape together: a tick each, and one decision, digest and event each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from iamroles import eligibility, permissions
from iamroles.models import Request, User
from iamroles.pages import together as pages
from iamroles.pages.together import AT_MOST, Group
from iamroles.transitions import WrongState
from iamroles.web.caller import actor_of, signed_in_at, user_of
from iamroles.web.once import once
from iamroles.web.reading import may_look, record_refusal, refuse_look
from iamroles.workflow import decide
from iamroles.workflow.verbs import Invalid, NotAllowed, SignInTooOld, StaleDigest

_KEPT = "typed_together"


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def approvals_together(request: HttpRequest, shape: str) -> HttpResponse:
    """Shows what waits in one shape with all that differs; a POST approves what is ticked, each by itself."""
    user = user_of(request)
    allowed = permissions.may_review(user)
    if not allowed.allowed:
        return refuse_look(request, "view_queue", allowed)
    group = pages.group_of(user, shape)
    if request.method != "POST":
        kept = request.session.get(_KEPT) or {}
        return _page(request, group, kept.get("ticked", ()) if kept.get("shape") == shape else ())
    ticked = [reference[:20] for reference in request.POST.getlist("request")]
    problem = "Tick what you approve." if not ticked else f"At most {AT_MOST} at once." if len(ticked) > AT_MOST else ""
    if problem:
        return _page(request, group, ticked, problem)
    address = reverse("approval_queue")
    try:
        return once(request, user, lambda: _approve(request, user, group, ticked), meanwhile=address)
    except SignInTooOld:
        request.session[_KEPT] = {"shape": shape, "ticked": ticked}
        messages.info(request, "Your ticks are kept. Confirm that it is you, then send them.")
        return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': request.path})}")
    except NotAllowed as error:
        return render(request, "403.html", {"reason": str(error), "back": address}, status=403)


def _page(request: HttpRequest, group: Group | None, ticked: Any, problem: str = "") -> HttpResponse:
    if group is None:
        messages.info(request, "None of these waits for you any more.")
        return redirect("approval_queue")
    context = {"group": group, "ticked": ticked, "problems": [("ticks", problem)] if problem else []}
    return render(request, "iamroles/approvals_together.html", context, status=422 if problem else 200)


def _approve(request: HttpRequest, user: User, group: Group | None, ticked: list[str]) -> str:
    """Approves one after the other. What is refused is said and stops no other; an old sign-in decides nothing.

    Raises NotAllowed when nothing was approved and one of them is not this person's to decide.
    """
    waiting = {member.request.reference: member for member in group.members} if group else {}
    done, refused, denied = [], [], []
    for reference in dict.fromkeys(ticked):
        member = waiting.get(reference)
        if member is None:
            denied.append(_denial(request, user, reference))
            refused.append(f"{reference}: {denied[-1]}" if denied[-1] else f"{reference} is no longer among them.")
            continue
        try:
            decide.decide(
                request_id=member.request.pk,
                user=user,
                decision=decide.APPROVE,
                seen_digest=request.POST.get(f"digest_{reference}", "")[:64],
                reason="",
                signed_in_at=signed_in_at(request),
                actor=actor_of(request),
                at=datetime.now(UTC),
            )
            done.append(reference)
        except (NotAllowed, StaleDigest, Invalid, WrongState) as error:
            refused.append(f"{reference}: {error}")
    request.session.pop(_KEPT, None)
    if not done and any(denied):
        raise NotAllowed(" ".join(filter(None, denied)))
    if done:
        messages.success(request, f"You approved {', '.join(done)}.")
    for text in refused:
        messages.error(request, f"Not approved. {text}")
    return reverse("approval_queue")


def _denial(request: HttpRequest, user: User, reference: str) -> str:
    """Returns why the person may not decide a request that was never offered, recorded as a refusal; else ""."""
    number = reference.removeprefix("REQ-")
    row = Request.objects.filter(pk=int(number)).first() if number.isascii() and number.isdigit() else None
    proposal = row.current_proposal() if row else None
    if row is None or proposal is None:
        return ""
    allowed = may_look(request, row)
    if allowed.allowed:
        allowed = eligibility.may_decide(user, proposal)
    if not allowed.allowed:
        record_refusal(request, "decide", allowed, row)
    return "" if allowed.allowed else allowed.reason
