"""The approval queue, the review page and deciding. A decision is one verb; every refusal keeps what was typed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST, require_safe

from iamroles import eligibility, permissions
from iamroles.models import Proposal, Request, User
from iamroles.pages import against as against_pages
from iamroles.pages import beside as beside_pages
from iamroles.pages import queue as queue_pages
from iamroles.pages import review as review_pages
from iamroles.pages.progress import decisions_by_revision, progress_of
from iamroles.rules import risk
from iamroles.transitions import WrongState
from iamroles.web import typed_decision
from iamroles.web import viewed as viewed_marks
from iamroles.web.caller import actor_of, signed_in_at, user_of
from iamroles.web.once import once
from iamroles.web.reading import load_request, may_look, refuse_look
from iamroles.web.typed_decision import Typed
from iamroles.workflow import decide
from iamroles.workflow.verbs import Invalid, LookTooOld, NotAllowed, SignInTooOld, StaleDigest


@login_required
@require_safe
def approval_queue(request: HttpRequest) -> HttpResponse:
    """Shows what waits for approval; tab, filter and page are in the address."""
    user = user_of(request)
    allowed = permissions.may_review(user)
    if not allowed.allowed:
        return refuse_look(request, "view_queue", allowed)
    chosen = queue_pages.read_filter(request.GET.dict())
    query = request.GET.copy()
    for name in ("after", "tab"):
        query.pop(name, None)
    context = {
        "page": queue_pages.queue_page(user, chosen),
        "chosen": chosen,
        "query": query.urlencode(),
        "risks": risk.ORDER[::-1],
    }
    return render(request, "iamroles/approval_queue.html", context)


@login_required
@require_safe
def approval_review(request: HttpRequest, request_id: int) -> HttpResponse:
    """Shows everything that an approver needs, and the form to decide."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "view_review", allowed, row)
    other = _other(request)
    if other is not None and not (seen := may_look(request, other)).allowed:
        return refuse_look(request, "view_review", seen, other)
    typed = typed_decision.kept(request, row.pk)
    return _review(request, row, typed, other=other, kept=bool(typed))


def _other(request: HttpRequest) -> Request | None:
    """Returns the request that the address compares with, or None. Raises Http404."""
    reference = request.GET.get("against", "")
    if not reference.startswith("REQ-"):
        return None
    number = reference.removeprefix("REQ-")[:12]
    if not (number.isascii() and number.isdigit()):
        raise Http404(f"There is no {reference[:20]}.")
    return load_request(int(number))


def _against(request: HttpRequest, proposal: Proposal, row: Request, other: Request | None) -> dict[str, Any]:
    """Returns what the page compares with beside AWS, and how the address calls it."""
    if other is not None:
        return {"against": against_pages.against_request(proposal, other), "against_name": other.reference}
    chosen = request.GET.get("against") or against_pages.usual(proposal)
    if chosen == against_pages.STANDARD:
        against: against_pages.Against | None = against_pages.against_standard(proposal, row)
    else:
        against = against_pages.against_revision(proposal) if chosen == against_pages.REVISION else None
    return {"against": against, "against_name": chosen if against else against_pages.BASE}


def _review(
    request: HttpRequest, row: Request, typed: Typed, status: int = 200, other: Request | None = None, **more: Any
) -> HttpResponse:
    proposal = row.current_proposal()
    if proposal is None:
        messages.info(request, f"There is nothing to review yet: a worker is reading AWS for {row.reference}.")
        return redirect("request_detail", row.pk)
    page = review_pages.review_page(row, proposal, user_of(request), decide.ticks_of(proposal))
    marks = viewed_marks.kept(request, row.pk)
    context = {
        "page": page,
        "typed": typed,
        "request_row": row,
        "viewed": marks,
        **_against(request, proposal, row, other),
        "beside": beside_pages.beside(row, user_of(request)),
        **more,
    }
    return render(request, "iamroles/approval_review.html", context, status=status)


@login_required
@require_POST
def approval_decide(request: HttpRequest, request_id: int) -> HttpResponse:
    """Records one decision: 303 to the next request, or 403, 409, 422 with what was typed, or to signing in again."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "decide", allowed, row)
    user = user_of(request)
    typed = typed_decision.read(request.POST)
    viewed_marks.keep(request, row.pk, request.POST.getlist("viewed"))
    try:
        return once(request, user, lambda: _decide(request, row, user, typed), meanwhile=reverse("approval_queue"))
    except SignInTooOld:
        return _sign_in_again(request, row, typed)
    except NotAllowed as error:
        context = {"reason": str(error), "request_row": row, "typed": typed}
        return render(request, "iamroles/approval_refused.html", context, status=403)
    except LookTooOld as error:
        return _review(request, row, typed, 409, problems=[("look-again", str(error))])
    except StaleDigest as error:
        return _changed(request, row, typed, str(error))
    except Invalid as error:
        return _review(request, row, typed, 422, problems=[(_ANCHORS.get(error.field, "decide"), str(error))])
    except WrongState:
        return _decided_meanwhile(request, row, typed)


@login_required
@require_POST
def approval_viewed(request: HttpRequest, request_id: int) -> HttpResponse:
    """Keeps which sections are marked as viewed, for the person's next look; a decision carries them itself."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "mark_viewed", allowed, row)
    viewed_marks.keep(request, row.pk, request.POST.getlist("viewed"))
    return HttpResponse(status=204)


_ANCHORS = {"reason": "decision-reason", "acknowledged": "acknowledged-0", "decision": "decide"}


def _decide(request: HttpRequest, row: Request, user: User, typed: Typed) -> str:
    proposal = row.current_proposal()
    sections = review_pages.section_marks(proposal) if proposal is not None and proposal.intact else {}
    decide.decide(
        request_id=row.pk,
        user=user,
        decision=typed.decision,
        seen_digest=typed.proposal_digest,
        reason=typed.reason[:2000],
        acknowledged=list(typed.acknowledged),
        viewed=viewed_marks.still(request.POST.getlist("viewed"), sections),
        signed_in_at=signed_in_at(request),
        actor=actor_of(request),
        at=datetime.now(UTC),
    )
    typed_decision.forget(request)
    address = reverse("request_detail", args=[row.pk])
    text = _outcome(row, typed.decision)
    messages.success(request, format_html('{} <a href="{}">View {}</a>', text, address, row.reference))
    following = queue_pages.next_waiting(user, row)
    return reverse("approval_review", args=[following.pk]) if following else reverse("approval_queue")


def _outcome(row: Request, decision: str) -> str:
    if decision == "changes":
        return f"You asked {row.requester.display_name} for changes to {row.reference}."
    if decision == "reject":
        return f"{row.reference} is rejected."
    proposal = row.current_proposal()
    if proposal is None:
        return f"{row.reference} approved."
    made = decisions_by_revision(revision=proposal.revision).get(proposal.revision_id, [])
    permissions.load_group_dates(row.approver for row in made)
    progress = progress_of(proposal, made, eligibility.bars_for([proposal.revision])[proposal.revision_id])
    then = "A worker hands its text over now." if proposal.owned_by else "A worker applies it now."
    tail = then if progress.given >= progress.needed else "You can take it back on its page."
    return f"{row.reference} approved ({progress.given} of {progress.needed}). {tail}"


def _sign_in_again(request: HttpRequest, row: Request, typed: Typed) -> HttpResponse:
    typed_decision.keep(request, row.pk, typed)
    messages.info(request, "Your decision is kept. Confirm that it is you, then send it.")
    following = urlencode({"next": reverse("approval_review", args=[row.pk])})
    return redirect(f"{reverse('account_reauthenticate')}?{following}")


def _changed(request: HttpRequest, row: Request, typed: Typed, reason: str) -> HttpResponse:
    row = load_request(row.pk)
    context = {
        "reason": reason,
        "reference": row.reference,
        "request_row": row,
        "typed": typed,
        "changed": review_pages.changed_since(row, typed.proposal_digest),
        "back": reverse("approval_review", args=[row.pk]),
        "back_words": f"Review {row.reference} again",
    }
    return render(request, "iamroles/approval_changed.html", context, status=409)


def _decided_meanwhile(request: HttpRequest, row: Request, typed: Typed) -> HttpResponse:
    row = load_request(row.pk)
    decisions = row.decisions.select_related("approver", "revision").order_by("-pk")
    context = {
        "reference": row.reference,
        "request_row": row,
        "typed": typed,
        "decisions": list(decisions[:5]),
        "back": reverse("request_detail", args=[row.pk]),
        "back_words": f"See {row.reference}",
    }
    return render(request, "iamroles/approval_decided.html", context, status=409)


@login_required
@require_POST
def approval_take_back(request: HttpRequest, request_id: int) -> HttpResponse:
    """Takes the person's own approval back; the request returns to review."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "take_back", allowed, row)
    user = user_of(request)
    address = reverse("request_detail", args=[row.pk])

    def produce() -> str:
        decide.take_back(request_id=row.pk, user=user, actor=actor_of(request), at=datetime.now(UTC))
        messages.success(request, f"Your approval of {row.reference} is taken back.")
        return address

    try:
        return once(request, user, produce, meanwhile=address)
    except NotAllowed as error:
        return render(request, "403.html", {"reason": str(error), "back": address}, status=403)
    except WrongState as error:
        context = {"reason": str(error), "back": address, "reference": row.reference}
        return render(request, "409.html", context, status=409)
