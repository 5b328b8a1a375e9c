"""The approval rules, proposing other ones, and the changes that wait for a second person. Each act is one verb."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from iamroles import permissions
from iamroles.models import ProposedChange, current_rules
from iamroles.pages import accounts as account_pages
from iamroles.pages import changes as pages
from iamroles.permissions import Allowance
from iamroles.rules import rule_text
from iamroles.rules.rule_text import CannotRead
from iamroles.transitions import WrongState
from iamroles.web.caller import actor_of, signed_in_at, user_of
from iamroles.web.once import once
from iamroles.web.operating import form_once, form_typed_on, propose
from iamroles.web.reading import refuse_look
from iamroles.workflow import changes as verbs
from iamroles.workflow.verbs import Invalid, NotAllowed, SignInTooOld, StaleDigest

_TEXT_AT_MOST = 20_000


def _may_read(request: HttpRequest) -> Allowance:
    return permissions.may_read_rules(user_of(request))


@login_required
@require_safe
def rules(request: HttpRequest) -> HttpResponse:
    """Shows today's approval rules, every version, and what waits."""
    allowed = _may_read(request)
    if not allowed.allowed:
        return refuse_look(request, "view_rules", allowed)
    accounts = account_pages.rules_of_accounts()
    context = {
        "accounts": accounts,
        "kinds": next(iter(accounts.values()), ()),
        "versions": pages.versions(),
        "waiting": pages.change_rows(waiting=True),
        "changes": permissions.may_change_rules(user_of(request)).allowed,
    }
    return render(request, "iamroles/rules.html", context)


@login_required
@require_safe
def rules_version(request: HttpRequest, version: int) -> HttpResponse:
    """Shows one version and what it changed."""
    allowed = _may_read(request)
    if not allowed.allowed:
        return refuse_look(request, "view_rules", allowed)
    found = pages.version_page(version)
    if found is None:
        raise Http404(f"There is no version {version} of the approval rules.")
    return render(request, "iamroles/rules_version.html", {"shown": found[0], "difference": found[1]})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def rules_propose(request: HttpRequest) -> HttpResponse:
    """The rules as text; a POST proposes the next version and leads to the change."""
    allowed = permissions.may_change_rules(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "propose_change", allowed)
    given = request.POST if request.method == "POST" else form_typed_on(request)
    if given is None:
        return _propose_form(request, "\n".join(rule_text.write(current_rules())), "")
    text, reason = given.get("rules", "")[:_TEXT_AT_MOST], given.get("reason", "")
    if request.method != "POST":
        return _propose_form(request, text, reason)

    def work() -> str:
        try:
            content = rule_text.read(text, current_rules()["version"] + 1)
        except CannotRead as error:
            raise Invalid(str(error), "rules") from error
        return propose(request, "approval_rules", "", content, reason)

    def again(error: Invalid) -> HttpResponse:
        return _propose_form(request, text, reason, [("reason" if error.field == "reason" else "rules", str(error))])

    return form_once(request, work, back=reverse("change_list"), again=again)


def _propose_form(
    request: HttpRequest, text: str, reason: str, problems: list[tuple[str, str]] | None = None
) -> HttpResponse:
    context = {"text": text, "reason": reason, "problems": problems, "rows": max(6, len(text.splitlines()) * 2)}
    return render(request, "iamroles/rules_propose.html", context, status=422 if problems else 200)


@login_required
@require_safe
def change_list(request: HttpRequest) -> HttpResponse:
    """Shows what waits for a second person, and what was decided."""
    allowed = _may_read(request)
    if not allowed.allowed:
        return refuse_look(request, "view_changes", allowed)
    context = {"waiting": pages.change_rows(waiting=True), "decided": pages.change_rows(waiting=False)}
    return render(request, "iamroles/change_list.html", context)


@login_required
@require_safe
def change_detail(request: HttpRequest, change_id: int) -> HttpResponse:
    """Shows one change: what stood, what shall be, and the form to decide."""
    allowed = _may_read(request)
    if not allowed.allowed:
        return refuse_look(request, "view_change", allowed)
    return _detail(request, change_id)


def _detail(request: HttpRequest, change_id: int, status: int = 200, **more: Any) -> HttpResponse:
    rows = ProposedChange.objects.select_related("proposed_by", "decided_by")
    change = rows.filter(pk=change_id).first()
    if change is None:
        raise Http404(f"There is no change {change_id}.")
    context = {"page": pages.change_page(change, user_of(request)), "change": change, **more}
    return render(request, "iamroles/change_detail.html", context, status=status)


@login_required
@require_POST
def change_decide(request: HttpRequest, change_id: int) -> HttpResponse:
    """Confirms, refuses or withdraws: 303 to the change, or 403, 409, 422, or to signing in again."""
    user = user_of(request)
    if not ProposedChange.objects.filter(pk=change_id).exists():
        raise Http404(f"There is no change {change_id}.")
    decision = request.POST.get("decision", "")
    reason = request.POST.get("reason", "")[:2000]
    address = reverse("change_detail", args=[change_id])
    common: dict[str, Any] = {
        "change_id": change_id,
        "user": user,
        "actor": actor_of(request),
        "at": datetime.now(UTC),
    }

    def produce() -> str:
        if decision == "confirm":
            digest = request.POST.get("digest", "")[:64]
            change = verbs.confirm(seen_digest=digest, signed_in_at=signed_in_at(request), **common)
        elif decision == "refuse":
            change = verbs.refuse(reason=reason, **common)
        elif decision == "withdraw":
            change = verbs.withdraw(**common)
        else:
            raise Invalid("Choose confirm, refuse or withdraw.", "decision")
        messages.success(request, f"{change.reference} is {change.state}.")
        return address

    try:
        return once(request, user, produce, meanwhile=address)
    except SignInTooOld as error:
        messages.info(request, str(error))
        return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': address})}")
    except NotAllowed as error:
        return render(request, "403.html", {"reason": str(error), "back": address}, status=403)
    except (StaleDigest, WrongState) as error:
        return render(request, "409.html", {"reason": str(error), "back": address}, status=409)
    except Invalid as error:
        return _detail(request, change_id, 422, reason=reason, problems=[("reason", str(error))])
